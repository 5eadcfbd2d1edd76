"""The rules of accounts and tokens, without a database, a clock or a wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_chat.domain.accounts import (
    display_name_for,
    is_email,
    new_user_id,
    normalize_email,
    normalize_password,
)
from parley_chat.domain.tokens import (
    ADMIN_SCOPES,
    SERVICE_SCOPES,
    USER_SCOPES,
    ScopeExceededError,
    ScopeUnknownError,
    TokenPair,
    expire_after,
    new_refresh_token,
    refresh_token_hash,
    scopes_for_new_token,
)
from parley_chat.ports.local_user_file import LocalUser
from parley_shared.access import access_rules

NOW = datetime(2025, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("Ada@Example.ORG", "ada@example.org"),
        ("ada@example.org", "ada@example.org"),
        ("ADA@example.org", "ada@example.org"),
        ("STRASSE@example.org", "strasse@example.org"),
        ("İ@example.org", "i̇@example.org"),
    ],
)
def test_addresses_that_differ_in_case_or_width_are_one(written: str, stored: str) -> None:
    assert normalize_email(written) == stored


@given(st.text(max_size=300))
def test_normalizing_an_address_twice_changes_nothing_more(email: str) -> None:
    assert normalize_email(normalize_email(email)) == normalize_email(email)


@pytest.mark.parametrize("email", ["a@b", "local@parley.localhost", "ada+notes@example.org", "ü@müller.example"])
def test_an_address_with_one_at_sign_is_one(email: str) -> None:
    assert is_email(normalize_email(email))


@pytest.mark.parametrize(
    "email", ["", "@", "a@", "@b", "ab", "a@b@c", "a b@c", "a@b\n", "a@b\x00", " a@b", "a@b\u200b", "a" * 253 + "@b"]
)
def test_what_is_no_address_is_refused(email: str) -> None:
    assert not is_email(normalize_email(email))


def test_a_password_is_the_same_from_every_keyboard() -> None:
    assert normalize_password("cafe\u0301") == normalize_password("caf\u00e9")


def test_a_password_keeps_its_case_and_its_white_space() -> None:
    assert normalize_password(" Secret ") == " Secret "


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [("Ada", "Ada"), ("  Ada  ", "Ada"), ("", "ada"), ("   ", "ada")],
)
def test_a_user_without_a_name_is_called_like_the_address(given_name: str, expected: str) -> None:
    assert display_name_for(given_name, "ada@example.org") == expected


def test_the_name_from_a_long_address_is_cut_to_its_bound() -> None:
    assert display_name_for("", "a" * 200 + "@example.org") == "a" * 100


def test_ids_are_a_prefix_and_32_hexadecimal_digits() -> None:
    prefix, _, digits = new_user_id().partition("_")
    assert prefix == "usr"
    assert len(digits) == 32
    assert int(digits, 16) >= 0


def test_a_refresh_token_has_256_random_bits_and_is_stored_as_a_hash() -> None:
    token = new_refresh_token()
    assert token != new_refresh_token()
    assert len(token.removeprefix("prt_")) == 43
    assert len(refresh_token_hash(token)) == 64
    assert token not in refresh_token_hash(token)


def test_a_token_ends_on_a_whole_second_that_is_not_after_its_life() -> None:
    end = expire_after(NOW, 60)
    assert end.microsecond == 0
    assert timedelta(seconds=59) < end - NOW <= timedelta(seconds=60)


def test_a_new_token_has_all_scopes_of_its_maker_unless_it_asks_for_some() -> None:
    assert scopes_for_new_token([], frozenset({"chat:write", "chat:read"})) == ("chat:read", "chat:write")
    assert scopes_for_new_token(["chat:read", "chat:read"], USER_SCOPES) == ("chat:read",)


def test_a_new_token_cannot_have_a_scope_that_its_maker_lacks() -> None:
    with pytest.raises(ScopeExceededError) as refused:
        scopes_for_new_token(["chat:read", "documents:write"], frozenset({"chat:read"}))
    assert refused.value.scope == "documents:write"


@pytest.mark.parametrize("scope", ["inference:invoke", "chat:delete", "", "*"])
def test_a_scope_that_no_user_has_is_unknown_even_to_a_maker_who_holds_it(scope: str) -> None:
    with pytest.raises(ScopeUnknownError) as refused:
        scopes_for_new_token(["chat:read", scope], USER_SCOPES | {scope})
    assert refused.value.positions == (1,)


def test_all_scopes_never_include_one_that_no_user_has() -> None:
    assert scopes_for_new_token([], frozenset({"chat:read", "inference:invoke"})) == ("chat:read",)


def test_the_scopes_of_users_and_of_services_are_those_of_the_contract() -> None:
    contract = {rule.scope for rule in access_rules().values() if rule.scope}
    assert contract <= USER_SCOPES | ADMIN_SCOPES | SERVICE_SCOPES
    assert contract >= USER_SCOPES | SERVICE_SCOPES
    assert contract - USER_SCOPES - ADMIN_SCOPES == {"inference:invoke", "index:read", "index:write"}


def test_what_holds_a_secret_does_not_print_it() -> None:
    pair = TokenPair("secret-access", NOW, "secret-refresh", NOW)
    local = LocalUser("local@parley.localhost", "secret-password", "usr_0")
    assert "secret" not in f"{pair!r} {pair} {local!r} {local}"

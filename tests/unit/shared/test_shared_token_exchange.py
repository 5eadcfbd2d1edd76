"""A verifier that is given a token of another issuer: it changes it for one of ours, and remembers what came of it."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import replace
from pathlib import Path

import pytest
from parley_shared.status import StatusError
from parley_shared.tokens import TokenVerifier
from parley_testing.tokens import TestKeys


class Exchange:
    """Gives tokens of ours, and counts."""

    def __init__(self, keys: TestKeys) -> None:
        self.keys = keys
        self.asked: list[str] = []

    async def own_token(self, foreign: str) -> str:
        self.asked.append(foreign)
        return self.keys.mint("usr_a", ["chat:read"])


@pytest.fixture
def keys(tmp_path: Path) -> TestKeys:
    return TestKeys(tmp_path / "own")


@pytest.fixture
def foreign(tmp_path: Path) -> str:
    return TestKeys(tmp_path / "foreign").mint("ada", ["everything"], iss="https://login.example.com")


async def test_a_token_of_another_issuer_is_changed_once_and_ours_never(keys: TestKeys, foreign: str) -> None:
    exchange = Exchange(keys)
    verifier = TokenVerifier(keys.jwks_file, "parley", "parley", exchange=exchange.own_token)
    for _ in range(3):
        principal = await verifier.verify(foreign)
        assert (principal.user_id, principal.scopes) == ("usr_a", frozenset({"chat:read"}))
    assert exchange.asked == [foreign]
    assert (await verifier.verify(keys.mint("usr_b"))).user_id == "usr_b"
    assert exchange.asked == [foreign]


async def test_a_token_that_outlives_the_one_it_was_changed_for_is_changed_again(keys: TestKeys, foreign: str) -> None:
    exchange = Exchange(keys)
    verifier = TokenVerifier(keys.jwks_file, "parley", "parley", exchange=exchange.own_token)
    await verifier.verify(foreign)
    # As if a quarter of an hour had passed.
    verifier._verified = type(verifier._verified)(
        (digest, replace(principal, expire_time=0.0)) for digest, principal in verifier._verified.items()
    )
    assert (await verifier.verify(foreign)).user_id == "usr_a"
    assert exchange.asked == [foreign, foreign]


@pytest.mark.parametrize("claims", [b"[" * 5000, b"[]", b"7", b"null", b"\xff"])
async def test_what_is_no_token_is_refused_before_anybody_is_asked(keys: TestKeys, claims: bytes) -> None:
    exchange = Exchange(keys)
    verifier = TokenVerifier(keys.jwks_file, "parley", "parley", exchange=exchange.own_token)
    head, _, signature = keys.mint("usr_a").split(".")
    with pytest.raises(StatusError) as raised:
        await verifier.verify(f"{head}.{urlsafe_b64encode(claims).rstrip(b'=').decode()}.{signature}")
    assert raised.value.reason == "ERROR_REASON_TOKEN_INVALID"
    assert exchange.asked == []


async def test_without_an_exchange_it_is_refused(keys: TestKeys, foreign: str) -> None:
    with pytest.raises(StatusError) as raised:
        await TokenVerifier(keys.jwks_file, "parley", "parley").verify(foreign)
    assert raised.value.reason == "ERROR_REASON_TOKEN_INVALID"

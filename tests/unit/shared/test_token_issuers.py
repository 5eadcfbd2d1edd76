"""The identity providers of the configuration file: what is read, and each mistake told with its table and key."""

from __future__ import annotations

from pathlib import Path

import pytest
from parley_shared.token_issuers import TokenIssuersError, read_token_issuers

GOOD = 'issuer = "https://login.example.com"\naudiences = ["parley"]\n'


def read(tmp_path: Path, text: str, own_issuer: str = "parley") -> tuple[object, ...]:
    file = tmp_path / "parley.toml"
    file.write_text(text, encoding="utf-8")
    return read_token_issuers(file, own_issuer=own_issuer)


def test_without_a_file_or_without_a_table_there_are_none(tmp_path: Path) -> None:
    assert read_token_issuers(None, own_issuer="parley") == ()
    assert read(tmp_path, "[providers.openai]\n") == ()


def test_a_table_is_read_with_what_it_says_and_else_the_defaults(tmp_path: Path) -> None:
    (issuer,) = read_token_issuers(_write(tmp_path, f"[oidc.issuers.work]\n{GOOD}"), own_issuer="parley")
    assert (issuer.name, issuer.issuer, issuer.audiences) == ("work", "https://login.example.com", ("parley",))
    assert (issuer.algorithms, issuer.clock_skew_seconds, issuer.keys_seconds) == (("RS256", "ES256"), 30, 60)
    assert issuer.scopes is None
    text = f"""[oidc.issuers.work]
{GOOD}jwks_url = "https://keys.example.com/k"
algorithms = ["EdDSA"]
clock_skew_seconds = 0
keys_seconds = 5
scopes_claim = "realm_access.roles"
scopes = {{ readers = ["chat:read"] }}
role_claim = "groups"
admins = ["ops"]
"""
    (issuer,) = read_token_issuers(_write(tmp_path, text), own_issuer="parley")
    assert (issuer.jwks_url, issuer.algorithms) == ("https://keys.example.com/k", ("EdDSA",))
    assert (issuer.clock_skew_seconds, issuer.keys_seconds) == (0, 5)
    assert (issuer.scopes_claim, issuer.scopes) == ("realm_access.roles", {"readers": ("chat:read",)})
    assert (issuer.role_claim, issuer.admins) == ("groups", frozenset({"ops"}))


def test_one_that_is_switched_off_does_not_count(tmp_path: Path) -> None:
    assert read(tmp_path, f"[oidc.issuers.work]\n{GOOD}enabled = false\n") == ()


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('audiences = ["parley"]', "issuer is missing"),
        ('issuer = "https://a.example"', "audiences"),
        ('issuer = "http://a.example"\naudiences = ["p"]', "issuer must be like https://"),
        ('issuer = "https://user:pass@a.example"\naudiences = ["p"]', "issuer must be like https://"),
        (GOOD + 'jwks_url = "http://a.example"', "jwks_url"),
        (GOOD + 'algorithms = ["none"]', "algorithms"),
        (GOOD + 'algorithms = ["HS256"]', "algorithms"),
        (GOOD + "clock_skew_seconds = 301", "clock_skew_seconds"),
        (GOOD + "keys_seconds = 0", "keys_seconds"),
        (GOOD + 'scopes = { a = ["chat:read"] }', "scopes_claim"),
        (GOOD + 'scopes_claim = "s"\nscopes = { a = "chat:read" }', "scopes must be a table"),
        (GOOD + 'role_claim = "groups"', "admins"),
        (GOOD + 'admins = ["ops"]', "admins"),
        (GOOD + 'audience = "parley"', "audience is not known"),
    ],
)
def test_a_mistake_is_told_with_its_table_and_key(tmp_path: Path, lines: str, told: str) -> None:
    with pytest.raises(TokenIssuersError) as raised:
        read(tmp_path, f"[oidc.issuers.work]\n{lines}\n")
    assert "oidc.issuers.work" in str(raised.value)
    assert told in str(raised.value)
    assert "pass@" not in str(raised.value)


def test_two_cannot_be_the_same_issuer_and_none_can_be_parley_itself(tmp_path: Path) -> None:
    twice = f"[oidc.issuers.one]\n{GOOD}[oidc.issuers.two]\n{GOOD}"
    with pytest.raises(TokenIssuersError, match="another issuer's"):
        read(tmp_path, twice)
    with pytest.raises(TokenIssuersError, match="another issuer's"):
        read(tmp_path, f"[oidc.issuers.one]\n{GOOD}", own_issuer="https://login.example.com")


@pytest.mark.parametrize(
    "text", ["oidc = 1", "[oidc]\nissuer = 1", "[oidc.issuers]\nwork = 1", "[oidc.issuers.'A b']\n", "["]
)
def test_what_is_no_such_table_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(TokenIssuersError):
        read(tmp_path, text)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TokenIssuersError, match="cannot be read"):
        read_token_issuers(tmp_path / "none.toml", own_issuer="parley")


def _write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "parley.toml"
    file.write_text(text, encoding="utf-8")
    return file

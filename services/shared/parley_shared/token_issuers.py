"""Identity providers whose tokens the operator trusts, as the configuration file has them: each is a table `[oidc.issuers.NAME]`.

    [oidc.issuers.work]
    issuer = "https://login.example.com"
    audiences = ["parley"]

Chat reads it, which verifies such tokens, and the edge, which does so before. Every mistake is told with its table and key. It fetches
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from parley_shared.toml_tables import Table, TableError, read_toml

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""All of them have a public key: with a shared secret, and with none, whoever verifies could sign."""

_MOST_ISSUERS = 20
_MOST_NAMED = 100
_MOST_CHARACTERS = 2000
_NAME = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")
_MOST_NAME = 24
_SCOPE = re.compile(r"[a-z]+:[a-z]+")
_CLAIM = re.compile(r"[A-Za-z0-9_.:/-]{1,200}")


class TokenIssuersError(Exception):
    """A file that cannot be used. The message says in one line for a person where and why."""


@dataclass(frozen=True)
class TokenIssuer:
    """An identity provider."""

    name: str
    """What the operator calls it."""
    issuer: str
    """Its URL: what the claim `iss` of its tokens is, letter for letter."""
    audiences: tuple[str, ...]
    """Tokens must be for one of them."""
    jwks_url: str = ""
    """Where its keys are; empty: where its discovery document says."""
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    """What its tokens may be signed with."""
    clock_skew_seconds: int = 30
    """How far its clock may be from ours."""
    keys_seconds: int = 60
    """How old its keys get before they are fetched again: a few seconds later the edge knows a new one."""
    scopes_claim: str = ""
    """The claim that says what a token may be used for; a dot goes into an object. Empty: all that a user may."""
    scopes: Mapping[str, tuple[str, ...]] | None = None
    """What each value of that claim allows; None: values that are scopes of Parley allow themselves."""
    role_claim: str = ""
    """The claim that says who is an admin; a dot goes into an object. Empty: an admin of Parley says it."""
    admins: frozenset[str] = frozenset()
    """The values of that claim that make an admin."""


def read_token_issuers(path: Path | None, *, own_issuer: str) -> tuple[TokenIssuer, ...]:
    """The providers that are not switched off, in the order of the file; none without a file. Raises TokenIssuersError."""
    if path is None:
        return ()
    try:
        oidc = read_toml(path).get("oidc", {})
        if not isinstance(oidc, dict) or set(oidc) - {"issuers"}:
            raise TableError(": oidc must be a table that holds issuers only: [oidc.issuers.NAME]")
        tables = oidc.get("issuers", {})
        if not isinstance(tables, dict) or len(tables) > _MOST_ISSUERS:
            raise TableError(f": oidc.issuers must hold at most {_MOST_ISSUERS} tables: [oidc.issuers.NAME]")
        read = [_issuer(name, values) for name, values in tables.items()]
        issuers = tuple(issuer for issuer in read if issuer is not None)
        for issuer in issuers:
            if issuer.issuer == own_issuer or [each.issuer for each in issuers].count(issuer.issuer) > 1:
                raise TableError(f": oidc.issuers.{issuer.name}.issuer is another issuer's already")
    except TableError as error:
        # The table's reader names the file first, which whoever raises this does too.
        raise TokenIssuersError(str(error).removeprefix(": ")) from None
    return issuers


def _issuer(name: str, values: object) -> TokenIssuer | None:
    where = f"oidc.issuers.{name[:40]}"
    if not _NAME.fullmatch(name) or len(name) > _MOST_NAME:
        raise TableError(
            f": {where!r} can have no such name: 1 to {_MOST_NAME} of a-z 0-9, and single - and _ between them"
        )
    if not isinstance(values, dict):
        raise TableError(f": {where} must be a table: [{where}]")
    table = Table("", values, within=f"{where}.")
    enabled = table.flag("enabled", default=True)
    allows_http = table.flag("allow_http", default=False)
    algorithms = table.texts("algorithms", most=len(ALGORITHMS), most_characters=10)
    issuer = TokenIssuer(
        name=name,
        issuer=table.text("issuer", most=_MOST_CHARACTERS),
        audiences=table.texts("audiences", most=_MOST_NAMED, most_characters=500),
        jwks_url=table.text("jwks_url", most=_MOST_CHARACTERS, default=""),
        algorithms=algorithms or TokenIssuer.algorithms,
        clock_skew_seconds=_integer(table, "clock_skew_seconds", 0, 300, TokenIssuer.clock_skew_seconds),
        keys_seconds=_integer(table, "keys_seconds", 1, 86_400, TokenIssuer.keys_seconds),
        scopes_claim=table.text("scopes_claim", most=200, default=""),
        scopes=_scopes(table),
        role_claim=table.text("role_claim", most=200, default=""),
        admins=frozenset(table.texts("admins", most=_MOST_NAMED, most_characters=500)),
    )
    table.end()
    _check(table, issuer, allows_http=allows_http)
    return issuer if enabled else None


def _check(table: Table, issuer: TokenIssuer, *, allows_http: bool) -> None:
    schemes = {"https", "http"} if allows_http else {"https"}
    for key, url in (("issuer", issuer.issuer), ("jwks_url", issuer.jwks_url)):
        if (key == "issuer" or url) and not _is_url(url, schemes):
            raise table.wrong(key, "must be like https://login.example.com; allow_http = true allows http")
    if not issuer.audiences:
        raise table.wrong("audiences", "must name at least one: a token for somebody else is not for Parley")
    unknown = next((each for each in issuer.algorithms if each not in ALGORITHMS), None)
    if unknown is not None:
        raise table.wrong("algorithms", f"must be of {', '.join(ALGORITHMS)}")
    for key, claim in (("scopes_claim", issuer.scopes_claim), ("role_claim", issuer.role_claim)):
        if claim and not _CLAIM.fullmatch(claim):
            raise table.wrong(key, "must be the name of a claim")
    if issuer.scopes is not None and not issuer.scopes_claim:
        raise table.wrong("scopes", "needs scopes_claim: the claim whose values it explains")
    if bool(issuer.admins) is not bool(issuer.role_claim):
        raise table.wrong("admins", "and role_claim need each other")


def _is_url(url: str, schemes: set[str]) -> bool:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in schemes
            and bool(parts.hostname)
            and "@" not in parts.netloc
            and parts.port != 0
            and not parts.fragment
        )
    except ValueError:
        return False


def _integer(table: Table, key: str, least: int, most: int, default: int) -> int:
    found = table.integer(key, least=least, most=most, default=default)
    return default if found is None else found


def _scopes(table: Table) -> Mapping[str, tuple[str, ...]] | None:
    if not table.has("scopes"):
        return None
    given = table.value("scopes", {})
    if (
        not isinstance(given, dict)
        or len(given) > _MOST_NAMED
        or not all(
            isinstance(scopes, list)
            and len(scopes) <= _MOST_NAMED
            and all(isinstance(scope, str) and _SCOPE.fullmatch(scope) for scope in scopes)
            for scopes in given.values()
        )
    ):
        raise table.wrong("scopes", 'must be a table of lists of scopes, like readers = ["chat:read"]')
    return {value: tuple(scopes) for value, scopes in given.items()}

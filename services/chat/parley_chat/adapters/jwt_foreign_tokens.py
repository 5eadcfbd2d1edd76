"""Tokens of other identity providers, verified with PyJWT. Not what they mean here: domain/foreign_tokens.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from parley_chat.adapters.http_issuer_keys import HttpIssuerKeys
from parley_chat.domain.foreign_tokens import (
    ForeignRules,
    ForeignTokenExpiredError,
    ForeignTokenRefusedError,
    IssuerNotFoundError,
    VerifiedToken,
)

_MOST_CHARACTERS = 8192
_MOST_TRIED = 4
"""Keys that are tried for a token that names none."""
_LEAST_RSA_BITS = 2048
_SHOWN = ("kty", "kid", "alg", "n", "e", "crv", "x", "y")
_FAMILIES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


@dataclass(frozen=True)
class TrustedIssuer:
    """A provider whose tokens are verified."""

    rules: ForeignRules
    audiences: tuple[str, ...]
    algorithms: tuple[str, ...]
    clock_skew_seconds: int
    keys: HttpIssuerKeys


class JwtForeignTokens:
    """The port `ForeignTokens`."""

    def __init__(self, issuers: Sequence[TrustedIssuer]) -> None:
        self._by_issuer = {each.rules.issuer: each for each in issuers}
        self._by_name = {each.rules.name: each for each in issuers}

    async def verify(self, token: str) -> VerifiedToken:
        """Looks for the issuer in what the token says, and believes nothing of it before its signature is verified."""
        try:
            if len(token) > _MOST_CHARACTERS:
                raise ForeignTokenRefusedError
            header = jwt.get_unverified_header(token)
            said = jwt.decode(token, options={"verify_signature": False})
            issuer, algorithm = self._by_issuer.get(str(said.get("iss"))), header.get("alg")
            if issuer is None or algorithm not in issuer.algorithms:
                raise ForeignTokenRefusedError
            claims = await self._claims(token, issuer, str(algorithm), header.get("kid"))
            skew = timedelta(seconds=issuer.clock_skew_seconds)
            expire_time = datetime.fromtimestamp(int(claims["exp"]), UTC) + skew
        except jwt.ExpiredSignatureError:
            raise ForeignTokenExpiredError from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, OSError, RecursionError):
            raise ForeignTokenRefusedError from None
        return VerifiedToken(issuer.rules, claims, expire_time)

    async def keys(self, issuer_name: str) -> Sequence[Mapping[str, str]]:
        issuer = self._by_name.get(issuer_name)
        if issuer is None:
            raise IssuerNotFoundError
        return [{name: key[name] for name in _SHOWN if name in key} for key in await issuer.keys.keys()]

    async def _claims(self, token: str, issuer: TrustedIssuer, algorithm: str, key_id: Any) -> dict[str, Any]:
        fitting = _fitting(await issuer.keys.keys(), algorithm, key_id)
        if not fitting:
            # It may be new: the provider has changed its keys.
            fitting = _fitting(await issuer.keys.newer(), algorithm, key_id)
        for key in fitting:
            try:
                return jwt.decode(
                    token,
                    key,
                    algorithms=[algorithm],
                    issuer=issuer.rules.issuer,
                    audience=list(issuer.audiences),
                    leeway=issuer.clock_skew_seconds,
                    options={"require": ["exp", "sub", "iss", "aud"]},
                )
            except jwt.InvalidSignatureError:
                continue
        raise ForeignTokenRefusedError


def _fitting(keys: Sequence[Mapping[str, Any]], algorithm: str, key_id: Any) -> list[jwt.PyJWK]:
    """The keys that may have signed: of the name, when the token names one, and of the algorithm's family."""
    named = [key for key in keys if key_id is None or key.get("kid") == key_id]
    fitting = []
    for key in named:
        if key["kty"] != _FAMILIES[algorithm[:2]] or key.get("alg", algorithm) != algorithm:
            continue
        try:
            parsed = jwt.PyJWK({**key}, algorithm)
        except (jwt.PyJWTError, ValueError, TypeError, LookupError):
            continue
        if key["kty"] == "RSA" and parsed.key.key_size < _LEAST_RSA_BITS:
            continue
        fitting.append(parsed)
    return fitting[:_MOST_TRIED]

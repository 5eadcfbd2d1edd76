"""Tokens: who calls. Verifies JWTs (ES256) against the public keys in a JWKS file.

It mints none: identity is chat's. A token is never logged and never part of an error.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import jwt

from parley_shared.status import StatusError

_logger = logging.getLogger(__name__)

_ALGORITHM = "ES256"
_LEEWAY_SECONDS = 5
"""How far the clocks of two machines may differ."""
_READ_AGAIN_SECONDS = 1.0
_MOST_REMEMBERED = 4096
_MOST_CHARACTERS = 8192

_principal: ContextVar[Principal | None] = ContextVar("parley_principal", default=None)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, as the token says it."""

    user_id: str
    """The user in whose name the call is made."""
    scopes: frozenset[str]
    """What the token allows."""
    token_id: str
    """The token's own id; "" when it has none."""
    service: str
    """The service that calls for the user; "" when the user calls."""
    expire_time: float
    """When the token ends, in seconds since 1970."""


def current_principal() -> Principal:
    """Who makes the call that is being served. Raises LookupError outside of one, and in an anonymous one."""
    principal = _principal.get()
    if principal is None:
        raise LookupError("no caller is known here: the call is anonymous, or this is not a call")
    return principal


def set_current_principal(principal: Principal | None) -> None:
    """Says who calls, for the running task and the tasks it starts. The interceptor does; a job that acts for a user may."""
    _principal.set(principal)


@dataclass(frozen=True, slots=True)
class TrustedService:
    """A service that signs tokens for itself, with a key of its own: good for so much and no more, whatever they say."""

    service: str
    """Its name, which its tokens must carry as `sub` and as the acting service."""
    jwks_file: Path
    """Its public keys. None are known while the file does not exist."""
    scopes: frozenset[str]
    """All that its tokens may allow."""


class TokenVerifier:
    """Verifies tokens. Verified ones are remembered until they expire, because a signature costs about 100 µs.

    One of another issuer is given to `exchange`, which gives a token of ours for it, or raises StatusError.

    `is_revoked` is asked at every call, and so is `narrowed`, for what is left of the token's scopes. The file is read at first use, and
    again (at most once a second) when a token names a key that is not known: it may appear, and gain keys, after the service has started.
    """

    def __init__(
        self,
        jwks_file: Path,
        issuer: str,
        audience: str,
        *,
        is_revoked: Callable[[Principal], Awaitable[bool]] | None = None,
        narrowed: Callable[[Principal], Awaitable[Principal]] | None = None,
        exchange: Callable[[str], Awaitable[str]] | None = None,
        trusted_services: Sequence[TrustedService] = (),
    ) -> None:
        self._jwks_file = jwks_file
        self._trusted_services = tuple(trusted_services)
        self._issuer = issuer
        self._audience = audience
        self._is_revoked = is_revoked
        self._narrowed = narrowed
        self._exchange = exchange
        self._keys: dict[str, tuple[jwt.PyJWK, TrustedService | None]] = {}
        self._read_time = float("-inf")
        self._reading = asyncio.Lock()
        self._verified: OrderedDict[bytes, Principal] = OrderedDict()

    async def verify(self, token: str) -> Principal:
        """Who the token is of. Raises StatusError: TOKEN_EXPIRED when its time is over, TOKEN_INVALID for everything else."""
        if not token or len(token) > _MOST_CHARACTERS:
            raise _invalid()
        digest = hashlib.sha256(token.encode()).digest()
        principal = self._verified.get(digest)
        if principal is not None and principal.expire_time + _LEEWAY_SECONDS <= time.time():
            del self._verified[digest]
            # Another issuer's token may outlive the one that it was changed for.
            if not self._is_foreign(token):
                raise _expired()
            principal = None
        if principal is None:
            principal = await self._verify_signature(token)
            self._verified[digest] = principal
            if len(self._verified) > _MOST_REMEMBERED:
                self._verified.popitem(last=False)
        else:
            self._verified.move_to_end(digest)
        return await self.admitted(principal)

    async def admitted(self, principal: Principal) -> Principal:
        """Whoever the token was verified for, with what is left of its scopes now; its end is not looked at.

        Raises StatusError TOKEN_INVALID when it was revoked, and what `is_revoked` raises.
        """
        if self._is_revoked is not None and await self._is_revoked(principal):
            raise _invalid()
        return principal if self._narrowed is None else await self._narrowed(principal)

    async def _verify_signature(self, token: str) -> Principal:
        try:
            if self._exchange is not None and self._is_foreign(token):
                token = await self._exchange(token)
            key, trusted = await self._key(str(jwt.get_unverified_header(token).get("kid", "")))
            claims = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "sub", "iss", "aud"]},
            )
            return _principal_of(claims) if trusted is None else _service_of(claims, trusted)
        except jwt.ExpiredSignatureError as error:
            raise _expired() from error
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise _invalid() from error

    def _is_foreign(self, token: str) -> bool:
        """Whether somebody else than Parley says that he made it. Raises PyJWTError for what is no token."""
        return self._exchange is not None and _issuer_said(token) != self._issuer

    async def _key(self, key_id: str) -> tuple[jwt.PyJWK, TrustedService | None]:
        if key_id not in self._keys:
            async with self._reading:
                if key_id not in self._keys and time.monotonic() - self._read_time >= _READ_AGAIN_SECONDS:
                    self._keys = await asyncio.to_thread(self._read)
                    self._read_time = time.monotonic()
        if key_id not in self._keys:
            raise jwt.InvalidKeyError("unknown key")
        return self._keys[key_id]

    def _read(self) -> dict[str, tuple[jwt.PyJWK, TrustedService | None]]:
        """Every key there is, with the service that it is of; None for those of chat. Chat's come last: nobody can stand in for one."""
        keys: dict[str, tuple[jwt.PyJWK, TrustedService | None]] = {}
        for trusted in self._trusted_services:
            # A service that needs no token has no keys: a file that is not there says nothing.
            if trusted.jwks_file.exists():
                keys |= {key_id: (key, trusted) for key_id, key in _read_keys(trusted.jwks_file).items()}
        return keys | {key_id: (key, None) for key_id, key in _read_keys(self._jwks_file).items()}


def _read_keys(jwks_file: Path) -> dict[str, jwt.PyJWK]:
    """The usable keys of the file by their ids; none when it is absent or damaged, which is logged."""
    try:
        entries = json.loads(jwks_file.read_bytes())["keys"]
        usable = [
            entry for entry in entries if entry.get("kid") and entry.get("kty") == "EC" and entry.get("crv") == "P-256"
        ]
        return {str(entry["kid"]): jwt.PyJWK(entry, _ALGORITHM) for entry in usable}
    except FileNotFoundError:
        _logger.warning(
            "no token can be verified: the key file does not exist (yet)", extra={"jwks_file": str(jwks_file)}
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError):
        _logger.exception("no token can be verified: the key file cannot be read", extra={"jwks_file": str(jwks_file)})
    return {}


def _issuer_said(token: str) -> str:
    """Who the token says that made it. Nothing is verified here."""
    return str(jwt.decode(token, options={"verify_signature": False}).get("iss", ""))


def _principal_of(claims: dict[str, Any]) -> Principal:
    scope, actor = claims.get("scope", ""), claims.get("act", {})
    if not claims["sub"] or not isinstance(scope, str) or not isinstance(actor, dict):
        raise ValueError("a claim is not what it must be")
    return Principal(
        user_id=claims["sub"],
        scopes=frozenset(scope.split()),
        token_id=str(claims.get("jti", "")),
        service=str(actor.get("sub", "")),
        expire_time=float(claims["exp"]),
    )


def _service_of(claims: dict[str, Any], trusted: TrustedService) -> Principal:
    """Who a service's own token is of. Raises ValueError when it says more than the service may say."""
    principal = _principal_of(claims)
    if principal.user_id != trusted.service or principal.service != trusted.service:
        raise ValueError("the token is not of the service whose key signed it")
    if not principal.scopes <= trusted.scopes:
        raise ValueError("the token allows more than the service may")
    return principal


def _invalid() -> StatusError:
    return StatusError(
        grpc.StatusCode.UNAUTHENTICATED, "ERROR_REASON_TOKEN_INVALID", "The token is not valid. Sign in again."
    )


def _expired() -> StatusError:
    return StatusError(
        grpc.StatusCode.UNAUTHENTICATED,
        "ERROR_REASON_TOKEN_EXPIRED",
        "The token has expired. Refresh it or sign in again.",
    )

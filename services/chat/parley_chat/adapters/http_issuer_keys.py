"""The public keys of identity providers, fetched over HTTP, cached and bounded. Not the verifying: jwt_foreign_tokens.py."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Any

from parley_chat.adapters.guarded_http import GuardedHttp, OutboundLimits
from parley_chat.domain.foreign_tokens import IssuerUnreachableError
from parley_chat.domain.outbound import OutboundError

_logger = logging.getLogger(__name__)

LIMITS = OutboundLimits(body_bytes=256_000, connect_seconds=3.0, read_seconds=3.0, total_seconds=5.0)
MOST_KEYS = 50
WAIT_SECONDS = 5.0
"""Between two looks, at least: tokens that name keys which nobody knows do not make us ask and ask."""
MOST_AGE_SECONDS = 86_400.0
"""How long keys are believed of a provider that does not answer."""

_OK = 200
_DISCOVERY = "/.well-known/openid-configuration"


class HttpIssuerKeys:
    """The keys of one provider. Fetched by one caller at a time, and at most once in `WAIT_SECONDS`, whoever asks for what."""

    def __init__(self, http: GuardedHttp, issuer: str, jwks_url: str, keys_seconds: float) -> None:
        self._http = http
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._keys_seconds = keys_seconds
        self._wait_seconds = min(WAIT_SECONDS, keys_seconds)
        self._fetching = asyncio.Lock()
        self._keys: list[dict[str, Any]] = []
        self._fetch_time = float("-inf")
        """When the keys came."""
        self._try_time = float("-inf")
        """When they were asked for last."""
        self._refreshing: asyncio.Task[None] | None = None

    async def keys(self) -> list[dict[str, Any]]:
        """The keys, at least one. Old ones are given out while new ones are fetched. Raises IssuerUnreachableError."""
        age = time.monotonic() - self._fetch_time
        if age > MOST_AGE_SECONDS:
            await self._fetch()
        elif age > self._keys_seconds and (self._refreshing is None or self._refreshing.done()):
            self._refreshing = asyncio.create_task(self._fetch(), name="keys of an identity provider")
        if time.monotonic() - self._fetch_time > MOST_AGE_SECONDS:
            raise IssuerUnreachableError
        return self._keys

    async def newer(self) -> list[dict[str, Any]]:
        """The keys after another look, if the last one was not a moment ago. Raises IssuerUnreachableError when there are none."""
        await self._fetch()
        return await self.keys()

    async def close(self) -> None:
        """Ends what runs."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.wait([self._refreshing])

    async def _fetch(self) -> None:
        """Asks for the keys, unless somebody just did. What goes wrong is logged, and the keys stay as they were."""
        async with self._fetching:
            if time.monotonic() - self._try_time < self._wait_seconds:
                return
            try:
                self._keys = await self._asked()
                self._fetch_time = time.monotonic()
            except (OutboundError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
                words = "the keys of an identity provider cannot be fetched"
                _logger.warning(words, extra={"issuer": self._issuer, "why": str(error)[:200]})
            finally:
                self._try_time = time.monotonic()

    async def _asked(self) -> list[dict[str, Any]]:
        async with self._http.client(LIMITS) as client:
            url = self._jwks_url
            if not url:
                told = await _json(client, self._issuer.rstrip("/") + _DISCOVERY)
                if told["issuer"] != self._issuer:
                    raise ValueError("its discovery document is of another issuer")
                url = told["jwks_uri"]
                if not url.startswith("https://") and self._issuer.startswith("https://"):
                    raise ValueError("its keys are not at an https URL")
            found = (await _json(client, url))["keys"]
        keys = [key for key in found if _is_of_use(key)][:MOST_KEYS]
        if not keys:
            raise ValueError("it has no keys that are of use")
        return keys


async def _json(client: Any, url: str) -> Any:
    response = await client.get(url, headers={"Accept": "application/json"})
    if response.status_code != _OK:
        raise ValueError(f"it answered {response.status_code}")
    return json.loads(response.content)


def _is_of_use(key: Any) -> bool:
    """Whether it is a public key for signatures. A shared secret (`oct`) never is: nobody publishes one."""
    return (
        isinstance(key, dict)
        and key.get("kty") in {"RSA", "EC", "OKP"}
        and key.get("use", "sig") == "sig"
        and all(
            isinstance(value, str) for name, value in key.items() if name in {"kid", "alg", "n", "e", "crv", "x", "y"}
        )
    )

"""The way to one provider's server: sockets, credentials, and what a refusal means. Knows no provider's API and no package but the HTTP
client's: whose server it is, and what the bodies mean, is said by who uses this.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
import httpx2
from parley_shared.telemetry import PROPAGATOR

from parley_inference.adapters.reading_beat import ReadingBeat
from parley_inference.adapters.window_refusal import prompt_too_long
from parley_inference.domain.errors import (
    InferenceError,
    ModelNotFoundError,
    ProviderCredentialsError,
    ProviderQuotaError,
    ProviderRateLimitedError,
    ProviderRejectedError,
    ProviderUnavailableError,
)

MOST_CHARACTERS_OF_A_DETAIL = 300
MOST_BYTES_OF_AN_ERROR = 64 * 1024
MOST_RETRY_AFTER_SECONDS = 3600.0

_MOST_CONNECTIONS = 100_000
"""More than a process can have streams: each stream holds one, and none may wait for another's end."""
_PIECE_BYTES = 256 * 1024
_KEEP_SECONDS = 60.0
_READ_ERROR_SECONDS = 5.0
_KEY = re.compile(r"\b(?:sk|pk|rk|key|gsk|xai)[-_][\w*.\-]{6,}|(?i:bearer)\s+\S+")
_SPENT = "spend_limit_reached"
"""How the codes end with which Anthropic says, with 400, that an account may spend no more."""
_QUOTAS = {"insufficient_quota", "billing_error", "billing_hard_limit_reached", "insufficient_balance"}
"""What OpenAI (with 429), Anthropic, and those who are compatible say of an account without credit."""
_OF_THE_REQUEST = {400, 413, 422}
_OF_THE_ACCOUNT = {400, 402, 403, 429}
_PASSING = {404, 408, 409, 425}
"""Refusals that are about the moment or the server, and not about the request."""

TRANSPORT_ERRORS = (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, aiohttp.ClientError, OSError)
"""What the transport raises. aiohttp's own come through where its wrapper has no name for them."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a provider is, and how to speak to it."""

    provider: str
    """Its configured name."""
    base_url: str
    """Where the paths begin that `open` is given."""
    api_key: str
    """Empty when the server needs none."""
    connect_seconds: float
    advice_when_gone: str = ""
    """What to do when nobody is at the address, in a sentence for people; empty when there is nothing to say."""
    pulls_models: bool = False
    """Whether a model that it does not know has to be pulled: Ollama."""


def http_limits() -> httpx2.Limits:
    """How many connections a provider's client may have, and how long it keeps those that are idle."""
    return httpx2.Limits(
        max_connections=_MOST_CONNECTIONS,
        keepalive_expiry=_KEEP_SECONDS,
    )


class ProviderConnection:
    """A pool of connections to one server. Made inside of a running event loop; `close` it at the end."""

    def __init__(self, endpoint: Endpoint, http: httpx2.AsyncClient, headers: Mapping[str, str]) -> None:
        """`http` is closed with this; `headers` go with every request."""
        self.provider = endpoint.provider
        self._key = endpoint.api_key
        self._base_url = endpoint.base_url.rstrip("/")
        self._advice_when_gone = endpoint.advice_when_gone
        self._pulls_models = endpoint.pulls_models
        self._http = http
        self._headers = dict(headers)
        self._answered_at: float | None = None
        """When the server answered last, by the clock of the loop; None before, and after it hung up."""
        self.host = httpx2.URL(endpoint.base_url).host
        self.beat = ReadingBeat()
        """On which its streamed answers are read."""

    async def close(self) -> None:
        """Closes every connection."""
        await self._http.aclose()

    async def open(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        model: str = "",
        headers: Mapping[str, str] | None = None,
        beside_version: bool = False,
    ) -> httpx2.Response:
        """Sends a request and gives the response, its body unread. `aclose` it: its connection is then free again, or closed when the
        body was not read to the end. `headers` replace those of every request. `beside_version`: the path does not begin at the
        version of the API (`/v1`), with which the base URL ends, but beside it.

        Raises a ProviderError for a status that is not 2xx and for a connection that cannot be made, ModelNotFoundError for 404 when
        the request is about a model, and PromptTooLongError.
        """
        carrier = self._headers | dict(headers or {})
        PROPAGATOR.inject(carrier)
        base_url = self._base_url.removesuffix("/v1") if beside_version else self._base_url
        try:
            response = await self._send(method, f"{base_url}{path}", body, carrier)
        except TRANSPORT_ERRORS as error:
            raise self.unavailable("could not be reached", error, advice=self._advice_when_gone) from error
        if 200 <= response.status_code < 300:
            return response
        async with aclosing(response):
            raise await self._refusal(response, model)

    async def _send(self, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> httpx2.Response:
        """Sends a request, once more when the connection was one that the server had closed while nobody used it."""
        loop = asyncio.get_running_loop()
        try:
            response = await self._http.send(self._request(method, url, body, headers), stream=True)
        except TRANSPORT_ERRORS as error:
            # A server closes what is idle when it likes; that is mostly seen before the next use, and sometimes only by it. Without an
            # answer a moment ago there is no such connection, and then it is the server that has failed.
            may_be_kept = self._answered_at is not None and loop.time() - self._answered_at < 2 * _KEEP_SECONDS
            if not may_be_kept or not _is_hung_up(error):
                raise
            self._answered_at = None
            response = await self._http.send(self._request(method, url, body, headers), stream=True)
        self._answered_at = loop.time()
        return response

    def _request(self, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> httpx2.Request:
        content: bytes | AsyncIterator[bytes] | None = body
        if body is not None and len(body) > _PIECE_BYTES:
            # Pictures: a large body is written a piece at a time, so that the event loop never stands still for it. Its length is told,
            # because not every gateway takes a body without.
            content, headers = _pieces(body), headers | {"content-length": str(len(body))}
        return self._http.build_request(method, url, content=content, headers=headers)

    async def read(self, response: httpx2.Response, *, most_bytes: int) -> bytes:
        """The whole body. Raises ProviderUnavailableError when it breaks off or is larger."""
        body = bytearray()
        try:
            async for data in response.aiter_bytes():
                body += data
                if len(body) > most_bytes:
                    raise ProviderUnavailableError(self.provider, f"sent more than {most_bytes} bytes")
        except TRANSPORT_ERRORS as error:
            raise self.unavailable("broke off", error) from error
        return bytes(body)

    def unavailable(self, words: str, error: BaseException, *, advice: str = "") -> ProviderUnavailableError:
        """The error for a connection that failed; for the log it names the kind of failure and not its words, which hold addresses."""
        return ProviderUnavailableError(self.provider, f"{words} ({type(error).__name__})", advice=advice)

    async def _refusal(self, response: httpx2.Response, model: str) -> InferenceError:
        words, kinds = await self._words_of(response)
        detail = self.redacted(words)
        status = response.status_code
        if status in _OF_THE_REQUEST and (too_long := prompt_too_long(words, *kinds)) is not None:
            return too_long
        if status in _OF_THE_ACCOUNT and (status == 402 or is_about_quota(kinds)):
            return ProviderQuotaError(self.provider, f"HTTP {status}: {detail}")
        match status:
            case 401 | 403:
                return ProviderCredentialsError(self.provider, f"HTTP {status}: {detail}")
            case 404 if model:
                advice = f"Fetch it first: ollama pull {model}" if self._pulls_models else ""
                return ModelNotFoundError(model, provider=self.provider, advice=advice)
            case 429:
                return ProviderRateLimitedError(
                    self.provider, f"HTTP {status}: {detail}", retry_after_seconds=_retry_after(response)
                )
            case _ if 400 <= status < 500 and status not in _PASSING:
                return ProviderRejectedError(self.provider, detail)
            case _:
                return ProviderUnavailableError(
                    self.provider, f"HTTP {status}: {detail}", retry_after_seconds=_retry_after(response)
                )

    async def _words_of(self, response: httpx2.Response) -> tuple[str, Sequence[str]]:
        """What a refusal says, the error's message where it is JSON, else the beginning of its text; and the codes and types it names."""
        try:
            async with asyncio.timeout(_READ_ERROR_SECONDS):
                await self._read_beginning(response, body := bytearray())
        except (TimeoutError, *TRANSPORT_ERRORS):
            return "", ()
        return _message_of(bytes(body))

    async def _read_beginning(self, response: httpx2.Response, body: bytearray) -> None:
        async for data in response.aiter_bytes():
            body += data
            if len(body) >= MOST_BYTES_OF_AN_ERROR:
                return

    def redacted(self, text: str) -> str:
        """What a provider said, bounded, on one line, and without keys: fit for the log."""
        if self._key:
            text = text.replace(self._key, "[key]")
        text = " ".join(_KEY.sub("[key]", text).split())
        return text if len(text) <= MOST_CHARACTERS_OF_A_DETAIL else f"{text[: MOST_CHARACTERS_OF_A_DETAIL - 1]}…"


def is_about_quota(kinds: Sequence[str]) -> bool:
    """Whether the codes and types of a refusal say that the account has no credit left, or may spend no more."""
    return any(kind in _QUOTAS or kind.endswith(_SPENT) for kind in kinds)


def _message_of(body: bytes) -> tuple[str, Sequence[str]]:
    """The words of an error, and its codes and types; either may be empty."""
    try:
        parsed = json.loads(body)
    except ValueError:
        text = body.decode("utf-8", "replace")
        # A proxy's page says nothing that its status does not.
        return ("a page of HTML" if text.lstrip().startswith("<") else text), ()
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
    if not isinstance(error, dict):
        return (error if isinstance(error, str) else json.dumps(error)), ()
    words = error.get("message") or error.get("detail") or ""
    details = error.get("details")
    kinds = (error.get("code"), error.get("type"), details.get("error_code") if isinstance(details, dict) else None)
    return words if isinstance(words, str) else json.dumps(words), [kind for kind in kinds if isinstance(kind, str)]


def _is_hung_up(error: BaseException) -> bool:
    """Whether a connection that had been made ended before an answer began."""
    cause = error.__cause__ or error
    if isinstance(cause, aiohttp.ClientConnectorError):
        return False
    return isinstance(cause, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError | ConnectionError)


def _retry_after(response: httpx2.Response) -> float | None:
    """Seconds that a refusal asks to wait; None when it does not say."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(response.headers.get(name, "")) / unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return min(seconds, MOST_RETRY_AFTER_SECONDS)
    until, now = _date(response, "retry-after"), _date(response, "date") or datetime.now(UTC)
    if until is None or until <= now:
        return None
    return min((until - now).total_seconds(), MOST_RETRY_AFTER_SECONDS)


def _date(response: httpx2.Response, header: str) -> datetime | None:
    """The time that a header names. Waits are counted from the server's own `date`: its clock need not be ours."""
    try:
        time = parsedate_to_datetime(response.headers.get(header, ""))
    except (ValueError, TypeError, OverflowError):
        return None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _PIECE_BYTES):
        yield body[start : start + _PIECE_BYTES]

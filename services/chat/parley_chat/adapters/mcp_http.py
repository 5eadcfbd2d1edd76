"""The HTTP that servers of tools are asked over: how long, and how much of an answer is read. Whom to ask is the operator's to say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import httpx2

MOST_ANSWER_BYTES = 8_000_000
"""Of one answer, or of one event of a stream."""
_CONNECT_SECONDS = 10.0
_SILENT_SECONDS = 300.0
"""How long a stream may say nothing."""


def http_client(headers: Mapping[str, str]) -> httpx2.AsyncClient:
    """A client that sends these headers, follows no redirect by itself, and reads no more than it may."""
    return httpx2.AsyncClient(
        transport=_BoundedTransport(),
        headers={"accept-encoding": "identity", "user-agent": "parley", **headers},
        timeout=httpx2.Timeout(_CONNECT_SECONDS, read=_SILENT_SECONDS),
        trust_env=False,
    )


class _BoundedTransport(httpx2.AsyncHTTPTransport):
    """Ends an answer that is too long with an error. Events are bounded one by one by who reads them."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            # A few bytes could become very many.
            await response.aclose()
            raise httpx2.DecodingError("The answer is compressed, which was not asked for.", request=request)
        if not response.headers.get("content-type", "").lower().startswith("text/event-stream"):
            assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101 - for the type checker: it came over the network
            response.stream = _Bounded(response.stream)
        return response


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if size > MOST_ANSWER_BYTES:
                raise httpx2.StreamError("The answer is too long.")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()

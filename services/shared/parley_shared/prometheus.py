"""The figures of this process for Prometheus, at an address of their own: GET /metrics, and nothing else.

Nothing of it is loaded before the first scrape. Who may reach the address is the operator's to say: it asks for no token.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from parley_shared.metering import collected

_REQUEST_BYTES = 8 * 1024
_REQUEST_SECONDS = 5.0
_MOST_CONNECTIONS = 8
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 500: "Internal Server Error"}

_logger = logging.getLogger(__name__)


class MetricsEndpoint:
    """A small server of HTTP/1.1: one request per connection, a few connections at a time."""

    def __init__(self) -> None:
        self.port = 0
        """Where it listens, after `start`."""
        self._server: asyncio.Server | None = None
        self._scrape: Callable[[str], tuple[bytes, str]] | None = None
        self._scraping = asyncio.Lock()
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> None:
        """Listens. OSError when it cannot."""
        self._server = await asyncio.start_server(self._connected, host, port, limit=_REQUEST_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listens no more, and lets go of those who ask just now."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= _MOST_CONNECTIONS:
            writer.close()
            return
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            code, body, kind = await self._answer(head.decode("latin-1"))
            lines = (
                f"HTTP/1.1 {code} {_REASONS[code]}",
                f"content-type: {kind}",
                f"content-length: {len(body)}",
                "connection: close",
            )
            writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
            writer.write(b"" if head.startswith(b"HEAD ") else body)
            async with asyncio.timeout(_REQUEST_SECONDS):
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            # Who asked is gone, or said something else than a request: nobody is there to be told.
            return
        finally:
            writer.close()

    async def _answer(self, head: str) -> tuple[int, bytes, str]:
        request, _, rest = head.partition("\r\n")
        method, _, target = request.partition(" ")
        path = target.partition(" ")[0].partition("?")[0]
        if not target.endswith(("HTTP/1.1", "HTTP/1.0")):
            return 400, b"", "text/plain"
        if path != "/metrics":
            return 404, b"The figures are at /metrics.\n", "text/plain"
        if method not in ("GET", "HEAD"):
            return 405, b"", "text/plain"
        headers = (line.partition(":") for line in rest.splitlines())
        accept = next((value.strip() for name, _, value in headers if name.lower() == "accept"), "")
        try:
            async with self._scraping:
                body, kind = await asyncio.to_thread(self._text, accept)
        except Exception:
            _logger.exception("the figures could not be told")
            return 500, b"", "text/plain"
        return 200, body, kind

    def _text(self, accept: str) -> tuple[bytes, str]:
        if self._scrape is None:
            self._scrape = _scraper()
        return self._scrape(accept)


def _figures(reader: object, timeout_millis: object) -> Any:
    del reader, timeout_millis
    return collected()


def _scraper() -> Callable[[str], tuple[bytes, str]]:
    """Writes the figures in the format that the header `accept` names."""
    # Imported here: 3 MB that a process whose figures nobody asks for need not pay.
    from opentelemetry.exporter.prometheus import PrometheusMetricReader  # noqa: PLC0415
    from prometheus_client import CollectorRegistry  # noqa: PLC0415
    from prometheus_client.exposition import choose_encoder  # noqa: PLC0415

    class Kept(PrometheusMetricReader):
        """Asks for what the process keeps, instead of keeping it a second time."""

        def __init__(self, registry: CollectorRegistry) -> None:
            super().__init__(scope_info_enabled=False, registry=registry)
            # What a provider does with the readers that it is made with.
            self._set_collect_callback(_figures)

    registry = CollectorRegistry()
    Kept(registry)

    def scrape(accept: str) -> tuple[bytes, str]:
        encode, kind = choose_encoder(accept)
        return encode(registry), kind

    return scrape

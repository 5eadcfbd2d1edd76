"""The way out to servers that users name: calendar feeds, CalDAV, webhooks. Whoever asks such a server asks through this.

    outbound = GuardedHttp(OutboundRules(private_addresses=settings.outbound_private_addresses))   # One for the process.
    async with outbound.client(OutboundLimits(body_bytes=10_000_000, redirects=3)) as client:      # As many as are needed.
        response = await client.get(url, headers=…, auth=…)                                        # An ordinary httpx2.AsyncClient.
    await outbound.close()

What a client does and an ordinary one does not: it asks only https (http where private addresses are allowed), only ports 80, 443 and from
1024, and only public addresses. A host is resolved once for a connection, each of its addresses is judged, and the connection goes to an
address that was judged: a name that changes its mind between the look and the connection (DNS rebinding) gains nothing. TLS and the Host
header keep the name. That is so for each hop of a redirect. Answers are decompressed here and cut off at a size, and the whole exchange,
its redirects among it, ends at a time. There are no proxies, no cookies, no settings from the environment but OpenSSL's SSL_CERT_FILE and
SSL_CERT_DIR.

It raises the errors of domain/outbound.py and none of httpx2's: AddressRefusedError, RemoteUnreachableError, RemoteTooLargeError. None of
them tells what the network answered. A status like 404 is no error. A library that makes its own client (caldav) is given one of these in
its place; `check_url` of domain/outbound.py is for the door, where a URL is first told.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import httpcore2
import httpx2

from parley_chat.domain.outbound import (
    AddressRefusedError,
    OutboundError,
    OutboundRules,
    Refusal,
    RemoteTooLargeError,
    RemoteUnreachableError,
    Trouble,
    check_ip_address,
    check_place,
    default_port,
)

# It logs every URL, and those of feeds and webhooks are often secrets.
logging.getLogger("httpx2").setLevel(logging.WARNING)

MOST_REDIRECTS = 3
_DEADLINE = "parley_deadline"
_MOST_ADDRESSES = 4
"""Of one host that are tried."""
_LOOK_UPS = 8
"""Look-ups of names at once. They are threads: those that wait for a name server that is silent are not in anybody else's way."""
_PIECE_BYTES = 65_536

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses of a host, as text. Raises OSError when there are none."""


@dataclass(frozen=True)
class OutboundLimits:
    """The bounds of one client."""

    body_bytes: int = 1_000_000
    """Of an answer, after decompression."""
    connect_seconds: float = 5.0
    """For the name, the connection and TLS, each."""
    read_seconds: float = 10.0
    """Between two pieces of an answer, and for sending."""
    total_seconds: float = 30.0
    """For the whole exchange, redirects among it."""
    redirects: int = 0
    """How many are followed, at most 3. 0: the redirect is the answer. Credentials do not go along to another origin."""
    connections: int = 10
    """At once; who asks for more waits, as long as `connect_seconds`."""


class GuardedHttp:
    """Makes clients that keep to the rules. One for the process: it holds the certificates and the threads for names."""

    def __init__(
        self, rules: OutboundRules, *, resolver: Resolver | None = None, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self.rules = rules
        self._threads = ThreadPoolExecutor(_LOOK_UPS, "names")
        self._resolver = resolver or self._look_up
        self._ssl_context = ssl_context

    def client(self, limits: OutboundLimits) -> GuardedClient:
        """A client of its own connections, to be closed by who asked for it. The first call reads the system's certificates."""
        if self._ssl_context is None:
            self._ssl_context = httpcore2.default_ssl_context()
        return GuardedClient(_GuardedTransport(self.rules, limits, self._resolver, self._ssl_context), limits)

    async def close(self) -> None:
        """Waits for no look-up."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _look_up(self, host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _addresses, host, port)
        return [str(place[4][0]) for place in found]


class GuardedClient(httpx2.AsyncClient):
    """An `httpx2.AsyncClient` that keeps to the rules and raises the errors of domain/outbound.py."""

    def __init__(self, transport: _GuardedTransport, limits: OutboundLimits) -> None:
        super().__init__(
            transport=transport,
            trust_env=False,
            follow_redirects=limits.redirects > 0,
            max_redirects=min(limits.redirects, MOST_REDIRECTS),
            timeout=httpx2.Timeout(limits.read_seconds, connect=limits.connect_seconds, pool=limits.connect_seconds),
        )
        self._total_seconds = limits.total_seconds

    def build_request(self, method: str, url: httpx2.URL | str, **options: Any) -> httpx2.Request:
        """Makes a request. Raises AddressRefusedError for what is no URL."""
        try:
            return super().build_request(method, url, **options)
        except (httpx2.InvalidURL, UnicodeError):
            raise AddressRefusedError(Refusal.URL) from None

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Sends a request. Raises OutboundError."""
        # The requests of redirects have the extensions of the first one.
        request.extensions.setdefault(_DEADLINE, asyncio.get_running_loop().time() + self._total_seconds)
        try:
            return await super().send(request, **options)
        except httpx2.TooManyRedirects:
            raise RemoteUnreachableError(Trouble.REDIRECTS) from None
        except httpx2.UnsupportedProtocol:
            raise AddressRefusedError(Refusal.SCHEME) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError):
            raise RemoteUnreachableError(Trouble.BROKEN) from None


class _GuardedTransport(httpx2.AsyncBaseTransport):
    """Sends single requests: judges, connects, bounds."""

    def __init__(
        self, rules: OutboundRules, limits: OutboundLimits, resolver: Resolver, ssl_context: ssl.SSLContext
    ) -> None:
        self._rules = rules
        self._limits = limits
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=ssl_context,
            max_connections=limits.connections,
            max_keepalive_connections=limits.connections,
            keepalive_expiry=5.0,
            network_backend=_GuardedNetwork(rules, resolver),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Sends one request, and gives the answer's beginning."""
        url = request.url
        if url.userinfo:
            raise AddressRefusedError(Refusal.CREDENTIALS)
        check_place(url.scheme, url.host, default_port(url.scheme) if url.port is None else url.port, self._rules)
        # What is not decompressed below is not asked for.
        request.headers["Accept-Encoding"] = "gzip"
        deadline = request.extensions.get(_DEADLINE, asyncio.get_running_loop().time() + self._limits.total_seconds)
        if not isinstance(request.stream, httpx2.AsyncByteStream):
            raise TypeError("an asynchronous client sends asynchronous content")
        sent = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions={"timeout": request.extensions.get("timeout", {})},
        )
        try:
            async with asyncio.timeout_at(deadline):
                answer = await self._pool.handle_async_request(sent)
        except Exception as error:  # noqa: BLE001 - what it does not know it gives back as it is.
            raise _translated(error) from None
        try:
            headers = httpx2.Headers(answer.headers)
            body = _Body(answer, headers, self._limits.body_bytes, deadline)
        except OutboundError:
            await answer.aclose()
            raise
        for name in ("Content-Encoding", "Content-Length", "Transfer-Encoding", "Set-Cookie"):
            headers.pop(name, None)
        return httpx2.Response(answer.status, headers=headers, stream=body)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._pool.aclose()


class _Body(httpx2.AsyncByteStream):
    """An answer's content: decompressed, bounded in size and time."""

    def __init__(self, answer: httpcore2.Response, headers: httpx2.Headers, most_bytes: int, deadline: float) -> None:
        self._answer = answer
        self._most_bytes = most_bytes
        self._deadline = deadline
        encoding = headers.get("Content-Encoding", "").strip().lower().removeprefix("identity")
        if encoding not in ("", "gzip", "x-gzip", "deflate"):
            raise RemoteUnreachableError(Trouble.BROKEN)
        self._inflating = _Inflating(encoding)
        length = headers.get("Content-Length", "")
        if length.isdecimal() and int(length) > most_bytes:
            raise RemoteTooLargeError(most_bytes)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = self._answer.aiter_stream()
        size = 0
        try:
            while True:
                try:
                    async with asyncio.timeout_at(self._deadline):
                        piece = await anext(pieces)
                except StopAsyncIteration:
                    break
                for part in self._inflating.parts(piece):
                    size += len(part)
                    if size > self._most_bytes:
                        raise RemoteTooLargeError(self._most_bytes)
                    yield part
            if not self._inflating.is_whole():
                raise RemoteUnreachableError(Trouble.BROKEN)
        except Exception as error:  # noqa: BLE001 - what it does not know it gives back as it is.
            raise _translated(error) from None

    async def aclose(self) -> None:
        """Gives the connection back, or closes it when content is left."""
        await self._answer.aclose()


class _GuardedNetwork(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that were judged. Below it no name is resolved any more."""

    def __init__(self, rules: OutboundRules, resolver: Resolver) -> None:
        self._rules = rules
        self._resolver = resolver
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore2's.
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Resolves the host once and connects to the first of its addresses that answers; refuses the host when one of them is refused."""
        deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
        try:
            async with asyncio.timeout_at(deadline):
                found = await self._resolver(host, port)
        except (OSError, UnicodeError) as error:
            trouble = Trouble.TIMEOUT if isinstance(error, TimeoutError) else Trouble.NAME
            raise RemoteUnreachableError(trouble) from None
        addresses = list(dict.fromkeys(found))
        if not addresses:
            raise RemoteUnreachableError(Trouble.NAME)
        for each in addresses:
            check_ip_address(ip_address(each.partition("%")[0]), self._rules)
        tried = addresses[:_MOST_ADDRESSES]
        for place, each in enumerate(tried):
            left = None if deadline is None else max(0.0, deadline - asyncio.get_running_loop().time())
            share = None if left is None else left / (len(tried) - place)
            try:
                return await self._network.connect_tcp(each, port, share, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                # The last one's error is the host's.
                if place == len(tried) - 1:
                    raise
        raise RemoteUnreachableError(Trouble.CONNECT)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore2's.
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Never."""
        raise AddressRefusedError(Refusal.ADDRESS)

    async def sleep(self, seconds: float) -> None:
        """Sleeps."""
        await self._network.sleep(seconds)


def _addresses(host: str, port: int) -> list[tuple[Any, ...]]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class _Inflating:
    """Decompresses one answer, in parts of a bounded size: a small piece may become very much."""

    def __init__(self, encoding: str) -> None:
        # zlib's own sign for "gzip or zlib, as the first bytes say".
        self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 32) if encoding else None
        self._begun = False

    def parts(self, piece: bytes) -> Iterable[bytes]:
        """What a piece becomes. Raises zlib.error."""
        if self._inflater is None:
            yield piece
            return
        self._begun = self._begun or bool(piece)
        while piece and not self._inflater.eof:
            part = self._inflater.decompress(piece, _PIECE_BYTES)
            piece = self._inflater.unconsumed_tail
            if part:
                yield part

    def is_whole(self) -> bool:
        """Whether nothing is missing at the end."""
        return self._inflater is None or not self._begun or self._inflater.eof


def _translated(error: Exception) -> Exception:
    """What an error of the network is in the domain's words; itself when it is none."""
    if isinstance(error, TimeoutError | httpcore2.TimeoutException):
        return RemoteUnreachableError(Trouble.TIMEOUT)
    if isinstance(error, httpcore2.ConnectError):
        return RemoteUnreachableError(Trouble.TLS if _is_of_tls(error) else Trouble.CONNECT)
    if isinstance(error, httpcore2.NetworkError | httpcore2.ProtocolError | zlib.error):
        return RemoteUnreachableError(Trouble.BROKEN)
    return error


def _is_of_tls(error: BaseException) -> bool:
    causes = (error.__cause__, error.__context__, *error.args)
    return any(isinstance(cause, ssl.SSLError) for cause in causes)

"""gRPC-web as a browser writes it: a length-prefixed message in an HTTP/1.1 POST, and trailers in the body.

By hand, so that a test sees the bytes: the page's own transport is tested with the page.
"""

from __future__ import annotations

import http.client
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from google.protobuf.message import Message

_TRAILERS = 0x80


@dataclass(frozen=True)
class WebAnswer:
    """What came back."""

    http_status: int
    headers: dict[str, str]
    messages: list[bytes]
    trailers: dict[str, str]

    @property
    def status(self) -> int:
        """grpc-status, from the trailers or, of a refusal, from the headers."""
        return int(self.trailers.get("grpc-status", self.headers.get("grpc-status", "-1")))


def call(
    address: str, path: str, request: Message, *, headers: Mapping[str, str] | None = None, seconds: float = 30
) -> WebAnswer:
    """One unary or server-streaming call to host:port, read to its end."""
    payload = request.SerializeToString()
    connection = http.client.HTTPConnection(address, timeout=seconds)
    try:
        given = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1", **(headers or {})}
        # A refusal may come, and the connection be closed, while the body is still being sent: like a browser, read it nevertheless.
        with suppress(ConnectionResetError, BrokenPipeError):
            connection.request("POST", path, struct.pack(">BI", 0, len(payload)) + payload, given)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    messages, trailers = _frames(body)
    received = {name.lower(): value for name, value in response.getheaders()}
    return WebAnswer(response.status, received, messages, trailers)


def _frames(body: bytes) -> tuple[list[bytes], dict[str, str]]:
    messages: list[bytes] = []
    trailers: dict[str, str] = {}
    while body:
        kind, length = struct.unpack_from(">BI", body)
        frame, body = body[5 : 5 + length], body[5 + length :]
        if kind & _TRAILERS:
            lines = (line.partition(":") for line in frame.decode().splitlines() if line)
            trailers |= {name.strip().lower(): value.strip() for name, _, value in lines}
        else:
            messages.append(frame)
    return messages, trailers

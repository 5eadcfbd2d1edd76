"""The edge alone: a real Envoy, with the configuration that everybody gets, and a toy behind all of its doors.

    async with running_edge(tmp_path, PARLEY_EDGE_MAX_HEADERS="40") as edge:
        edge.address                             # "127.0.0.1:41234"
        edge.toy.answers["/parley.chat.v1.ChatService/ListSessions"] = handler
        edge.token("usr_1")                      # a token that the edge takes

It starts in a fraction of what a whole Parley takes. What the services themselves do is tested with them.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format
from grpc_health.v1 import health_pb2
from parley.identity.v1 import identity_service_pb2
from parley_edge import process as envoy
from parley_edge.rendering import render
from parley_edge.settings import EdgeSettings
from parley_shared.settings import Environment

from parley_testing.tokens import TestKeys

Answer = Callable[[bytes, Any], Awaitable[bytes]]
Answers = Callable[[bytes, Any], AsyncIterator[bytes]]

KEYS = "/parley.identity.v1.IdentityService/GetJsonWebKeySet"
HEALTH = "/grpc.health.v1.Health/Check"


class Toy(grpc.GenericRpcHandler):
    """A server of every method: answers with nothing, unless a test says otherwise."""

    def __init__(self, keys: TestKeys) -> None:
        self.answers: dict[str, Answer] = {}
        """What calls that are answered with one message get, by path."""
        self.streams: dict[str, Answers] = {}
        """What calls that are answered with a stream get, by path."""
        self.calls: Counter[str] = Counter()
        """How many calls have come, by path."""
        self.running = 0
        """How many run."""
        key_set = json_format.ParseDict({"keys": [keys.public_jwk()]}, identity_service_pb2.GetJsonWebKeySetResponse())
        state = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)
        self._fixed = {KEYS: key_set.SerializeToString(), HEALTH: state.SerializeToString()}

    def service(self, handler_call_details: Any) -> Any:
        """The handler of any path."""
        path = str(handler_call_details.method)
        if path in self.streams:
            return grpc.unary_stream_rpc_method_handler(self._streaming(path))
        return grpc.unary_unary_rpc_method_handler(self._answering(path))

    def _answering(self, path: str) -> Answer:
        async def answer(request: bytes, context: Any) -> bytes:
            self.calls[path] += 1
            self.running += 1
            try:
                if path in self.answers:
                    return await self.answers[path](request, context)
                return self._fixed.get(path, b"")
            finally:
                self.running -= 1

        return answer

    def _streaming(self, path: str) -> Answers:
        async def stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
            self.calls[path] += 1
            self.running += 1
            try:
                async for message in self.streams[path](request, context):
                    yield message
            finally:
                self.running -= 1

        return stream


@dataclass
class SmallEdge:
    """One running edge."""

    address: str
    """host:port of its one door."""
    admin_port: int
    toy: Toy
    keys: TestKeys
    _channels: list[grpc.aio.Channel] = field(default_factory=list)

    def token(self, user_id: str = "usr_1") -> tuple[tuple[str, str], ...]:
        """The metadata of a user's call."""
        return (("authorization", self.authorization(user_id)),)

    def authorization(self, user_id: str = "usr_1") -> str:
        """The header of a user's call."""
        return f"Bearer {self.keys.mint(user_id)}"

    def channel(self) -> grpc.aio.Channel:
        """A connection of its own, closed at the end."""
        options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
        channel = grpc.aio.insecure_channel(self.address, options=options)
        self._channels.append(channel)
        return channel

    async def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """One call over HTTP/1.1 on a connection of its own: status, headers with names in lower case, body."""
        return await asyncio.to_thread(_exchange, self.address, method, path, body, headers or {})

    async def stats(self, prefix: str) -> dict[str, int]:
        """Envoy's counters and gauges whose names begin so."""
        _, _, body = await asyncio.to_thread(
            _exchange, f"127.0.0.1:{self.admin_port}", "GET", f"/stats?format=json&filter=^{prefix}", None, {}
        )
        return {stat["name"]: stat["value"] for stat in json.loads(body)["stats"] if "name" in stat}

    async def until_stat(self, name: str, fits: Callable[[int], bool]) -> None:
        """Waits until a counter fits."""
        async with asyncio.timeout(60):
            while not fits((await self.stats(name)).get(name, 0)):  # noqa: ASYNC110 - Envoy tells nobody
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Closes the channels."""
        for channel in self._channels:
            await channel.close()


@asynccontextmanager
async def running_edge(folder: Path, **settings: str) -> AsyncIterator[SmallEdge]:
    """Starts it, with settings of its own, and waits until it answers a call that needs a token."""
    keys = TestKeys(folder / "home")
    toy = Toy(keys)
    async with AsyncExitStack() as closing:
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((toy,))
        upstream = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        closing.push_async_callback(server.stop, None)
        upstreams = {f"PARLEY_{service}_ADDRESS": upstream for service in ("CHAT", "INFERENCE", "RETRIEVAL")}
        port, admin_port = await closing.enter_async_context(running_envoy(folder, upstreams | settings))
        edge = SmallEdge(f"127.0.0.1:{port}", admin_port, toy, keys)
        closing.push_async_callback(edge.close)
        await _until_it_answers(edge)
        yield edge


@asynccontextmanager
async def running_envoy(folder: Path, settings: Mapping[str, str]) -> AsyncIterator[tuple[int, int]]:
    """Starts Envoy on free ports, and does not wait: its one door, and its admin interface."""
    port, admin_port = free_ports(2)
    places = {
        "PARLEY_EDGE_PORT": str(port),
        "PARLEY_EDGE_ADMIN_PORT": str(admin_port),
        "PARLEY_EDGE_ACCESS_LOG": str(folder / "edge.log"),
    }
    configuration = folder / "envoy.yaml"
    configuration.write_text(render(EdgeSettings.read(Environment(places | dict(settings)))))
    process = await asyncio.create_subprocess_exec(*envoy.command(configuration))
    try:
        yield port, admin_port
    finally:
        died = process.returncode
        _kill(process)
        await process.wait()
    assert died is None, f"Envoy ended by itself: {died}"


async def until_healthy(admin_port: int, addresses: Mapping[str, str], *, healthy: bool = True) -> None:
    """Waits until Envoy holds all of the processes for healthy, or none: host:port, and the service of each."""
    lines = {f"{service}::{address}::health_flags::healthy" for address, service in addresses.items()}
    async with asyncio.timeout(240):
        while True:
            with suppress(OSError, http.client.HTTPException):
                _, _, body = await asyncio.to_thread(_exchange, f"127.0.0.1:{admin_port}", "GET", "/clusters", None, {})
                known = lines & set(body.decode().split())
                if known == (lines if healthy else set()):
                    return
            await asyncio.sleep(0.05)


def free_ports(count: int) -> list[int]:
    """Ports that nobody has at the moment."""
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [int(server.getsockname()[1]) for server in servers]
    finally:
        for server in servers:
            server.close()


async def _until_it_answers(edge: SmallEdge) -> None:
    headers = {"authorization": edge.authorization()}
    async with asyncio.timeout(60):
        while True:
            with suppress(OSError, http.client.HTTPException):
                status, _, _ = await edge.request("GET", "/api/v2/chat/sessions", headers=headers)
                if status == http.client.OK:
                    return
            await asyncio.sleep(0.05)


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()


def _exchange(
    address: str, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        # A refusal may come while the body is still being sent.
        with suppress(ConnectionResetError, BrokenPipeError):
            connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()

"""A Parley of scripts that can be switched off and on again at one port, and a client of two of them.

The port is held while nobody listens on it, so that a connection is refused there and nobody else takes it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import chat_service_pb2_grpc, session_pb2
from parley.flags.v1 import flag_pb2, flag_service_pb2, flag_service_pb2_grpc
from parley.system.v1 import system_service_pb2_grpc

from parley_testing.scripted_chat import HealthySystem, ScriptedChat

# The generated class has more rpcs than a script needs.
_FlagBase: Any = flag_service_pb2_grpc.FlagServiceServicer


class ScriptedFlags(_FlagBase):  # type: ignore[misc] # see above
    """Sends the flags that a test sets, and sends them again when it sets others."""

    def __init__(self) -> None:
        self._flags: dict[str, flag_pb2.EvaluatedFlag] = {}
        self._changed = asyncio.Event()

    def set(self, name: str, *, enabled: bool = True, value: str = "") -> None:
        """Sets a flag for everybody who watches."""
        self._flags[name] = flag_pb2.EvaluatedFlag(name=name, enabled=enabled, value=value if enabled else "")
        self._changed.set()
        self._changed = asyncio.Event()

    async def WatchFlags(self, request: Any, context: Any) -> AsyncIterator[flag_service_pb2.WatchFlagsResponse]:
        del request, context
        while True:
            changed = self._changed
            yield flag_service_pb2.WatchFlagsResponse(flags=list(self._flags.values()))
            await changed.wait()


class SwitchableParley:
    """Chat, system and flags by script, at a port of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.chat = ScriptedChat()
        # As many as any test reads: what it is called tells who answered.
        self.chat.answer("GetSession", *[pb.GetSessionResponse(session=session_pb2.Session(title=name))] * 1000)
        self.system = HealthySystem()
        self.flags = ScriptedFlags()
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._held.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._held.getsockname()[1]}"
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Listens at its port."""
        server = self._server = grpc.aio.server(options=[("grpc.so_reuseport", 1)])
        chat_service_pb2_grpc.add_ChatServiceServicer_to_server(self.chat, server)
        system_service_pb2_grpc.add_SystemServiceServicer_to_server(self.system, server)
        flag_service_pb2_grpc.add_FlagServiceServicer_to_server(self.flags, server)
        server.add_insecure_port(self.address)
        await server.start()

    async def stop(self) -> None:
        """Ends all calls; connections are refused from now on."""
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None

    async def close(self) -> None:
        """Gives the port back."""
        await self.stop()
        self._held.close()


@asynccontextmanager
async def switchable_parley(name: str) -> AsyncIterator[SwitchableParley]:
    """A running one."""
    parley = SwitchableParley(name)
    try:
        await parley.start()
        yield parley
    finally:
        await parley.close()

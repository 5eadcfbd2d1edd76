"""A chat service on a free port in this process, on a folder of its own, with users who are signed in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import grpc
from parley.chat.v1 import chat_service_pb2_grpc
from parley.identity.v1 import identity_service_pb2, identity_service_pb2_grpc
from parley.system.v1 import system_service_pb2_grpc
from parley_chat.bootstrap import ChatApp, open_chat
from parley_chat.settings import ChatSettings
from parley_shared.settings import Environment

from parley_testing.databases import database_variables

Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in."""

    user_id: str
    metadata: Metadata


@dataclass(frozen=True)
class RunningChat:
    """A chat service that answers, and the stubs to call it by."""

    app: ChatApp
    chat: chat_service_pb2_grpc.ChatServiceAsyncStub
    identity: identity_service_pb2_grpc.IdentityServiceAsyncStub
    system: system_service_pb2_grpc.SystemServiceAsyncStub
    channel: grpc.aio.Channel

    async def sign_up(self) -> Person:
        """Makes an account and signs it in."""
        response = await self.identity.SignUp(
            identity_service_pb2.SignUpRequest(email=f"{uuid4().hex}@example.org", password="correct horse")
        )
        return Person(response.user.user_id, (("authorization", f"Bearer {response.tokens.access_token}"),))


@asynccontextmanager
async def running_chat(
    home: Path, *, inference: str, retrieval: str = "127.0.0.1:1", **variables: str
) -> AsyncIterator[RunningChat]:
    """Runs chat on `home`; by default nothing answers where it looks for retrieval."""
    if "PARLEY_CHAT_DATABASE_URL" not in variables:
        variables |= await asyncio.to_thread(database_variables, "chat", home)
    settings = ChatSettings.read(
        Environment(
            {
                "PARLEY_HOME": str(home),
                "PARLEY_CHAT_PORT": "0",
                "PARLEY_CHAT_LOCAL_USER": "false",
                "PARLEY_INFERENCE_ADDRESS": inference,
                "PARLEY_RETRIEVAL_ADDRESS": retrieval,
                "PARLEY_DRAIN_SECONDS": "1",
                # Tests count what models are asked: titles come in by themselves.
                "PARLEY_CHAT_TITLE_SECONDS": "0",
                **variables,
            }
        )
    )
    async with open_chat(settings) as app:
        await app.server.start()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{app.server.port}")
        try:
            yield RunningChat(
                app,
                chat_service_pb2_grpc.ChatServiceStub(channel),
                identity_service_pb2_grpc.IdentityServiceStub(channel),
                system_service_pb2_grpc.SystemServiceStub(channel),
                channel,
            )
        finally:
            await channel.close()
            await app.drain()

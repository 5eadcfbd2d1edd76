"""All three services of Parley in this process, behind real gRPC and without the edge, on one home: chat, inference, retrieval.

The offline model answers. Faster than a Mesh, and nothing in it can be killed. Its callers may do everything, services' rpcs too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from google.protobuf import descriptor_pb2
from parley.access.v1 import access_pb2
from parley_edge.contract import SERVED_BY, descriptor_file
from parley_inference.bootstrap import open_inference
from parley_inference.settings import InferenceSettings
from parley_retrieval.bootstrap import open_retrieval
from parley_retrieval.settings import RetrievalSettings
from parley_shared.settings import Environment

from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.tokens import TestKeys

_DRAIN: Final = {"PARLEY_DRAIN_SECONDS": "1"}


@dataclass(frozen=True)
class WholeParley:
    """Three services that answer."""

    chat: RunningChat
    channels: Mapping[str, grpc.aio.Channel]
    """By service: `chat`, `inference`, `retrieval`."""
    keys: TestKeys
    """Inference and retrieval take what these sign."""

    def channel_of(self, package: str) -> grpc.aio.Channel:
        """To the service that serves a package, for example `parley.chat.v1`."""
        return self.channels[SERVED_BY[package]]

    def metadata_for(self, package: str, person: Person) -> tuple[tuple[str, str], ...]:
        """Of a call in the person's name, with every right there is at the service."""
        if SERVED_BY[package] == "chat":
            return person.metadata
        return (("authorization", f"Bearer {self.keys.mint(person.user_id, all_scopes())}"),)


def all_scopes() -> list[str]:
    """Every scope that some rpc asks for."""
    contract = descriptor_pb2.FileDescriptorSet.FromString(descriptor_file().read_bytes())
    rules = [
        method.options.Extensions[access_pb2.rule]
        for file in contract.file
        for service in file.service
        for method in service.method
    ]
    return sorted({rule.scope for rule in rules if rule.scope})


@asynccontextmanager
async def whole_parley(home: Path, **variables: str) -> AsyncIterator[WholeParley]:
    """Runs all three on a folder, with embedded defaults."""
    async with running_chat(home, inference="127.0.0.1:1"):
        # It makes its keys, which the others read when they start.
        pass
    keys = TestKeys(home / "more")
    jwks = json.loads((home / "keys" / "jwks.json").read_bytes())["keys"]
    both = home / "both.jwks.json"
    both.write_text(json.dumps({"keys": [*jwks, keys.public_jwk()]}))
    shared = {"PARLEY_HOME": str(home), "PARLEY_JWKS_FILE": str(both), **_DRAIN, **variables}
    async with AsyncExitStack() as open_things:
        offline = {"PARLEY_INFERENCE_PORT": "0", "PARLEY_INFERENCE_OFFLINE_TOKENS_PER_SECOND": "0"}
        inference = await open_things.enter_async_context(
            open_inference(InferenceSettings.read(Environment(shared | offline)))
        )
        await inference.server.start()
        open_things.push_async_callback(inference.server.drain)
        addresses = {"inference": f"127.0.0.1:{inference.server.port}"}
        embeds = {"PARLEY_RETRIEVAL_PORT": "0", "PARLEY_INFERENCE_ADDRESS": addresses["inference"]}
        retrieval = await open_things.enter_async_context(
            open_retrieval(RetrievalSettings.read(Environment(shared | embeds)))
        )
        await retrieval.server.start()
        open_things.push_async_callback(retrieval.server.drain)
        addresses["retrieval"] = f"127.0.0.1:{retrieval.server.port}"
        chat = await open_things.enter_async_context(
            running_chat(home, inference=addresses["inference"], retrieval=addresses["retrieval"], **variables)
        )
        channels = {
            name: await open_things.enter_async_context(grpc.aio.insecure_channel(address))
            for name, address in addresses.items()
        }
        for channel in channels.values():
            async with asyncio.timeout(60):
                await channel.channel_ready()
        yield WholeParley(chat, {**channels, "chat": chat.channel}, keys)

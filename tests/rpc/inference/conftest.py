"""An inference service on a free port in this process, behind a real channel, with an upstream to talk to."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from parley.inference.v1 import (
    embedding_service_pb2_grpc,
    generation_pb2,
    inference_service_pb2,
    inference_service_pb2_grpc,
    model_service_pb2_grpc,
)
from parley_inference.bootstrap import open_inference
from parley_inference.settings import InferenceSettings
from parley_shared.channels import bearer, open_channel
from parley_shared.settings import Environment
from parley_testing.addresses import NOBODY
from parley_testing.fake_anthropic import FakeAnthropic
from parley_testing.fake_openai import FakeOpenAI
from parley_testing.tokens import TestKeys

USER = f"usr_{'1' * 32}"


@dataclass(frozen=True)
class Failure:
    """How a call failed, unpacked."""

    code: grpc.StatusCode
    reason: str
    message: str
    metadata: dict[str, str]
    fields: tuple[str, ...]
    retry_after_seconds: float | None


def failure_of(error: grpc.aio.AioRpcError) -> Failure:
    """Unpacks the details that a service sent."""
    trailers = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    seconds = None
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
        if detail.Unpack(retry):
            seconds = retry.retry_delay.ToNanoseconds() / 1e9
    return Failure(
        error.code(),
        info.reason.removeprefix("ERROR_REASON_"),
        status.message,
        dict(info.metadata),
        tuple(violation.field for violation in bad.field_violations),
        seconds,
    )


@dataclass(frozen=True)
class Inference:
    """A running service and its stubs."""

    address: str
    keys: TestKeys
    generations: Any
    models: Any
    embeddings: Any

    def metadata(self, *scopes: str) -> tuple[tuple[str, str], ...]:
        """A caller's metadata; by default of one who may do everything here."""
        return bearer(self.keys.mint(USER, scopes or ("inference:invoke",)))

    async def stream(self, request: Any) -> tuple[list[Any], Failure | None]:
        """All responses of StreamGenerate, and how it failed."""
        call = self.generations.StreamGenerate(request, metadata=self.metadata())
        responses = []
        try:
            async for response in call:
                responses.append(response)  # noqa: PERF401 - what came before an error is looked at
        except grpc.aio.AioRpcError as error:
            return responses, failure_of(error)
        return responses, None

    async def failure(self, method: Any, request: Any) -> Failure:
        """How a unary call fails."""
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await method(request, metadata=self.metadata())
        return failure_of(raised.value)


class Serve(Protocol):
    """Starts a service with these variables in its environment."""

    def __call__(self, **variables: str) -> AbstractAsyncContextManager[Inference]: ...


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Starts services; PARLEY_HOME and the port are chosen."""

    @asynccontextmanager
    async def start(**variables: str) -> AsyncIterator[Inference]:
        home = tmp_path / secrets.token_hex(4)
        keys = TestKeys(home)
        environment = {
            "PARLEY_HOME": str(home),
            "PARLEY_INFERENCE_PORT": "0",
            "PARLEY_CHAT_ADDRESS": NOBODY,
            "PARLEY_DRAIN_SECONDS": "0",
            "PARLEY_INFERENCE_OFFLINE_TOKENS_PER_SECOND": "0",
        }
        async with open_inference(InferenceSettings.read(Environment(environment | variables))) as app:
            await app.server.start()
            address = f"127.0.0.1:{app.server.port}"
            async with open_channel(address) as channel:
                yield Inference(
                    address,
                    keys,
                    inference_service_pb2_grpc.InferenceServiceStub(channel),
                    model_service_pb2_grpc.ModelServiceStub(channel),
                    embedding_service_pb2_grpc.EmbeddingServiceStub(channel),
                )
            await app.server.drain()

    return start


@pytest.fixture
async def upstream() -> AsyncIterator[FakeOpenAI]:
    """A fresh upstream."""
    async with FakeOpenAI(models=("fake-model", "embed-model")) as running:
        yield running


@pytest.fixture
async def online(serve: Serve, upstream: FakeOpenAI) -> AsyncIterator[Inference]:
    """A service that talks to the upstream."""
    async with serve(
        OPENAI_BASE_URL=upstream.base_url,
        OPENAI_API_KEY="sk-test-0123456789",
        PARLEY_INFERENCE_MODEL="fake-model",
        PARLEY_INFERENCE_EMBEDDING_MODEL="embed-model",
        PARLEY_INFERENCE_FIRST_TOKEN_TIMEOUT_SECONDS="3",
        PARLEY_INFERENCE_IDLE_TIMEOUT_SECONDS="3",
    ) as service:
        yield service


@dataclass(frozen=True)
class Either:
    """A service and the one provider that it has."""

    name: str
    """`openai` or `anthropic`."""
    service: Inference
    fake: FakeOpenAI

    @property
    def asked(self) -> list[Any]:
        """The bodies that the provider was sent."""
        return [one.body for one in self.fake.requests if one.body is not None]


@pytest.fixture(params=["openai", "anthropic"])
async def either(request: pytest.FixtureRequest, serve: Serve) -> AsyncIterator[Either]:
    """Each of the providers in turn: what is tested so holds for both."""
    fake = FakeOpenAI() if request.param == "openai" else FakeAnthropic(models=("fake-model",))
    async with (
        fake,
        serve(
            **{
                f"{request.param.upper()}_BASE_URL": fake.base_url,
                f"{request.param.upper()}_API_KEY": "sk-test-0123456789",
            },
            PARLEY_INFERENCE_MODEL="fake-model",
        ) as service,
    ):
        yield Either(request.param, service, fake)


@pytest.fixture
async def offline(serve: Serve) -> AsyncIterator[Inference]:
    """A service without a provider."""
    async with serve() as service:
        yield service


def user(text: str) -> generation_pb2.PromptMessage:
    """A user's message."""
    return generation_pb2.PromptMessage(role=generation_pb2.PROMPT_ROLE_USER, text=text)


@pytest.fixture
def ask() -> Any:
    """Makes requests for StreamGenerate."""

    def make(text: str = "Go on.", **fields: Any) -> inference_service_pb2.StreamGenerateRequest:
        return inference_service_pb2.StreamGenerateRequest(**({"messages": [user(text)]} | fields))

    return make

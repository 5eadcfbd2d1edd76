"""A stand-in for the inference service whose answers a test writes as they go: real gRPC on a real port, no model.

`async with ScriptedInference() as inference:` gives `inference.address`; every call that arrives is taken with
`await inference.next_call()` and answered with `call.say("text")`, `call.finish()`, `call.fail(…)`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Self

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from parley.inference.v1 import (
    agent_service_pb2_grpc,
    content_service_pb2_grpc,
    generation_pb2,
    inference_service_pb2,
    inference_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
)
from parley_shared.status import DETAILS_KEY, StatusError

from parley_testing.scripted_catalogs import ScriptedAgents, ScriptedTemplates, refuse


class ScriptedCall:
    """One generation that is under way."""

    def __init__(
        self,
        request: inference_service_pb2.StreamGenerateRequest,
        metadata: dict[str, str],
        price: generation_pb2.TokenPrice | None = None,
        *,
        cached: bool = False,
    ) -> None:
        self.request = request
        self.metadata = metadata
        self._price = price
        self._cached = cached
        self.cancelled = asyncio.Event()
        self._steps: asyncio.Queue[
            inference_service_pb2.StreamGenerateResponse | tuple[grpc.StatusCode, str] | StatusError | None
        ] = asyncio.Queue()

    def say(self, text: str) -> None:
        """Adds text to the answer."""
        self._steps.put_nowait(inference_service_pb2.StreamGenerateResponse(text_delta=text))

    def think(self, text: str) -> None:
        """Adds text to the reasoning."""
        self._steps.put_nowait(inference_service_pb2.StreamGenerateResponse(reasoning_delta=text))

    def call_tool(self, name: str, arguments_json: str = "{}") -> None:
        """Calls a tool. The test finishes the call with FINISH_REASON_TOOL_CALLS, or without a reason as sloppy models do."""
        call = generation_pb2.ToolCall(tool_call_id="of-the-provider", name=name, arguments_json=arguments_json)
        self._steps.put_nowait(inference_service_pb2.StreamGenerateResponse(tool_call=call))

    def use(self, input_tokens: int, output_tokens: int, *, cached: int = 0, cache_write: int = 0) -> None:
        """Reports tokens."""
        usage = generation_pb2.TokenUsage(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cached_input_tokens=cached,
            cache_write_input_tokens=cache_write,
        )
        self._steps.put_nowait(inference_service_pb2.StreamGenerateResponse(usage=usage))

    def switch(
        self,
        to_model: str,
        reason: str = "ERROR_REASON_PROVIDER_STALLED",
        price: generation_pb2.TokenPrice | None = None,
    ) -> None:
        """Lets another model go on."""
        switched = inference_service_pb2.ProviderSwitched(
            from_model="scripted-1",
            from_provider="scripted",
            to_model=to_model,
            to_provider="other",
            reason=reason,
            price=price,
        )
        self._steps.put_nowait(inference_service_pb2.StreamGenerateResponse(provider_switched=switched))

    def finish(self, reason: generation_pb2.FinishReason.ValueType = generation_pb2.FINISH_REASON_STOP) -> None:
        """Ends the answer."""
        finished = inference_service_pb2.GenerationFinished(reason=reason)
        self._steps.put_nowait(inference_service_pb2.StreamGenerateResponse(finished=finished))
        self._steps.put_nowait(None)

    def break_off(self) -> None:
        """Ends the stream without an end of the answer."""
        self._steps.put_nowait(None)

    def fail(self, code: grpc.StatusCode, words: str) -> None:
        """Ends the call with a status that has no details, as a broken connection does."""
        self._steps.put_nowait((code, words))

    def fail_for(self, error: StatusError) -> None:
        """Ends the call as inference itself does."""
        self._steps.put_nowait(error)

    async def steps(self, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
        """Plays what the test says."""
        yield inference_service_pb2.StreamGenerateResponse(
            started=inference_service_pb2.GenerationStarted(
                model="scripted-1", provider="scripted", price=self._price, cached=self._cached
            )
        )
        while step := await self._steps.get():
            if isinstance(step, tuple):
                await context.abort(*step)
            if isinstance(step, StatusError):
                details = ((DETAILS_KEY, step.to_status("").SerializeToString()),)
                await context.abort(step.code, step.message, trailing_metadata=details)
            yield step


class ScriptedInference(
    inference_service_pb2_grpc.InferenceServiceServicer, model_service_pb2_grpc.ModelServiceServicer
):
    """Serves InferenceService.StreamGenerate and ModelService; its `agents` and `templates` serve the rest."""

    def __init__(self) -> None:
        self.address = ""
        self.calls = 0
        self.price: generation_pb2.TokenPrice | None = None
        """What the tokens of its model cost, from the next call on."""
        self.cached = False
        """Whether its answers were kept from an earlier call, from the next call on."""
        self.refusal: StatusError | None = None
        """What generations are refused with, before a model takes them, from the next call on."""
        self.models = [model_service_pb2.Model(model="scripted-1", provider="scripted")]
        self.providers = [
            model_service_pb2.Provider(
                provider="scripted", kind="openai", state=model_service_pb2.PROVIDER_STATE_HEALTHY
            )
        ]
        self.agents = ScriptedAgents()
        self.templates = ScriptedTemplates()
        self._arrived: asyncio.Queue[ScriptedCall] = asyncio.Queue()
        self._server: grpc.aio.Server | None = None
        self._port = 0

    async def start(self) -> None:
        """Listens; after `stop`, on the same port again."""
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        inference_service_pb2_grpc.add_InferenceServiceServicer_to_server(self, server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(self, server)
        agent_service_pb2_grpc.add_AgentServiceServicer_to_server(self.agents, server)
        content_service_pb2_grpc.add_ContentServiceServicer_to_server(self.templates, server)
        states = health.aio.HealthServicer()
        await states.set("", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(states, server)
        self._port = server.add_insecure_port(f"127.0.0.1:{self._port}")
        self.address = f"127.0.0.1:{self._port}"
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Breaks every call off and no longer listens."""
        if self._server:
            await self._server.stop(None)
            self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def next_call(self) -> ScriptedCall:
        """Waits for the next generation that somebody asks for."""
        async with asyncio.timeout(60):
            return await self._arrived.get()

    async def StreamGenerate(
        self, request: inference_service_pb2.StreamGenerateRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[Any]:
        """Hands the call to the test and plays what it says."""
        self.calls += 1
        metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
        if self.refusal:
            await refuse(context, self.refusal)
        call = ScriptedCall(request, metadata, self.price, cached=self.cached)
        self._arrived.put_nowait(call)
        try:
            async for step in call.steps(context):
                yield step
        except asyncio.CancelledError:
            call.cancelled.set()
            raise

    async def Generate(
        self, request: inference_service_pb2.GenerateRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> inference_service_pb2.GenerateResponse:
        """Nobody asks for this one."""
        raise NotImplementedError

    async def ListModels(
        self, request: model_service_pb2.ListModelsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> model_service_pb2.ListModelsResponse:
        """Lists its models."""
        return model_service_pb2.ListModelsResponse(models=self.models)

    async def ListProviders(
        self, request: model_service_pb2.ListProvidersRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> model_service_pb2.ListProvidersResponse:
        """Lists its providers."""
        return model_service_pb2.ListProvidersResponse(providers=self.providers)

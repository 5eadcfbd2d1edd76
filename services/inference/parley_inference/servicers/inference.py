"""InferenceService: text, streamed and whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import grpc
from parley.inference.v1 import inference_service_pb2, inference_service_pb2_grpc

from parley_inference.operations.agents import Agents
from parley_inference.operations.generations import Generations
from parley_inference.servicers.messages import pack_event, pack_generation, unpack_request
from parley_inference.servicers.validation import check_generate


class InferenceServicer(inference_service_pb2_grpc.InferenceServiceServicer):
    """Serves generations."""

    def __init__(self, generations: Generations, agents: Agents) -> None:
        self._generations = generations
        self._agents = agents

    async def StreamGenerate(
        self,
        request: inference_service_pb2.StreamGenerateRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncGenerator[inference_service_pb2.StreamGenerateResponse, None]:
        """Streams the events of a generation. A cancelled call closes the provider's connection."""
        check_generate(request)
        async with aclosing(self._generations.stream(self._agents.prepared(unpack_request(request)))) as events:
            async for event in events:
                yield pack_event(event)

    async def Generate(
        self, request: inference_service_pb2.GenerateRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> inference_service_pb2.GenerateResponse:
        """Generates and answers with the whole."""
        check_generate(request)
        return pack_generation(await self._generations.whole(self._agents.prepared(unpack_request(request))))

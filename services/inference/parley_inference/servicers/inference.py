"""InferenceService: text, streamed and whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import grpc
from parley.inference.v1 import inference_service_pb2, inference_service_pb2_grpc
from parley_shared.tokens import current_principal

from parley_inference.domain.prompt import GenerationRequest
from parley_inference.operations.agents import Agents
from parley_inference.operations.generations import Generations
from parley_inference.ports.schema_checker import SchemaChecker
from parley_inference.servicers.messages import pack_event, pack_generation, unpack_request
from parley_inference.servicers.schemas import check_schemas
from parley_inference.servicers.validation import check_generate


class InferenceServicer(inference_service_pb2_grpc.InferenceServiceServicer):
    """Serves generations."""

    def __init__(self, generations: Generations, agents: Agents, checker: SchemaChecker) -> None:
        self._generations = generations
        self._agents = agents
        self._checker = checker

    async def StreamGenerate(
        self,
        request: inference_service_pb2.StreamGenerateRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncGenerator[inference_service_pb2.StreamGenerateResponse, None]:
        """Streams the events of a generation. A cancelled call closes the provider's connection."""
        asked = await self._asked(request)
        user_id = current_principal().user_id
        async with aclosing(self._generations.stream(asked, user_id=user_id)) as events:
            async for event in events:
                yield pack_event(event)

    async def Generate(
        self, request: inference_service_pb2.GenerateRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> inference_service_pb2.GenerateResponse:
        """Generates and answers with the whole."""
        asked = await self._asked(request)
        return pack_generation(await self._generations.whole(asked, user_id=current_principal().user_id))

    async def _asked(
        self, request: inference_service_pb2.StreamGenerateRequest | inference_service_pb2.GenerateRequest
    ) -> GenerationRequest:
        """The request, checked, as the agent that it names asks it."""
        check_generate(request)
        unpacked = unpack_request(request)
        await check_schemas(unpacked, self._checker)
        return self._agents.prepared(unpacked)

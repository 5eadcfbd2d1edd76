"""A stand-in for the retrieval service whose passages a test sets: real gRPC on a real port, no index."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import grpc
from parley.retrieval.v1 import search_service_pb2, search_service_pb2_grpc


class ScriptedSearch(search_service_pb2_grpc.SearchServiceServicer):
    """Serves SearchService.Search."""

    def __init__(self) -> None:
        self.address = ""
        self.requests: list[search_service_pb2.SearchRequest] = []
        self.hits: list[search_service_pb2.SearchHit] = []
        self.answers = asyncio.Event()
        """Cleared, no search is answered."""
        self.answers.set()
        self._server: grpc.aio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = grpc.aio.server()
        search_service_pb2_grpc.add_SearchServiceServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server:
            await self._server.stop(None)

    async def Search(
        self, request: search_service_pb2.SearchRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> search_service_pb2.SearchResponse:
        """Gives the passages."""
        self.requests.append(request)
        await self.answers.wait()
        return search_service_pb2.SearchResponse(hits=self.hits)

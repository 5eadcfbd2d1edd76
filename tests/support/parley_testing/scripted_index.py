"""A stand-in for retrieval's index of what chat owns: real gRPC on a real port, and a dictionary."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import grpc
from parley.retrieval.v1 import index_service_pb2, index_service_pb2_grpc


class ScriptedIndex(index_service_pb2_grpc.IndexServiceServicer):
    """Serves IndexService.PutItems and DeleteItems, by version."""

    def __init__(self) -> None:
        self.address = ""
        self.items: dict[str, index_service_pb2.IndexItem] = {}
        self.versions: dict[str, int] = {}
        self.calls = 0
        self._changed = asyncio.Condition()
        self._server: grpc.aio.Server | None = None
        self._port = 0

    async def start(self) -> None:
        """Listens; after `stop`, on the same port again."""
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        index_service_pb2_grpc.add_IndexServiceServicer_to_server(self, server)
        self._port = server.add_insecure_port(f"127.0.0.1:{self._port}")
        self.address = f"127.0.0.1:{self._port}"
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """No longer listens."""
        if self._server:
            await self._server.stop(None)
            self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def titles(self) -> list[str]:
        """What can be found, by title."""
        return sorted(item.title for item in self.items.values())

    async def until(self, *titles: str) -> None:
        """Waits until exactly these can be found."""
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: self.titles() == sorted(titles))

    async def PutItems(
        self, request: index_service_pb2.PutItemsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> index_service_pb2.PutItemsResponse:
        """Takes what is newer."""
        self.calls += 1
        async with self._changed:
            for item in request.items:
                if item.version > self.versions.get(item.item_id, 0):
                    self.versions[item.item_id] = item.version
                    self.items[item.item_id] = item
            self._changed.notify_all()
        return index_service_pb2.PutItemsResponse()

    async def DeleteItems(
        self, request: index_service_pb2.DeleteItemsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> index_service_pb2.DeleteItemsResponse:
        """Drops what is older."""
        self.calls += 1
        async with self._changed:
            for item in request.items:
                if item.version > self.versions.get(item.item_id, 0):
                    self.versions[item.item_id] = item.version
                    self.items.pop(item.item_id, None)
            self._changed.notify_all()
        return index_service_pb2.DeleteItemsResponse()

    async def ListItems(
        self, request: index_service_pb2.ListItemsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> index_service_pb2.ListItemsResponse:
        """Nobody asks for this one."""
        raise NotImplementedError

    async def AuditIndex(
        self, request: index_service_pb2.AuditIndexRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> index_service_pb2.AuditIndexResponse:
        """Nobody asks for this one."""
        raise NotImplementedError

"""The retrieval service as an index of what chat owns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import grpc
from parley.retrieval.v1 import index_service_pb2, index_service_pb2_grpc
from parley_shared.channels import bearer

from parley_chat.domain.errors import KnowledgeUnavailableError
from parley_chat.ports.search_index import DeletedItem, IndexItem

SECONDS = 30.0


class GrpcSearchIndex:
    """Puts and deletes through a channel to retrieval, in the name of the user."""

    def __init__(self, channel: grpc.aio.Channel, token_for: Callable[[str], str]) -> None:
        self._stub = index_service_pb2_grpc.IndexServiceStub(channel)
        self._token_for = token_for

    async def put(self, user_id: str, items: Sequence[IndexItem]) -> None:
        """Puts items."""
        request = index_service_pb2.PutItemsRequest()
        for item in items:
            packed = request.items.add(
                item_type=item.item_type,
                item_id=item.item_id,
                version=item.version,
                title=item.title,
                text=item.text,
                project=item.project,
            )
            packed.update_time.FromDatetime(item.update_time)
        try:
            await self._stub.PutItems(request, metadata=bearer(self._token_for(user_id)), timeout=SECONDS)
        except grpc.aio.AioRpcError as error:
            raise KnowledgeUnavailableError from error

    async def delete(self, user_id: str, items: Sequence[DeletedItem]) -> None:
        """Takes items out."""
        request = index_service_pb2.DeleteItemsRequest(
            items=[
                index_service_pb2.DeletedItem(item_type=item.item_type, item_id=item.item_id, version=item.version)
                for item in items
            ]
        )
        try:
            await self._stub.DeleteItems(request, metadata=bearer(self._token_for(user_id)), timeout=SECONDS)
        except grpc.aio.AioRpcError as error:
            raise KnowledgeUnavailableError from error

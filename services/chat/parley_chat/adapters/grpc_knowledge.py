"""The retrieval service as a knowledge base."""

from __future__ import annotations

import logging
from collections.abc import Callable

import grpc
from parley.retrieval.v1 import search_service_pb2, search_service_pb2_grpc
from parley_shared.channels import bearer

from parley_chat.domain.conversation import Citation
from parley_chat.domain.errors import KnowledgeUnavailableError

logger = logging.getLogger(__name__)

QUERY_CHARACTERS = 2000
"""The bound of SearchRequest.query: the beginning of a longer message is searched for."""


class GrpcKnowledge:
    """Searches through a channel to retrieval, in the name of the user."""

    def __init__(self, channel: grpc.aio.Channel, token_for: Callable[[str], str]) -> None:
        self._search = search_service_pb2_grpc.SearchServiceStub(channel).Search
        self._token_for = token_for

    async def search(
        self, user_id: str, query: str, limit: int, project: str = "", *, documents_only: bool = False
    ) -> tuple[Citation, ...]:
        """Finds passages, best first."""
        request = search_service_pb2.SearchRequest(
            query=query[:QUERY_CHARACTERS],
            limit=limit,
            project=project,
            include_items=not documents_only,
            without_snippets=True,
        )
        try:
            response = await self._search(request, metadata=bearer(self._token_for(user_id)))
        except grpc.aio.AioRpcError as error:
            logger.warning("retrieval did not answer", extra={"code": error.code().name})
            raise KnowledgeUnavailableError from error
        return tuple(
            Citation(
                number=number,
                chunk_id=hit.chunk_id,
                document_id=hit.document_id,
                document_title=hit.document_title,
                heading=hit.heading,
                text=hit.text,
                start_offset=hit.start_offset,
                end_offset=hit.end_offset,
                content_sha256=hit.content_sha256,
                document_version=hit.document_version,
                item_type=hit.item_type,
            )
            for number, hit in enumerate(response.hits, start=1)
        )

"""The retrieval service as a library: titles and headings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import grpc
from parley.retrieval.v1 import (
    document_service_pb2,
    document_service_pb2_grpc,
    search_service_pb2,
    search_service_pb2_grpc,
)
from parley_shared.channels import bearer

from parley_chat.domain.errors import KnowledgeUnavailableError
from parley_chat.domain.suggestions import DocumentPart, DocumentTitle

logger = logging.getLogger(__name__)

QUERY_CHARACTERS = 2000
"""The bound of SearchRequest.query."""


class GrpcLibrary:
    """Asks through a channel to retrieval, in the name of the user."""

    def __init__(self, channel: grpc.aio.Channel, token_for: Callable[[str], str]) -> None:
        self._list = document_service_pb2_grpc.DocumentServiceStub(channel).ListDocuments
        self._search = search_service_pb2_grpc.SearchServiceStub(channel).Search
        self._token_for = token_for

    async def documents(self, user_id: str, limit: int, project: str = "") -> Sequence[DocumentTitle]:
        """Lists documents, the last changed first."""
        request = document_service_pb2.ListDocumentsRequest(page_size=limit, include_shared=True, project=project)
        try:
            response = await self._list(request, metadata=bearer(self._token_for(user_id)))
        except grpc.aio.AioRpcError as error:
            raise _unavailable(error) from error
        return [DocumentTitle(each.document_id, each.title, each.shared) for each in response.documents]

    async def parts(
        self, user_id: str, query: str, limit: int, document_ids: Sequence[str] = (), project: str = ""
    ) -> Sequence[DocumentPart]:
        """Finds parts, best first."""
        request = search_service_pb2.SearchRequest(
            query=query[:QUERY_CHARACTERS], limit=limit, document_ids=document_ids, project=project
        )
        try:
            response = await self._search(request, metadata=bearer(self._token_for(user_id)))
        except grpc.aio.AioRpcError as error:
            raise _unavailable(error) from error
        return [
            DocumentPart(
                DocumentTitle(hit.document_id, hit.document_title, hit.shared),
                hit.chunk_id,
                hit.heading,
                hit.text,
                hit.start_offset,
            )
            for hit in response.hits
        ]


def _unavailable(error: grpc.aio.AioRpcError) -> KnowledgeUnavailableError:
    logger.warning("retrieval did not answer", extra={"code": error.code().name})
    return KnowledgeUnavailableError()

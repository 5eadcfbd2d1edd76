"""Documents, and search in them: `parley.retrieval.v1`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from parley.retrieval.v1 import document_pb2, index_service_pb2, search_service_pb2
from parley.retrieval.v1 import document_service_pb2 as pb

from parley_client.paging import items_of_pages
from parley_client.rpc import Rpc

if TYPE_CHECKING:
    from parley_client.connection import Connection

MediaTypeName: TypeAlias = Literal["markdown", "plain_text"]
"""How a text is written."""

_MEDIA_TYPES: dict[str, document_pb2.MediaType.ValueType] = {
    "markdown": document_pb2.MEDIA_TYPE_MARKDOWN,
    "plain_text": document_pb2.MEDIA_TYPE_PLAIN_TEXT,
}
# A document is cut, indexed and written to disk before the call returns.
_WRITE_SECONDS = 120.0

_DOCUMENTS = pb.DESCRIPTOR.services_by_name["DocumentService"]
CREATE_DOCUMENT = Rpc(_DOCUMENTS, "CreateDocument", pb.CreateDocumentRequest, pb.CreateDocumentResponse)
LIST_DOCUMENTS = Rpc(_DOCUMENTS, "ListDocuments", pb.ListDocumentsRequest, pb.ListDocumentsResponse)
GET_DOCUMENT = Rpc(_DOCUMENTS, "GetDocument", pb.GetDocumentRequest, pb.GetDocumentResponse)
LIST_DOCUMENT_VERSIONS = Rpc(
    _DOCUMENTS, "ListDocumentVersions", pb.ListDocumentVersionsRequest, pb.ListDocumentVersionsResponse
)
UPDATE_DOCUMENT = Rpc(_DOCUMENTS, "UpdateDocument", pb.UpdateDocumentRequest, pb.UpdateDocumentResponse)
DELETE_DOCUMENT = Rpc(_DOCUMENTS, "DeleteDocument", pb.DeleteDocumentRequest, pb.DeleteDocumentResponse)
SEARCH = Rpc(
    search_service_pb2.DESCRIPTOR.services_by_name["SearchService"],
    "Search",
    search_service_pb2.SearchRequest,
    search_service_pb2.SearchResponse,
)
# The other rpcs of the service are between services.
AUDIT_INDEX = Rpc(
    index_service_pb2.DESCRIPTOR.services_by_name["IndexService"],
    "AuditIndex",
    index_service_pb2.AuditIndexRequest,
    index_service_pb2.AuditIndexResponse,
)


class Documents:
    """`client.documents`: the user's texts that can be searched and cited. Raises ParleyError; NotFoundError for another's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(
        self,
        text: str,
        *,
        title: str = "",
        media_type: MediaTypeName = "markdown",
        project: str = "",
        source_uri: str = "",
    ) -> pb.CreateDocumentResponse:
        """Stores a text and returns when it can be searched. `created` is False when the user had it already."""
        request = pb.CreateDocumentRequest(
            title=title, text=text, media_type=_MEDIA_TYPES[media_type], project=project, source_uri=source_uri
        )
        return await self._connection.call(CREATE_DOCUMENT, request, timeout_seconds=_WRITE_SECONDS)

    def list(
        self, *, project: str = "", include_shared: bool = False, page_size: int = 0
    ) -> AsyncIterator[document_pb2.Document]:
        """The user's documents without their texts, the last changed first."""

        async def page(token: str) -> pb.ListDocumentsResponse:
            request = pb.ListDocumentsRequest(
                page_size=page_size, page_token=token, project=project, include_shared=include_shared
            )
            return await self._connection.call(LIST_DOCUMENTS, request)

        return items_of_pages(page, lambda response: response.documents)

    async def get(self, document_id: str, *, version: int = 0) -> document_pb2.Document:
        """One document with its text: as it is, or as it was in an older version. NotFoundError for one that is not kept."""
        request = pb.GetDocumentRequest(document_id=document_id, version=version)
        return (await self._connection.call(GET_DOCUMENT, request)).document

    async def versions(self, document_id: str) -> Sequence[pb.DocumentVersion]:
        """The versions of a document that `get` can read, newest first."""
        request = pb.ListDocumentVersionsRequest(document_id=document_id)
        return tuple((await self._connection.call(LIST_DOCUMENT_VERSIONS, request)).versions)

    async def update(
        self,
        document_id: str,
        *,
        title: str | None = None,
        text: str | None = None,
        project: str | None = None,
        source_uri: str | None = None,
    ) -> document_pb2.Document:
        """Changes what is not None, and returns the document as it is now, without its text."""
        request = pb.UpdateDocumentRequest(document_id=document_id)
        changes = {"title": title, "text": text, "project": project, "source_uri": source_uri}
        for field, value in changes.items():
            if value is not None:
                setattr(request, field, value)
                request.update_mask.paths.append(field)
        response = await self._connection.call(UPDATE_DOCUMENT, request, timeout_seconds=_WRITE_SECONDS)
        return response.document

    async def delete(self, document_id: str) -> None:
        """Deletes a document and all its chunks, at once and for good."""
        await self._connection.call(DELETE_DOCUMENT, pb.DeleteDocumentRequest(document_id=document_id))

    async def audit(self, *, repair: bool = False) -> index_service_pb2.AuditIndexResponse:
        """Compares what the database has of the user with the index and the files, and mends what differs when told to."""
        request = index_service_pb2.AuditIndexRequest(repair=repair)
        return await self._connection.call(AUDIT_INDEX, request, timeout_seconds=_WRITE_SECONDS)


class Search:
    """`client.search`: finds passages. Raises ParleyError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def passages(
        self,
        query: str,
        *,
        limit: int = 0,
        project: str = "",
        exclude_shared: bool = False,
        include_items: bool = False,
    ) -> Sequence[search_service_pb2.SearchHit]:
        """The passages that fit best, best first: 5 when `limit` is 0, at most 50. Tasks, too, with `include_items`."""
        request = search_service_pb2.SearchRequest(
            query=query, limit=limit, project=project, exclude_shared=exclude_shared, include_items=include_items
        )
        return tuple((await self._connection.call(SEARCH, request)).hits)

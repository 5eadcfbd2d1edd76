"""DocumentService."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from parley.retrieval.v1 import document_service_pb2, document_service_pb2_grpc
from parley_shared.paging import decode_page_token, encode_page_token, invalid_page_token
from parley_shared.tokens import current_principal

from parley_retrieval.domain.documents import sha256
from parley_retrieval.domain.visibility import Visibility
from parley_retrieval.operations.documents import DocumentChange, DocumentDraft, Documents
from parley_retrieval.ports.document_store import DocumentCursor
from parley_retrieval.servicers.packing import document_message, media_type_of, version_message
from parley_retrieval.servicers.validation import (
    check_create,
    check_document_id,
    check_get,
    check_list,
    check_update,
)

_PAGE_SIZE = 50
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS_MOST = 1 << 56  # The year 4253, which a datetime still holds.
_ID = re.compile(r"doc_[0-9a-f]{32}")


class DocumentServicer(document_service_pb2_grpc.DocumentServiceServicer):
    """Unpacks, checks, calls `Documents`, packs."""

    def __init__(self, documents: Documents) -> None:
        """The use cases."""
        self._documents = documents

    async def CreateDocument(
        self, request: document_service_pb2.CreateDocumentRequest, _context: Any
    ) -> document_service_pb2.CreateDocumentResponse:
        """See the contract."""
        check_create(request)
        draft = DocumentDraft(
            title=request.title,
            text=request.text,
            media_type=media_type_of(request.media_type),
            project=request.project,
            source_uri=request.source_uri,
        )
        document, created = await self._documents.create(current_principal().user_id, draft)
        return document_service_pb2.CreateDocumentResponse(document=document_message(document), created=created)

    async def ListDocuments(
        self, request: document_service_pb2.ListDocumentsRequest, _context: Any
    ) -> document_service_pb2.ListDocumentsResponse:
        """See the contract."""
        check_list(request)
        visibility = Visibility(current_principal().user_id, include_shared=request.include_shared)
        # A token goes on with the list that it came from: another project, another list.
        list_name = f"documents/{sha256(request.project)[:16]}/{request.include_shared:d}"
        after = _cursor(decode_page_token(list_name, request.page_token))
        documents, end = await self._documents.page(visibility, request.project, after, request.page_size or _PAGE_SIZE)
        return document_service_pb2.ListDocumentsResponse(
            documents=[document_message(document) for document in documents],
            next_page_token=encode_page_token(list_name, _values(end)) if end else "",
        )

    async def GetDocument(
        self, request: document_service_pb2.GetDocumentRequest, _context: Any
    ) -> document_service_pb2.GetDocumentResponse:
        """See the contract."""
        check_get(request)
        document = await self._documents.get(current_principal().user_id, request.document_id, request.version)
        return document_service_pb2.GetDocumentResponse(document=document_message(document, with_text=True))

    async def ListDocumentVersions(
        self, request: document_service_pb2.ListDocumentVersionsRequest, _context: Any
    ) -> document_service_pb2.ListDocumentVersionsResponse:
        """See the contract."""
        check_document_id(request.document_id)
        versions = await self._documents.versions(current_principal().user_id, request.document_id)
        return document_service_pb2.ListDocumentVersionsResponse(
            versions=[version_message(version) for version in versions]
        )

    async def UpdateDocument(
        self, request: document_service_pb2.UpdateDocumentRequest, _context: Any
    ) -> document_service_pb2.UpdateDocumentResponse:
        """See the contract."""
        named = check_update(request)
        change = DocumentChange(**{field: getattr(request, field) for field in named})
        document = await self._documents.update(current_principal().user_id, request.document_id, change)
        return document_service_pb2.UpdateDocumentResponse(document=document_message(document))

    async def DeleteDocument(
        self, request: document_service_pb2.DeleteDocumentRequest, _context: Any
    ) -> document_service_pb2.DeleteDocumentResponse:
        """See the contract."""
        check_document_id(request.document_id)
        await self._documents.delete(current_principal().user_id, request.document_id)
        return document_service_pb2.DeleteDocumentResponse()


def _values(cursor: DocumentCursor) -> list[str | int]:
    return [(cursor.update_time - _EPOCH) // _MICROSECOND, cursor.document_id]


def _cursor(values: list[str | int] | None) -> DocumentCursor | None:
    if values is None:
        return None
    # A page token is not signed: what it holds is as foreign as any other field.
    match values:
        case [int(microseconds), str(document_id)] if 0 <= microseconds < _MICROSECONDS_MOST and _ID.fullmatch(
            document_id
        ):
            return DocumentCursor(_EPOCH + microseconds * _MICROSECOND, document_id)
        case _:
            raise invalid_page_token()

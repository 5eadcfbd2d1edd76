"""Puts documents and hits into the contract's messages."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from parley.retrieval.v1 import document_pb2, document_service_pb2, search_service_pb2

from parley_retrieval.domain.chunks import Hit
from parley_retrieval.domain.documents import TEXT_CHARACTERS, Document, DocumentVersion, MediaType
from parley_retrieval.domain.narrowing import Narrowing
from parley_retrieval.domain.snippets import Snippet
from parley_retrieval.operations.search import Found, SearchMode

_MEDIA_TYPES = {
    MediaType.MARKDOWN: document_pb2.MEDIA_TYPE_MARKDOWN,
    MediaType.PLAIN_TEXT: document_pb2.MEDIA_TYPE_PLAIN_TEXT,
    MediaType.HTML: document_pb2.MEDIA_TYPE_HTML,
    MediaType.PDF: document_pb2.MEDIA_TYPE_PDF,
    MediaType.DOCX: document_pb2.MEDIA_TYPE_DOCX,
    MediaType.CSV: document_pb2.MEDIA_TYPE_CSV,
    MediaType.JSON: document_pb2.MEDIA_TYPE_JSON,
}
_SEARCH_MODES = {
    SearchMode.HYBRID: search_service_pb2.SEARCH_MODE_HYBRID,
    SearchMode.KEYWORD: search_service_pb2.SEARCH_MODE_KEYWORD,
    SearchMode.SEMANTIC: search_service_pb2.SEARCH_MODE_SEMANTIC,
}
_SEARCH_MODES_BY_VALUE = {value: mode for mode, value in _SEARCH_MODES.items()}
_MEDIA_TYPES_BY_VALUE = {value: media_type for media_type, value in _MEDIA_TYPES.items()}
_NO_SNIPPET = Snippet("", ())


def media_type_of(value: document_pb2.MediaType.ValueType) -> MediaType:
    """The media type that a request means: Markdown unless it says otherwise."""
    return _MEDIA_TYPES_BY_VALUE.get(value, MediaType.MARKDOWN)


def media_type_message(media_type: MediaType | None) -> document_pb2.MediaType.ValueType:
    """A media type as it is sent; None is UNSPECIFIED."""
    return document_pb2.MEDIA_TYPE_UNSPECIFIED if media_type is None else _MEDIA_TYPES[media_type]


def document_message(document: Document, *, with_text: bool = False) -> document_pb2.Document:
    """A document as it is sent, without its text unless asked for."""
    message = document_pb2.Document(
        document_id=document.document_id,
        title=document.title,
        text=(document.text or "")[:TEXT_CHARACTERS] if with_text else "",
        media_type=_MEDIA_TYPES[document.media_type],
        project=document.project,
        source_uri=document.source_uri,
        content_sha256=document.content_sha256,
        size_bytes=document.size_bytes,
        chunk_count=document.chunk_count,
        shared=document.shared,
        version=document.version,
        filename=document.filename,
        page_count=document.page_count,
        labels=document.labels,
        file_sha256=document.file_sha256,
    )
    message.create_time.FromDatetime(document.create_time)
    message.update_time.FromDatetime(document.update_time)
    return message


def version_message(version: DocumentVersion) -> document_service_pb2.DocumentVersion:
    """A version of a document as it is sent."""
    message = document_service_pb2.DocumentVersion(
        version=version.version,
        title=version.title,
        content_sha256=version.content_sha256,
        size_bytes=version.size_bytes,
    )
    message.update_time.FromDatetime(version.update_time)
    return message


def hit_message(hit: Hit) -> search_service_pb2.SearchHit:
    """A hit as it is sent."""
    passage, chunk, snippet = hit.passage, hit.passage.chunk, hit.snippet or _NO_SNIPPET
    return search_service_pb2.SearchHit(
        chunk_id=str(chunk.chunk_id),
        document_id=passage.document_id,
        document_title=passage.document_title,
        heading=chunk.heading,
        text=chunk.text,
        start_offset=chunk.start,
        end_offset=chunk.end,
        content_sha256=chunk.content_sha256,
        score=hit.score,
        shared=passage.shared,
        document_version=passage.document_version,
        page_number=chunk.page_number,
        snippet=snippet.text,
        highlights=[
            search_service_pb2.Highlight(start_offset=start, end_offset=end) for start, end in snippet.highlights
        ],
        item_type=passage.item_type,
    )


def found_message(found: Found, next_page_token: str) -> search_service_pb2.SearchResponse:
    """A page of an answer as it is sent."""
    return search_service_pb2.SearchResponse(
        hits=[hit_message(hit) for hit in found.hits],
        mode=_SEARCH_MODES[found.mode],
        next_page_token=next_page_token,
    )


def search_mode_of(value: search_service_pb2.SearchMode.ValueType) -> SearchMode:
    """The mode that a request means: hybrid unless it says otherwise."""
    return _SEARCH_MODES_BY_VALUE.get(value, SearchMode.HYBRID)


def narrowing_of(request: search_service_pb2.SearchRequest) -> Narrowing:
    """Which documents a request is about. Its times have been checked."""
    return Narrowing(
        project=request.project,
        document_ids=tuple(dict.fromkeys(request.document_ids)),
        media_types=tuple(_MEDIA_TYPES_BY_VALUE[value] for value in dict.fromkeys(request.media_types)),
        labels=dict(request.labels),
        update_time_from=_time(request.update_time_from) if request.HasField("update_time_from") else None,
        update_time_until=_time(request.update_time_until) if request.HasField("update_time_until") else None,
    )


def _time(time: Timestamp) -> datetime:
    return time.ToDatetime(tzinfo=UTC)

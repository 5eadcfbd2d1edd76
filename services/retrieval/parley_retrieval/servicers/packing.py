"""Puts documents and hits into the contract's messages."""

from __future__ import annotations

from parley.retrieval.v1 import document_pb2, search_service_pb2

from parley_retrieval.domain.chunks import Hit
from parley_retrieval.domain.documents import TEXT_CHARACTERS, Document, MediaType

_MEDIA_TYPES = {
    MediaType.MARKDOWN: document_pb2.MEDIA_TYPE_MARKDOWN,
    MediaType.PLAIN_TEXT: document_pb2.MEDIA_TYPE_PLAIN_TEXT,
    MediaType.HTML: document_pb2.MEDIA_TYPE_HTML,
    MediaType.PDF: document_pb2.MEDIA_TYPE_PDF,
    MediaType.DOCX: document_pb2.MEDIA_TYPE_DOCX,
    MediaType.CSV: document_pb2.MEDIA_TYPE_CSV,
    MediaType.JSON: document_pb2.MEDIA_TYPE_JSON,
}
_MEDIA_TYPES_BY_VALUE = {value: media_type for media_type, value in _MEDIA_TYPES.items()}


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


def hit_message(hit: Hit) -> search_service_pb2.SearchHit:
    """A hit as it is sent."""
    passage, chunk = hit.passage, hit.passage.chunk
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
    )

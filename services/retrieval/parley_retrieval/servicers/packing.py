"""Puts documents and hits into the contract's messages."""

from __future__ import annotations

from parley.retrieval.v1 import document_pb2, search_service_pb2

from parley_retrieval.domain.chunks import Hit
from parley_retrieval.domain.documents import Document, MediaType

_MEDIA_TYPES = {
    MediaType.MARKDOWN: document_pb2.MEDIA_TYPE_MARKDOWN,
    MediaType.PLAIN_TEXT: document_pb2.MEDIA_TYPE_PLAIN_TEXT,
}


def media_type_of(value: document_pb2.MediaType.ValueType) -> MediaType:
    """The media type that a request means: Markdown unless it says otherwise."""
    return MediaType.PLAIN_TEXT if value == document_pb2.MEDIA_TYPE_PLAIN_TEXT else MediaType.MARKDOWN


def document_message(document: Document, *, with_text: bool = False) -> document_pb2.Document:
    """A document as it is sent, without its text unless asked for."""
    message = document_pb2.Document(
        document_id=document.document_id,
        title=document.title,
        text=(document.text or "") if with_text else "",
        media_type=_MEDIA_TYPES[document.media_type],
        project=document.project,
        source_uri=document.source_uri,
        content_sha256=document.content_sha256,
        size_bytes=document.size_bytes,
        chunk_count=document.chunk_count,
        shared=document.shared,
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

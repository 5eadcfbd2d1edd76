"""`UploadFormReader` of `multipart/form-data` with the package multipart: nothing but the piece that has just come is in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeAlias

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header  # type: ignore[import-untyped]  # It comes without types.

from parley_retrieval.domain.errors import UploadMalformedError
from parley_retrieval.ports.upload_form import UploadForm

_METADATA_BYTES = 65_536
_PARTS = 2

_Event: TypeAlias = Any
"""What the package's parser yields: a MultipartSegment, then its bytes, then None for its end."""


async def read_form(content_type: str, body: AsyncIterator[bytes]) -> UploadForm:
    """See `UploadFormReader`."""
    _, options = parse_options_header(content_type)
    boundary = options.get("boundary", "")
    if not boundary:
        raise UploadMalformedError("body.content_type", "must name the boundary of the form's parts")
    events = _events(boundary, body)
    metadata = b""
    segment = await _part(events)
    if segment is not None and segment.name == "metadata":
        metadata = await _whole(events)
        segment = await _part(events)
    if segment is None or segment.name != "file":
        raise UploadMalformedError("body", "must have the parts `metadata` (optional) and `file`, in this order")
    return UploadForm(metadata, segment.filename or "", _content(events))


async def _events(boundary: str, body: AsyncIterator[bytes]) -> AsyncIterator[_Event]:
    try:
        with PushMultipartParser(boundary, max_segment_count=_PARTS, strict=True) as parser:
            async for data in body:
                if data:
                    for event in parser.parse(data):
                        yield event
    except MultipartError as error:
        raise UploadMalformedError(
            "body", "is no whole multipart/form-data of the parts `metadata` and `file`"
        ) from error


async def _part(events: AsyncIterator[_Event]) -> MultipartSegment | None:
    async for event in events:
        if isinstance(event, MultipartSegment):
            return event
    return None


async def _whole(events: AsyncIterator[_Event]) -> bytes:
    kept = bytearray()
    async for event in events:
        if event is None:
            break
        if isinstance(event, bytes | bytearray):
            kept += event
        if len(kept) > _METADATA_BYTES:
            raise UploadMalformedError("metadata", f"must have at most {_METADATA_BYTES:,} bytes")
    return bytes(kept)


async def _content(events: AsyncIterator[_Event]) -> AsyncIterator[bytes]:
    ended = False
    async for event in events:
        if event is None:
            ended = True
        elif ended:
            raise UploadMalformedError("body", "must have no part after `file`")
        elif isinstance(event, bytes | bytearray):
            yield bytes(event)

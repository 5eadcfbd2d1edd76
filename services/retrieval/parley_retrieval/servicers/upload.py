"""What comes in an upload, whichever door it takes: the facts of the file first, then its bytes as they arrive."""

from __future__ import annotations

import asyncio
import binascii
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from google.protobuf import json_format
from parley.retrieval.v1 import ingest_service_pb2

from parley_retrieval.domain.errors import UploadCutError, UploadMalformedError
from parley_retrieval.domain.jobs import FileFacts
from parley_retrieval.ports.upload_form import UploadFormReader
from parley_retrieval.servicers.ingest_validation import CHUNK_BYTES, FILENAME_CHARACTERS, check_ingest

JSON_BYTES = 10_000_000
"""The largest body of JSON: it is read as a whole."""

_CUT_SECONDS = 0.2
_Requests = AsyncIterator[ingest_service_pb2.IngestRequest]


async def open_upload(
    requests: _Requests, read_form: UploadFormReader, *, idle_seconds: float
) -> tuple[FileFacts, AsyncIterator[bytes]]:
    """The facts, checked, and the bytes of the file.

    Raises StatusError for facts that break a bound, UploadMalformedError, and UploadCutError when nothing comes for `idle_seconds`; so
    does the reading of the bytes.
    """
    arriving = _arriving(aiter(requests), idle_seconds)
    first = await anext(arriving, None)
    if first is None:
        raise UploadMalformedError("metadata", "must come first")
    if first.HasField("body"):
        return await _from_body(first.body.content_type, _body(first, arriving), read_form)
    if not first.HasField("metadata"):
        raise UploadMalformedError("metadata", "must come first")
    return check_ingest(first.metadata), _chunks(first, arriving)


async def _arriving(requests: _Requests, idle_seconds: float) -> AsyncIterator[ingest_service_pb2.IngestRequest]:
    while True:
        try:
            async with asyncio.timeout(idle_seconds):
                request = await anext(requests, None)
        except TimeoutError:
            raise UploadCutError(idle_seconds) from None
        if request is None:
            return
        yield request


async def _chunks(first: ingest_service_pb2.IngestRequest, arriving: _Requests) -> AsyncIterator[bytes]:
    yield _chunk(first)
    async for request in arriving:
        if request.HasField("metadata"):
            raise UploadMalformedError("metadata", "must be in the first message only")
        yield _chunk(request)
    # gRPC tells the end of a stream and the end of a call that was cut in the same way, and a moment later cancels the handler of the
    # second. A form and JSON say themselves where they end.
    await asyncio.sleep(_CUT_SECONDS)


def _chunk(request: ingest_service_pb2.IngestRequest) -> bytes:
    if request.HasField("body"):
        raise UploadMalformedError("body", "must not come together with `metadata` and `chunk`")
    if len(request.chunk) > CHUNK_BYTES:
        raise UploadMalformedError("chunk", f"must have at most {CHUNK_BYTES:,} bytes")
    return request.chunk


async def _body(first: ingest_service_pb2.IngestRequest, arriving: _Requests) -> AsyncIterator[bytes]:
    request: ingest_service_pb2.IngestRequest | None = first
    while request is not None:
        if request.HasField("metadata") or request.chunk:
            raise UploadMalformedError("body", "must not come together with `metadata` and `chunk`")
        yield request.body.data
        request = await anext(arriving, None)


async def _from_body(
    content_type: str, body: AsyncIterator[bytes], read_form: UploadFormReader
) -> tuple[FileFacts, AsyncIterator[bytes]]:
    match content_type.partition(";")[0].strip().lower():
        case "multipart/form-data":
            form = await read_form(content_type, body)
            facts = check_ingest(_metadata(form.metadata))
            if not facts.filename:
                facts = replace(facts, filename=form.filename.replace("\0", "")[:FILENAME_CHARACTERS])
            return facts, form.content
        case "application/json":
            return await _from_json(body)
    raise UploadMalformedError("body.content_type", "must be multipart/form-data or application/json")


def _metadata(text: bytes) -> ingest_service_pb2.IngestMetadata:
    metadata = ingest_service_pb2.IngestMetadata()
    if text.strip():
        try:
            json_format.Parse(text, metadata)
        except (json_format.ParseError, UnicodeDecodeError) as error:
            raise UploadMalformedError("metadata", "must be the JSON of an IngestMetadata") from error
    return metadata


async def _from_json(body: AsyncIterator[bytes]) -> tuple[FileFacts, AsyncIterator[bytes]]:
    kept = bytearray()
    async for data in body:
        kept += data
        if len(kept) > JSON_BYTES:
            raise UploadMalformedError(
                "body", f"must have at most {JSON_BYTES:,} bytes as JSON; multipart/form-data takes larger files"
            )
    metadata, content = await asyncio.to_thread(_parts_of_json, bytes(kept))
    return check_ingest(metadata), _once(content)


def _parts_of_json(body: bytes) -> tuple[ingest_service_pb2.IngestMetadata, bytes]:
    try:
        values: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UploadMalformedError("body", "must be JSON") from error
    if not isinstance(values, dict):
        raise UploadMalformedError("body", "must be a JSON object")
    text, content = values.pop("text", None), values.pop("content", None)
    if (text is None) == (content is None):
        raise UploadMalformedError("text", "or `content` must be there, and not both")
    metadata = ingest_service_pb2.IngestMetadata()
    try:
        json_format.ParseDict(values, metadata)
    except (json_format.ParseError, RecursionError) as error:
        raise UploadMalformedError(
            "body", "must have only the fields of an IngestMetadata, `text` and `content`"
        ) from error
    return metadata, _bytes("text", text) if content is None else _bytes("content", content)


def _bytes(field: str, value: Any) -> bytes:
    if not isinstance(value, str):
        raise UploadMalformedError(field, "must be a string")
    try:
        return value.encode() if field == "text" else b64decode(value, validate=True)
    except UnicodeEncodeError as error:
        raise UploadMalformedError(field, "must be text that can be written as UTF-8") from error
    except (binascii.Error, ValueError) as error:
        raise UploadMalformedError(field, "must be Base64") from error


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content

"""The bounds of requests about batches, as the contract states them, and their page tokens. Not the lines: those are batch_forms.py's."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime, timedelta

from parley.chat.v1 import batch_service_pb2 as pb
from parley_shared.paging import decode_page_token, encode_page_token, invalid_page_token
from parley_shared.validation import Violations

from parley_chat.operations.batches import BatchWish
from parley_chat.ports.batches import BatchCursor

BATCH_PREFIX = "bat_"
CHUNK_BYTES = 1_000_000
TITLE_MOST = 200
MODEL_MOST = 200
PAGE_SIZE_DEFAULT, PAGE_SIZE_MOST, PAGE_TOKEN_MOST = 50, 100, 512
LINE_MOST = 2**31 - 1

_CLIENT_BATCH_ID = re.compile(r"[A-Za-z0-9_-]{0,64}")
_LIST = "batches"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS_MOST = 1 << 56  # The year 4253, which a datetime still holds.
_BATCH_ID = re.compile(r"bat_[0-9a-f]{32}")


def wish_of(first: pb.CreateBatchRequest | None) -> BatchWish:
    """Unpacks what the first message says of the batch."""
    first = first or pb.CreateBatchRequest()
    violations = Violations()
    violations.pattern("client_batch_id", first.client_batch_id, _CLIENT_BATCH_ID, "0 to 64 of A-Z a-z 0-9 _ -")
    violations.line("title", first.title, most=TITLE_MOST)
    violations.line("model", first.model, most=MODEL_MOST)
    if first.body.content_type.lower().startswith("multipart/"):
        violations.add("body.content_type", "must not be a form: the body is the lines themselves")
    violations.check()
    return BatchWish(first.client_batch_id, first.title, first.model)


async def parts_of(
    first: pb.CreateBatchRequest | None, requests: AsyncIterator[pb.CreateBatchRequest]
) -> AsyncGenerator[bytes, None]:
    """The bytes of the lines, whichever door they come through."""
    request = first
    while request is not None:
        violations = Violations()
        if len(request.chunk) > CHUNK_BYTES:
            violations.add("chunk", f"must have at most {CHUNK_BYTES:,} bytes")
        if request.chunk and request.HasField("body"):
            violations.add("body", "must not come together with `chunk`")
        if request is not first and (request.client_batch_id or request.title or request.model):
            name = "client_batch_id" if request.client_batch_id else "title" if request.title else "model"
            violations.add(name, "must be in the first message only")
        violations.check()
        data = request.chunk or request.body.data
        # Through the edge a part may be as long as it likes.
        for start in range(0, len(data), CHUNK_BYTES):
            yield data[start : start + CHUNK_BYTES]
        request = await anext(requests, None)


def check_batch_id(batch_id: str) -> None:
    violations = Violations()
    violations.identifier("batch_id", batch_id, BATCH_PREFIX)
    violations.check()


def check_results(request: pb.GetBatchResultsRequest) -> None:
    violations = Violations()
    violations.identifier("batch_id", request.batch_id, BATCH_PREFIX)
    violations.integer("after_line", request.after_line, least=0, most=LINE_MOST)
    violations.check()


def read_page(request: pb.ListBatchesRequest) -> tuple[int, BatchCursor | None]:
    """The size of the page, and the batch that it comes after."""
    violations = Violations()
    violations.integer("page_size", request.page_size, least=0, most=PAGE_SIZE_MOST)
    violations.text("page_token", request.page_token, most=PAGE_TOKEN_MOST)
    violations.check()
    size = request.page_size or PAGE_SIZE_DEFAULT
    # A page token is not signed: what it holds is as foreign as any other field.
    match decode_page_token(_LIST, request.page_token):
        case None:
            return size, None
        case [int(microseconds), str(batch_id)] if 0 <= microseconds < _MICROSECONDS_MOST and _BATCH_ID.fullmatch(
            batch_id
        ):
            return size, BatchCursor(_EPOCH + microseconds * _MICROSECOND, batch_id)
        case _:
            raise invalid_page_token()


def next_page(cursor: BatchCursor | None) -> str:
    """The page token that asks for what comes after; empty when nothing does."""
    if cursor is None:
        return ""
    return encode_page_token(_LIST, [(cursor.create_time - _EPOCH) // _MICROSECOND, cursor.batch_id])

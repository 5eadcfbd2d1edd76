"""Packs batches as the contract's message, and their results as lines of JSON. No checks: those are batch_requests.py's."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from grpc import StatusCode
from parley.chat.v1 import batch_pb2

from parley_chat.domain.batches import Batch, BatchState, LineFailure, LineForm, LineResult, LineState

_MOST_COUNT = 2**31 - 1
_STATES = {
    BatchState.QUEUED: batch_pb2.BATCH_STATE_QUEUED,
    BatchState.RUNNING: batch_pb2.BATCH_STATE_RUNNING,
    BatchState.PAUSED: batch_pb2.BATCH_STATE_PAUSED,
    BatchState.CANCELLED: batch_pb2.BATCH_STATE_CANCELLED,
    BatchState.DONE: batch_pb2.BATCH_STATE_DONE,
}
_CODES = {code.value[0]: code for code in StatusCode}
_HTTP = {
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.UNAUTHENTICATED: 401,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.ABORTED: 409,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.CANCELLED: 499,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DEADLINE_EXCEEDED: 504,
}
"""As the edge makes HTTP of them (google.rpc.Code); 500 for any other."""

_ERROR_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_FIRST_OF_SERVERS = 500


def pack_batch(batch: Batch, retention: timedelta | None = None) -> batch_pb2.Batch:
    """Packs a batch. Without the retention, it does not say when it is deleted."""
    packed = batch_pb2.Batch(
        batch_id=batch.batch_id,
        title=batch.title,
        client_batch_id=batch.client_batch_id,
        state=_STATES[batch.state],
        total_count=batch.total_count,
        pending_count=batch.pending_count,
        running_count=batch.running_count,
        completed_count=batch.completed_count,
        failed_count=batch.failed_count,
        cancelled_count=batch.cancelled_count,
        input_tokens=batch.input_tokens,
        output_tokens=batch.output_tokens,
        cost_usd_micros=batch.cost_usd_micros,
        unpriced_count=min(batch.unpriced_count, _MOST_COUNT),
        estimated=batch.estimated,
        pause_reason=batch.pause_reason,
        pause_message=batch.pause_message,
    )
    packed.create_time.FromDatetime(batch.create_time)
    if batch.start_time:
        packed.start_time.FromDatetime(batch.start_time)
    if batch.end_time:
        packed.end_time.FromDatetime(batch.end_time)
        if retention:
            packed.expire_time.FromDatetime(batch.end_time + retention)
    return packed


def result_line(batch_id: str, line: LineResult) -> bytes:
    """The result of a line as JSON, with the end of the line."""
    packed = _openai_line(batch_id, line) if line.form is LineForm.OPENAI else _line(line)
    return json.dumps(packed, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def _line(line: LineResult) -> dict[str, Any]:
    packed: dict[str, Any] = {"id": line.name, "line": line.number, "state": line.state.value}
    if line.state is LineState.COMPLETED:
        packed |= json.loads(line.result)
    elif line.failure is not None:
        failure = line.failure.failure
        packed["error"] = {
            "code": _code(line.failure).name,
            "reason": failure.reason,
            "message": failure.message,
            "retryable": failure.retryable,
        }
        if line.failure.field:
            packed["error"]["field"] = line.failure.field
    return packed


def _openai_line(batch_id: str, line: LineResult) -> dict[str, Any]:
    name = f"batch_req_{batch_id.removeprefix('bat_')}_{line.number}"
    response: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    if line.state is LineState.COMPLETED:
        response = {"status_code": 200, "request_id": name, "body": json.loads(line.result)}
    elif line.failure is not None:
        status = _HTTP.get(_code(line.failure), 500)
        told = {
            "message": line.failure.failure.message,
            "type": _ERROR_TYPES.get(status)
            or ("api_error" if status >= _FIRST_OF_SERVERS else "invalid_request_error"),
            "param": line.failure.field or None,
            "code": line.failure.failure.reason.removeprefix("ERROR_REASON_").lower(),
        }
        response = {"status_code": status, "request_id": name, "body": {"error": told}}
    else:
        error = {"code": "batch_cancelled", "message": "The batch was cancelled before this line was written."}
    return {"id": name, "custom_id": line.name, "response": response, "error": error}


def _code(failure: LineFailure) -> StatusCode:
    return _CODES.get(failure.failure.code, StatusCode.UNKNOWN)

"""The trailers with which Parley's services explain an error, for servers that a test scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

TRACE_ID = "cd" * 16


def trailers(
    code: grpc.StatusCode,
    words: str,
    *,
    reason: str = "",
    metadata: Mapping[str, str] | None = None,
    violations: Sequence[tuple[str, str]] = (),
    retry_after_seconds: float | None = None,
) -> tuple[tuple[str, bytes], ...]:
    """`grpc-status-details-bin` with an ErrorInfo, a BadRequest and a RetryInfo, as far as they are asked for."""
    details = []
    if reason:
        facts = {"trace_id": TRACE_ID, **(metadata or {})}
        details.append(error_details_pb2.ErrorInfo(reason=reason, domain="parley", metadata=facts))
    if violations:
        fields = [error_details_pb2.BadRequest.FieldViolation(field=f, description=d) for f, d in violations]
        details.append(error_details_pb2.BadRequest(field_violations=fields))
    if retry_after_seconds is not None:
        delay = Duration()
        delay.FromNanoseconds(round(retry_after_seconds * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(code=code.value[0], message=words)
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return (("grpc-status-details-bin", status.SerializeToString()),)

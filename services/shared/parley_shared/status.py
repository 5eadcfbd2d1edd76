"""Statuses: what a call that failed tells its caller.

Nothing internal belongs here: no SQL, path, stack or driver's words. Which domain error becomes which status is said in each
service's `servicers/status.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from parley.errors.v1 import error_reason_pb2

DOMAIN = "parley"
"""The domain of every ErrorInfo."""

DETAILS_KEY = "grpc-status-details-bin"
"""The trailing metadata in which gRPC carries the whole status."""

# A status travels in headers, which peers bound to 8 KiB.
_MOST_VIOLATIONS = 12
_MOST_FIELD_BYTES = 100
_MOST_BYTES = 200
_MOST_MESSAGE_BYTES = 500


class StatusError(Exception):
    """An error that ends a call with a status.

    `reason` is the name of a `parley.errors.v1.ErrorReason`; `violations` are (field, description) pairs; the message is for people.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        message: str,
        *,
        metadata: Mapping[str, str] = MappingProxyType({}),
        violations: Sequence[tuple[str, str]] = (),
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        if reason not in error_reason_pb2.ErrorReason.keys():  # noqa: SIM118 - a protobuf enum is not a mapping
            raise ValueError(f"{reason} is not an ErrorReason")
        self.code = code
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata)
        self.violations = tuple(violations)
        self.retry_after_seconds = retry_after_seconds

    def to_status(self, trace_id: str) -> status_pb2.Status:
        """The status with all its details: ErrorInfo, then BadRequest and RetryInfo where there is something to tell."""
        metadata = {key: _short(value) for key, value in self.metadata.items()} | {"trace_id": trace_id}
        details: list[Message] = [error_details_pb2.ErrorInfo(reason=self.reason, domain=DOMAIN, metadata=metadata)]
        if self.violations:
            details.append(
                error_details_pb2.BadRequest(
                    field_violations=[
                        error_details_pb2.BadRequest.FieldViolation(
                            field=_short(field, _MOST_FIELD_BYTES), description=_short(description)
                        )
                        for field, description in self.violations[:_MOST_VIOLATIONS]
                    ]
                )
            )
        if self.retry_after_seconds is not None:
            delay = duration_pb2.Duration()
            delay.FromNanoseconds(round(self.retry_after_seconds * 1e9))
            details.append(error_details_pb2.RetryInfo(retry_delay=delay))
        packed = []
        for detail in details:
            packed.append(any_pb2.Any())
            packed[-1].Pack(detail)
        return status_pb2.Status(
            code=self.code.value[0], message=_short(self.message, _MOST_MESSAGE_BYTES), details=packed
        )


def status_error_from(error: grpc.aio.AioRpcError, *, service: str = "") -> StatusError:
    """The StatusError that another Parley service sent.

    Of an error that is not Parley's own (the connection broke, the deadline passed, a message was too large) only the code is
    kept: the words of gRPC tell addresses. `service` is the name of the called service, for the words of those.
    """
    status = _sent_status(error)
    info, bad_request, retry = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
    )
    retry_after: float | None = None
    if status is not None:
        for detail in status.details:
            detail.Unpack(info) or detail.Unpack(bad_request)
            if detail.Unpack(retry):
                retry_after = retry.retry_delay.ToNanoseconds() / 1e9
    if status is None or info.domain != DOMAIN or info.reason not in error_reason_pb2.ErrorReason.keys():  # noqa: SIM118 - see above
        return _status_of_transport(error.code(), service)
    return StatusError(
        error.code(),
        info.reason,
        status.message,
        metadata={key: value for key, value in info.metadata.items() if key != "trace_id"},
        violations=[(violation.field, violation.description) for violation in bad_request.field_violations],
        retry_after_seconds=retry_after,
    )


def not_found(resource: str) -> StatusError:
    """NOT_FOUND, in the same words whether the resource is absent or another user's. `resource` is a noun: "session"."""
    return StatusError(
        grpc.StatusCode.NOT_FOUND,
        "ERROR_REASON_RESOURCE_NOT_FOUND",
        f"There is no such {resource}.",
        metadata={"resource": resource},
    )


def service_unavailable(service: str) -> StatusError:
    """UNAVAILABLE: a service that this one stands on does not answer."""
    return StatusError(
        grpc.StatusCode.UNAVAILABLE,
        "ERROR_REASON_SERVICE_UNAVAILABLE",
        f"The {service} service does not answer. Try again in a moment."
        if service
        else "A service of Parley does not answer.",
        metadata={"service": service},
        retry_after_seconds=1,
    )


def deadline_exceeded() -> StatusError:
    """DEADLINE_EXCEEDED: the time that the caller gave is over."""
    return StatusError(
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "ERROR_REASON_DEADLINE_EXCEEDED",
        "The call took longer than its caller gave it.",
    )


def internal() -> StatusError:
    """INTERNAL: Parley failed. The cause is in the log under the trace id and nowhere else."""
    return StatusError(
        grpc.StatusCode.INTERNAL,
        "ERROR_REASON_INTERNAL",
        "Parley failed; the service's log tells why under the trace id of this error.",
    )


def _sent_status(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return None
    return None


def _status_of_transport(code: grpc.StatusCode, service: str) -> StatusError:
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return deadline_exceeded()
    if code == grpc.StatusCode.RESOURCE_EXHAUSTED:
        return StatusError(code, "ERROR_REASON_LIMIT_EXCEEDED", "A message is larger than Parley takes.")
    if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
        return service_unavailable(service)
    return internal()


def _short(text: str, most: int = _MOST_BYTES) -> str:
    encoded = text.encode(errors="replace")
    return text if len(encoded) <= most else encoded[:most].decode(errors="ignore") + "…"

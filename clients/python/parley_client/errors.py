"""Errors that a person or a program can act on, one class for each gRPC status.

    ParleyError                       everything below
      CallCancelledError              CANCELLED            the server gave the call up, or the turn was stopped
        ClientClosedError                                  this client, or this reader of a turn, was closed
      UnknownError                    UNKNOWN              something between here and Parley failed without saying how
      InvalidArgumentError            INVALID_ARGUMENT     `field_violations` names the fields
      DeadlineExceededError           DEADLINE_EXCEEDED    it took longer than it may
      NotFoundError                   NOT_FOUND            it does not exist, or is another's
      AlreadyExistsError              ALREADY_EXISTS       the name is taken, or used for something else
      PermissionDeniedError           PERMISSION_DENIED    the token may not do this
      ResourceExhaustedError          RESOURCE_EXHAUSTED   too large, too many, or too often; `retry_after` says when again
      FailedPreconditionError         FAILED_PRECONDITION  not in this state
      AbortedError                    ABORTED              it was begun and broken off
      OutOfRangeError                 OUT_OF_RANGE         past the end
      UnimplementedError              UNIMPLEMENTED        this Parley does not have it: is it an older release?
      InternalError                   INTERNAL             Parley failed; its log has the cause under `trace_id`
      UnavailableError                UNAVAILABLE          nobody answers, or a part of Parley is away
      DataLossError                   DATA_LOSS            data are lost
        StreamGapError                                     an event of a turn is missing, or two do not fit together
      UnauthenticatedError            UNAUTHENTICATED      no token, or one that is not good
      TurnFailedError                 (the failure's own)  a turn ended with a `failed` event; `partial` is what was written

A class says what kind of trouble it is; `reason` (the name of a `parley.errors.v1.ErrorReason`) says exactly which. Catch the class,
compare the reason. None of gRPC's own errors leaves this package. `asyncio.CancelledError` does when the caller's own task is cancelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

if TYPE_CHECKING:
    from parley.chat.v1 import message_pb2

_STATUS_DETAILS = "grpc-status-details-bin"
_DOMAIN = "parley"
_UNSENT_WORDS = ("failed to connect to all addresses", "DNS resolution failed", "no healthy upstream")
_REFUSED_WORDS = "Connection refused"


@dataclass(frozen=True)
class FieldViolation:
    """One field of the request that is out of its bounds."""

    field: str
    """The field's path in the request, for example `message`."""
    description: str
    """What is wrong with it, in words for a person that go on after the field's name: `must not be empty`."""

    @property
    def sentence(self) -> str:
        """The field and what is wrong with it."""
        return f"{self.field} {self.description}"

    def told_in(self, message: str) -> bool:
        """Whether a message is about this field, or has the same words already."""
        return message.startswith(f"{self.field} ") or self.description in message


class ParleyError(Exception):
    """Something that was asked of Parley did not happen."""

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        field_violations: tuple[FieldViolation, ...] = (),
        retry_after: float | None = None,
        trace_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        """What happened, in words for a person, in English."""
        self.code = code
        """The gRPC status."""
        self.reason = reason
        """The name of the `parley.errors.v1.ErrorReason`; empty when no service of Parley's gave one, for example when nobody answers."""
        self.metadata = dict(metadata or {})
        """The facts that belong to the reason, for example `{"limit": "8"}`."""
        self.field_violations = field_violations
        """The fields that are out of bounds; mostly none."""
        self.retry_after = retry_after
        """After how many seconds the same may succeed; None when Parley does not say."""
        self.trace_id = trace_id
        """The trace of the call, 32 hexadecimal digits; empty when it is not known."""
        self.unsent = False
        """True when the call surely never reached Parley: no connection came about. It is then safe to make it again, anywhere."""
        self.refused = False
        """True when nobody listens at the address. Then it is unsent, too."""

    def __str__(self) -> str:
        violations = self.field_violations
        if len(violations) > 1 and self.message.startswith(violations[0].sentence):
            # The message tells the first and counts the others.
            return "; ".join(violation.sentence for violation in violations) + "."
        # What the message tells itself is not said twice.
        untold = [each for each in violations if not each.told_in(self.message)]
        if not untold:
            return self.message
        return f"{self.message} ({'; '.join(violation.sentence for violation in untold)})"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, code={self.code.name}, reason={self.reason!r}, trace_id={self.trace_id!r})"

    @property
    def cut(self) -> bool:
        """Whether the way to Parley broke, rather than Parley answering no. The same call may then succeed."""
        if self.reason:
            return self.code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
        if self.code is grpc.StatusCode.UNKNOWN:
            # What gRPC says when a connection ends without a word.
            return "Stream removed" in self.message
        # INTERNAL without a reason is a reset stream: the edge cuts one so when the service behind it is gone.
        return self.code in {
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.INTERNAL,
            grpc.StatusCode.CANCELLED,
            grpc.StatusCode.DEADLINE_EXCEEDED,
        }

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later: the way broke, or Parley said when to come again (`retry_after`)."""
        return self.cut or (self.code is grpc.StatusCode.RESOURCE_EXHAUSTED and self.retry_after is not None)


class CallCancelledError(ParleyError):
    """CANCELLED: the server gave the call up, or the turn was stopped before it was whole."""


class ClientClosedError(CallCancelledError):
    """The client, or this reader of a turn, was closed before or during the call. Nothing is tried again."""

    def __init__(self) -> None:
        super().__init__("This client is closed.", code=grpc.StatusCode.CANCELLED)

    @property
    def cut(self) -> bool:
        """Never: it was meant."""
        return False


class UnknownError(ParleyError):
    """UNKNOWN: something between here and Parley failed without saying how."""


class InvalidArgumentError(ParleyError):
    """INVALID_ARGUMENT: the request is not one that Parley takes; `field_violations` names the fields."""


class DeadlineExceededError(ParleyError):
    """DEADLINE_EXCEEDED: it took longer than it may."""


class NotFoundError(ParleyError):
    """NOT_FOUND: it does not exist, or belongs to somebody else; nobody is told which."""


class AlreadyExistsError(ParleyError):
    """ALREADY_EXISTS: the name is taken, or was used for something else."""


class PermissionDeniedError(ParleyError):
    """PERMISSION_DENIED: the token may not do this."""


class ResourceExhaustedError(ParleyError):
    """RESOURCE_EXHAUSTED: too large, too many, or too often."""


class FailedPreconditionError(ParleyError):
    """FAILED_PRECONDITION: what the request names is not in a state for it."""


class AbortedError(ParleyError):
    """ABORTED: it was begun and broken off."""


class OutOfRangeError(ParleyError):
    """OUT_OF_RANGE: past the end."""


class UnimplementedError(ParleyError):
    """UNIMPLEMENTED: this Parley does not have the rpc; it may be an older release."""


class InternalError(ParleyError):
    """INTERNAL: Parley failed. Its log has the cause, under `trace_id`."""


class UnavailableError(ParleyError):
    """UNAVAILABLE: nobody answers, or a part of Parley is away."""


class DataLossError(ParleyError):
    """DATA_LOSS: data are lost."""


class UnauthenticatedError(ParleyError):
    """UNAUTHENTICATED: no token, or one that is not good."""


class StreamGapError(DataLossError):
    """The events of a turn do not fit together: one is missing, or one belongs elsewhere. What was read so far is right."""

    def __init__(self, turn_id: str, *, after_sequence: int, received: str) -> None:
        super().__init__(
            f"The events of turn {turn_id} do not fit together: after number {after_sequence} came {received}.",
            code=grpc.StatusCode.DATA_LOSS,
        )
        self.turn_id = turn_id
        self.after_sequence = after_sequence
        """The last event that fits. The turn can be read again from here."""


class TurnFailedError(ParleyError):
    """A turn ended with a `failed` event. `code`, `reason` and `message` are those of the failure."""

    def __init__(self, failure: message_pb2.Failure, partial: message_pb2.Message, *, trace_id: str = "") -> None:
        super().__init__(
            failure.message or "The turn failed.",
            code=_code_of(failure.code),
            reason=failure.reason,
            trace_id=trace_id or partial.trace_id,
        )
        self._retryable = failure.retryable
        self.partial = partial
        """What was written until then, as stored."""

    @property
    def cut(self) -> bool:
        """Never: Parley answered."""
        return False

    @property
    def retryable(self) -> bool:
        """Whether the same message may be answered later. Send it with a new `client_message_id`: this one's turn stays failed."""
        return self._retryable


_CLASSES: Mapping[grpc.StatusCode, type[ParleyError]] = {
    grpc.StatusCode.CANCELLED: CallCancelledError,
    grpc.StatusCode.UNKNOWN: UnknownError,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgumentError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExistsError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhaustedError,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPreconditionError,
    grpc.StatusCode.ABORTED: AbortedError,
    grpc.StatusCode.OUT_OF_RANGE: OutOfRangeError,
    grpc.StatusCode.UNIMPLEMENTED: UnimplementedError,
    grpc.StatusCode.INTERNAL: InternalError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.DATA_LOSS: DataLossError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
}
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def error_class(code: grpc.StatusCode) -> type[ParleyError]:
    """The class that stands for a status other than OK."""
    return _CLASSES[code]


def error_from(error: grpc.aio.AioRpcError) -> ParleyError:
    """Reads what Parley, the edge or gRPC itself says of a call that failed."""
    metadata = _metadata_of(error)
    reason, facts = "", dict[str, str]()
    violations: list[FieldViolation] = []
    retry_after = _seconds(metadata.get("retry-after"))
    for detail in _details_of(metadata):
        if isinstance(detail, error_details_pb2.ErrorInfo) and detail.domain == _DOMAIN:
            reason, facts = detail.reason, dict(detail.metadata)
        elif isinstance(detail, error_details_pb2.BadRequest):
            violations += [FieldViolation(each.field, each.description) for each in detail.field_violations]
        elif isinstance(detail, error_details_pb2.RetryInfo):
            retry_after = detail.retry_delay.ToTimedelta().total_seconds()
    trace_id = facts.pop("trace_id", "") or _text(metadata.get("x-trace-id"))
    words = error.details() or error.code().name
    told = error_class(error.code())(
        words,
        code=error.code(),
        reason=reason,
        metadata=facts,
        field_violations=tuple(violations),
        retry_after=retry_after,
        trace_id=trace_id,
    )
    if error.code() is grpc.StatusCode.UNAVAILABLE and not reason:
        # gRPC and the edge have no other way to say it than in words.
        told.unsent = words.startswith(_UNSENT_WORDS)
        told.refused = told.unsent and _REFUSED_WORDS in words
    return told


def _metadata_of(error: grpc.aio.AioRpcError) -> dict[str, str | bytes]:
    found: dict[str, str | bytes] = {}
    for metadata in (error.initial_metadata(), error.trailing_metadata()):
        found.update({str(key).lower(): value for key, value in metadata or ()})
    return found


def _details_of(metadata: Mapping[str, str | bytes]) -> list[object]:
    packed = metadata.get(_STATUS_DETAILS)
    if not isinstance(packed, bytes):
        return []
    try:
        status = status_pb2.Status.FromString(packed)
    except DecodeError:
        # A proxy mangled it: the code and the words are still good.
        return []
    details: list[object] = []
    for each in status.details:
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo):
            detail = kind()
            if each.Unpack(detail):
                details.append(detail)
    return details


def _seconds(value: str | bytes | None) -> float | None:
    text = _text(value)
    # `retry-after` may also be a date; nobody between here and Parley sends one.
    return float(text) if text.isascii() and text.isdigit() else None


def _text(value: str | bytes | None) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value or ""


def _code_of(number: int) -> grpc.StatusCode:
    code = _CODES.get(number, grpc.StatusCode.UNKNOWN)
    return grpc.StatusCode.UNKNOWN if code is grpc.StatusCode.OK else code

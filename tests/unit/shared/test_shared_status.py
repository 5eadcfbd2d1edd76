"""Statuses: what goes into them, what comes out of them, and what never does."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from parley_shared.status import DETAILS_KEY, StatusError, not_found, service_unavailable, status_error_from


def received(code: grpc.StatusCode, details: str, *trailing: tuple[str, bytes]) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), details=details)


def unpacked(status: status_pb2.Status) -> tuple[error_details_pb2.ErrorInfo, list[str]]:
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info, [detail.TypeName() for detail in status.details]


def test_a_status_carries_the_reason_the_domain_and_the_trace() -> None:
    status = not_found("session").to_status("ab" * 16)
    info, kinds = unpacked(status)
    assert (status.code, status.message) == (5, "There is no such session.")
    assert (info.reason, info.domain) == ("ERROR_REASON_RESOURCE_NOT_FOUND", "parley")
    assert dict(info.metadata) == {"resource": "session", "trace_id": "ab" * 16}
    assert kinds == ["google.rpc.ErrorInfo"]


def test_violations_and_the_retry_delay_are_details_of_their_own() -> None:
    error = StatusError(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "ERROR_REASON_TOO_MANY_TURNS",
        "Too many.",
        violations=[("a.b", "must be shorter")],
        retry_after_seconds=1.5,
    )
    _, kinds = unpacked(error.to_status(""))
    assert kinds == ["google.rpc.ErrorInfo", "google.rpc.BadRequest", "google.rpc.RetryInfo"]


def test_a_status_that_another_service_sent_comes_back_whole() -> None:
    sent = StatusError(
        grpc.StatusCode.UNAVAILABLE,
        "ERROR_REASON_PROVIDER_UNAVAILABLE",
        "The provider does not answer.",
        metadata={"provider": "openai"},
        violations=[("field", "words")],
        retry_after_seconds=0.25,
    )
    wire = (DETAILS_KEY, sent.to_status("cd" * 16).SerializeToString())
    back = status_error_from(received(sent.code, sent.message, wire))
    assert vars(back) == vars(sent)


@pytest.mark.parametrize(
    ("code", "then_code", "then_reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_SERVICE_UNAVAILABLE"),
        (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_SERVICE_UNAVAILABLE"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.DEADLINE_EXCEEDED, "ERROR_REASON_DEADLINE_EXCEEDED"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_LIMIT_EXCEEDED"),
        (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INTERNAL, "ERROR_REASON_INTERNAL"),
        (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, "ERROR_REASON_INTERNAL"),
    ],
)
def test_of_an_error_of_the_transport_only_the_code_is_kept(
    code: grpc.StatusCode, then_code: grpc.StatusCode, then_reason: str
) -> None:
    error = status_error_from(received(code, "failed to connect to ipv4:10.1.2.3:50052"), service="inference")
    assert (error.code, error.reason) == (then_code, then_reason)
    assert "10.1.2.3" not in error.message


@pytest.mark.parametrize("damaged", [b"\xff\xff\xff", status_pb2.Status(code=3).SerializeToString()])
def test_details_that_are_damaged_or_not_parleys_are_not_trusted(damaged: bytes) -> None:
    error = status_error_from(received(grpc.StatusCode.INVALID_ARGUMENT, "words", (DETAILS_KEY, damaged)))
    assert error.reason == "ERROR_REASON_INTERNAL"


def test_an_unavailable_service_is_named_and_may_be_tried_again() -> None:
    error = service_unavailable("retrieval")
    assert "retrieval" in error.message
    assert error.retry_after_seconds == 1


def test_a_reason_that_the_contract_does_not_know_is_a_mistake_of_the_programmer() -> None:
    with pytest.raises(ValueError, match="NO_SUCH"):
        StatusError(grpc.StatusCode.INTERNAL, "NO_SUCH", "words")


def test_a_status_stays_small_enough_for_the_headers_it_travels_in() -> None:
    error = StatusError(
        grpc.StatusCode.INVALID_ARGUMENT,
        "ERROR_REASON_INVALID_FIELD",
        "🦜" * 100_000,
        metadata={"field": "y" * 100_000},
        violations=[(f"messages[{i}].{'ü' * 50_000}", "w" * 50_000) for i in range(1000)],
    )
    assert error.to_status("ab" * 16).ByteSize() < 6 * 1024  # and a third more when it is written as text

"""What a failed call of inference means here."""

from __future__ import annotations

import grpc
from parley_shared.status import status_error_from

from parley_chat.domain.conversation import Failure
from parley_chat.domain.errors import GenerationError, InferenceUnreachableError

_RETRYABLE = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
}
_NOT_ITS_OWN_WORDS = {"", "ERROR_REASON_UNSPECIFIED", "ERROR_REASON_SERVICE_UNAVAILABLE"}
_REFUSED_TOKEN = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}

UNREACHABLE = "The model service cannot be reached right now. Try again in a moment."


def generation_error_from(error: grpc.aio.AioRpcError, unreachable: str = UNREACHABLE) -> GenerationError:
    """Makes the error of what inference said. Where others spoke for it, or it does not take chat's token, it counts as not reached.

    `unreachable` is what a person is then told.
    """
    status = status_error_from(error)
    if status.reason in _NOT_ITS_OWN_WORDS or status.code in _REFUSED_TOKEN:
        # The user's own token is good: chat has looked.
        code = grpc.StatusCode.UNAVAILABLE.value[0]
        return InferenceUnreachableError(Failure(code, "ERROR_REASON_SERVICE_UNAVAILABLE", unreachable, retryable=True))
    return GenerationError(
        Failure(status.code.value[0], status.reason, status.message, retryable=status.code in _RETRYABLE),
        metadata=status.metadata,
        violations=status.violations,
        retry_after_seconds=status.retry_after_seconds,
    )

"""What chat's own errors become on the wire: code, reason and words for people, each written once, here.

Not the errors of a request's form (`validation.py`), and not what nobody expected: an error without a row here ends as
INTERNAL, its cause in the log only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grpc import StatusCode
from parley_shared.status import StatusError, not_found

from parley_chat.domain import accounts, errors, tokens
from parley_chat.domain.tasks import InvalidTaskError, TooManyTasksError


def to_status_error(error: Exception) -> StatusError | None:
    """The status of one of chat's own errors; None for any other."""
    row = _ROWS.get(type(error))
    return None if row is None else row(error)


def _email_taken(_: accounts.EmailTakenError) -> StatusError:
    return StatusError(
        StatusCode.ALREADY_EXISTS,
        "ERROR_REASON_EMAIL_TAKEN",
        "An account with this e-mail address exists. Sign in instead.",
        metadata={"field": "email"},
    )


def _credentials_wrong(_: accounts.CredentialsWrongError) -> StatusError:
    return StatusError(
        StatusCode.UNAUTHENTICATED, "ERROR_REASON_CREDENTIALS_WRONG", "The e-mail address or the password is wrong."
    )


def _sign_up_closed(_: accounts.SignUpClosedError) -> StatusError:
    return StatusError(
        StatusCode.PERMISSION_DENIED,
        "ERROR_REASON_SIGN_UP_CLOSED",
        "Nobody can sign up here. Ask the operator for an account.",
    )


def _user_unknown(_: accounts.UserUnknownError) -> StatusError:
    return StatusError(
        StatusCode.UNAUTHENTICATED, "ERROR_REASON_TOKEN_INVALID", "The token is not valid. Sign in again."
    )


def _refresh_token_refused(_: tokens.RefreshTokenRefusedError) -> StatusError:
    # TOKEN_EXPIRED would tell a client to refresh, and there is nothing left to refresh with.
    return StatusError(
        StatusCode.UNAUTHENTICATED, "ERROR_REASON_TOKEN_INVALID", "The sign-in has ended. Sign in again."
    )


def _scope_unknown(error: tokens.ScopeUnknownError) -> StatusError:
    known = ", ".join(sorted(tokens.USER_SCOPES))
    return StatusError(
        StatusCode.INVALID_ARGUMENT,
        "ERROR_REASON_INVALID_FIELD",
        "The request asks for scopes that no token of a user can have.",
        metadata={"field": f"scopes[{error.positions[0]}]"},
        violations=[(f"scopes[{position}]", f"must be one of {known}") for position in error.positions],
    )


def _scope_exceeded(error: tokens.ScopeExceededError) -> StatusError:
    return StatusError(
        StatusCode.PERMISSION_DENIED,
        "ERROR_REASON_SCOPE_MISSING",
        f"A token cannot make one that may do more than itself: it lacks the scope {error.scope}.",
        metadata={"scope": error.scope},
    )


def _personal_token_not_found(_: tokens.PersonalTokenNotFoundError) -> StatusError:
    return not_found("access_token")


def _too_many_personal_tokens(error: tokens.TooManyPersonalTokensError) -> StatusError:
    return StatusError(
        StatusCode.RESOURCE_EXHAUSTED,
        "ERROR_REASON_LIMIT_EXCEEDED",
        f"There are {error.limit} personal access tokens already. Revoke some first.",
        metadata={"limit": str(error.limit)},
    )


def _not_found(error: errors.NotFoundError) -> StatusError:
    return not_found(error.resource)


def _client_message_id_reused(error: errors.ClientMessageIdReusedError) -> StatusError:
    return StatusError(
        StatusCode.ALREADY_EXISTS,
        "ERROR_REASON_CLIENT_MESSAGE_ID_REUSED",
        "A different message was sent under this client_message_id. Choose another one.",
        metadata={"turn_id": error.turn_id},
    )


def _turn_log_expired(error: errors.TurnLogExpiredError) -> StatusError:
    return StatusError(
        StatusCode.FAILED_PRECONDITION,
        "ERROR_REASON_TURN_LOG_EXPIRED",
        "The events of this turn are no longer kept. Read its outcome from the session's messages.",
        metadata={"turn_id": error.turn_id},
    )


def _too_many_turns(error: errors.TooManyTurnsError) -> StatusError:
    return StatusError(
        StatusCode.RESOURCE_EXHAUSTED,
        "ERROR_REASON_TOO_MANY_TURNS",
        "Too many answers are being written at once. Wait for one to end, or stop one.",
        metadata={"limit": str(error.limit)},
        retry_after_seconds=1.0,
    )


def _too_many_tasks(error: TooManyTasksError) -> StatusError:
    return StatusError(
        StatusCode.RESOURCE_EXHAUSTED,
        "ERROR_REASON_LIMIT_EXCEEDED",
        f"There are {error.limit} open tasks already. Complete or delete some first.",
        metadata={"limit": str(error.limit)},
    )


def _invalid_task(error: InvalidTaskError) -> StatusError:
    return StatusError(
        StatusCode.INVALID_ARGUMENT,
        "ERROR_REASON_INVALID_FIELD",
        f"{error.field} {error.words}.",
        metadata={"field": error.field},
        violations=[(error.field, error.words)],
    )


def _draining(_: errors.DrainingError) -> StatusError:
    return StatusError(
        StatusCode.UNAVAILABLE,
        "ERROR_REASON_SERVICE_UNAVAILABLE",
        "The service is about to restart. Try again in a moment.",
        metadata={"service": "chat"},
        retry_after_seconds=1.0,
    )


def _turn_failed(error: errors.TurnFailedError) -> StatusError:
    return StatusError(
        _CODES[error.failure.code],
        error.failure.reason,
        error.failure.message,
        metadata={"turn_id": error.turn_id},
        retry_after_seconds=1.0 if error.failure.retryable else None,
    )


def _turn_stopped(error: errors.TurnStoppedError) -> StatusError:
    return StatusError(
        StatusCode.CANCELLED,
        "ERROR_REASON_TURN_STOPPED",
        "The answer was stopped before it was whole. What was written is in the session's messages.",
        metadata={"turn_id": error.turn_id},
    )


def _generation_failed(error: errors.GenerationError) -> StatusError:
    retry_after_seconds = error.retry_after_seconds
    if retry_after_seconds is None and error.failure.retryable:
        retry_after_seconds = 1.0
    return StatusError(
        _CODES[error.failure.code],
        error.failure.reason,
        error.failure.message,
        metadata=error.metadata,
        violations=error.violations,
        retry_after_seconds=retry_after_seconds,
    )


_CODES: dict[int, StatusCode] = {code.value[0]: code for code in StatusCode}

_ROWS: dict[type[Exception], Callable[[Any], StatusError]] = {
    accounts.EmailTakenError: _email_taken,
    accounts.CredentialsWrongError: _credentials_wrong,
    accounts.SignUpClosedError: _sign_up_closed,
    accounts.UserUnknownError: _user_unknown,
    tokens.RefreshTokenRefusedError: _refresh_token_refused,
    tokens.ScopeUnknownError: _scope_unknown,
    tokens.ScopeExceededError: _scope_exceeded,
    tokens.PersonalTokenNotFoundError: _personal_token_not_found,
    tokens.TooManyPersonalTokensError: _too_many_personal_tokens,
    errors.NotFoundError: _not_found,
    errors.ClientMessageIdReusedError: _client_message_id_reused,
    errors.TurnLogExpiredError: _turn_log_expired,
    errors.TooManyTurnsError: _too_many_turns,
    TooManyTasksError: _too_many_tasks,
    InvalidTaskError: _invalid_task,
    errors.DrainingError: _draining,
    errors.TurnFailedError: _turn_failed,
    errors.GenerationError: _generation_failed,
    errors.InferenceUnreachableError: _generation_failed,
    errors.TurnStoppedError: _turn_stopped,
}

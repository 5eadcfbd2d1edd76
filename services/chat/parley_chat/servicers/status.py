"""What chat's own errors become on the wire: code, reason and words for people, each written once, here.

Not the errors of a request's form (`validation.py`), and not what nobody expected: an error without a row here ends as
INTERNAL, its cause in the log only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grpc import StatusCode
from parley_shared.status import StatusError, not_found, service_unavailable

from parley_chat.domain import accounts, batches, errors, foreign_tokens, tokens
from parley_chat.domain.budgets import BudgetExceededError, TooManyBudgetsError
from parley_chat.domain.calendar import (
    InvalidEventError,
    ReadOnlyEventError,
    TooManyAccountsError,
    TooManyEventsError,
)
from parley_chat.domain.flags import FlagRevisionError, TooManyFlagsError
from parley_chat.domain.meeting_bots import TooManyBotsError
from parley_chat.domain.projects import TooManyProjectsError
from parley_chat.domain.tasks import InvalidTaskError, TooManyTasksError
from parley_chat.domain.webhooks import TooManyWebhooksError


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


def _user_disabled(_: accounts.UserDisabledError) -> StatusError:
    return StatusError(
        StatusCode.PERMISSION_DENIED,
        "ERROR_REASON_ACCOUNT_DISABLED",
        "This account is disabled. Ask an admin of the installation.",
    )


def _foreign_token_refused(_: foreign_tokens.ForeignTokenRefusedError) -> StatusError:
    return StatusError(
        StatusCode.UNAUTHENTICATED, "ERROR_REASON_TOKEN_INVALID", "The token is not valid. Sign in again."
    )


def _foreign_token_expired(_: foreign_tokens.ForeignTokenExpiredError) -> StatusError:
    return StatusError(
        StatusCode.UNAUTHENTICATED,
        "ERROR_REASON_TOKEN_EXPIRED",
        "The token has expired. Get another one from your identity provider.",
    )


def _own_account(_: accounts.OwnAccountError) -> StatusError:
    return StatusError(
        StatusCode.INVALID_ARGUMENT,
        "ERROR_REASON_INVALID_FIELD",
        "An admin cannot do this to their own account. Another admin can.",
        metadata={"field": "user_id"},
        violations=[("user_id", "must be another user than the caller")],
    )


def _sign_ins_throttled(error: accounts.SignInsThrottledError) -> StatusError:
    return StatusError(
        StatusCode.RESOURCE_EXHAUSTED,
        "ERROR_REASON_LIMIT_EXCEEDED",
        "Too many sign-ins with this address have failed. Wait a moment before the next one.",
        retry_after_seconds=error.wait_seconds,
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
    known = ", ".join(sorted(tokens.USER_SCOPES | tokens.ADMIN_SCOPES))
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


def _too_many_projects(error: TooManyProjectsError) -> StatusError:
    return StatusError(
        StatusCode.RESOURCE_EXHAUSTED,
        "ERROR_REASON_LIMIT_EXCEEDED",
        f"There are {error.limit} projects already. Delete some first.",
        metadata={"limit": str(error.limit)},
    )


def _too_many_batches(error: batches.TooManyBatchesError) -> StatusError:
    return StatusError(
        StatusCode.RESOURCE_EXHAUSTED,
        "ERROR_REASON_LIMIT_EXCEEDED",
        f"There are {error.limit} batches already. Delete some first.",
        metadata={"limit": str(error.limit)},
    )


def _too_many_uploads(error: batches.TooManyUploadsError) -> StatusError:
    return StatusError(
        StatusCode.RESOURCE_EXHAUSTED,
        "ERROR_REASON_LIMIT_EXCEEDED",
        "Too many batches are being sent at once. Wait until one has arrived.",
        metadata={"limit": str(error.limit)},
        retry_after_seconds=1.0,
    )


def _batch_state(error: batches.BatchStateError) -> StatusError:
    return StatusError(
        StatusCode.FAILED_PRECONDITION,
        "ERROR_REASON_JOB_STATE",
        "The batch is not paused.",
        metadata={"state": error.state.name},
    )


def _batch_name_taken(_: batches.BatchNameTakenError) -> StatusError:
    words = "belongs to a batch with other lines"
    return StatusError(
        StatusCode.INVALID_ARGUMENT,
        "ERROR_REASON_INVALID_FIELD",
        f"client_batch_id {words}.",
        metadata={"field": "client_batch_id"},
        violations=[("client_batch_id", words)],
    )


def _upload_cut(error: batches.UploadCutError) -> StatusError:
    return StatusError(
        StatusCode.DEADLINE_EXCEEDED,
        "ERROR_REASON_STREAM_IDLE",
        "Nothing more of the batch came. Nothing of it is stored.",
        metadata={"idle_seconds": f"{error.seconds:g}"},
    )


def _too_many_budgets(error: TooManyBudgetsError) -> StatusError:
    return StatusError(
        StatusCode.RESOURCE_EXHAUSTED,
        "ERROR_REASON_LIMIT_EXCEEDED",
        f"There are {error.limit} budgets already. Delete some first.",
        metadata={"limit": str(error.limit)},
    )


def _too_many_bots(error: TooManyBotsError) -> StatusError:
    return StatusError(
        StatusCode.RESOURCE_EXHAUSTED,
        "ERROR_REASON_LIMIT_EXCEEDED",
        f"{error.limit} bots of meetings are waiting already. Delete some first.",
        metadata={"limit": str(error.limit)},
    )


def _too_many_webhooks(error: TooManyWebhooksError) -> StatusError:
    return StatusError(
        StatusCode.RESOURCE_EXHAUSTED,
        "ERROR_REASON_LIMIT_EXCEEDED",
        f"There are {error.limit} webhooks already. Delete some first.",
        metadata={"limit": str(error.limit)},
    )


def _too_many_flags(error: TooManyFlagsError) -> StatusError:
    return StatusError(
        StatusCode.RESOURCE_EXHAUSTED,
        "ERROR_REASON_LIMIT_EXCEEDED",
        f"There are {error.limit} flags already. Delete some first.",
        metadata={"limit": str(error.limit)},
    )


def _flag_revision(error: FlagRevisionError) -> StatusError:
    words = f"is in revision {error.revision}" if error.revision else "is not set"
    return StatusError(
        StatusCode.ABORTED,
        "ERROR_REASON_REVISION_MISMATCH",
        f"The flag was changed meanwhile: it {words}. Read it again.",
        metadata={"revision": str(error.revision)},
    )


def _invalid_event(error: InvalidEventError) -> StatusError:
    return StatusError(
        StatusCode.INVALID_ARGUMENT,
        "ERROR_REASON_INVALID_FIELD",
        f"{error.field} {error.words}.",
        metadata={"field": error.field},
        violations=[(error.field, error.words)],
    )


def _read_only_event(_: ReadOnlyEventError) -> StatusError:
    return StatusError(
        StatusCode.FAILED_PRECONDITION,
        "ERROR_REASON_INVALID_FIELD",
        "The event is kept by the calendar that it was synchronized from, and cannot be changed here.",
        metadata={"field": "event_id"},
        violations=[("event_id", "must be of an event that is not read-only")],
    )


def _too_many_accounts(error: TooManyAccountsError) -> StatusError:
    return StatusError(
        StatusCode.RESOURCE_EXHAUSTED,
        "ERROR_REASON_LIMIT_EXCEEDED",
        f"There are {error.limit} calendar accounts already. Take some away first.",
        metadata={"limit": str(error.limit)},
    )


def _too_many_events(error: TooManyEventsError) -> StatusError:
    return StatusError(
        StatusCode.RESOURCE_EXHAUSTED,
        "ERROR_REASON_LIMIT_EXCEEDED",
        f"There are {error.limit} events already. Delete some first.",
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


def _approval_closed(error: errors.ApprovalClosedError) -> StatusError:
    state = error.state.value.upper()
    words = {
        "APPROVED": "The call was approved before.",
        "DENIED": "The call was denied before.",
        "EXPIRED": "It is too late: nobody decided in time, and the answer has gone on without the call.",
    }.get(state, "The answer has ended, and the call is no longer asked for.")
    return StatusError(StatusCode.FAILED_PRECONDITION, "ERROR_REASON_APPROVAL_CLOSED", words, metadata={"state": state})


def _tool_scope_missing(error: errors.ToolScopeMissingError) -> StatusError:
    return StatusError(
        StatusCode.PERMISSION_DENIED,
        "ERROR_REASON_SCOPE_MISSING",
        f"A token cannot let a model do what it may not do itself: it lacks the scope {error.scope}.",
        metadata={"scope": error.scope},
    )


def _tool_arguments(error: errors.ToolArgumentsError) -> StatusError:
    field, words = error.violations[0]
    return StatusError(
        StatusCode.INVALID_ARGUMENT,
        "ERROR_REASON_INVALID_FIELD",
        f"{field} {words}.",
        metadata={"field": field},
        violations=error.violations,
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
    foreign_tokens.ForeignTokenRefusedError: _foreign_token_refused,
    foreign_tokens.ForeignTokenExpiredError: _foreign_token_expired,
    foreign_tokens.IssuerUnreachableError: lambda _: service_unavailable("identity provider"),
    foreign_tokens.IssuerNotFoundError: lambda _: not_found("issuer"),
    accounts.UserDisabledError: _user_disabled,
    accounts.OwnAccountError: _own_account,
    accounts.UserNotFoundError: lambda _: not_found("user"),
    accounts.SignInsThrottledError: _sign_ins_throttled,
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
    InvalidEventError: _invalid_event,
    ReadOnlyEventError: _read_only_event,
    TooManyAccountsError: _too_many_accounts,
    TooManyEventsError: _too_many_events,
    TooManyBotsError: _too_many_bots,
    TooManyWebhooksError: _too_many_webhooks,
    TooManyFlagsError: _too_many_flags,
    FlagRevisionError: _flag_revision,
    InvalidTaskError: _invalid_task,
    batches.TooManyBatchesError: _too_many_batches,
    batches.TooManyUploadsError: _too_many_uploads,
    batches.BatchStateError: _batch_state,
    batches.BatchNameTakenError: _batch_name_taken,
    batches.UploadCutError: _upload_cut,
    TooManyProjectsError: _too_many_projects,
    errors.DrainingError: _draining,
    BudgetExceededError: _generation_failed,
    TooManyBudgetsError: _too_many_budgets,
    errors.TurnFailedError: _turn_failed,
    errors.GenerationError: _generation_failed,
    errors.InferenceUnreachableError: _generation_failed,
    errors.TurnStoppedError: _turn_stopped,
    errors.ApprovalClosedError: _approval_closed,
    errors.ToolScopeMissingError: _tool_scope_missing,
    errors.ToolArgumentsError: _tool_arguments,
}

"""What inference's own errors become on the wire: code, reason and words for people, each written once, here.

Not the errors of a request's form (`validation.py`), and not what nobody expected: an error without a row here ends as
INTERNAL, its cause in the log only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from grpc import StatusCode
from parley_shared.status import StatusError

from parley_inference.domain import errors
from parley_inference.servicers import scoring_status

_logger = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0
_RATE_LIMIT_RETRY_SECONDS = 5.0


def to_status_error(error: Exception) -> StatusError | None:
    """The status of one of inference's own errors; None for any other. What a provider did is logged: its words go no further."""
    row = _ROWS.get(type(error))
    if row is None:
        return None
    if isinstance(error, errors.ProviderError):
        _logger.warning("provider %s: %s: %s", error.provider, type(error).__name__, error.detail)
    return row(error)


def reason_of(error: errors.InferenceError) -> str:
    """The name of the ErrorReason that one of inference's own errors has."""
    return _ROWS[type(error)](error).reason


def _model_not_found(error: errors.ModelNotFoundError) -> StatusError:
    if error.provider and not error.model:
        words = f"The provider {error.provider} has no model that writes. Give it one, or name one in PARLEY_INFERENCE_MODEL."
    elif error.provider:
        words = f"The provider {error.provider} does not know the model {error.model}."
    else:
        words = f"No model {error.model} is configured."
    metadata = {"model": error.model}
    if error.nearest:
        metadata["nearest"] = ",".join(error.nearest)
        words = f"{words} Is one of these meant: {', '.join(error.nearest)}?"
    if error.advice:
        words = f"{words} {error.advice}"
    return StatusError(StatusCode.NOT_FOUND, "ERROR_REASON_MODEL_NOT_FOUND", words, metadata=metadata)


def _model_not_capable(error: errors.ModelNotCapableError) -> StatusError:
    if error.capability == "embed":
        words = "No embedding model is configured, or the model named is none."
    elif error.capability == "images":
        words = f"The model {error.model} sees no pictures. Ask another, or leave them out."
    elif error.capability == "structured_output":
        words = (
            f"The model {error.model} understands nothing: it fills a schema only with what the request says in plain words, like "
            "`name=value`, and something that the schema requires is not said so. Configure a provider for real answers."
        )
    else:
        words = f"The model {error.model} does not write text."
    return StatusError(
        StatusCode.FAILED_PRECONDITION, "ERROR_REASON_MODEL_NOT_CAPABLE", words, metadata={"model": error.model}
    )


def _agent_not_found(error: errors.AgentNotFoundError) -> StatusError:
    return _not_found("agent", error.agent_id, error.nearest)


def _template_not_found(error: errors.TemplateNotFoundError) -> StatusError:
    return _not_found("template", error.template_id, error.nearest)


def _not_found(resource: str, name: str, nearest: Sequence[str]) -> StatusError:
    words = f"There is no {resource} {name}."
    metadata = {"resource": resource}
    if nearest:
        metadata["nearest"] = ",".join(nearest)
        words = f"{words} Is one of these meant: {', '.join(nearest)}?"
    return StatusError(StatusCode.NOT_FOUND, "ERROR_REASON_RESOURCE_NOT_FOUND", words, metadata=metadata)


def _content_fields(error: errors.ContentFieldsError) -> StatusError:
    field, problem = error.problems[0]
    more = f" ({len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
    return StatusError(
        StatusCode.INVALID_ARGUMENT,
        "ERROR_REASON_INVALID_FIELD",
        f"{field} {problem}{more}.",
        metadata={"field": field},
        violations=error.problems,
    )


def _prompt_too_long(error: errors.PromptTooLongError) -> StatusError:
    figures = {"tokens": error.tokens, "limit": error.limit}
    has = f"has about {error.tokens} tokens" if error.tokens else "has too many tokens"
    fits = (
        f", and {error.limit} fit into the model's context window" if error.limit else " for the model's context window"
    )
    return StatusError(
        StatusCode.INVALID_ARGUMENT,
        "ERROR_REASON_PROMPT_TOO_LONG",
        f"The prompt {has}{fits}. Shorten it, or choose a model with a larger window.",
        metadata={name: str(figure) for name, figure in figures.items() if figure},
    )


def _schema_unmet(error: errors.ResponseSchemaUnmetError) -> StatusError:
    return StatusError(
        StatusCode.ABORTED,
        "ERROR_REASON_RESPONSE_SCHEMA_UNMET",
        f"The model's answer does not satisfy the request's JSON Schema at {error.path}, nor did its repair. Try again.",
        metadata={"path": error.path},
    )


def _generation_too_long(error: errors.GenerationTooLongError) -> StatusError:
    return StatusError(
        StatusCode.DEADLINE_EXCEEDED,
        "ERROR_REASON_DEADLINE_EXCEEDED",
        f"The answer took longer than the {error.seconds:g} s that a generation may take.",
    )


def _embeddings_too_large(error: errors.EmbeddingsTooLargeError) -> StatusError:
    return StatusError(
        StatusCode.RESOURCE_EXHAUSTED,
        "ERROR_REASON_LIMIT_EXCEEDED",
        f"Vectors of {error.dimensions} components fit into one answer up to {error.most} at a time. Ask for fewer texts at once.",
        metadata={"limit": str(error.most)},
    )


def _unavailable(error: errors.ProviderUnavailableError) -> StatusError:
    asked = error.retry_after_seconds
    return StatusError(
        StatusCode.UNAVAILABLE,
        "ERROR_REASON_PROVIDER_UNAVAILABLE",
        f"The model provider {error.provider} cannot be reached, failed, or broke off. {error.advice or 'Try again in a moment.'}",
        metadata={"provider": error.provider},
        retry_after_seconds=_RETRY_SECONDS if asked is None else asked,
    )


def _stalled(error: errors.ProviderStalledError) -> StatusError:
    return StatusError(
        StatusCode.UNAVAILABLE,
        "ERROR_REASON_PROVIDER_STALLED",
        f"The model provider {error.provider} sent nothing for {error.seconds:g} s. Try again in a moment.",
        metadata={"provider": error.provider},
        retry_after_seconds=_RETRY_SECONDS,
    )


def _rate_limited(error: errors.ProviderRateLimitedError) -> StatusError:
    asked = error.retry_after_seconds
    return StatusError(
        StatusCode.RESOURCE_EXHAUSTED,
        "ERROR_REASON_PROVIDER_RATE_LIMITED",
        f"The model provider {error.provider} limits the rate of calls. Try again later.",
        metadata={"provider": error.provider},
        retry_after_seconds=_RATE_LIMIT_RETRY_SECONDS if asked is None else asked,
    )


def _quota(error: errors.ProviderQuotaError) -> StatusError:
    return StatusError(
        StatusCode.FAILED_PRECONDITION,
        "ERROR_REASON_PROVIDER_QUOTA",
        f"The account at the model provider {error.provider} has no credit left. The operator has to top it up or raise its limit.",
        metadata={"provider": error.provider},
    )


def _queue_full(error: errors.ProviderQueueFullError) -> StatusError:
    return StatusError(
        StatusCode.RESOURCE_EXHAUSTED,
        "ERROR_REASON_PROVIDER_QUEUE_FULL",
        f"As many calls of the model provider {error.provider} run and wait as may. Try again in a moment.",
        metadata={"provider": error.provider},
        retry_after_seconds=_RETRY_SECONDS,
    )


def _credentials(error: errors.ProviderCredentialsError) -> StatusError:
    return StatusError(
        StatusCode.FAILED_PRECONDITION,
        "ERROR_REASON_PROVIDER_CREDENTIALS",
        f"The model provider {error.provider} refused the credentials that Parley is configured with. The operator has to set others.",
        metadata={"provider": error.provider},
    )


def _rejected(error: errors.ProviderRejectedError) -> StatusError:
    words = f"The model provider {error.provider} refused the request"
    return StatusError(
        StatusCode.INVALID_ARGUMENT,
        "ERROR_REASON_PROVIDER_REJECTED",
        f"{words}: {error.detail}" if error.detail else f"{words}.",
        metadata={"provider": error.provider},
    )


_ROWS: dict[type[Exception], Callable[[Any], StatusError]] = {
    errors.ModelNotFoundError: _model_not_found,
    errors.ModelNotCapableError: _model_not_capable,
    errors.PromptTooLongError: _prompt_too_long,
    errors.ResponseSchemaUnmetError: _schema_unmet,
    errors.GenerationTooLongError: _generation_too_long,
    errors.AgentNotFoundError: _agent_not_found,
    errors.TemplateNotFoundError: _template_not_found,
    errors.ContentFieldsError: _content_fields,
    errors.EmbeddingsTooLargeError: _embeddings_too_large,
    errors.ProviderUnavailableError: _unavailable,
    errors.ProviderStalledError: _stalled,
    errors.ProviderRateLimitedError: _rate_limited,
    errors.ProviderQuotaError: _quota,
    errors.ProviderQueueFullError: _queue_full,
    errors.ProviderCredentialsError: _credentials,
    errors.ProviderRejectedError: _rejected,
    **scoring_status.ROWS,
}

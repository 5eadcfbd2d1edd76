"""What the errors of lead scoring become on the wire; `status.py` takes these rows among its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from grpc import StatusCode
from parley_shared.status import StatusError, internal, not_found

from parley_inference.domain import scoring_errors as errors

_logger = logging.getLogger(__name__)

_QUEUE_RETRY_SECONDS = 10.0
_STORE_RETRY_SECONDS = 2.0


def _unusable(error: errors.TrainingDataUnusableError) -> StatusError:
    return StatusError(
        StatusCode.INVALID_ARGUMENT,
        "ERROR_REASON_TRAINING_DATA_UNUSABLE",
        f"No model can be trained: {error.words.removesuffix('.')}.",
        metadata={"field": error.field},
        violations=[(error.field, error.words)],
    )


def _not_found(error: errors.ScoringModelNotFoundError) -> StatusError:
    del error
    return not_found("scoring model")


def _damaged(error: errors.ScoringModelDamagedError) -> StatusError:
    _logger.error("a scoring model cannot be read: %s", error)
    return StatusError(
        StatusCode.INTERNAL,
        "ERROR_REASON_INTERNAL",
        f"Version {error.version} of the scoring model {error.name} is damaged. Train the model again.",
    )


def _too_many(error: errors.ScoringModelLimitError) -> StatusError:
    return _limit(
        f"There are {error.limit} scoring models, which is as many as a user may have. Delete one.", error.limit
    )


def _store_unavailable(error: errors.ScoringStoreUnavailableError) -> StatusError:
    _logger.error("the store of scoring models: %s", error)
    return StatusError(
        StatusCode.UNAVAILABLE,
        "ERROR_REASON_SERVICE_UNAVAILABLE",
        "The store of scoring models does not answer. Try again in a moment.",
        metadata={"service": "scoring models"},
        retry_after_seconds=_STORE_RETRY_SECONDS,
    )


def _queue_full(error: errors.ScoringQueueFullError) -> StatusError:
    words = "As many trainings run and wait as may. Try again in a moment."
    return _limit(words, error.limit, retry_after_seconds=_QUEUE_RETRY_SECONDS)


def _too_long(error: errors.ScoringTooLongError) -> StatusError:
    return StatusError(
        StatusCode.DEADLINE_EXCEEDED,
        "ERROR_REASON_DEADLINE_EXCEEDED",
        f"It took longer than the {error.seconds:g} s that it may. Give fewer rows or columns.",
    )


def _too_large(error: errors.ScoringTooLargeError) -> StatusError:
    words = f"It needed more than the {error.megabytes} MB of memory that it may. Give fewer rows or columns."
    return _limit(words, error.megabytes)


def _not_installed(error: errors.ScoringNotInstalledError) -> StatusError:
    _logger.error("no scoring model can be trained: %s; install parley-inference[scoring]", error)
    return StatusError(
        StatusCode.FAILED_PRECONDITION,
        "ERROR_REASON_MODEL_NOT_CAPABLE",
        "This Parley is installed without what trains scoring models. The operator has to add it: the extra `scoring`.",
    )


def _failed(error: errors.ScoringFailedError) -> StatusError:
    _logger.error("the scoring process failed: %s", error)
    return internal()


def answer_too_large(limit: int) -> StatusError:
    """RESOURCE_EXHAUSTED: the scores do not fit into one message."""
    return _limit("The scores are more than one message holds. Ask for fewer rows or contributions.", limit)


def _limit(words: str, limit: int, *, retry_after_seconds: float | None = None) -> StatusError:
    return StatusError(
        StatusCode.RESOURCE_EXHAUSTED,
        "ERROR_REASON_LIMIT_EXCEEDED",
        words,
        metadata={"limit": str(limit)},
        retry_after_seconds=retry_after_seconds,
    )


ROWS: dict[type[Exception], Callable[[Any], StatusError]] = {
    errors.TrainingDataUnusableError: _unusable,
    errors.ScoringModelNotFoundError: _not_found,
    errors.ScoringModelDamagedError: _damaged,
    errors.ScoringModelLimitError: _too_many,
    errors.ScoringStoreUnavailableError: _store_unavailable,
    errors.ScoringQueueFullError: _queue_full,
    errors.ScoringTooLongError: _too_long,
    errors.ScoringTooLargeError: _too_large,
    errors.ScoringNotInstalledError: _not_installed,
    errors.ScoringFailedError: _failed,
}
"""The status of each."""

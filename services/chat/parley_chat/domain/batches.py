"""Batches: many prompts that were given together, how far they are, and what is to be done with one that failed. Not what a line says:
that is read by whoever knows its form.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import uuid4

from parley_chat.domain.conversation import Failure
from parley_chat.domain.generation import GenerationUsage

READ_SCOPE = "batches:read"
"""What a token needs to see batches, also among the events."""

_LONGEST_DELAY_SECONDS = 300.0
_LONGEST_REST_SECONDS = 60.0
_ATTEMPTS_WITH_TEXT = 3

_STOPS_ALL = frozenset(
    {
        "ERROR_REASON_BUDGET_EXCEEDED",
        "ERROR_REASON_PROVIDER_QUOTA",
        "ERROR_REASON_PROVIDER_CREDENTIALS",
    }
)
"""What would refuse every further line, until somebody does something about it."""


class BatchState(StrEnum):
    """How far a batch is. The values stand in the database."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    DONE = "done"

    @property
    def ended(self) -> bool:
        """Whether nothing more is written for it."""
        return self in {BatchState.CANCELLED, BatchState.DONE}


class LineState(StrEnum):
    """How far a line is. The values stand in the database."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class LineForm(StrEnum):
    """In whose form a line was written; its result is written in the same. The values stand in the database."""

    PARLEY = "parley"
    OPENAI = "openai"


@dataclass(frozen=True, slots=True)
class BatchLine:
    """One line, checked."""

    number: int
    """Its number in the input, from 1."""
    name: str
    """What its result is found by; no other line of the batch has it."""
    form: LineForm
    request: str
    """What is asked, as JSON, in its form."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What attempts took."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd_micros: int = 0
    unpriced_count: int = 0
    """How many of the attempts had no known price."""
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as its user sees it."""

    batch_id: str
    user_id: str
    title: str
    client_batch_id: str
    state: BatchState
    create_time: datetime
    start_time: datetime | None = None
    end_time: datetime | None = None
    total_count: int = 0
    pending_count: int = 0
    running_count: int = 0
    completed_count: int = 0
    failed_count: int = 0
    cancelled_count: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd_micros: int = 0
    unpriced_count: int = 0
    estimated: bool = False
    pause_reason: str = ""
    pause_message: str = ""


@dataclass(frozen=True, slots=True)
class LineResult:
    """A line that has ended."""

    number: int
    name: str
    form: LineForm
    state: LineState
    result: str
    """What a completed one has, as JSON, in its form; empty otherwise."""
    failure: LineFailure | None
    """Of a failed one."""


@dataclass(frozen=True, slots=True)
class LineFailure:
    """Why a line failed."""

    failure: Failure
    field: str = ""
    """The field of the line that was refused, as its form calls it; empty when it was none."""


class BatchStateError(Exception):
    """What is asked for cannot be done in the state that the batch is in."""

    def __init__(self, state: BatchState) -> None:
        super().__init__(f"the batch is {state.value}")
        self.state = state


class TooManyBatchesError(Exception):
    """The user keeps as many batches as one may."""

    def __init__(self, limit: int) -> None:
        super().__init__("too many batches")
        self.limit = limit


class TooManyUploadsError(Exception):
    """The user sends as many batches at once as one may."""

    def __init__(self, limit: int) -> None:
        super().__init__("too many batches are sent at once")
        self.limit = limit


class BatchNameTakenError(Exception):
    """Another batch of the user has this `client_batch_id`."""


class UploadCutError(Exception):
    """Nothing more came of the lines for so long that they are no longer waited for."""

    def __init__(self, seconds: float) -> None:
        super().__init__("the upload was cut")
        self.seconds = seconds


def new_batch_id() -> str:
    """Names a batch."""
    return f"bat_{uuid4().hex}"


def stops_all(failure: Failure) -> bool:
    """Whether the next lines would fail of the same."""
    return failure.reason in _STOPS_ALL


def passes_soon(retry_after_seconds: float | None) -> bool:
    """Whether what stops all lines does so for a moment only: a budget of which other texts hold the rest, or one that begins anew."""
    return retry_after_seconds is not None and retry_after_seconds <= _LONGEST_REST_SECONDS


def may_be_tried_again(failure: Failure, *, attempts: int, attempts_most: int, spent: Spent) -> bool:
    """Whether a line whose attempts until now were these is tried once more. One that was paid for is not tried as often as one that was
    only turned away."""
    most = min(_ATTEMPTS_WITH_TEXT, attempts_most) if spent.output_tokens else attempts_most
    return failure.retryable and attempts < most


def delay_of(attempts: int, retry_after_seconds: float | None) -> timedelta:
    """How long to wait after the failed attempt of this number, from 1: longer each time, and as long as the provider says."""
    seconds = min(_LONGEST_DELAY_SECONDS, 2.0 ** min(attempts - 1, 16))
    # Spread: what failed together does not come back together.
    seconds *= 0.75 + random.random() / 2  # noqa: S311 - no secret
    return timedelta(seconds=min(_LONGEST_DELAY_SECONDS, max(seconds, retry_after_seconds or 0.0)))


def rest_of(delay: timedelta) -> timedelta:
    """How long the other lines of the batch are left alone when one waits so long: a provider that turned it away would turn them away."""
    return min(delay, timedelta(seconds=_LONGEST_REST_SECONDS))


def spent_on(usage: GenerationUsage) -> Spent:
    """What one attempt took."""
    nothing = not usage.input_tokens and not usage.output_tokens
    return Spent(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost_usd_micros=usage.cost_usd_micros or 0,
        unpriced_count=int(usage.cost_usd_micros is None and not nothing),
        estimated=usage.estimated and not nothing,
    )

"""What models took for a user, one record for each text that they were asked for, and how records are added up. Not what a model costs:
that is account.py's.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from parley_chat.domain.conversation import Message, MessageState, Route

DAY_SECONDS = 86_400
_EPOCH_DAY = date(1970, 1, 1)


class UsagePurpose(StrEnum):
    """What a text was for."""

    ANSWER = "answer"
    TEXT = "text"
    CONTENT = "content"
    AGENT = "agent"
    SUGGESTION = "suggestion"
    TITLE = "title"
    BATCH = "batch"


class UsageOutcome(StrEnum):
    """How it ended."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"


class UsageDimension(StrEnum):
    """What usage is split by, in the order in which rows are sorted."""

    DAY = "day"
    PURPOSE = "purpose"
    ROUTE = "route"
    MODEL = "model"
    SESSION = "session"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """What one text took."""

    user_id: str
    end_time: datetime
    purpose: UsagePurpose
    outcome: UsageOutcome
    model: str
    """The one that finished; empty when none had begun."""
    input_tokens: int
    output_tokens: int
    estimated: bool
    cost_usd_micros: int | None
    """None when a price is not known."""
    time_to_first_token_ms: int
    """0 when there was no text."""
    duration_ms: int
    route: Route | None = None
    session_id: str = ""
    project_id: str = ""
    """That of the session at the time."""


@dataclass(frozen=True, slots=True)
class UsageSpan:
    """Which records are added up, and by what they are split."""

    user_id: str
    start: datetime
    """Inclusive."""
    end: datetime
    """Exclusive."""
    dimensions: Collection[UsageDimension]
    zone: ZoneInfo
    """Where days begin and end."""
    session_id: str = ""
    """Only of this session; of all when empty."""
    project_id: str = ""
    """Only of sessions that belonged to this project; of all when empty."""


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What some texts took together. Dimensions that were not asked for are None."""

    day: date | None
    purpose: UsagePurpose | None
    route: Route | None
    model: str | None
    session_id: str | None
    project_id: str | None
    request_count: int
    failed_count: int
    stopped_count: int
    input_tokens: int
    output_tokens: int
    estimated_count: int
    cost_usd_micros: int
    unpriced_count: int
    time_to_first_token_p50_ms: int
    time_to_first_token_p95_ms: int
    duration_p50_ms: int
    duration_p95_ms: int


_OUTCOMES = {MessageState.STOPPED: UsageOutcome.STOPPED, MessageState.FAILED: UsageOutcome.FAILED}


def usage_of_answer(user_id: str, answer: Message, end_time: datetime, project_id: str = "") -> UsageRecord:
    """The record of an answer that has ended."""
    usage = answer.usage
    return UsageRecord(
        user_id=user_id,
        end_time=end_time,
        purpose=UsagePurpose.ANSWER,
        outcome=_OUTCOMES.get(answer.state, UsageOutcome.COMPLETED),
        model=answer.model,
        input_tokens=usage.input_tokens if usage else 0,
        output_tokens=usage.output_tokens if usage else 0,
        estimated=bool(usage and usage.estimated),
        cost_usd_micros=usage.cost_usd_micros if usage else 0,
        time_to_first_token_ms=usage.time_to_first_token_ms if usage else 0,
        duration_ms=usage.duration_ms if usage else 0,
        route=answer.route,
        session_id=answer.session_id,
        project_id=project_id,
    )


def offsets_from_utc(zone: ZoneInfo, start: datetime, end: datetime) -> list[tuple[datetime, int]]:
    """From when a zone is how many seconds ahead of UTC: the offset at the start, and each one that a change within the span brings."""
    found = [(start, _offset(zone, start))]
    moment = start
    while moment < end:
        following = min(moment + timedelta(days=1), end)
        if _offset(zone, following) != found[-1][1]:
            changed = _change(zone, moment, following)
            found.append((changed, _offset(zone, changed)))
        moment = following
    return found


def day_of_number(days: int) -> date:
    """The day that is so many days after 1970-01-01."""
    return _EPOCH_DAY + timedelta(days=days)


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first second with the later offset. Zones change at most once a day."""
    low, high = int(before.timestamp()), int(after.timestamp())
    offset = _offset(zone, before)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(zone, datetime.fromtimestamp(middle, UTC)) == offset else (low, middle)
    return datetime.fromtimestamp(high, UTC)


def _offset(zone: ZoneInfo, moment: datetime) -> int:
    offset = moment.astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0

"""When a task that recurs is due next. Not what becomes of the task then, which is tasks.py's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from parley_chat.domain.recurrence import HORIZON_YEARS, Recurrence, at
from parley_chat.ports.rule_days import RuleDays

_LAST_YEAR = 9998


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time that a rule names."""

    wall_time: datetime
    """The local time that the rule means, without a zone: 02:30 also on the day whose clocks go from 2 to 3."""
    due_time: datetime
    rule: Recurrence
    """The rule from this occurrence on: its COUNT is less."""


def wall_time(due_time: datetime, time_zone: str) -> datetime:
    """The local time of a due time, without its zone."""
    return due_time.astimezone(ZoneInfo(time_zone)).replace(tzinfo=None, fold=0)


def next_occurrence(
    days: RuleDays, rule: Recurrence, start: datetime, time_zone: str, after: datetime
) -> Occurrence | None:
    """The first occurrence on a later day than `start`, a local time of the rule, and later than `after`. None when the rule has ended.

    A rule has ended, too, when nothing comes within HORIZON_YEARS.
    """
    local_after = wall_time(after, time_zone)
    last = date(min(max(start.year, local_after.year) + HORIZON_YEARS, _LAST_YEAR), 12, 31)
    first = start.date() + timedelta(days=1)
    if rule.count is None:
        # Nobody counts what lies between.
        first = max(first, local_after.date())
    for passed, day in enumerate(days.days(rule, start.date(), first, last), start=1):
        if rule.count is not None and passed >= rule.count:
            return None
        due_time = at(day, start.time(), time_zone)
        local = datetime.combine(day, start.time())
        if rule.until is not None and not rule.until.includes(local, due_time):
            return None
        if due_time > after:
            count = None if rule.count is None else rule.count - passed
            return Occurrence(local, due_time, replace(rule, count=count))
    return None


def has_begun_in_time(rule: Recurrence, due_time: datetime, time_zone: str) -> bool:
    """Whether the due time itself is not behind the end of the rule."""
    return rule.until is None or rule.until.includes(wall_time(due_time, time_zone), due_time.astimezone(UTC))


def matches_ever(days: RuleDays, rule: Recurrence, start: datetime) -> bool:
    """Whether the rule, without its end, names any day in the HORIZON_YEARS after a local time."""
    last = date(min(start.year + HORIZON_YEARS, _LAST_YEAR), 12, 31)
    return next(days.days(rule, start.date(), start.date() + timedelta(days=1), last), None) is not None

"""When events take place: the occurrences of a series within a time. Its work is bounded by that time, whatever the rule."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from parley_chat.domain.calendar import CalendarEvent, EventBody, Meeting, Span, read_key
from parley_chat.domain.recurrence import Frequency, Recurrence, read_recurrence
from parley_chat.ports.calendar import Reach
from parley_chat.ports.rule_days import RuleDays

_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
_OTHER_ZONES = timedelta(hours=26)
"""A day begins somewhere so much earlier, or ends so much later, than in UTC."""
_LAST_DAY = date(9998, 12, 31)
_COUNTED_YEARS = 200


def meetings_between(
    event: CalendarEvent, days: RuleDays, first: datetime, last: datetime, day_zone: ZoneInfo
) -> Iterator[Meeting]:
    """The meetings of an event that end after `first` and begin before `last`, in no order. Whole days begin and end in `day_zone`."""
    body = event.body
    taken = {*body.excluded, *(override.key for override in body.overrides)}
    for span in _spans(body, days, first, last):
        key = span.key
        if key not in taken and _is_between(span, first, last, day_zone):
            taken.add(key)
            yield Meeting(event, key, body.details, span)
    excluded = set(body.excluded)
    for override in body.overrides:
        if override.key not in excluded and _is_between(override.span, first, last, day_zone):
            moved = None if override.span.key == override.key else read_key(override.key)
            yield Meeting(event, override.key, override.details, override.span, moved)


def meeting_of(event: CalendarEvent, days: RuleDays, key: str) -> Meeting | None:
    """The meeting of a key; None when the event has none."""
    body = event.body
    if key in body.excluded:
        return None
    for override in body.overrides:
        if override.key == key:
            moved = None if override.span.key == key else read_key(key)
            return Meeting(event, key, override.details, override.span, moved)
    try:
        start = read_key(key)
    except ValueError:
        return None
    for span in _spans(body, days, start - _OTHER_ZONES, start + _OTHER_ZONES):
        if span.key == key:
            return Meeting(event, key, body.details, span)
    return None


def begins(span: Span, day_zone: ZoneInfo) -> datetime:
    """When something begins, UTC, for who is in a zone."""
    return span.begin.replace(tzinfo=day_zone).astimezone(UTC) if span.all_day else span.start


def ends(span: Span, day_zone: ZoneInfo) -> datetime:
    """When it ends, UTC, for who is in a zone."""
    return (span.begin + span.length).replace(tzinfo=day_zone).astimezone(UTC) if span.all_day else span.end


def reach_of(body: EventBody, days: RuleDays) -> Reach:
    """The time in which an event can take place at all."""
    spans = [*body.added, *(override.span for override in body.overrides)]
    if body.has_first:
        spans.append(body.span)
    first = min(span.start for span in spans) if spans else body.span.start
    last: datetime | None = max(span.end for span in spans) if spans else body.span.end
    if body.recurrence and body.has_first:
        end = _end_of_rule(body.span, days, read_recurrence(body.recurrence))
        last = None if end is None or last is None else max(last, end)
    return Reach(first - _OTHER_ZONES, None if last is None else last + _OTHER_ZONES)


def _is_between(span: Span, first: datetime, last: datetime, day_zone: ZoneInfo) -> bool:
    start, end = begins(span, day_zone), ends(span, day_zone)
    # What takes no time is at its beginning.
    return start < last and (end > first or start == end == first)


def _spans(body: EventBody, days: RuleDays, first: datetime, last: datetime) -> Iterator[Span]:
    """The occurrences that may be between two times, and some more."""
    if body.has_first:
        yield body.span
    yield from body.added
    if body.recurrence and body.has_first:
        yield from _recurring(body.span, days, read_recurrence(body.recurrence), first, last)


def _recurring(span: Span, days: RuleDays, rule: Recurrence, first: datetime, last: datetime) -> Iterator[Span]:
    """The occurrences after the first one."""
    start = span.begin.date()
    begin = start + _DAY
    # A local day is at most a day off UTC's.
    earliest = max(begin, (first - span.length).date() - 2 * _DAY)
    latest = min(last.date() + 2 * _DAY, _LAST_DAY)
    # What a COUNT leaves is counted from the first one on.
    named = _days(days, rule, start, begin if rule.count is not None else earliest, latest)
    for passed, day in enumerate(named, start=1):
        if rule.count is not None and passed >= rule.count:
            return
        if day < earliest:
            continue
        occurrence = span.on(day)
        if rule.until is not None and not rule.until.includes(occurrence.begin, occurrence.start):
            return
        yield occurrence


def _days(days: RuleDays, rule: Recurrence, start: date, first: date, last: date) -> Iterator[date]:
    """The days of a rule. Those of the rules that most series have are reckoned here: `RuleDays` looks at whole years."""
    if first > last:
        return iter(())
    if rule.months or rule.month_days or rule.frequency not in (Frequency.DAILY, Frequency.WEEKLY):
        return days.days(rule, start, first, last)
    if rule.frequency is Frequency.DAILY:
        weekdays = {day.weekday for day in rule.days} or set(range(7))
        step = timedelta(days=rule.interval)
        begin = first + timedelta(days=(start - first).days % rule.interval)
        return (day for day in _steps(begin, step, last) if day.weekday() in weekdays)
    return _weekly(rule, start, first, last)


def _weekly(rule: Recurrence, start: date, first: date, last: date) -> Iterator[date]:
    offsets = sorted({(day.weekday - rule.week_start) % 7 for day in rule.days})
    offsets = offsets or [(start.weekday() - rule.week_start) % 7]
    origin = start - timedelta(days=(start.weekday() - rule.week_start) % 7)
    weeks = max(0, (first - origin).days // 7)
    week = origin + _WEEK * (weeks - weeks % rule.interval)
    for monday in _steps(week, _WEEK * rule.interval, last):
        for offset in offsets:
            day = monday + timedelta(days=offset)
            if first <= day <= last:
                yield day


def _steps(begin: date, step: timedelta, last: date) -> Iterator[date]:
    while begin <= last:
        yield begin
        begin += step


def _end_of_rule(span: Span, days: RuleDays, rule: Recurrence) -> datetime | None:
    """When the last occurrence of a rule has ended, or somewhat later; None when there is no last one."""
    if rule.until is not None:
        return datetime.combine(rule.until.day, time(), UTC) + 2 * _DAY + span.length
    if rule.count is None:
        return None
    start = span.begin.date()
    horizon = min(date(min(start.year + _COUNTED_YEARS, _LAST_DAY.year), 12, 31), _LAST_DAY)
    latest = start
    for passed, day in enumerate(_days(days, rule, start, start + _DAY, horizon), start=1):
        if passed >= rule.count:
            return span.on(latest).end
        latest = day
    # It goes on beyond all that anybody asks for.
    return None

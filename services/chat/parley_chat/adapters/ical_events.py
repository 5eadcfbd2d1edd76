"""Reads the events of a calendar, with the icalendar package. What it cannot read it counts; what is too much it cuts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from icalendar import Event

from parley_chat.adapters.ical_text import IcalText
from parley_chat.adapters.ical_zones import IcalZones
from parley_chat.domain.calendar import (
    ATTENDEES_MOST,
    DESCRIPTION_MOST,
    EMAIL_MOST,
    LOCATION_MOST,
    MOST_OVERRIDES,
    PERSON_MOST,
    RESPONSE_MOST,
    TITLE_MOST,
    URL_MOST,
    Details,
    EventBody,
    EventStatus,
    Override,
    Person,
    Span,
)
from parley_chat.domain.calendar_zones import UTC_ZONE, Zone
from parley_chat.domain.recurrence import RecurrenceError, read_recurrence

_FIRST_YEAR, _LAST_YEAR = 1900, 9000
_LONGEST = timedelta(days=3_660)
_DAY = timedelta(days=1)
_ZONE = "X-PARLEY-TZID"
# The package looks for zones itself, fails over names that are none, and remembers for all what one calendar says of a zone.
_ZONED = re.compile(
    r"^((?:DTSTART|DTEND|RECURRENCE-ID|EXDATE|RDATE)(?:;[^:\n]*?)?);TZID=", re.IGNORECASE | re.MULTILINE
)
_STATUSES = {"TENTATIVE": EventStatus.TENTATIVE, "CANCELLED": EventStatus.CANCELLED}
_LINKS = ("URL", "CONFERENCE", "X-GOOGLE-CONFERENCE", "X-MICROSOFT-SKYPETEAMSMEETINGURL")


@dataclass(slots=True)
class ReadingNotes:
    """What was not taken as it is, counted."""

    unreadable: int = 0
    """Events without a begin that can be read, and the like: left out."""
    rules: int = 0
    """Series whose rule is not supported: only their first occurrence is there."""
    cut: int = 0
    """Events with more single occurrences than are kept."""
    ranges: int = 0
    """Changes of an occurrence and all that follow: only that one is changed."""

    def any(self) -> bool:
        """Whether there is anything."""
        return bool(self.unreadable or self.rules or self.cut or self.ranges)

    def add(self, other: ReadingNotes) -> None:
        """Counts those of another, too."""
        self.unreadable += other.unreadable
        self.rules += other.rules
        self.cut += other.cut
        self.ranges += other.ranges

    def words(self) -> Iterator[str]:
        """For people."""
        if self.unreadable:
            yield f"{self.unreadable} events cannot be read and were left out."
        if self.rules:
            yield f"{self.rules} events recur by rules that are not supported: only their first time is shown."
        if self.cut:
            yield f"{self.cut} events have more than {MOST_OVERRIDES} changed times; the rest was left out."
        if self.ranges:
            yield f"{self.ranges} changes of a time and all that follow were taken for that time alone."


def read_event(calendar: IcalText, uid: str, zones: IcalZones) -> tuple[EventBody | None, ReadingNotes]:
    """Reads what has a UID; None when nothing of it can be read."""
    notes = ReadingNotes()
    read: list[_Component] = []
    for block in calendar.events[uid][: MOST_OVERRIDES + 1]:
        try:
            component = _Component(Event.from_ical(_ZONED.sub(rf"\1;{_ZONE}=", block)), zones)
            component.check()
        except Exception:  # noqa: BLE001 - whatever the package raises for what a stranger wrote: it is counted.
            notes.unreadable += 1
            continue
        read.append(component)
    if len(calendar.events[uid]) > MOST_OVERRIDES + 1:
        notes.cut += 1
    firsts = [each for each in read if not each.is_single]
    singles = [each for each in read if each.is_single]
    if not read:
        return None, notes
    # What was sent again has a higher number.
    first = max(firsts, key=lambda each: each.sequence) if firsts else None
    base = first or singles[0]
    body = EventBody(base.details(), base.span(), has_first=first is not None)
    if first is not None:
        body = replace(
            body,
            recurrence=first.recurrence(notes),
            added=first.added(body.span, notes),
            excluded=first.excluded(body.span, notes),
        )
    overrides: dict[str, tuple[int, Override]] = {}
    for each in singles:
        notes.ranges += each.is_range
        key = each.recurrence_key(body.span)
        if key not in overrides or overrides[key][0] <= each.sequence:
            span = each.span()
            pinned = replace(span, zone=span.zone.pinned(span.begin))
            overrides[key] = (each.sequence, Override(key, each.details(), pinned))
    return replace(body, overrides=tuple(override for _, override in overrides.values())), notes


class _Component:
    """One VEVENT."""

    def __init__(self, event: Any, zones: IcalZones) -> None:
        self._event = event
        self._zones = zones

    def check(self) -> None:
        """Raises what a VEVENT raises that cannot be read."""
        self.details()
        self.span()
        if self.is_single:
            _ = self._first("RECURRENCE-ID").dt

    @property
    def sequence(self) -> int:
        found = self._first("SEQUENCE")
        return int(found) if isinstance(found, int) else 0

    @property
    def is_single(self) -> bool:
        return self._first("RECURRENCE-ID") is not None

    @property
    def is_range(self) -> bool:
        return str(self._first("RECURRENCE-ID").params.get("RANGE", "")).upper() == "THISANDFUTURE"

    def details(self) -> Details:
        organizer = self._first("ORGANIZER")
        return Details(
            title=_line(self._first("SUMMARY"), TITLE_MOST),
            description=_text(self._first("DESCRIPTION"), DESCRIPTION_MOST),
            location=_line(self._first("LOCATION"), LOCATION_MOST),
            status=_STATUSES.get(str(self._first("STATUS") or "").strip().upper(), EventStatus.CONFIRMED),
            url=self._link(),
            attendees=tuple(_person(each) for each in self._all("ATTENDEE")[:ATTENDEES_MOST]),
            organizer=None if organizer is None else _person(organizer),
        )

    def span(self) -> Span:
        start = self._first("DTSTART")
        if start is None:
            raise ValueError("no begin")
        value = start.dt
        if not isinstance(value, datetime):
            return Span(_midnight(value), UTC_ZONE, self._days(value), all_day=True)
        begin, zone = self._local(value, start)
        _check_year(begin)
        span = Span(begin, zone, timedelta())
        return replace(span, length=min(max(self._length(span.start), timedelta()), _LONGEST))

    def recurrence(self, notes: ReadingNotes) -> str:
        rules = self._all("RRULE")
        if not rules:
            return ""
        try:
            text = _without_clock(rules[0].to_ical().decode(), self._first("DTSTART").dt)
            rule = str(read_recurrence(text))
        except (RecurrenceError, ValueError):
            notes.rules += 1
            return ""
        notes.rules += len(rules) > 1
        return rule

    def recurrence_key(self, of: Span) -> str:
        return self._key(self._first("RECURRENCE-ID").dt, self._first("RECURRENCE-ID"), of).key

    def excluded(self, of: Span, notes: ReadingNotes) -> tuple[str, ...]:
        return tuple(dict.fromkeys(span.key for span in self._dates("EXDATE", of, notes)))

    def added(self, of: Span, notes: ReadingNotes) -> tuple[Span, ...]:
        spans = {span.key: span for span in self._dates("RDATE", of, notes)}
        return tuple(replace(span, zone=span.zone.pinned(span.begin)) for span in spans.values())

    def _dates(self, name: str, of: Span, notes: ReadingNotes) -> list[Span]:
        values = [(each.dt, dates) for dates in self._all(name) for each in getattr(dates, "dts", ())]
        notes.cut += len(values) > MOST_OVERRIDES
        found = []
        for value, dates in values[:MOST_OVERRIDES]:
            begin, length = (value[0], value[1]) if isinstance(value, tuple) else (value, None)
            span = self._key(begin, dates, of)
            if isinstance(length, datetime):
                length = self._moment(length, dates) - span.start
            if isinstance(length, timedelta) and not of.all_day:
                span = replace(span, length=min(max(length, timedelta()), _LONGEST))
            found.append(span)
        return found

    def _key(self, value: date, written: Any, of: Span) -> Span:
        """The occurrence of a series that is meant. A day stands for the time of the series on it, and a time for its day."""
        if of.all_day:
            return replace(of, begin=_midnight(value))
        if not isinstance(value, datetime):
            return of.on(value)
        begin, zone = self._local(value, written)
        _check_year(begin)
        return replace(of, begin=begin, zone=zone)

    def _days(self, first: date) -> timedelta:
        end, duration = self._first("DTEND"), self._first("DURATION")
        length = _DAY if duration is None else duration.dt
        if end is not None:
            length = _midnight(end.dt) - _midnight(first)
        return min(max(timedelta(days=length.days), _DAY), _LONGEST)

    def _length(self, start: datetime) -> timedelta:
        end, duration = self._first("DTEND"), self._first("DURATION")
        if end is not None:
            return self._moment(end.dt, end) - start
        found = duration.dt if duration is not None else timedelta()
        return found if isinstance(found, timedelta) else timedelta()

    def _moment(self, value: date, written: Any) -> datetime:
        local = value if isinstance(value, datetime) else datetime.combine(value, time())
        begin, zone = self._local(local, written)
        _check_year(begin)
        return zone.moment(begin)

    def _local(self, value: datetime, written: Any) -> tuple[datetime, Zone]:
        """The local time as it is written, and its zone, which the package is not asked for: a calendar may describe its own."""
        local = value.replace(tzinfo=None, fold=0)
        if name := str(written.params.get(_ZONE, "")):
            return local, self._zones.zone(name)
        if value.tzinfo is not None:
            return value.astimezone(UTC).replace(tzinfo=None), UTC_ZONE
        return local, self._zones.fallback

    def _link(self) -> str:
        for name in _LINKS:
            link = _line(self._first(name), URL_MOST + 1)
            if link.lower().startswith(("https://", "http://")) and len(link) <= URL_MOST:
                return link
        return ""

    def _first(self, name: str) -> Any:
        found = self._all(name)
        return found[0] if found else None

    def _all(self, name: str) -> Sequence[Any]:
        found = self._event.get(name)
        if found is None:
            return ()
        return found if isinstance(found, list) else (found,)


def _without_clock(rule: str, start: date) -> str:
    """The rule without the time of day, when it says what the begin says already. Raises ValueError when it says another."""
    clock = {"BYHOUR": "hour", "BYMINUTE": "minute", "BYSECOND": "second"}
    kept = []
    for part in rule.split(";"):
        name, _, value = part.partition("=")
        attribute = clock.get(name.strip().upper())
        if attribute is None:
            if not name.strip().upper().startswith("X-"):
                kept.append(part)
        elif isinstance(start, datetime) and value.strip() != str(getattr(start, attribute)):
            raise ValueError("another time of day")
    return ";".join(kept)


def _midnight(value: date) -> datetime:
    day = datetime.combine(value.date() if isinstance(value, datetime) else value, time())
    _check_year(day)
    return day


def _check_year(value: datetime) -> None:
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise ValueError("a year that no calendar has")


def _person(written: Any) -> Person:
    email = _line(written, EMAIL_MOST + len("mailto:"))
    if email.lower().startswith("mailto:"):
        email = email[len("mailto:") :]
    params = getattr(written, "params", {})
    return Person(
        email[:EMAIL_MOST] if "@" in email else "",
        _line(params.get("CN"), PERSON_MOST),
        _line(params.get("PARTSTAT"), RESPONSE_MOST).lower(),
    )


def _line(written: Any, most: int) -> str:
    """A text in one line, without what cannot be seen."""
    text = " ".join(str(written if written is not None else "")[: most * 4].split())
    return "".join(character for character in text if character.isprintable())[:most].strip()


def _text(written: Any, most: int) -> str:
    text = str(written if written is not None else "")[: most * 4]
    return "".join(character for character in text if character.isprintable() or character in "\n\t")[:most].strip()

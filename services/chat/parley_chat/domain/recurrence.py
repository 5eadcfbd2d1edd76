"""How a task recurs: the rules of RFC 5545 that tasks may have, read, bounded, and written in one form. Not the days that they name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

TEXT_MOST = 255
MOST_COUNT = 1000
MOST_INTERVAL = 1000
HORIZON_YEARS = 40
"""An occurrence comes at most so long after the one before. A 29 February that is a Monday is up to 40 years away."""
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
WORDS = "must be an RFC 5545 RRULE value, like FREQ=WEEKLY;BYDAY=MO"

_MOST_LIST = 31
_DAY = re.compile(r"(?P<ordinal>[+-]?\d{1,2})?(?P<weekday>MO|TU|WE|TH|FR|SA|SU)")
_NUMBER = re.compile(r"[+-]?\d{1,6}")
_UNTIL = re.compile(r"(?P<day>\d{8})(?:T(?P<time>\d{6})(?P<utc>Z?))?")


class Frequency(StrEnum):
    """What a rule steps by."""

    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    YEARLY = "YEARLY"


@dataclass(frozen=True, slots=True)
class RuleDay:
    """A day of the week in a rule."""

    weekday: int
    """0 for Monday."""
    ordinal: int = 0
    """Which of the month or the year, from its end when negative; 0 for each."""

    def __str__(self) -> str:
        return f"{self.ordinal or ''}{WEEKDAYS[self.weekday]}"


@dataclass(frozen=True, slots=True)
class Until:
    """The end of a rule, included: a day, or a time, in the zone of the task or in UTC."""

    day: date
    time: time | None
    is_utc: bool

    def includes(self, wall_time: datetime, moment: datetime) -> bool:
        """Whether an occurrence is not behind it, by its local time or its UTC time."""
        if self.time is None:
            return wall_time.date() <= self.day
        end = datetime.combine(self.day, self.time)
        return moment <= end.replace(tzinfo=UTC) if self.is_utc else wall_time <= end

    def __str__(self) -> str:
        clock = f"T{self.time:%H%M%S}{'Z' if self.is_utc else ''}" if self.time else ""
        return f"{self.day.year:04}{self.day:%m%d}{clock}"


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A rule. Its text is its normal form."""

    frequency: Frequency
    interval: int = 1
    count: int | None = None
    """How many occurrences there are, the present one included; None without such an end."""
    until: Until | None = None
    months: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    days: tuple[RuleDay, ...] = ()
    positions: tuple[int, ...] = ()
    week_start: int = 0

    def __str__(self) -> str:
        parts = [f"FREQ={self.frequency}"]
        if self.interval != 1:
            parts.append(f"INTERVAL={self.interval}")
        for name, values in (("BYMONTH", self.months), ("BYMONTHDAY", self.month_days), ("BYDAY", self.days)):
            if values:
                parts.append(f"{name}={','.join(str(value) for value in values)}")
        if self.positions:
            parts.append(f"BYSETPOS={','.join(str(value) for value in self.positions)}")
        if self.week_start:
            parts.append(f"WKST={WEEKDAYS[self.week_start]}")
        if self.count is not None:
            parts.append(f"COUNT={self.count}")
        if self.until is not None:
            parts.append(f"UNTIL={self.until}")
        return ";".join(parts)


class RecurrenceError(Exception):
    """The text is no rule that a task may have. `words` continue the field's name."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


def read_recurrence(text: str) -> Recurrence:
    """Reads the value of an RRULE, with or without the name before it. Raises RecurrenceError."""
    if len(text) > TEXT_MOST:
        raise RecurrenceError(f"must have at most {TEXT_MOST} characters; it has {len(text)}")
    if not text.isascii():
        raise RecurrenceError(WORDS)
    found: dict[str, str] = {}
    for part in text.strip().upper().removeprefix("RRULE:").removesuffix(";").split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise RecurrenceError(WORDS)
        if name not in _PARTS and name != "FREQ":
            raise RecurrenceError(f"must hold only FREQ, {', '.join(_PARTS)}; it holds {_shown(name)}")
        if name in found:
            raise RecurrenceError(f"must hold {name} once")
        found[name] = value
    frequency = found.pop("FREQ", "")
    if frequency not in {each.value for each in Frequency}:
        raise RecurrenceError(f"must have a FREQ of {', '.join(Frequency)}")
    fields: dict[str, Any] = {}
    for name, value in found.items():
        field, read = _PARTS[name]
        fields[field] = read(name, value)
    return _checked(Recurrence(Frequency(frequency), **fields))


def at(day: date, clock: time, time_zone: str) -> datetime:
    """The UTC time of a local one. What the clocks skip is as much later; of what they have twice, it is the first."""
    return datetime.combine(day, clock, tzinfo=ZoneInfo(time_zone)).astimezone(UTC)


def _checked(rule: Recurrence) -> Recurrence:
    if rule.count is not None and rule.until is not None:
        raise RecurrenceError("must not hold both COUNT and UNTIL")
    steps_by_days = rule.frequency in (Frequency.DAILY, Frequency.WEEKLY)
    if steps_by_days and rule.positions:
        raise RecurrenceError("must hold BYSETPOS only with a FREQ of MONTHLY or YEARLY")
    if steps_by_days and any(day.ordinal for day in rule.days):
        raise RecurrenceError("must number the days of BYDAY only with a FREQ of MONTHLY or YEARLY")
    if rule.frequency is Frequency.WEEKLY and rule.month_days:
        raise RecurrenceError("must not hold BYMONTHDAY with a FREQ of WEEKLY")
    if rule.positions and not (rule.days or rule.months or rule.month_days):
        raise RecurrenceError("must hold BYSETPOS only beside BYDAY, BYMONTH or BYMONTHDAY")
    return rule


def _number(most: int) -> Callable[[str, str], int]:
    def read(name: str, value: str) -> int:
        number = int(value) if _NUMBER.fullmatch(value) else 0
        if not 1 <= number <= most:
            raise RecurrenceError(f"must have {name} from 1 to {most}")
        return number

    return read


def _numbers(most: int, *, signed: bool) -> Callable[[str, str], tuple[int, ...]]:
    def read(name: str, value: str) -> tuple[int, ...]:
        found = []
        for part in value.split(","):
            number = int(part) if _NUMBER.fullmatch(part) else 0
            if not 1 <= abs(number) <= most or (number < 0 and not signed):
                from_the_end = f", or from -{most} to -1" if signed else ""
                raise RecurrenceError(f"must have {name} from 1 to {most}{from_the_end}")
            found.append(number)
        return _distinct(name, found)

    return read


def _days(name: str, value: str) -> tuple[RuleDay, ...]:
    found = []
    for part in value.split(","):
        day = _DAY.fullmatch(part)
        ordinal = int(day["ordinal"] or 0) if day else 0
        if not day or abs(ordinal) > 53 or (day["ordinal"] and not ordinal):
            raise RecurrenceError(f"must have {name} of days like MO, 1MO or -1FR")
        found.append(RuleDay(WEEKDAYS.index(day["weekday"]), ordinal))
    return _distinct(name, found)


def _distinct(name: str, found: list[Any]) -> tuple[Any, ...]:
    distinct = tuple(dict.fromkeys(found))
    if len(distinct) > _MOST_LIST:
        raise RecurrenceError(f"must have at most {_MOST_LIST} values of {name}")
    return distinct


def _weekday(name: str, value: str) -> int:
    if value not in WEEKDAYS:
        raise RecurrenceError(f"must have {name} of {', '.join(WEEKDAYS)}")
    return WEEKDAYS.index(value)


def _until(name: str, value: str) -> Until:
    found = _UNTIL.fullmatch(value)
    try:
        if found is None:
            raise ValueError(value)
        day = date.fromisoformat(found["day"])
        clock = time.fromisoformat(found["time"]) if found["time"] else None
    except ValueError as error:
        raise RecurrenceError(f"must have {name} like 20271231 or 20271231T225959Z") from error
    if not 1970 <= day.year <= 9998:
        raise RecurrenceError(f"must have {name} from 1970 to 9998")
    return Until(day, clock, bool(found["utc"]))


def _shown(name: str) -> str:
    return name[:32] if name.isprintable() else "something else"


_PARTS: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "INTERVAL": ("interval", _number(MOST_INTERVAL)),
    "COUNT": ("count", _number(MOST_COUNT)),
    "UNTIL": ("until", _until),
    "BYMONTH": ("months", _numbers(12, signed=False)),
    "BYMONTHDAY": ("month_days", _numbers(31, signed=True)),
    "BYDAY": ("days", _days),
    "BYSETPOS": ("positions", _numbers(366, signed=True)),
    "WKST": ("week_start", _weekday),
}

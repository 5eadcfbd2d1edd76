"""Which zone a calendar means: by an IANA name, one of Windows, one with a path before it, or by its own description."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import available_timezones

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from parley_chat.domain.calendar_zones import CUSTOM, MOST_OFFSETS, UTC_ZONE, Offset, Zone
from parley_chat.domain.recurrence import RecurrenceError, read_recurrence
from parley_chat.ports.rule_days import RuleDays

_FIRST_YEAR, _LAST_YEAR = 1970, 2060
"""The changes of the clocks of a described zone are reckoned for these years."""
_MOST_RULES = 100
_OFFSET = re.compile(r"([+-])(\d{2})(\d{2})(\d{2})?")
_LOCAL = re.compile(r"\d{8}T\d{6}")


class IcalZones:
    """The zones of one calendar."""

    def __init__(self, described: Mapping[str, str], fallback: Zone, days: RuleDays) -> None:
        self._described = described
        self._days = days
        self._found: dict[str, Zone | None] = {}
        self.fallback = fallback
        """The zone of times that say none."""
        self.unknown: set[str] = set()
        """Names that nobody knows; their times are in the fallback."""

    def zone(self, name: str) -> Zone:
        """The zone of a TZID."""
        if name not in self._found:
            self._found[name] = self._find(name)
        zone = self._found[name]
        if zone is None:
            self.unknown.add(name)
            return self.fallback
        return zone

    def _find(self, name: str) -> Zone | None:
        if known := iana_name(name):
            return Zone(known)
        described = self._described.get(name)
        if described is None:
            return None
        if known := iana_name(_property(described, "X-LIC-LOCATION")):
            return Zone(known)
        offsets = _offsets(described, self._days)
        return Zone(CUSTOM, offsets) if offsets else None


def zone_of(name: str) -> Zone:
    """The zone of a name; UTC when nobody knows it."""
    return Zone(iana_name(name) or UTC_ZONE.name)


def iana_name(name: str) -> str:
    """The IANA name of what a calendar calls a zone; empty when it has none."""
    if not name or len(name) > 200:
        return ""
    bare = name.strip().strip('"')
    if windows := WINDOWS_TO_OLSON.get(bare):
        return windows
    parts = bare.strip("/").split("/")
    for begin in range(len(parts)):
        if found := _names().get("/".join(parts[begin:]).casefold()):
            return found
    return ""


@cache
def _names() -> Mapping[str, str]:
    # `localtime` and its like are this machine's.
    return {name.casefold(): name for name in available_timezones() if name not in ("localtime", "Factory")}


def _offsets(described: str, days: RuleDays) -> tuple[Offset, ...]:
    found: dict[datetime, int] = {}
    for observance in described.split("\nBEGIN:")[1 : _MOST_RULES + 1]:
        kind = observance.partition("\n")[0].strip().upper()
        before, after = _seconds(observance, "TZOFFSETFROM"), _seconds(observance, "TZOFFSETTO")
        start = _property(observance, "DTSTART")
        if kind not in ("STANDARD", "DAYLIGHT") or before is None or after is None or not _LOCAL.fullmatch(start):
            continue
        try:
            begin = datetime.strptime(start, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            continue
        for day in _changes(begin.date(), _property(observance, "RRULE"), days):
            local = datetime.combine(day, begin.time(), UTC)
            found[local - timedelta(seconds=before)] = after
    return tuple(Offset(since, found[since]) for since in sorted(found)[:MOST_OFFSETS])


def _changes(begin: date, written: str, days: RuleDays) -> list[date]:
    try:
        rule = read_recurrence(written) if written else None
    except RecurrenceError:
        rule = None
    found = [begin]
    first = max(begin + timedelta(days=1), date(_FIRST_YEAR, 1, 1))
    last = date(_LAST_YEAR, 12, 31)
    if rule is not None and rule.until is not None:
        last = min(last, rule.until.day)
    if rule is None or first > last:
        return found
    for passed, day in enumerate(days.days(rule, begin, first, last), start=1):
        if passed >= (rule.count or MOST_OFFSETS):
            break
        found.append(day)
    return found


def _seconds(observance: str, name: str) -> int | None:
    found = _OFFSET.fullmatch(_property(observance, name))
    if found is None:
        return None
    hours, minutes, seconds = int(found[2]), int(found[3]), int(found[4] or 0)
    if hours >= 24 or minutes >= 60 or seconds >= 60:
        return None
    return (hours * 3600 + minutes * 60 + seconds) * (-1 if found[1] == "-" else 1)


def _property(block: str, name: str) -> str:
    for line in block.split("\n"):
        found, _, value = line.partition(":")
        if found.partition(";")[0].strip().upper() == name:
            return value.strip()
    return ""

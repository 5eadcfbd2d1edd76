"""iCalendar as text (RFC 5545): cut into events and zones. Not what they say, which `ical_events.py` and `ical_zones.py` read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from parley_chat.ports.calendar import CalendarSourceError

MOST_BLOCKS = 50_000
"""Events of a file that are looked at."""
MOST_BLOCK_CHARACTERS = 300_000
MOST_ZONES = 200
_FOLD = re.compile(r"\r?\n[ \t]")
_NO_CALENDAR = "What is at this address is not a calendar in the iCalendar format."


@dataclass(slots=True)
class IcalText:
    """A calendar in pieces."""

    events: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The VEVENTs, by UID: a series and its single occurrences have the same one."""
    zones: Mapping[str, str] = field(default_factory=dict)
    """The VTIMEZONEs, by TZID."""
    time_zone: str = ""
    """What the calendar says of its own zone."""
    unreadable: int = 0
    """How many events have no UID, or are too long."""
    is_cut: bool = False
    """Whether there are more events than are looked at."""

    def digest(self, uid: str, also: str) -> str:
        """Changes with an event. When a file was written (DTSTAMP) is not looked at: some servers write it anew each time."""
        found = hashlib.sha256(also.encode())
        for block in self.events[uid]:
            for line in block.split("\n"):
                if not line.upper().startswith("DTSTAMP"):
                    found.update(line.encode())
                    found.update(b"\n")
        return found.hexdigest()


def cut(content: bytes) -> IcalText:
    """Cuts a file. Raises CalendarSourceError when it is no calendar, or only the beginning of one."""
    text = _FOLD.sub("", content.decode("utf-8-sig", errors="replace")).replace("\r\n", "\n").replace("\r", "\n")
    stripped = text.strip()
    if not stripped[:32].upper().startswith("BEGIN:VCALENDAR"):
        raise CalendarSourceError(_NO_CALENDAR)
    if not stripped[-32:].upper().endswith("END:VCALENDAR"):
        raise CalendarSourceError("The calendar breaks off before its end.")
    events: dict[str, list[str]] = {}
    zones: dict[str, str] = {}
    calendar = IcalText(events, zones)
    blocks = 0
    for kind, lines in _blocks(stripped, calendar):
        block = "\n".join(lines)
        if kind == "VTIMEZONE":
            name = _value(lines, "TZID")
            if name and len(zones) < MOST_ZONES and len(block) <= MOST_BLOCK_CHARACTERS:
                zones.setdefault(name, block)
            continue
        if blocks >= MOST_BLOCKS:
            calendar.is_cut = True
            break
        blocks += 1
        uid = _value(lines, "UID")
        if not uid or len(block) > MOST_BLOCK_CHARACTERS:
            calendar.unreadable += 1
            continue
        events.setdefault(uid, []).append(block)
    return calendar


def _blocks(text: str, calendar: IcalText) -> Iterator[tuple[str, list[str]]]:
    """Events and zones, without the alarms that are in them."""
    kind, lines, inner = "", list[str](), list[str]()
    for line in text.split("\n"):
        upper = line[:40].upper().rstrip()
        if not kind:
            if upper in ("BEGIN:VEVENT", "BEGIN:VTIMEZONE"):
                kind, lines = upper.removeprefix("BEGIN:"), [line.rstrip()]
            elif upper.startswith("X-WR-TIMEZONE:") and not calendar.time_zone:
                calendar.time_zone = line.partition(":")[2].strip()[:100]
            continue
        if upper.startswith("BEGIN:") and kind == "VEVENT":
            inner.append(upper.removeprefix("BEGIN:"))
        elif inner:
            if upper == f"END:{inner[-1]}":
                inner.pop()
        elif upper == f"END:{kind}":
            lines.append(line.rstrip())
            yield kind, lines
            kind = ""
        elif line.strip():
            lines.append(line)


def _value(lines: Sequence[str], name: str) -> str:
    for line in lines:
        found, _, value = line.partition(":")
        if found.partition(";")[0].upper() == name:
            return value.strip()
    return ""

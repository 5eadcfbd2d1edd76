"""Reads whole files of iCalendar into events, within a time. Blocks: for a thread."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from parley_chat.adapters.ical_text import MOST_BLOCKS, cut
from parley_chat.domain.calendar_zones import Zone
from parley_chat.ports.calendar import CalendarSourceError, KnownEvent, SourceEvent
from parley_chat.ports.rule_days import RuleDays

READING_SECONDS = 60.0
"""Of the processor: 10,000 events take some 8 of them."""
NOTED = "!"
"""Stands for the version of an event of a feed, which has none, when something of it was not taken: it is read each time, to say so."""
_RESOURCE_MOST = 1_000
_SHOWN_ZONES = 3


@dataclass(slots=True)
class FileReading:
    """What is in a file."""

    changed: list[SourceEvent] = field(default_factory=list)
    """What is not known, or known otherwise."""
    seen: set[str] = field(default_factory=set)
    """The names of all events."""
    warnings: list[str] = field(default_factory=list)


def read_file(
    content: bytes,
    time_zone: str,
    known: Mapping[str, KnownEvent],
    days: RuleDays,
    seconds: float = READING_SECONDS,
) -> FileReading:
    """Reads a file, whose events are named by their UIDs. Raises CalendarSourceError, also when it takes longer than `seconds`."""
    # Some 40 MB of the process, which nobody needs who has no account.
    from parley_chat.adapters.ical_events import ReadingNotes, read_event  # noqa: PLC0415
    from parley_chat.adapters.ical_zones import IcalZones, zone_of  # noqa: PLC0415

    begin = time.thread_time()
    calendar = cut(content)
    fallback: Zone = zone_of(time_zone or calendar.time_zone)
    zones = IcalZones(calendar.zones, fallback, days)
    described = hashlib.sha256("\n".join(calendar.zones.values()).encode()).hexdigest()
    notes = ReadingNotes(unreadable=calendar.unreadable)
    reading = FileReading()
    for uid in calendar.events:
        if time.thread_time() - begin > seconds:
            raise CalendarSourceError("The calendar takes too long to read.")
        resource = uid if len(uid) <= _RESOURCE_MOST else hashlib.sha256(uid.encode()).hexdigest()
        resource = resource.replace("\0", "")
        digest = calendar.digest(uid, f"{fallback.name}\n{described}")
        before = known.get(resource)
        is_same = before is not None and before.digest == digest
        if is_same and before is not None and before.etag != NOTED:
            reading.seen.add(resource)
            continue
        unknown = len(zones.unknown)
        body, of_event = read_event(calendar, uid, zones)
        notes.add(of_event)
        if body is None:
            continue
        reading.seen.add(resource)
        if not is_same:
            noted = of_event.any() or len(zones.unknown) > unknown
            reading.changed.append(SourceEvent(resource, NOTED if noted else "", digest, "", body))
    reading.warnings.extend(notes.words())
    if zones.unknown:
        reading.warnings.append(unknown_zones(zones.unknown, fallback.name))
    if calendar.is_cut:
        reading.warnings.append(f"The calendar has more than {MOST_BLOCKS} events; the rest was left out.")
    return reading


def unknown_zones(names: set[str], fallback: str) -> str:
    """The warning about zones that nobody knows."""
    shown = ", ".join(
        "".join(each for each in name if each.isprintable())[:40] for name in sorted(names)[:_SHOWN_ZONES]
    )
    return f"{len(names)} time zones are not known ({shown}): their times are taken for those of {fallback}."

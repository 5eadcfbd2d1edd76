"""Times and time zones of requests, checked at the door."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from google.protobuf.timestamp_pb2 import Timestamp
from parley_shared.validation import Violations

TIME_ZONE_MOST = 64

_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


def read_time(violations: Violations, field: str, time: Timestamp) -> datetime | None:
    """The time, UTC; None, with a violation, when it is none from 1970 to 9998."""
    try:
        value = time.ToDatetime(UTC)
    except (ValueError, OverflowError):
        value = _LATEST
    if not _EARLIEST <= value < _LATEST:
        violations.add(field, f"must be a time from {_EARLIEST.year} to {_LATEST.year - 1}")
        return None
    return value


def check_time_zone(violations: Violations, name: str) -> None:
    """A zone that the time zone database knows, or none."""
    violations.text("time_zone", name, most=TIME_ZONE_MOST)
    if name and len(name) <= TIME_ZONE_MOST and not _is_time_zone(name):
        violations.add("time_zone", "must be the name of a time zone, like Europe/Berlin")


def _is_time_zone(name: str) -> bool:
    """Whether the time zone database has a zone of this name."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # What it raises for a name that is a folder, or no path at all, differs.
        return False
    return True

"""Events and accounts of the calendar as JSON, as they stand in the database and in the log of events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from parley_chat.domain.calendar import (
    AccountCalendar,
    AccountKind,
    AccountState,
    CalendarAccount,
    CalendarEvent,
    Details,
    EventBody,
    EventStatus,
    Override,
    Person,
    Span,
)
from parley_chat.domain.calendar_zones import Offset, Zone


def to_json(value: Any) -> Any:
    """What JSON can hold of a value: times as text, lengths of time as seconds."""
    if is_dataclass(value):
        return {each.name: to_json(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple | list):
        return [to_json(each) for each in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.isoformat() if isinstance(value, datetime) else value


def event_from_json(stored: Mapping[str, Any]) -> CalendarEvent:
    """An event."""
    return CalendarEvent(
        **{
            **stored,
            "body": body_from_json(stored["body"]),
            "create_time": datetime.fromisoformat(stored["create_time"]),
            "update_time": datetime.fromisoformat(stored["update_time"]),
        }
    )


def account_from_json(stored: Mapping[str, Any]) -> CalendarAccount:
    """An account."""
    times = ("create_time", "update_time", "last_sync_time", "last_success_time", "next_sync_time")
    return CalendarAccount(
        **{
            **stored,
            **{name: datetime.fromisoformat(stored[name]) if stored[name] else None for name in times},
            "kind": AccountKind(stored["kind"]),
            "state": AccountState(stored["state"]),
            "wanted": tuple(stored["wanted"]),
            "warnings": tuple(stored["warnings"]),
            "calendars": tuple(AccountCalendar(**each) for each in stored["calendars"]),
        }
    )


def body_from_json(stored: Mapping[str, Any]) -> EventBody:
    """What its calendar says of an event."""
    return EventBody(
        details=_details(stored["details"]),
        span=_span(stored["span"]),
        recurrence=stored["recurrence"],
        added=tuple(_span(each) for each in stored["added"]),
        excluded=tuple(stored["excluded"]),
        overrides=tuple(
            Override(each["key"], _details(each["details"]), _span(each["span"])) for each in stored["overrides"]
        ),
        has_first=stored["has_first"],
    )


def _details(stored: Mapping[str, Any]) -> Details:
    return Details(
        **{
            **stored,
            "status": EventStatus(stored["status"]),
            "attendees": tuple(Person(**each) for each in stored["attendees"]),
            "organizer": Person(**stored["organizer"]) if stored["organizer"] else None,
        }
    )


def _span(stored: Mapping[str, Any]) -> Span:
    zone = stored["zone"]
    offsets = tuple(Offset(datetime.fromisoformat(each["since"]), each["seconds"]) for each in zone["offsets"])
    return Span(
        begin=datetime.fromisoformat(stored["begin"]),
        zone=Zone(zone["name"], offsets),
        length=timedelta(seconds=stored["length"]),
        all_day=stored["all_day"],
    )

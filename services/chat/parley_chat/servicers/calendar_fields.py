"""Events and meetings of the calendar between the contract and the domain: bounds and unpacking. The bounds are the contract's."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from parley.workspace.v1 import calendar_pb2
from parley.workspace.v1 import calendar_service_pb2 as pb
from parley_shared.paging import decode_page_token, encode_page_token, invalid_page_token
from parley_shared.validation import Violations

from parley_chat.domain.calendar import (
    ATTENDEES_MOST,
    DESCRIPTION_MOST,
    EMAIL_MOST,
    LOCATION_MOST,
    TITLE_MOST,
    Details,
    EventBody,
    EventStatus,
    InvalidEventError,
    Person,
    Span,
)
from parley_chat.domain.calendar_zones import UTC_ZONE, Zone
from parley_chat.domain.recurrence import RecurrenceError, read_recurrence
from parley_chat.operations.calendar import MeetingsWanted, longest
from parley_chat.servicers.calendar_account_fields import ACCOUNT_PREFIX
from parley_chat.servicers.times import check_time_zone, read_time

EVENT_PREFIX = "evt_"
OWN = "own"
QUERY_MOST = 200
PAGE_SIZE_DEFAULT, PAGE_SIZE_MOST, PAGE_TOKEN_MOST = 50, 200, 512
DAYS_DEFAULT, DAYS_MOST = timedelta(days=7), timedelta(days=366)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS_MOST = 1 << 56  # The year 4253, which a datetime still holds.
_MEETING_ID = re.compile(r"mtg_[0-9a-f]{32}_\d{8}(T\d{6}Z)?")
_EMAIL = re.compile(r"[^@\s<>\",;]+@[^@\s<>\",;]+")
_FIRST_YEAR, _LAST_YEAR = 1970, 9998

_STATUSES = {
    calendar_pb2.EVENT_STATUS_UNSPECIFIED: EventStatus.CONFIRMED,
    calendar_pb2.EVENT_STATUS_CONFIRMED: EventStatus.CONFIRMED,
    calendar_pb2.EVENT_STATUS_TENTATIVE: EventStatus.TENTATIVE,
    calendar_pb2.EVENT_STATUS_CANCELLED: EventStatus.CANCELLED,
}
_EVENT_FIELDS = (
    "title",
    "start_time",
    "end_time",
    "start_date",
    "end_date",
    "time_zone",
    "location",
    "description",
    "attendees",
    "recurrence",
    "status",
)


def check_event_id(event_id: str) -> None:
    """Raises the INVALID_ARGUMENT that names `event_id`."""
    violations = Violations()
    violations.identifier("event_id", event_id, EVENT_PREFIX)
    violations.check()


def check_meeting_id(meeting_id: str) -> None:
    """Raises the INVALID_ARGUMENT that names `meeting_id`."""
    violations = Violations()
    check_meeting(violations, meeting_id)
    violations.check()


def check_event_and_meeting(event_id: str, meeting_id: str) -> None:
    """Raises the INVALID_ARGUMENT that names either; the meeting may be empty, and is one of the event."""
    violations = Violations()
    _event_and_meeting(violations, event_id, meeting_id)
    violations.check()


def new_event(request: pb.CreateEventRequest) -> EventBody:
    """Checks and unpacks the request for a new event."""
    violations = Violations()
    wanted = _EventFields.read(violations, request, set(_EVENT_FIELDS))
    if request.HasField("start_time") == bool(request.start_date):
        violations.add("start_time", "or start_date must be given, and not both")
    violations.check()
    details = wanted.details(Details(title=""))
    return _checked(EventBody(details, wanted.span(None), wanted.recurrence))


@dataclass(frozen=True, slots=True)
class EventChanges:
    """What a request changes of an event, or of one of its occurrences. Checked."""

    fields: _EventFields

    def details(self, before: Details) -> Details:
        """What it is from now on."""
        return self.fields.details(before)

    def span(self, before: Span) -> Span:
        """When it is from now on. Raises InvalidEventError."""
        span = self.fields.span(before)
        if not timedelta() <= span.length <= longest(span):
            raise InvalidEventError("end_time", _LENGTH_WORDS)
        return span

    def body(self, before: EventBody) -> EventBody:
        """The event from now on. Raises InvalidEventError."""
        span = self.span(before.span)
        recurrence = self.fields.recurrence if "recurrence" in self.fields.paths else before.recurrence
        body = replace(before, details=self.fields.details(before.details), span=span, recurrence=recurrence)
        if (span.begin, span.zone, span.all_day, recurrence) != (
            before.span.begin,
            before.span.zone,
            before.span.all_day,
            before.recurrence,
        ):
            body = replace(body, added=(), excluded=(), overrides=())
        return _checked(body)


def event_changes(request: pb.UpdateEventRequest) -> EventChanges:
    """Checks the request to change an event, and gives what it changes."""
    violations = Violations()
    _event_and_meeting(violations, request.event_id, request.meeting_id)
    paths = violations.changed_fields(request, _EVENT_FIELDS)
    if request.meeting_id and "recurrence" in paths:
        violations.add("recurrence", "must not be changed of one occurrence")
    wanted = _EventFields.read(violations, request, paths)
    if "start_time" in paths and "start_date" in paths:
        violations.add("start_date", "must not be changed together with start_time")
    violations.check()
    return EventChanges(wanted)


def meetings_wanted(
    request: pb.ListMeetingsRequest, now: datetime
) -> tuple[MeetingsWanted, int, tuple[datetime, str] | None]:
    """Checks the request for meetings, and gives what it asks for, how many, and the place that the page comes after."""
    violations = Violations()
    first = read_time(violations, "start_time", request.start_time) if request.HasField("start_time") else now
    last = read_time(violations, "end_time", request.end_time) if request.HasField("end_time") else None
    check_time_zone(violations, request.time_zone)
    if request.account_id and request.account_id != OWN:
        violations.identifier("account_id", request.account_id, ACCOUNT_PREFIX)
    violations.text("query", request.query, most=QUERY_MOST)
    violations.integer("page_size", request.page_size, least=0, most=PAGE_SIZE_MOST)
    violations.text("page_token", request.page_token, most=PAGE_TOKEN_MOST)
    if first and request.HasField("end_time") and last and not timedelta() < last - first <= DAYS_MOST:
        violations.add("end_time", f"must be later than start_time, and at most {DAYS_MOST.days} days")
    violations.check()
    begin = first or now
    account_id = {"": None, OWN: ""}.get(request.account_id, request.account_id)
    wanted = MeetingsWanted(
        first=begin,
        last=last or begin + DAYS_DEFAULT,
        day_zone=ZoneInfo(request.time_zone or "UTC"),
        account_id=account_id,
        words=tuple(request.query.casefold().split()),
        include_cancelled=request.include_cancelled,
    )
    return wanted, request.page_size or PAGE_SIZE_DEFAULT, _place(_list_name(request), request.page_token)


def next_page_token(request: pb.ListMeetingsRequest, place: tuple[datetime, str] | None) -> str:
    """The page token that asks for what comes after; empty when nothing does."""
    if place is None:
        return ""
    return encode_page_token(_list_name(request), [(place[0] - _EPOCH) // _MICROSECOND, place[1]])


@dataclass(frozen=True, slots=True)
class _EventFields:
    """The fields of an event in a request, each checked by itself."""

    paths: Collection[str]
    request: pb.CreateEventRequest | pb.UpdateEventRequest
    start: datetime | None
    end: datetime | None
    first_day: date | None
    end_day: date | None
    recurrence: str
    attendees: tuple[Person, ...]

    @classmethod
    def read(
        cls,
        violations: Violations,
        request: pb.CreateEventRequest | pb.UpdateEventRequest,
        paths: Collection[str],
    ) -> _EventFields:
        """Checks those that are named."""
        if "title" in paths:
            violations.line("title", request.title, least=1, most=TITLE_MOST, not_blank=True)
        for name, most in (("location", LOCATION_MOST), ("description", DESCRIPTION_MOST)):
            if name in paths:
                violations.stored_text(name, getattr(request, name), most=most)
        if "time_zone" in paths:
            check_time_zone(violations, request.time_zone)
        if "status" in paths:
            violations.choice("status", request.status, _STATUSES)
        times = {
            name: read_time(violations, name, getattr(request, name))
            for name in ("start_time", "end_time")
            if name in paths and request.HasField(name)
        }
        days = {
            name: _day(violations, name, getattr(request, name))
            for name in ("start_date", "end_date")
            if name in paths and getattr(request, name)
        }
        return cls(
            paths,
            request,
            times.get("start_time"),
            times.get("end_time"),
            days.get("start_date"),
            days.get("end_date"),
            _recurrence(violations, request.recurrence) if "recurrence" in paths else "",
            _attendees(violations, request.attendees) if "attendees" in paths else (),
        )

    def details(self, before: Details) -> Details:
        """What the event is, with these fields."""
        request, paths = self.request, self.paths
        return replace(
            before,
            title=request.title.strip() if "title" in paths else before.title,
            description=request.description if "description" in paths else before.description,
            location=request.location.strip() if "location" in paths else before.location,
            status=_STATUSES[request.status] if "status" in paths else before.status,
            attendees=self._attendees(before) if "attendees" in paths else before.attendees,
        )

    def span(self, before: Span | None) -> Span:
        """When the event is, with these fields. Raises InvalidEventError."""
        whole_days = self.first_day is not None or (before is not None and before.all_day and self.start is None)
        if whole_days:
            return self._days(before)
        if self.start is None and (before is None or before.all_day):
            raise InvalidEventError("start_time", "must be given")
        return self._times(before)

    def _days(self, before: Span | None) -> Span:
        kept = before if before is not None and before.all_day else None
        if self.first_day is None and kept is None:
            raise InvalidEventError("start_date", "must be given")
        first = self.first_day or (kept.begin.date() if kept else date.min)
        length = kept.length if kept else _DAY
        if self.end_day is not None:
            length = self.end_day - first
        if length < _DAY:
            raise InvalidEventError("end_date", "must be later than start_date")
        if self.end is not None:
            raise InvalidEventError("end_time", "must not be given for whole days")
        return Span(datetime.combine(first, time()), UTC_ZONE, length, all_day=True)

    def _times(self, before: Span | None) -> Span:
        kept = before if before is not None and not before.all_day else None
        zone = kept.zone if kept else UTC_ZONE
        if "time_zone" in self.paths and (self.request.time_zone or kept is None or self._names_zone()):
            zone = Zone(self.request.time_zone or "UTC")
        start = self.start or (kept.start if kept else _EPOCH)
        if self.end_day is not None:
            raise InvalidEventError("end_date", "must not be given without start_date")
        length = kept.length if kept else _HOUR
        if self.end is not None:
            length = self.end - start
        if length < timedelta():
            raise InvalidEventError("end_time", "must not be earlier than start_time")
        if self.start is None and kept is not None and zone == kept.zone:
            return replace(kept, length=length)
        return Span(zone.local(start), zone, length)

    def _names_zone(self) -> bool:
        return isinstance(self.request, pb.UpdateEventRequest) and "time_zone" in self.request.update_mask.paths

    def _attendees(self, before: Details) -> tuple[Person, ...]:
        # What is known of somebody stays known.
        known = {person.email.casefold(): person for person in before.attendees}
        return tuple(known.get(person.email.casefold(), person) for person in self.attendees)


_LENGTH_WORDS = "must be at most 31 days after start_time, of whole days at most 366"


def _checked(body: EventBody) -> EventBody:
    """Raises InvalidEventError for fields that do not go together."""
    if body.span.length > longest(body.span):
        raise InvalidEventError("end_date" if body.span.all_day else "end_time", _LENGTH_WORDS)
    if not _FIRST_YEAR <= body.span.begin.year < _LAST_YEAR:
        raise InvalidEventError("start_time", f"must be from {_FIRST_YEAR} to {_LAST_YEAR - 1}")
    if body.recurrence:
        until = read_recurrence(body.recurrence).until
        if until is not None and not until.includes(body.span.begin, body.span.start):
            raise InvalidEventError("recurrence", "must not end before the event begins")
    return body


def _attendees(violations: Violations, written: Sequence[str]) -> tuple[Person, ...]:
    violations.count("attendees", written, most=ATTENDEES_MOST)
    found: dict[str, Person] = {}
    for place, each in enumerate(written[:ATTENDEES_MOST]):
        email = each.strip().removeprefix("mailto:")
        if len(email) > EMAIL_MOST or not _EMAIL.fullmatch(email) or not email.isprintable():
            violations.add(f"attendees[{place}]", f"must be an e-mail address of at most {EMAIL_MOST} characters")
        if email.casefold() in found:
            violations.add(f"attendees[{place}]", "must be different from the others")
        found[email.casefold()] = Person(email)
    return tuple(found.values())


def _recurrence(violations: Violations, written: str) -> str:
    if not written:
        return ""
    try:
        return str(read_recurrence(written))
    except RecurrenceError as error:
        violations.add("recurrence", error.words)
        return ""


def _day(violations: Violations, field: str, written: str) -> date | None:
    try:
        if len(written) == len("2026-11-22"):
            day = date.fromisoformat(written)
            if _FIRST_YEAR <= day.year < _LAST_YEAR:
                return day
    except ValueError:
        pass
    violations.add(field, f"must be a day like 2026-11-22, from {_FIRST_YEAR} to {_LAST_YEAR - 1}")
    return None


def _event_and_meeting(violations: Violations, event_id: str, meeting_id: str) -> None:
    violations.identifier("event_id", event_id, EVENT_PREFIX)
    if meeting_id:
        check_meeting(violations, meeting_id)
        if not meeting_id.startswith(f"mtg_{event_id.removeprefix(EVENT_PREFIX)}_"):
            violations.add("meeting_id", "must be of the event that event_id names")


def check_meeting(violations: Violations, meeting_id: str) -> None:
    """Adds a violation of `meeting_id` when it is none."""
    if not _MEETING_ID.fullmatch(meeting_id):
        violations.add("meeting_id", "must be the meeting_id of a meeting, like mtg_…_20261122T080000Z")


def _place(list_name: str, page_token: str) -> tuple[datetime, str] | None:
    match decode_page_token(list_name, page_token):
        case None:
            return None
        case [int(microseconds), str(meeting_id)] if abs(microseconds) < _MICROSECONDS_MOST and _MEETING_ID.fullmatch(
            meeting_id
        ):
            return _EPOCH + microseconds * _MICROSECOND, meeting_id
        case _:
            raise invalid_page_token()


def _list_name(request: pb.ListMeetingsRequest) -> str:
    """The list that a page token belongs to: its filters included, but not `now`, which moves."""
    parts = (
        request.start_time.ToJsonString() if request.HasField("start_time") else "",
        request.end_time.ToJsonString() if request.HasField("end_time") else "",
        request.time_zone,
        request.account_id,
        request.query,
        str(request.include_cancelled),
    )
    return "meetings\n" + "\n".join(parts)

"""The calendar between the contract and the domain: bounds and unpacking. The bounds are the contract's."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from google.protobuf.message import Message
from parley.workspace.v1 import calendar_pb2
from parley.workspace.v1 import calendar_service_pb2 as pb
from parley_shared.paging import decode_page_token, encode_page_token, invalid_page_token
from parley_shared.validation import Violations

from parley_chat.domain.calendar import (
    ATTENDEES_MOST,
    DESCRIPTION_MOST,
    EMAIL_MOST,
    LOCATION_MOST,
    MOST_CALENDARS,
    TITLE_MOST,
    AccountKind,
    CalendarAccount,
    Credentials,
    Details,
    EventBody,
    EventStatus,
    InvalidEventError,
    Person,
    Span,
)
from parley_chat.domain.calendar_zones import UTC_ZONE, Zone
from parley_chat.domain.outbound import AddressRefusedError, OutboundRules, Refusal, check_url
from parley_chat.domain.recurrence import RecurrenceError, read_recurrence
from parley_chat.operations.calendar import MeetingsWanted, NewAccount, host_of, longest
from parley_chat.servicers.times import check_time_zone, read_time

ACCOUNT_PREFIX, EVENT_PREFIX = "cal_", "evt_"
OWN = "own"
NAME_MOST, URL_MOST, USERNAME_MOST, PASSWORD_MOST, CALENDAR_ID_MOST = 100, 2_000, 200, 500, 1_000
QUERY_MOST = 200
NOTICE_TOKEN_MOST, NOTICE_CONTENT_MOST = 200, 65_536
PAGE_SIZE_DEFAULT, PAGE_SIZE_MOST, PAGE_TOKEN_MOST = 50, 200, 512
DAYS_DEFAULT, DAYS_MOST = timedelta(days=7), timedelta(days=366)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS_MOST = 1 << 56  # The year 4253, which a datetime still holds.
_MEETING_ID = re.compile(r"mtg_[0-9a-f]{32}_\d{8}(T\d{6}Z)?")
_EMAIL = re.compile(r"[^@\s<>\",;]+@[^@\s<>\",;]+")
_FIRST_YEAR, _LAST_YEAR = 1970, 9998

_KINDS = {
    calendar_pb2.CALENDAR_ACCOUNT_KIND_FEED: AccountKind.FEED,
    calendar_pb2.CALENDAR_ACCOUNT_KIND_CALDAV: AccountKind.CALDAV,
}
_STATUSES = {
    calendar_pb2.EVENT_STATUS_UNSPECIFIED: EventStatus.CONFIRMED,
    calendar_pb2.EVENT_STATUS_CONFIRMED: EventStatus.CONFIRMED,
    calendar_pb2.EVENT_STATUS_TENTATIVE: EventStatus.TENTATIVE,
    calendar_pb2.EVENT_STATUS_CANCELLED: EventStatus.CANCELLED,
}
_REFUSALS = {
    Refusal.URL: "must be a URL like https://calendar.example.com/me.ics",
    Refusal.SCHEME: "must begin with https:// or webcal://",
    Refusal.CREDENTIALS: "must not hold a user name or a password: give them in fields of their own",
    Refusal.PORT: "must have the port 80 or 443, or one from 1024",
    Refusal.ADDRESS: "must not lead to a private address",
}
_ACCOUNT_FIELDS = ("name", "url", "username", "password", "time_zone", "calendar_ids")
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


def new_account(request: pb.CreateCalendarAccountRequest, rules: OutboundRules) -> NewAccount:
    """Checks and unpacks the request for a new account."""
    violations = Violations()
    violations.choice("kind", request.kind, _KINDS)
    _line(violations, "name", request.name, most=NAME_MOST)
    url = _url(violations, request.url, rules)
    _line(violations, "username", request.username, most=USERNAME_MOST)
    _line(violations, "password", request.password, most=PASSWORD_MOST)
    check_time_zone(violations, request.time_zone)
    wanted = _calendar_ids(violations, request.calendar_ids)
    if request.kind == calendar_pb2.CALENDAR_ACCOUNT_KIND_CALDAV and not request.username:
        violations.add("username", "must be given for a CalDAV account")
    if bool(request.username) != bool(request.password):
        violations.add("password", "must be given with a user name, and only then")
    if request.kind == calendar_pb2.CALENDAR_ACCOUNT_KIND_FEED and wanted:
        violations.add("calendar_ids", "must be empty: a feed is one calendar")
    violations.check()
    name, zone = request.name.strip(), request.time_zone
    return NewAccount(_KINDS[request.kind], name, url, request.username, request.password, zone, wanted)


def account_changes(
    request: pb.UpdateCalendarAccountRequest, rules: OutboundRules
) -> Callable[[CalendarAccount, Credentials], tuple[CalendarAccount, Credentials]]:
    """Checks the request to change an account, and gives what makes the changes. That raises INVALID_ARGUMENT, too."""
    violations = Violations()
    violations.identifier("account_id", request.account_id, ACCOUNT_PREFIX)
    paths = _paths(violations, request, _ACCOUNT_FIELDS)
    url = ""
    if "name" in paths:
        violations.text("name", request.name, least=1, most=NAME_MOST, not_blank=True)
        _line(violations, "name", request.name, most=NAME_MOST)
    if "url" in paths:
        url = _url(violations, request.url, rules)
    if "username" in paths:
        _line(violations, "username", request.username, most=USERNAME_MOST)
    if "password" in paths:
        _line(violations, "password", request.password, most=PASSWORD_MOST)
    if "time_zone" in paths:
        check_time_zone(violations, request.time_zone)
    wanted = _calendar_ids(violations, request.calendar_ids) if "calendar_ids" in paths else ()
    violations.check()

    def change(account: CalendarAccount, credentials: Credentials) -> tuple[CalendarAccount, Credentials]:
        if "name" in paths:
            account = replace(account, name=request.name.strip())
        if "time_zone" in paths:
            account = replace(account, time_zone=request.time_zone)
        if "calendar_ids" in paths:
            account = replace(account, wanted=wanted)
        if "username" in paths:
            account = replace(account, username=request.username)
            credentials = replace(credentials, username=request.username)
        if "password" in paths:
            credentials = replace(credentials, password=request.password)
        if "url" in paths:
            account = replace(account, host=host_of(url))
            if host_of(url) != host_of(credentials.url) and credentials.password and "password" not in paths:
                # A password is never sent to a host that its user has not named with it.
                _refuse("password", "must be given again: the URL is one of another host")
            credentials = replace(credentials, url=url)
        if bool(credentials.username) != bool(credentials.password):
            _refuse("password", "must be given with a user name, and only then")
        if account.kind is AccountKind.CALDAV and not credentials.username:
            _refuse("username", "must be given for a CalDAV account")
        if account.kind is AccountKind.FEED and account.wanted:
            _refuse("calendar_ids", "must be empty: a feed is one calendar")
        return account, credentials

    return change


def check_account_id(account_id: str) -> None:
    """Raises the INVALID_ARGUMENT that names `account_id`."""
    violations = Violations()
    violations.identifier("account_id", account_id, ACCOUNT_PREFIX)
    violations.check()


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


def check_notice(request: pb.NotifyCalendarRequest) -> None:
    """Raises the INVALID_ARGUMENT that names what is out of its bounds."""
    violations = Violations()
    violations.text("token", request.token, least=1, most=NOTICE_TOKEN_MOST)
    if len(request.body.data) > NOTICE_CONTENT_MOST:
        violations.add("body", f"must have at most {NOTICE_CONTENT_MOST} bytes")
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
    paths = _paths(violations, request, _EVENT_FIELDS)
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
            violations.text("title", request.title, least=1, most=TITLE_MOST, not_blank=True)
            _line(violations, "title", request.title, most=TITLE_MOST)
        for name, most in (("location", LOCATION_MOST), ("description", DESCRIPTION_MOST)):
            if name in paths:
                _text(violations, name, getattr(request, name), most=most)
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


def _refuse(field: str, words: str) -> None:
    violations = Violations()
    violations.add(field, words)
    violations.check()


def _paths(violations: Violations, request: Message, changeable: Sequence[str]) -> set[str]:
    if request.HasField("update_mask"):
        mask: Sequence[str] = request.update_mask.paths  # type: ignore[attr-defined]  # Both requests have one.
        paths = set(mask)
        if unknown := sorted(paths - set(changeable)):
            violations.add("update_mask", f"must name only {', '.join(changeable)}; it names {unknown[0][:64]}")
        return paths
    return {field.name for field, _ in request.ListFields()} & set(changeable)


def _url(violations: Violations, written: str, rules: OutboundRules) -> str:
    violations.text("url", written, least=1, most=URL_MOST)
    url = written.strip()
    if url.lower().startswith(("webcal://", "webcals://")):
        url = "https" + url[url.index("://") :]
    if written and len(written) <= URL_MOST:
        try:
            check_url(url, rules)
        except AddressRefusedError as error:
            violations.add("url", _REFUSALS[error.refusal])
    return url


def _calendar_ids(violations: Violations, written: Sequence[str]) -> tuple[str, ...]:
    violations.count("calendar_ids", written, most=MOST_CALENDARS)
    for place, each in enumerate(written[:MOST_CALENDARS]):
        violations.text(f"calendar_ids[{place}]", each, least=1, most=CALENDAR_ID_MOST)
        _storable(violations, f"calendar_ids[{place}]", each)
    return tuple(dict.fromkeys(written))


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


def _line(violations: Violations, field: str, value: str, *, most: int) -> None:
    violations.text(field, value, most=most)
    if not value.isprintable():
        violations.add(field, "must not hold control characters or line breaks")


def _text(violations: Violations, field: str, value: str, *, most: int) -> None:
    violations.text(field, value, most=most)
    _storable(violations, field, value)


def _storable(violations: Violations, field: str, value: str) -> None:
    if "\0" in value:
        violations.add(field, "must not hold the character U+0000")

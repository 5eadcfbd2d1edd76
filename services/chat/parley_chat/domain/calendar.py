"""The calendar: events, the accounts that they come from, and the meetings that they make. Not where they are kept or how they are fetched.

A series is one event. Its times are local times in a zone, because that is what stays the same when clocks change; `calendar_zones.py` says
which moment a local time is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from uuid import uuid4

from parley_chat.domain.calendar_zones import Zone

MOST_ACCOUNTS = 20
MOST_OWN_EVENTS = 5_000
MOST_EVENTS_OF_AN_ACCOUNT = 10_000
MOST_CALENDARS = 100
MOST_OVERRIDES = 1_000
"""Of one series: occurrences that were changed, and, each for itself, those that were left out or added."""

TITLE_MOST, DESCRIPTION_MOST, LOCATION_MOST, URL_MOST = 300, 10_000, 500, 2_000
ATTENDEES_MOST, EMAIL_MOST, PERSON_MOST, RESPONSE_MOST = 100, 254, 200, 32
SHOWN_DESCRIPTION = 1_000
"""Characters of a description in lists and in the log of events."""

_DAY = timedelta(days=1)


class EventStatus(StrEnum):
    """Whether an event takes place."""

    CONFIRMED = "confirmed"
    TENTATIVE = "tentative"
    CANCELLED = "cancelled"


class AccountKind(StrEnum):
    """Where the events of an account come from."""

    FEED = "feed"
    CALDAV = "caldav"


class AccountState(StrEnum):
    """How the last synchronization ended."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who takes part, or who called an event."""

    email: str
    name: str = ""
    response: str = ""
    """What they answered, as iCalendar has it, in lower case; empty when unknown."""


@dataclass(frozen=True, slots=True)
class Details:
    """What an event is, whenever it is."""

    title: str
    description: str = ""
    location: str = ""
    status: EventStatus = EventStatus.CONFIRMED
    url: str = ""
    attendees: tuple[Person, ...] = ()
    organizer: Person | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """When something begins and how long it takes."""

    begin: datetime
    """The local time of its zone, without one. Midnight for whole days."""
    zone: Zone
    """UTC for whole days, which have none."""
    length: timedelta
    """How much time passes to its end: not what clocks show. Whole days for whole days."""
    all_day: bool = False

    @property
    def start(self) -> datetime:
        """When it begins, UTC."""
        return self.zone.moment(self.begin)

    @property
    def end(self) -> datetime:
        """When it ends, UTC, not included."""
        return self.start + self.length

    @property
    def key(self) -> str:
        """Names the occurrence that begins so in its series."""
        return f"{self.begin:%Y%m%d}" if self.all_day else f"{self.start:%Y%m%dT%H%M%SZ}"

    def on(self, day: date) -> Span:
        """The same on another day."""
        return replace(self, begin=datetime.combine(day, self.begin.time()))


@dataclass(frozen=True, slots=True)
class Override:
    """One occurrence of a series that is not as its rule says."""

    key: str
    """Which: when it would have begun."""
    details: Details
    span: Span


@dataclass(frozen=True, slots=True)
class EventBody:
    """An event as its calendar has it."""

    details: Details
    span: Span
    recurrence: str = ""
    """The rule, in its normal form (`recurrence.py`); empty when there is none."""
    added: tuple[Span, ...] = ()
    """Occurrences beside those of the rule."""
    excluded: tuple[str, ...] = ()
    """The keys of occurrences that were left out."""
    overrides: tuple[Override, ...] = ()
    has_first: bool = True
    """False when the calendar has only single occurrences of a series, as for who is invited to some: nothing but these takes place."""

    @property
    def recurs(self) -> bool:
        """Whether there is more than one occurrence, or may be."""
        return bool(self.recurrence or self.added or self.overrides)


@dataclass(frozen=True, slots=True)
class CalendarEvent:
    """An event of a user."""

    event_id: str
    account_id: str
    """Empty for Parley's own calendar."""
    calendar_id: str
    body: EventBody
    create_time: datetime
    update_time: datetime
    turn_id: str = ""
    """The turn whose model made it; empty when its user or a synchronization did."""

    @property
    def read_only(self) -> bool:
        """Whether it is changed elsewhere only."""
        return bool(self.account_id)


@dataclass(frozen=True, slots=True)
class Meeting:
    """One time that an event takes place."""

    event: CalendarEvent
    key: str
    """Which of the event's."""
    details: Details
    span: Span
    original_start: datetime | None = None
    """When it was meant to begin by the rule, when it was moved."""

    @property
    def meeting_id(self) -> str:
        """Names it for ever."""
        return f"mtg_{self.event.event_id.removeprefix('evt_')}_{self.key}"


@dataclass(frozen=True, slots=True)
class AccountCalendar:
    """A calendar of a CalDAV account."""

    calendar_id: str
    name: str
    selected: bool
    writable: bool


@dataclass(frozen=True, slots=True)
class CalendarAccount:
    """A calendar, or several, that somebody else keeps. Without what opens it, which is sealed elsewhere."""

    account_id: str
    kind: AccountKind
    name: str
    host: str
    username: str
    time_zone: str
    """The zone of times that say none; empty when the calendar says it."""
    wanted: tuple[str, ...]
    """The calendars to synchronize; all when empty."""
    create_time: datetime
    update_time: datetime
    state: AccountState = AccountState.PENDING
    error: str = ""
    warnings: tuple[str, ...] = ()
    event_count: int = 0
    calendars: tuple[AccountCalendar, ...] = ()
    last_sync_time: datetime | None = None
    last_success_time: datetime | None = None
    next_sync_time: datetime | None = None
    """None when it is about to be deleted."""
    syncing: bool = False


@dataclass(frozen=True, slots=True)
class Credentials:
    """What opens an account. Never shown or logged."""

    url: str = field(repr=False)
    username: str = field(repr=False)
    password: str = field(repr=False)
    notice_token: str = field(repr=False)
    """With it a server tells of changes."""

    @property
    def notice_hash(self) -> str:
        """By what the account of a notice is found."""
        return notice_hash(self.notice_token)


@dataclass(frozen=True, slots=True)
class SealedCredentials:
    """Credentials as they are stored."""

    sealed: str
    notice_hash: str


class TooManyAccountsError(Exception):
    """The user has as many accounts as one may have."""

    def __init__(self, limit: int) -> None:
        super().__init__("too many calendar accounts")
        self.limit = limit


class TooManyEventsError(Exception):
    """The user has as many events of their own as one may have."""

    def __init__(self, limit: int) -> None:
        super().__init__("too many events")
        self.limit = limit


class ReadOnlyEventError(Exception):
    """The event is kept elsewhere and cannot be changed here."""

    def __init__(self, event_id: str) -> None:
        super().__init__("the event is read-only")
        self.event_id = event_id


class InvalidEventError(Exception):
    """A field does not go with the others that the event has. `words` continue the field's name."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(f"{field} {words}")
        self.field = field
        self.words = words


def notice_hash(notice_token: str) -> str:
    """What is stored of a notice's token, to find it by. A fast hash is enough: there is nothing to guess in 256 random bits."""
    return hashlib.sha256(notice_token.encode()).hexdigest()


def new_account_id() -> str:
    """Names an account."""
    return f"cal_{uuid4().hex}"


def new_event_id() -> str:
    """Names an event of one's own."""
    return f"evt_{uuid4().hex}"


def synced_event_id(account_id: str, resource: str) -> str:
    """Names an event of an account: always the same for the same thing at the other place."""
    named = f"{account_id}\n{resource}".encode()
    return f"evt_{hashlib.sha256(named).hexdigest()[:32]}"


def read_key(key: str) -> datetime:
    """The UTC time of an occurrence's key; midnight UTC for a day. Raises ValueError."""
    if len(key) == len("20261122"):
        return datetime.strptime(key, "%Y%m%d").replace(tzinfo=UTC)
    return datetime.strptime(key, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

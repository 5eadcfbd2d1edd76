"""A user's calendar as it is kept, and when which account is synchronized."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from parley_chat.domain.calendar import CalendarAccount, CalendarEvent, Credentials, EventBody, SealedCredentials


@dataclass(frozen=True, slots=True)
class Reach:
    """The time in which an event can take place at all."""

    first: datetime
    last: datetime | None
    """None when it recurs without an end."""


@dataclass(frozen=True, slots=True)
class SourceEvent:
    """An event as the other place has it."""

    resource: str
    """Names it there. At most 1,000 characters."""
    etag: str
    """Its version there; empty when the other place has none."""
    digest: str
    """Changes with its content."""
    calendar_id: str
    body: EventBody


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """What is known here of an event of an account."""

    event_id: str
    etag: str
    digest: str


@dataclass(frozen=True, slots=True)
class SyncClaim:
    """The right to synchronize an account, for a while, before all others."""

    user_id: str
    account: CalendarAccount
    sealed: str
    """What opens the account, encrypted."""
    progress: str
    """What the source wrote at the end of the last synchronization that went well; empty when there was none."""
    fence: int
    """Who claims after has a higher one, and what this one writes then is not taken."""
    failures: int
    """How often in a row it went wrong."""
    expire_time: datetime


class CalendarStore(Protocol):
    """The calendar of one user, within a transaction."""

    async def add_account(self, account: CalendarAccount, sealed: SealedCredentials) -> None:
        """Stores a new one."""
        ...

    async def account(self, account_id: str) -> CalendarAccount:
        """Gets one, or raises NotFoundError."""
        ...

    async def accounts(self) -> Sequence[CalendarAccount]:
        """All of them, the oldest first."""
        ...

    async def sealed(self, account_id: str) -> str:
        """What opens an account, encrypted."""
        ...

    async def put_account(
        self, account: CalendarAccount, *, sealed: SealedCredentials | None = None, anew: bool = False
    ) -> None:
        """Stores one that exists as it is now, and what opens it when that changes. `anew` forgets how far it was synchronized, and what
        a synchronization that runs now still writes is not taken."""
        ...

    async def remove_account(self, account_id: str) -> None:
        """Deletes one that has no events any more."""
        ...

    async def request_sync(self, account_id: str, time: datetime) -> None:
        """The next synchronization is due at this time, if it is not before."""
        ...

    async def end_sync(self, claim: SyncClaim, account: CalendarAccount, progress: str | None, failures: int) -> bool:
        """Ends a claim and stores what came of it; `progress` is None when nothing changed about it. False when others claimed after."""
        ...

    async def holds(self, claim: SyncClaim) -> bool:
        """Whether nobody claimed after."""
        ...

    async def add_event(self, event: CalendarEvent, reach: Reach) -> None:
        """Stores a new event of the user's own."""
        ...

    async def event(self, event_id: str) -> CalendarEvent:
        """Gets one, or raises NotFoundError."""
        ...

    async def put_event(self, event: CalendarEvent, reach: Reach) -> None:
        """Stores one that exists as it is now."""
        ...

    async def remove_event(self, event_id: str) -> None:
        """Deletes one for good."""
        ...

    async def count_events(self, account_id: str) -> int:
        """Counts those of an account, of one's own when it is empty."""
        ...

    async def between(self, first: datetime, last: datetime, account_id: str | None) -> Sequence[CalendarEvent]:
        """Those that may take place between two times, of an account, of one's own when it is empty, of all when it is None."""
        ...

    async def known(self, account_id: str) -> Mapping[str, KnownEvent]:
        """The events of an account, by their names there."""
        ...

    async def put_synced(self, account_id: str, event: CalendarEvent, source: SourceEvent, reach: Reach) -> None:
        """Stores an event of an account, new or changed."""
        ...


class CalendarSchedule(Protocol):
    """Which accounts are due, over all users and for all replicas."""

    async def due(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """The users and accounts whose synchronization is due and not claimed, those first who have waited longest. At most `limit`."""
        ...

    async def next_time(self) -> datetime | None:
        """When the next one is due; None when there is none."""
        ...

    async def claim(self, user_id: str, account_id: str, now: datetime, expire_time: datetime) -> SyncClaim | None:
        """Claims an account that is due; None when another was faster."""
        ...

    async def notice(self, notice_hash: str, now: datetime) -> bool:
        """Lets an account be due soon, but not sooner than some seconds after the last time; False when there is none."""
        ...


class CalendarSource(Protocol):
    """Fetches the events of accounts from where they are."""

    async def fetch(self, asked: SourceRequest) -> SourceAnswer:
        """Fetches what changed. Raises CalendarSourceError."""
        ...


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """What to fetch."""

    account: CalendarAccount
    credentials: Credentials
    progress: str
    known: Mapping[str, KnownEvent]


@dataclass(frozen=True, slots=True)
class SourceAnswer:
    """What changed."""

    changed: Sequence[SourceEvent]
    removed: Sequence[str]
    """The names of events that are no longer there."""
    progress: str
    calendars: Sequence[AccountCalendarAnswer] = ()
    warnings: Sequence[str] = ()
    keeps_warnings: bool = False
    """True when only a part was looked at: the warnings of before still hold."""


@dataclass(frozen=True, slots=True)
class AccountCalendarAnswer:
    """A calendar that an account has."""

    calendar_id: str
    name: str
    writable: bool


class CalendarSourceError(Exception):
    """The events could not be fetched. `words` say why, for people, and hold nothing that the other place wrote but numbers."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words

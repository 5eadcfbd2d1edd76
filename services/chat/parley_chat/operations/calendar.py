"""What can be done with the calendar, each within the transaction of its caller. Not the synchronization of accounts."""

from __future__ import annotations

import asyncio
import heapq
import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from parley_chat.domain.calendar import (
    MOST_ACCOUNTS,
    MOST_OVERRIDES,
    MOST_OWN_EVENTS,
    AccountKind,
    CalendarAccount,
    CalendarEvent,
    Credentials,
    Details,
    EventBody,
    EventStatus,
    InvalidEventError,
    Meeting,
    Override,
    ReadOnlyEventError,
    SealedCredentials,
    Span,
    TooManyAccountsError,
    TooManyEventsError,
    new_account_id,
    new_event_id,
)
from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.events import Action, Change, ResourceType, changed_account, changed_event
from parley_chat.operations.meetings import begins, meeting_of, meetings_between, reach_of
from parley_chat.ports.rule_days import RuleDays
from parley_chat.ports.secret_box import SecretBox
from parley_chat.ports.workspace import Workspace, Workspaces

DELETED_AT_A_TIME = 500
_NOTICE_BYTES = 32


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What a new account is made of. Checked at the door."""

    kind: AccountKind
    name: str
    url: str
    username: str
    password: str
    time_zone: str
    wanted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MeetingsWanted:
    """Which meetings to list."""

    first: datetime
    last: datetime
    day_zone: ZoneInfo
    account_id: str | None
    """Empty for one's own; None for all."""
    words: tuple[str, ...]
    """What each of them holds somewhere, case folded."""
    include_cancelled: bool


def seal(box: SecretBox, account_id: str, credentials: Credentials) -> SealedCredentials:
    """What is stored of credentials."""
    plain = json.dumps([credentials.url, credentials.username, credentials.password, credentials.notice_token])
    return SealedCredentials(box.seal(plain, f"calendar_account:{account_id}"), credentials.notice_hash)


def unseal(box: SecretBox, account_id: str, sealed: str) -> Credentials:
    """The credentials. Raises SecretLostError."""
    return Credentials(*json.loads(box.open(sealed, f"calendar_account:{account_id}")))


def host_of(url: str) -> str:
    """The host that is shown of a URL, with its port when it is not the usual one."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()


async def create_account(workspace: Workspace, box: SecretBox, new: NewAccount, now: datetime) -> CalendarAccount:
    """Connects an account, whose synchronization is due at once. Raises TooManyAccountsError."""
    if len(await workspace.calendar.accounts()) >= MOST_ACCOUNTS:
        raise TooManyAccountsError(MOST_ACCOUNTS)
    host = host_of(new.url)
    account = CalendarAccount(
        account_id=new_account_id(),
        kind=new.kind,
        name=new.name or host[:100],
        host=host,
        username=new.username,
        time_zone=new.time_zone,
        wanted=new.wanted,
        create_time=now,
        update_time=now,
        next_sync_time=now,
    )
    credentials = Credentials(new.url, new.username, new.password, secrets.token_urlsafe(_NOTICE_BYTES))
    await workspace.calendar.add_account(account, seal(box, account.account_id, credentials))
    workspace.tell(changed_account(Action.CREATED, account))
    return account


async def update_account(
    workspace: Workspace,
    before: CalendarAccount,
    after: CalendarAccount,
    sealed: SealedCredentials | None,
    now: datetime,
) -> CalendarAccount:
    """Changes an account. What is read from where having changed, it is read anew at once."""
    anew = sealed is not None or (after.wanted, after.time_zone) != (before.wanted, before.time_zone)
    if not anew and after == before:
        return before
    changed = replace(after, update_time=now, next_sync_time=now if anew else after.next_sync_time)
    await workspace.calendar.put_account(changed, sealed=sealed, anew=anew)
    changed = replace(changed, syncing=changed.syncing and not anew)
    workspace.tell(changed_account(Action.UPDATED, changed))
    return changed


async def delete_account(workspaces: Workspaces, user_id: str, account_id: str, now: datetime) -> None:
    """Deletes an account and its events, in several transactions: first nobody synchronizes it any more. Raises NotFoundError."""
    async with workspaces.change(user_id) as workspace:
        account = await workspace.calendar.account(account_id)
        await workspace.calendar.put_account(replace(account, update_time=now, next_sync_time=None), anew=True)
    while True:
        async with workspaces.change(user_id) as workspace:
            known = list((await workspace.calendar.known(account_id)).values())
            for each in known[:DELETED_AT_A_TIME]:
                await workspace.calendar.remove_event(each.event_id)
                workspace.tell(Change(Action.DELETED, ResourceType.CALENDAR_EVENT, each.event_id, None))
            if len(known) <= DELETED_AT_A_TIME:
                await workspace.calendar.remove_account(account_id)
                workspace.tell(Change(Action.DELETED, ResourceType.CALENDAR_ACCOUNT, account_id, None))
                return


async def create_event(
    workspace: Workspace, days: RuleDays, body: EventBody, now: datetime, turn_id: str
) -> CalendarEvent:
    """Makes an event of the user's own. Raises InvalidEventError and TooManyEventsError."""
    if await workspace.calendar.count_events("") >= MOST_OWN_EVENTS:
        raise TooManyEventsError(MOST_OWN_EVENTS)
    event = CalendarEvent(new_event_id(), "", "", body, now, now, turn_id)
    await workspace.calendar.add_event(event, reach_of(body, days))
    workspace.tell(changed_event(Action.CREATED, event, turn_id))
    return event


async def change_event(
    workspace: Workspace, days: RuleDays, before: CalendarEvent, body: EventBody, now: datetime, turn_id: str
) -> CalendarEvent:
    """Changes an event of the user's own. Raises ReadOnlyEventError."""
    if before.read_only:
        raise ReadOnlyEventError(before.event_id)
    if body == before.body:
        return before
    event = replace(before, body=body, update_time=now)
    await workspace.calendar.put_event(event, reach_of(body, days))
    workspace.tell(changed_event(Action.UPDATED, event, turn_id))
    return event


def with_override(event: CalendarEvent, key: str, details: Details, span: Span) -> EventBody:
    """The event with one occurrence that is otherwise. Raises InvalidEventError."""
    others = tuple(each for each in event.body.overrides if each.key != key)
    _bound(others)
    return replace(event.body, overrides=(*others, Override(key, details, span)))


def without_occurrence(event: CalendarEvent, key: str) -> EventBody:
    """The event without one of its occurrences. Raises InvalidEventError."""
    _bound(event.body.excluded)
    others = tuple(each for each in event.body.overrides if each.key != key)
    return replace(event.body, overrides=others, excluded=(*event.body.excluded, key))


def _bound(there_are: Sequence[object]) -> None:
    if len(there_are) >= MOST_OVERRIDES:
        raise InvalidEventError("meeting_id", f"must not be one more: {MOST_OVERRIDES} occurrences differ already")


async def delete_event(workspace: Workspace, event_id: str, turn_id: str) -> None:
    """Deletes an event of the user's own. Raises NotFoundError and ReadOnlyEventError."""
    event = await workspace.calendar.event(event_id)
    if event.read_only:
        raise ReadOnlyEventError(event_id)
    await workspace.calendar.remove_event(event_id)
    workspace.tell(Change(Action.DELETED, ResourceType.CALENDAR_EVENT, event_id, None, turn_id))


async def get_meeting(workspace: Workspace, days: RuleDays, meeting_id: str) -> Meeting:
    """One meeting. Raises NotFoundError."""
    event_id, key = event_and_key(meeting_id)
    try:
        event = await workspace.calendar.event(event_id)
    except NotFoundError:
        raise NotFoundError("meeting") from None
    meeting = await asyncio.to_thread(meeting_of, event, days, key)
    if meeting is None:
        raise NotFoundError("meeting")
    return meeting


def event_and_key(meeting_id: str) -> tuple[str, str]:
    """The event that a meeting belongs to, and which of its occurrences it is."""
    _, digits, key = meeting_id.split("_", 2)
    return f"evt_{digits}", key


async def list_meetings(
    workspace: Workspace, days: RuleDays, wanted: MeetingsWanted, limit: int, after: tuple[datetime, str] | None
) -> tuple[Sequence[Meeting], tuple[datetime, str] | None]:
    """A page of meetings in the order in which they begin, and where the next one goes on; None when there is none."""
    events = await workspace.calendar.between(wanted.first, wanted.last, wanted.account_id)
    # Many series take a while to expand, and the loop has others to serve.
    page = await asyncio.to_thread(_page, events, days, wanted, limit + 1, after)
    if len(page) <= limit:
        return page, None
    return page[:limit], _place(page[limit - 1], wanted.day_zone)


def _page(
    events: Sequence[CalendarEvent],
    days: RuleDays,
    wanted: MeetingsWanted,
    limit: int,
    after: tuple[datetime, str] | None,
) -> list[Meeting]:
    found = (
        meeting
        for event in events
        for meeting in meetings_between(event, days, wanted.first, wanted.last, wanted.day_zone)
        if _is_wanted(meeting, wanted)
    )
    placed = ((_place(meeting, wanted.day_zone), meeting) for meeting in found)
    rest = (each for each in placed if after is None or each[0] > after)
    return [meeting for _, meeting in heapq.nsmallest(limit, rest, key=lambda each: each[0])]


def _place(meeting: Meeting, day_zone: ZoneInfo) -> tuple[datetime, str]:
    return begins(meeting.span, day_zone), meeting.meeting_id


def _is_wanted(meeting: Meeting, wanted: MeetingsWanted) -> bool:
    if meeting.details.status is EventStatus.CANCELLED and not wanted.include_cancelled:
        return False
    if not wanted.words:
        return True
    text = "\n".join(_texts(meeting.details)).casefold()
    return all(word in text for word in wanted.words)


def _texts(details: Details) -> Iterator[str]:
    yield details.title
    yield details.location
    yield details.description
    for person in (*details.attendees, *([details.organizer] if details.organizer else [])):
        yield person.name
        yield person.email


def longest(span: Span) -> timedelta:
    """How long an event may be at most."""
    return timedelta(days=366) if span.all_day else timedelta(days=31)

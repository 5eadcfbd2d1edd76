"""The calendar and the schedule of its accounts as their ports promise them, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from parley_chat.adapters.sql_accounts import SqlAccounts
from parley_chat.adapters.sql_calendar_schedule import SqlCalendarSchedule
from parley_chat.adapters.sql_events import SqlEventLog
from parley_chat.adapters.sql_workspaces import SqlWorkspaces
from parley_chat.domain.accounts import Account, User
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
    SealedCredentials,
    Span,
    new_account_id,
    new_event_id,
    synced_event_id,
)
from parley_chat.domain.calendar_zones import CUSTOM, Offset, Zone
from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.events import Action, ResourceType, changed_account, changed_event
from parley_chat.ports.calendar import KnownEvent, Reach, SourceEvent
from parley_shared.sql import Database

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ADA, BOB = "usr_" + 32 * "a", "usr_" + 32 * "b"
LEASE = timedelta(minutes=5)
ZONE = Zone(CUSTOM, (Offset(datetime(2026, 3, 1, tzinfo=UTC), 3600), Offset(datetime(2026, 10, 1, tzinfo=UTC), 7200)))
SPAN = Span(datetime(2026, 11, 23, 9), ZONE, timedelta(minutes=90))  # noqa: DTZ001 - local times have no zone
BODY = EventBody(
    Details(
        "Review", "Notes", "Room 5", EventStatus.TENTATIVE, "https://x.org", (Person("a@x.org", "Ann", "accepted"),)
    ),
    SPAN,
    "FREQ=WEEKLY",
    (SPAN,),
    ("20261130T070000Z",),
    (Override("20261207T070000Z", Details("Moved", organizer=Person("b@x.org")), replace(SPAN, zone=Zone("UTC"))),),
)
REACH = Reach(NOW, NOW + timedelta(days=7))


def an_account(next_sync_time: datetime | None = NOW) -> CalendarAccount:
    return CalendarAccount(
        new_account_id(), AccountKind.CALDAV, "Work", "x.org", "ada", "UTC", ("/a/",), NOW, NOW,
        next_sync_time=next_sync_time,
    )  # fmt: skip


def an_event(account_id: str = "", resource: str = "") -> CalendarEvent:
    event_id = synced_event_id(account_id, resource) if account_id else new_event_id()
    return CalendarEvent(event_id, account_id, "/a/" if account_id else "", BODY, NOW, NOW)


def a_source(resource: str, etag: str = "1") -> SourceEvent:
    return SourceEvent(resource, etag, "digest", "/a/", BODY)


@pytest.fixture
async def workspaces(chat_database: Database) -> SqlWorkspaces:
    for user_id, email in ((ADA, "ada@example.org"), (BOB, "bob@example.org")):
        await SqlAccounts(chat_database).add(Account(User(user_id, email, "", NOW), "$argon2id$hash"))
    return SqlWorkspaces(chat_database)


@pytest.fixture
def schedule(chat_database: Database) -> SqlCalendarSchedule:
    return SqlCalendarSchedule(chat_database)


async def add(workspaces: SqlWorkspaces, account: CalendarAccount, user_id: str = ADA) -> CalendarAccount:
    async with workspaces.change(user_id) as workspace:
        await workspace.calendar.add_account(account, SealedCredentials("sealed", f"hash of {account.account_id}"))
    return account


async def stored(workspaces: SqlWorkspaces, account_id: str) -> CalendarAccount:
    async with workspaces.read(ADA) as workspace:
        return await workspace.calendar.account(account_id)


async def test_an_account_and_an_event_come_back_as_they_were(workspaces: SqlWorkspaces) -> None:
    account, event = await add(workspaces, an_account()), an_event()
    async with workspaces.change(ADA) as workspace:
        await workspace.calendar.add_event(event, REACH)
    async with workspaces.read(ADA) as workspace:
        assert await workspace.calendar.account(account.account_id) == account
        assert await workspace.calendar.sealed(account.account_id) == "sealed"
        assert await workspace.calendar.event(event.event_id) == event
        assert await workspace.calendar.between(NOW, NOW + timedelta(days=1), None) == [event]
        assert await workspace.calendar.between(NOW, NOW + timedelta(days=1), account.account_id) == []
        assert await workspace.calendar.between(NOW + timedelta(days=8), NOW + timedelta(days=9), "") == []
        assert await workspace.calendar.between(NOW - timedelta(days=9), NOW - timedelta(days=1), "") == []


async def test_what_recurs_without_an_end_is_always_between(workspaces: SqlWorkspaces) -> None:
    event = an_event()
    async with workspaces.change(ADA) as workspace:
        await workspace.calendar.add_event(event, Reach(NOW, None))
    async with workspaces.read(ADA) as workspace:
        assert len(await workspace.calendar.between(NOW + timedelta(days=9000), NOW + timedelta(days=9001), None)) == 1


async def test_nothing_of_one_user_is_anothers(workspaces: SqlWorkspaces) -> None:
    account, event = await add(workspaces, an_account()), an_event()
    async with workspaces.change(ADA) as workspace:
        await workspace.calendar.add_event(event, REACH)
    async with workspaces.change(BOB) as workspace:
        assert await workspace.calendar.accounts() == []
        assert await workspace.calendar.between(NOW, NOW, None) == []
        await workspace.calendar.put_account(replace(account, name="Mine"), anew=True)
        await workspace.calendar.put_event(replace(event, turn_id="trn"), REACH)
        await workspace.calendar.remove_account(account.account_id)
        await workspace.calendar.remove_event(event.event_id)
        for missing in (
            workspace.calendar.account(account.account_id),
            workspace.calendar.sealed(account.account_id),
            workspace.calendar.event(event.event_id),
        ):
            with pytest.raises(NotFoundError):
                await missing
    assert await stored(workspaces, account.account_id) == account


async def test_events_of_an_account_are_put_changed_and_known_by_their_names_there(workspaces: SqlWorkspaces) -> None:
    account = await add(workspaces, an_account())
    event = an_event(account.account_id, "/a/1.ics")
    async with workspaces.change(ADA) as workspace:
        await workspace.calendar.put_synced(account.account_id, event, a_source("/a/1.ics"), REACH)
        await workspace.calendar.put_synced(account.account_id, event, a_source("/a/1.ics", "2"), REACH)
    async with workspaces.read(ADA) as workspace:
        assert await workspace.calendar.known(account.account_id) == {
            "/a/1.ics": KnownEvent(event.event_id, "2", "digest")
        }
        assert await workspace.calendar.count_events(account.account_id) == 1
        assert await workspace.calendar.count_events("") == 0
        assert (await workspace.calendar.event(event.event_id)).read_only


async def test_one_of_many_claims_an_account_that_is_due(
    workspaces: SqlWorkspaces, schedule: SqlCalendarSchedule
) -> None:
    account = await add(workspaces, an_account())
    later = await add(workspaces, an_account(NOW + timedelta(minutes=1)))
    await add(workspaces, an_account(None))
    assert await schedule.due(NOW, 10) == [(ADA, account.account_id)]
    assert await schedule.next_time() == NOW
    claims = await asyncio.gather(*(schedule.claim(ADA, account.account_id, NOW, NOW + LEASE) for _ in range(5)))
    [claim] = [each for each in claims if each is not None]
    assert (claim.account.account_id, claim.sealed, claim.progress) == (account.account_id, "sealed", "")
    assert (await stored(workspaces, account.account_id)).syncing
    assert await schedule.due(NOW, 10) == []
    assert await schedule.next_time() == later.next_sync_time
    # Its holder died: when the claim has run out, another takes it, and the first writes nothing more.
    after = NOW + LEASE
    assert (ADA, account.account_id) in await schedule.due(after, 10)
    second = await schedule.claim(ADA, account.account_id, after, after + LEASE)
    assert second is not None
    assert second.fence > claim.fence
    async with workspaces.change(ADA) as workspace:
        assert not await workspace.calendar.holds(claim)
        assert await workspace.calendar.holds(second)
        assert not await workspace.calendar.end_sync(claim, replace(account, error="old"), "old", 1)


async def test_the_end_of_a_claim_is_stored_and_a_request_in_between_stays(
    workspaces: SqlWorkspaces, schedule: SqlCalendarSchedule
) -> None:
    account = await add(workspaces, an_account())
    claim = await schedule.claim(ADA, account.account_id, NOW, NOW + LEASE)
    assert claim is not None
    ended = replace(
        account,
        state=AccountState.READY,
        warnings=("Something",),
        event_count=3,
        calendars=(AccountCalendar("/a/", "A", selected=True, writable=False),),
        last_sync_time=NOW,
        last_success_time=NOW,
        next_sync_time=NOW + timedelta(minutes=15),
    )
    async with workspaces.change(ADA) as workspace:
        assert await workspace.calendar.end_sync(claim, ended, "progress", 0)
    assert await stored(workspaces, account.account_id) == ended

    due = NOW + timedelta(minutes=15)
    again = await schedule.claim(ADA, account.account_id, due, due + LEASE)
    assert again is not None
    assert again.progress == "progress"
    async with workspaces.change(ADA) as workspace:
        await workspace.calendar.request_sync(account.account_id, due)
    assert await schedule.due(due, 10) == []
    async with workspaces.change(ADA) as workspace:
        assert await workspace.calendar.end_sync(again, replace(ended, next_sync_time=due + LEASE * 9), None, 0)
    assert await schedule.due(due, 10) == [(ADA, account.account_id)]


async def test_a_change_of_what_is_read_shuts_out_who_reads_it(
    workspaces: SqlWorkspaces, schedule: SqlCalendarSchedule
) -> None:
    account = await add(workspaces, an_account())
    claim = await schedule.claim(ADA, account.account_id, NOW, NOW + LEASE)
    assert claim is not None
    async with workspaces.change(ADA) as workspace:
        changed = replace(account, wanted=(), next_sync_time=NOW)
        await workspace.calendar.put_account(changed, sealed=SealedCredentials("other", "other hash"), anew=True)
        assert not await workspace.calendar.holds(claim)
    assert await schedule.due(NOW, 10) == [(ADA, account.account_id)]
    following = await schedule.claim(ADA, account.account_id, NOW, NOW + LEASE)
    assert following is not None
    assert (following.sealed, following.progress) == ("other", "")


async def test_a_notice_makes_an_account_due_but_not_again_and_again(
    workspaces: SqlWorkspaces, schedule: SqlCalendarSchedule
) -> None:
    account = await add(workspaces, an_account(NOW + timedelta(hours=1)))
    hashed = f"hash of {account.account_id}"
    assert not await schedule.notice("another", NOW)
    assert await schedule.notice(hashed, NOW)
    claim = await schedule.claim(ADA, account.account_id, NOW, NOW + LEASE)
    assert claim is not None
    ended = replace(account, last_sync_time=NOW, next_sync_time=NOW + timedelta(hours=1))
    async with workspaces.change(ADA) as workspace:
        await workspace.calendar.end_sync(claim, ended, None, 0)
    soon = NOW + timedelta(seconds=1)
    assert await schedule.notice(hashed, soon)
    assert await schedule.due(soon, 10) == []
    assert await schedule.due(soon + timedelta(seconds=10), 10) == [(ADA, account.account_id)]


async def test_accounts_and_events_stand_in_the_log_without_what_is_long(
    workspaces: SqlWorkspaces, chat_database: Database
) -> None:
    account = replace(an_account(), calendars=(AccountCalendar("/a/", "A", selected=True, writable=False),))
    long = replace(BODY, details=replace(BODY.details, description="x" * 5_000))
    event = replace(an_event(), body=long)
    async with workspaces.change(ADA) as workspace:
        workspace.tell(changed_account(Action.CREATED, account))
        workspace.tell(changed_event(Action.CREATED, event, "trn_1"))
    types = (ResourceType.CALENDAR_ACCOUNT, ResourceType.CALENDAR_EVENT)
    first, second = (await SqlEventLog(chat_database).page(ADA, 0, 10, types)).events
    assert first.change.resource == account
    told = second.change.resource
    assert isinstance(told, CalendarEvent)
    assert (second.change.turn_id, len(told.body.details.description)) == ("trn_1", 1_000)
    assert (told.body.overrides, told.body.span.start) == ((), event.body.span.start)

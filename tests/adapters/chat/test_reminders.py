"""Reminders on SQLite and on PostgreSQL: each comes once, at its time by a clock that the test moves, whoever looks and however often."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from parley_chat.adapters.dateutil_rule_days import DateutilRuleDays
from parley_chat.adapters.sql_accounts import SqlAccounts
from parley_chat.adapters.sql_events import SqlEventLog
from parley_chat.adapters.sql_reminders import SqlReminders
from parley_chat.adapters.sql_schema import events
from parley_chat.adapters.sql_workspaces import SqlWorkspaces
from parley_chat.domain.accounts import Account, User
from parley_chat.domain.events import Action, Event, changed_task
from parley_chat.domain.tasks import Task, TaskPriority, TaskState, new_task_id
from parley_chat.operations import reminding
from parley_chat.operations.reminding import AGAIN_SECONDS, SWEEP_SECONDS, remind_all
from parley_chat.operations.tasks import update_task
from parley_shared.sql import Database
from sqlalchemy import select, update

NINE = datetime(2027, 1, 4, 9, tzinfo=UTC)
ADA, BOB = "usr_" + 32 * "a", "usr_" + 32 * "b"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = NINE - timedelta(hours=1)

    def __call__(self) -> datetime:
        return self.time


class Replica:
    """One of several that share a database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.workspaces = SqlWorkspaces(database, now=clock)
        self.reminders = SqlReminders(database, clock)

    async def look(self) -> float:
        return await remind_all(self.reminders, self.workspaces)

    async def add(self, title: str, user_id: str = ADA, minutes: tuple[int, ...] = (0,)) -> Task:
        """Stores a task that is due at nine; all its reminders are to come."""
        task = Task(
            task_id=new_task_id(),
            title=title,
            notes="",
            due_time=NINE,
            time_zone="UTC",
            priority=TaskPriority.NORMAL,
            state=TaskState.OPEN,
            project="",
            create_time=NINE,
            update_time=NINE,
            complete_time=None,
            remind_minutes_before=minutes,
        )
        task = replace(task, remind_time=task.remind_times()[0])
        async with self.workspaces.change(user_id) as workspace:
            await workspace.tasks.add(task)
        return task


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def one(chat_database: Database, clock: Clock) -> Replica:
    for user_id, name in ((ADA, "ada"), (BOB, "bob")):
        user = User(user_id, f"{name}@example.org", name, NINE)
        await SqlAccounts(chat_database).add(Account(user, "$argon2id$hash"))
    return Replica(chat_database, clock)


@pytest.fixture
async def two(chat_database_url: str, one: Replica, clock: Clock) -> AsyncIterator[Replica]:
    """On connections of its own."""
    database = Database.open(chat_database_url)
    yield Replica(database, clock)
    await database.close()


@pytest.fixture
def log(chat_database: Database) -> SqlEventLog:
    return SqlEventLog(chat_database)


async def told(log: SqlEventLog, user_id: str = ADA) -> list[Event]:
    events = (await log.page(user_id, 0, 1000, ())).events
    return [event for event in events if event.change.action is Action.REMINDED]


def title(event: Event) -> str:
    assert isinstance(event.change.resource, Task)
    return event.change.resource.title


async def test_a_reminder_comes_at_its_time_and_once(one: Replica, clock: Clock, log: SqlEventLog) -> None:
    task = await one.add("Pay")
    clock.time = NINE - timedelta(microseconds=1)
    await one.look()
    assert await told(log) == []
    clock.time = NINE
    for _ in range(3):
        await one.look()
    (event,) = await told(log)
    assert (event.change.resource_id, event.change.remind_time) == (task.task_id, NINE)
    assert event.change.resource == replace(task, remind_time=None)


async def test_nothing_is_looked_for_before_the_next_reminder_or_a_while(one: Replica, clock: Clock) -> None:
    assert await one.look() == SWEEP_SECONDS
    await one.add("Pay")
    assert await one.look() == SWEEP_SECONDS
    clock.time = NINE - timedelta(seconds=2.5)
    assert await one.look() == pytest.approx(2.5)


async def test_the_reminders_of_a_task_come_one_after_the_other(one: Replica, clock: Clock, log: SqlEventLog) -> None:
    await one.add("Pay", minutes=(30, 10, 0))
    for minutes, expected in ((31, 0), (30, 1), (11, 1), (10, 2), (1, 2), (0, 3), (-60, 3)):
        clock.time = NINE - timedelta(minutes=minutes)
        await one.look()
        assert len(await told(log)) == expected
    meant = [event.change.remind_time for event in await told(log)]
    assert meant == [NINE - timedelta(minutes=minutes) for minutes in (30, 10, 0)]


async def test_what_nobody_looked_for_in_time_comes_late_each_once_and_says_for_when_it_was_meant(
    one: Replica, clock: Clock, log: SqlEventLog
) -> None:
    await one.add("Pay", minutes=(30, 0))
    clock.time = NINE + timedelta(days=3)
    while not await one.look():
        pass
    assert [event.change.remind_time for event in await told(log)] == [NINE - timedelta(minutes=30), NINE]


async def test_a_change_by_a_process_whose_clock_is_behind_does_not_remind_again(
    one: Replica, clock: Clock, log: SqlEventLog
) -> None:
    task = await one.add("Pay")
    clock.time = NINE
    await one.look()
    async with one.workspaces.change(ADA) as workspace:
        behind = NINE - timedelta(seconds=5)
        await update_task(workspace, DateutilRuleDays(), task.task_id, {"title": "Pay the rent"}, behind, "")
    await one.look()
    assert len(await told(log)) == 1


async def test_replicas_that_look_at_the_same_time_remind_once(
    one: Replica, two: Replica, clock: Clock, log: SqlEventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reminding, "TASKS", 3)
    for number in range(10):
        await one.add(str(number), ADA if number % 2 else BOB)
    clock.time = NINE
    await asyncio.gather(*(replica.look() for _ in range(5) for replica in (one, two)))
    events = [*await told(log, ADA), *await told(log, BOB)]
    assert sorted(title(event) for event in events) == [str(number) for number in range(10)]
    assert [event.sequence for event in await told(log, ADA)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("ending", ["complete", "delete"])
async def test_what_is_done_or_gone_after_a_replica_has_looked_reminds_nobody(
    one: Replica, clock: Clock, log: SqlEventLog, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    task = await one.add("Pay")
    clock.time = NINE
    seen = await one.reminders.users(10)

    async def as_it_was(limit: int) -> Sequence[str]:
        return seen[:limit]

    async with one.workspaces.change(ADA) as workspace:
        if ending == "delete":
            await workspace.tasks.remove(task.task_id)
        else:
            await workspace.tasks.put(replace(task, state=TaskState.COMPLETED, remind_time=None))
    monkeypatch.setattr(one.reminders, "users", as_it_was)
    assert list(seen) == [ADA]
    await one.look()
    assert await told(log) == []


async def test_a_reminder_whose_event_cannot_be_written_is_not_lost(
    one: Replica, clock: Clock, log: SqlEventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await one.add("Ada's")
    await one.add("Bob's", BOB)
    clock.time = NINE
    change = one.workspaces.change

    def fails_for_ada(user_id: str) -> object:
        if user_id == ADA:
            raise ConnectionError
        return change(user_id)

    monkeypatch.setattr(one.workspaces, "change", fails_for_ada)
    assert await one.look() == AGAIN_SECONDS
    assert ([len(await told(log, user)) for user in (ADA, BOB)]) == [0, 1]
    monkeypatch.undo()
    await one.look()
    assert ([len(await told(log, user)) for user in (ADA, BOB)]) == [1, 1]


async def test_without_another_clock_it_is_the_databases(one: Replica, chat_database: Database) -> None:
    now = datetime.now(UTC)
    reminders = SqlReminders(chat_database)
    assert await reminders.seconds_to_next() is None
    task = await one.add("In a day")
    for remind_time, users in ((now + timedelta(days=1), []), (now - timedelta(days=1), [ADA])):
        async with one.workspaces.change(ADA) as workspace:
            await workspace.tasks.put(replace(task, remind_time=remind_time))
        assert list(await reminders.users(10)) == users
        async with SqlWorkspaces(chat_database).read(ADA) as workspace:
            assert len(await workspace.tasks.to_remind(10)) == len(users)
        assert (await reminders.seconds_to_next() == 0.0) is bool(users)


async def test_an_event_from_before_tasks_reminded_is_read_as_it_was(
    one: Replica, chat_database: Database, log: SqlEventLog
) -> None:
    task = await one.add("Old", minutes=(0,))
    async with one.workspaces.change(ADA) as workspace:
        workspace.tell(changed_task(Action.UPDATED, task, ""))
    new = ("recurrence", "wall_time", "remind_minutes_before", "remind_time", "next_task_id")
    async with chat_database.write() as connection:
        snapshot = (await connection.execute(select(events.c.snapshot))).scalar_one()
        old = {name: value for name, value in snapshot.items() if name not in new}
        await connection.execute(update(events).values(snapshot=old))
    [event] = (await log.page(ADA, 0, 10, ())).events
    assert event.change.resource == replace(task, remind_minutes_before=(), remind_time=None)
    assert event.change.remind_time is None

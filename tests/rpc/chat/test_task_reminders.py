"""Reminders of tasks as events, from a running chat: in time, late after a stop, once over two replicas, and again when a task recurs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from parley.events.v1 import event_pb2, event_service_pb2, event_service_pb2_grpc
from parley.workspace.v1 import task_pb2, task_service_pb2_grpc
from parley.workspace.v1 import task_service_pb2 as pb
from parley_chat.adapters.sql_schema import tasks
from parley_testing.postgres import PostgresServer
from parley_testing.redis_server import RedisServer
from parley_testing.running_chat import Person, RunningChat, running_chat
from sqlalchemy import update

NOWHERE = "127.0.0.1:1"
REMINDED = event_pb2.ACTION_REMINDED


async def create(running: RunningChat, person: Person, title: str, recurrence: str = "") -> task_pb2.Task:
    """A task that is due tomorrow, and reminds then."""
    stub = task_service_pb2_grpc.TaskServiceStub(running.channel)
    request = pb.CreateTaskRequest(title=title, remind_minutes_before=[0], recurrence=recurrence)
    request.due_time.FromDatetime(datetime.now(UTC).replace(microsecond=0) + timedelta(days=1))
    return (await stub.CreateTask(request, metadata=person.metadata)).task


async def move(running: RunningChat, time: datetime, *task_ids: str) -> None:
    """Lets tasks be due at another time, as if the days between had passed. Nobody is told: a change of a task makes chat look."""
    async with running.app.database.write() as connection:
        moved = update(tasks).where(tasks.c.task_id.in_(task_ids))
        await connection.execute(moved.values(due_time=time, remind_time=time))


async def reminders(running: RunningChat, person: Person, count: int) -> list[event_pb2.Event]:
    """The first `count` reminders, waited for."""
    stub = event_service_pb2_grpc.EventServiceStub(running.channel)
    found: list[event_pb2.Event] = []
    async with asyncio.timeout(60):
        async for response in stub.WatchEvents(event_service_pb2.WatchEventsRequest(), metadata=person.metadata):
            if response.event.action == REMINDED:
                found.append(response.event)
                if len(found) == count:
                    break
    return found


async def test_a_watcher_is_told_of_a_task_when_its_time_comes(running: RunningChat, alice: Person) -> None:
    made = await create(running, alice, "Call the dentist")
    soon = datetime.now(UTC) + timedelta(seconds=0.5)
    await move(running, soon, made.task_id)
    await create(running, alice, "Another")
    (event,) = await reminders(running, alice, 1)
    assert (event.resource_type, event.resource_id) == (event_pb2.RESOURCE_TYPE_TASK, made.task_id)
    assert event.remind_time.ToDatetime(UTC) == soon
    assert event.time.ToDatetime(UTC) >= soon
    assert (event.task.title, event.task.HasField("remind_time")) == ("Call the dentist", False)
    assert event.task.update_time == made.update_time


async def test_what_was_due_while_no_chat_ran_comes_late_and_once(tmp_path: Path) -> None:
    meant = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
    async with running_chat(tmp_path, inference=NOWHERE) as running:
        ada = await running.sign_up()
        made = await create(running, ada, "Pay")
        await move(running, meant, made.task_id)
    async with running_chat(tmp_path, inference=NOWHERE) as running:
        (event,) = await reminders(running, ada, 1)
        assert event.remind_time.ToDatetime(UTC) == meant
        assert event.time.ToDatetime(UTC) > meant + timedelta(days=1)
        other = await create(running, ada, "Other")
        await move(running, meant, other.task_id)
    async with running_chat(tmp_path, inference=NOWHERE) as running:
        # Whatever is told twice comes before what was due at the same time and was not told at all.
        assert [event.task.title for event in await reminders(running, ada, 2)] == ["Pay", "Other"]


async def test_the_next_occurrence_reminds_again_and_the_one_that_is_done_no_more(
    running: RunningChat, alice: Person
) -> None:
    stub = task_service_pb2_grpc.TaskServiceStub(running.channel)
    made = await create(running, alice, "Water the plants", "FREQ=DAILY")
    done = await stub.CompleteTask(pb.CompleteTaskRequest(task_id=made.task_id), metadata=alice.metadata)
    assert not done.task.HasField("remind_time")
    assert done.next_task.remind_time.ToDatetime(UTC) == made.due_time.ToDatetime(UTC) + timedelta(days=1)
    await move(running, datetime.now(UTC), done.next_task.task_id)
    await create(running, alice, "Another")
    (event,) = await reminders(running, alice, 1)
    assert event.resource_id == done.next_task.task_id


async def test_two_replicas_remind_once(tmp_path: Path, postgres: PostgresServer, redis_server: RedisServer) -> None:
    shared = {
        "PARLEY_CHAT_DATABASE_URL": postgres.new_database_url(),
        "PARLEY_CHAT_REDIS_URL": redis_server.new_url(),
    }
    async with (
        running_chat(tmp_path, inference=NOWHERE, **shared) as one,
        running_chat(tmp_path, inference=NOWHERE, **shared) as two,
    ):
        ada = await one.sign_up()
        made = [await create(one, ada, str(number)) for number in range(20)]
        last = await create(one, ada, "last")
        await move(one, datetime.now(UTC), *(task.task_id for task in made))
        await asyncio.gather(*(create(each, ada, "Another") for each in (one, two)))
        found = await reminders(two, ada, 20)
        await move(one, datetime.now(UTC), last.task_id)
        await asyncio.gather(*(create(each, ada, "Another") for each in (one, two)))
        found = await reminders(one, ada, 21)
        assert sorted(event.resource_id for event in found[:20]) == sorted(task.task_id for task in made)
        assert found[-1].resource_id == last.task_id

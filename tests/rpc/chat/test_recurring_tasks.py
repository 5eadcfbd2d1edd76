"""TaskService with tasks that recur and remind, on both databases: what completing does, what is refused, what is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from parley.events.v1 import event_pb2, event_service_pb2, event_service_pb2_grpc
from parley.workspace.v1 import task_pb2, task_service_pb2_grpc
from parley.workspace.v1 import task_service_pb2 as pb
from parley_shared.status import status_error_from
from parley_testing.postgres import PostgresServer
from parley_testing.running_chat import Person, RunningChat, running_chat

CREATED, UPDATED, DELETED = event_pb2.ACTION_CREATED, event_pb2.ACTION_UPDATED, event_pb2.ACTION_DELETED
OPEN, COMPLETED = task_pb2.TASK_STATE_OPEN, task_pb2.TASK_STATE_COMPLETED


def at(month: int, day: int, hour: int = 9, year: int = 2037) -> Timestamp:
    """A time that is to come."""
    time = Timestamp()
    time.FromDatetime(datetime(year, month, day, hour, tzinfo=UTC))
    return time


class Tasks:
    """The tasks of one person."""

    def __init__(self, running: RunningChat, person: Person) -> None:
        self._stub = task_service_pb2_grpc.TaskServiceStub(running.channel)
        self._events = event_service_pb2_grpc.EventServiceStub(running.channel)
        self._metadata = person.metadata

    async def create(self, **fields: Any) -> task_pb2.Task:
        request = pb.CreateTaskRequest(**{"title": "Water the plants", **fields})
        return (await self._stub.CreateTask(request, metadata=self._metadata)).task

    async def get(self, task_id: str) -> task_pb2.Task:
        return (await self._stub.GetTask(pb.GetTaskRequest(task_id=task_id), metadata=self._metadata)).task

    async def update(self, task_id: str, *paths: str, **fields: Any) -> task_pb2.Task:
        mask = FieldMask(paths=paths) if paths else None
        request = pb.UpdateTaskRequest(task_id=task_id, update_mask=mask, **fields)
        return (await self._stub.UpdateTask(request, metadata=self._metadata)).task

    async def complete(self, task_id: str) -> pb.CompleteTaskResponse:
        return await self._stub.CompleteTask(pb.CompleteTaskRequest(task_id=task_id), metadata=self._metadata)

    async def reopen(self, task_id: str) -> task_pb2.Task:
        return (await self._stub.ReopenTask(pb.ReopenTaskRequest(task_id=task_id), metadata=self._metadata)).task

    async def delete(self, task_id: str) -> None:
        await self._stub.DeleteTask(pb.DeleteTaskRequest(task_id=task_id), metadata=self._metadata)

    async def open(self) -> list[task_pb2.Task]:
        return list((await self._stub.ListTasks(pb.ListTasksRequest(), metadata=self._metadata)).tasks)

    async def events(self) -> list[event_pb2.Event]:
        request = event_service_pb2.ListEventsRequest()
        return list((await self._events.ListEvents(request, metadata=self._metadata)).events)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
async def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningChat]:
    variables = {}
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        variables["PARLEY_CHAT_DATABASE_URL"] = server.new_database_url()
    async with running_chat(tmp_path_factory.mktemp("home"), inference="127.0.0.1:1", **variables) as chat:
        yield chat


@pytest.fixture
async def tasks(running: RunningChat) -> Tasks:
    return Tasks(running, await running.sign_up())


async def test_completing_a_task_that_recurs_makes_the_next_one_with_all_that_it_has(tasks: Tasks) -> None:
    made = await tasks.create(
        notes="All *of* them",
        due_time=at(3, 24, 8),
        time_zone="Europe/Berlin",
        priority=task_pb2.TASK_PRIORITY_HIGH,
        project="home",
        recurrence="RRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY=TU,SU",
        remind_minutes_before=[0, 30],
    )
    assert made.recurrence == "FREQ=WEEKLY;BYDAY=TU,SU"
    assert list(made.remind_minutes_before) == [30, 0]
    answer = await tasks.complete(made.task_id)
    done, following = answer.task, answer.next_task
    assert (done.state, done.due_time, done.next_task_id) == (COMPLETED, made.due_time, following.task_id)
    assert done.HasField("complete_time")
    # The clocks go forward on Sunday, 29 March 2037: nine o'clock there is an hour earlier in UTC.
    assert following.due_time == at(3, 29, 7)
    kept = ("title", "notes", "time_zone", "priority", "project", "recurrence", "remind_minutes_before")
    assert [getattr(following, name) for name in kept] == [getattr(made, name) for name in kept]
    assert following.state == OPEN
    assert await tasks.open() == [following]
    assert await tasks.get(made.task_id) == done


async def test_completing_again_changes_nothing_and_names_the_same_next_task(tasks: Tasks) -> None:
    made = await tasks.create(due_time=at(1, 1), recurrence="FREQ=DAILY")
    first = await tasks.complete(made.task_id)
    assert await tasks.complete(made.task_id) == first
    assert [(event.action, event.resource_id) for event in await tasks.events()] == [
        (CREATED, made.task_id), (UPDATED, made.task_id), (CREATED, first.next_task.task_id),
    ]  # fmt: skip
    await tasks.delete(first.next_task.task_id)
    again = await tasks.complete(made.task_id)
    assert (again.task, again.HasField("next_task")) == (first.task, False)
    assert await tasks.open() == []


async def test_the_last_occurrence_completes_for_good(tasks: Tasks) -> None:
    counted = await tasks.create(due_time=at(1, 1), recurrence="FREQ=DAILY;COUNT=2")
    second = (await tasks.complete(counted.task_id)).next_task
    assert (second.due_time, second.recurrence) == (at(1, 2), "FREQ=DAILY;COUNT=1")
    assert not (await tasks.complete(second.task_id)).HasField("next_task")
    until = await tasks.create(due_time=at(1, 1), recurrence="FREQ=WEEKLY;UNTIL=20370107")
    answer = await tasks.complete(until.task_id)
    assert (answer.HasField("next_task"), answer.task.next_task_id) == (False, "")
    assert await tasks.open() == []


async def test_what_was_missed_is_not_piled_up(tasks: Tasks) -> None:
    made = await tasks.create(due_time=at(1, 1, 9, 2024), recurrence="FREQ=DAILY;INTERVAL=2")
    before = datetime.now(UTC)
    due = (await tasks.complete(made.task_id)).next_task.due_time.ToDatetime(UTC)
    assert before < due <= datetime.now(UTC) + timedelta(days=2)
    assert ((due - datetime(2024, 1, 1, 9, tzinfo=UTC)) % timedelta(days=2)) == timedelta(0)


async def test_a_task_that_is_opened_again_takes_back_the_next_one_that_nobody_has_touched(tasks: Tasks) -> None:
    made = await tasks.create(due_time=at(1, 1), recurrence="FREQ=DAILY;COUNT=5", remind_minutes_before=[5])
    following = (await tasks.complete(made.task_id)).next_task
    opened = await tasks.reopen(made.task_id)
    assert (opened.recurrence, opened.remind_time) == (made.recurrence, made.remind_time)
    assert opened.next_task_id == ""
    assert await tasks.open() == [opened]
    told = [(event.action, event.resource_id) for event in await tasks.events()]
    assert told[-2:] == [(DELETED, following.task_id), (UPDATED, made.task_id)]
    assert (await tasks.complete(made.task_id)).next_task.due_time == following.due_time


@pytest.mark.parametrize("touched", ["changed", "completed", "deleted"])
async def test_a_task_that_is_opened_again_stands_alone_when_the_next_one_went_on(tasks: Tasks, touched: str) -> None:
    made = await tasks.create(due_time=at(1, 1), recurrence="FREQ=DAILY")
    following = (await tasks.complete(made.task_id)).next_task
    match touched:
        case "changed":
            await tasks.update(following.task_id, title="Water the garden")
        case "completed":
            await tasks.complete(following.task_id)
        case _:
            await tasks.delete(following.task_id)
    others = {task.task_id for task in await tasks.open()}
    assert (await tasks.reopen(made.task_id)).recurrence == ""
    assert {task.task_id for task in await tasks.open()} == others | {made.task_id}
    assert not (await tasks.complete(made.task_id)).HasField("next_task")


async def test_a_rule_is_changed_and_ended(tasks: Tasks) -> None:
    made = await tasks.create(due_time=at(1, 1), recurrence="FREQ=DAILY")
    assert (await tasks.update(made.task_id, title="Water")).recurrence == "FREQ=DAILY"
    weekly = await tasks.update(made.task_id, recurrence="FREQ=WEEKLY")
    assert (weekly.recurrence, weekly.due_time, weekly.title) == ("FREQ=WEEKLY", at(1, 1), "Water")
    moved = await tasks.update(made.task_id, due_time=at(1, 3, 11))
    assert (await tasks.complete(moved.task_id)).next_task.due_time == at(1, 10, 11)
    [following] = await tasks.open()
    # Without a mask, that it is there says that it is meant; with one, the mask says it.
    assert (await tasks.update(following.task_id, recurrence="")).recurrence == ""
    again = await tasks.update(following.task_id, "recurrence", recurrence="FREQ=DAILY")
    assert again.recurrence == "FREQ=DAILY"
    assert (await tasks.update(following.task_id, "recurrence")).recurrence == ""
    assert not (await tasks.complete(following.task_id)).HasField("next_task")


async def test_reminders_are_planned_replaced_and_removed(tasks: Tasks) -> None:
    made = await tasks.create(due_time=at(1, 2), remind_minutes_before=[0, 1440])
    assert made.remind_time == at(1, 1)
    assert (await tasks.update(made.task_id, title="Water")).remind_time == at(1, 1)
    assert (await tasks.update(made.task_id, due_time=at(1, 5))).remind_time == at(1, 4)
    assert (await tasks.update(made.task_id, remind_minutes_before=[60])).remind_time == at(1, 5, 8)
    assert not (await tasks.complete(made.task_id)).task.HasField("remind_time")
    assert (await tasks.reopen(made.task_id)).remind_time == at(1, 5, 8)
    removed = await tasks.update(made.task_id, "remind_minutes_before")
    assert (list(removed.remind_minutes_before), removed.HasField("remind_time")) == ([], False)


async def test_a_reminder_whose_time_has_passed_is_left_out(tasks: Tasks) -> None:
    made = await tasks.create(due_time=at(1, 1, 9, 2024), remind_minutes_before=[0, 30])
    assert not made.HasField("remind_time")
    soon = Timestamp()
    soon.FromDatetime(datetime.now(UTC) + timedelta(hours=2))
    assert (await tasks.create(due_time=soon, remind_minutes_before=[0, 1440])).remind_time == soon


# In one test each: to sign somebody up takes longer than all of the refusals.
OUT_OF_BOUNDS: list[tuple[dict[str, Any], str]] = [
    ({"recurrence": "FREQ=DAILY"}, "due_time"),
    ({"remind_minutes_before": [10]}, "due_time"),
    ({"due_time": at(1, 1), "recurrence": "every day"}, "recurrence"),
    ({"due_time": at(1, 1), "recurrence": "FREQ=SECONDLY"}, "recurrence"),
    ({"due_time": at(1, 1), "recurrence": "FREQ=DAILY;COUNT=1001"}, "recurrence"),
    ({"due_time": at(1, 1), "recurrence": "FREQ=DAILY;UNTIL=99991231"}, "recurrence"),
    ({"due_time": at(1, 1), "recurrence": "FREQ=DAILY;UNTIL=20361231"}, "recurrence"),
    ({"due_time": at(1, 1), "recurrence": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "recurrence"),
    ({"due_time": at(1, 1), "recurrence": "FREQ=DAILY;BYDAY=" + "MO," * 100}, "recurrence"),
    ({"due_time": at(1, 1), "remind_minutes_before": [-1]}, "remind_minutes_before[0]"),
    ({"due_time": at(1, 1), "remind_minutes_before": [0, 40_321]}, "remind_minutes_before[1]"),
    ({"due_time": at(1, 1), "remind_minutes_before": [1, 1]}, "remind_minutes_before"),
    ({"due_time": at(1, 1), "remind_minutes_before": [1, 2, 3, 4, 5, 6]}, "remind_minutes_before"),
]
UNFIT_CHANGES: list[tuple[list[str], dict[str, Any], str]] = [
    (["due_time"], {}, "due_time"),
    (["recurrence"], {"recurrence": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "recurrence"),
    (["due_time"], {"due_time": at(1, 9)}, "recurrence"),
    (["recurrence"], {"recurrence": "FREQ=HOURLY"}, "recurrence"),
    (["remind_time"], {}, "update_mask"),
]


async def test_a_rule_or_reminder_out_of_bounds_is_named_and_leaves_nothing(tasks: Tasks) -> None:
    for fields, field in OUT_OF_BOUNDS:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await tasks.create(**fields)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert status_error_from(refused.value).metadata["field"] == field
    assert await tasks.events() == []


async def test_a_change_that_does_not_go_with_the_rest_of_the_task_is_refused_and_changes_nothing(
    tasks: Tasks,
) -> None:
    made = await tasks.create(due_time=at(1, 1), recurrence="FREQ=DAILY;UNTIL=20370108", remind_minutes_before=[5])
    for paths, fields, field in UNFIT_CHANGES:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await tasks.update(made.task_id, *paths, **fields)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert status_error_from(refused.value).metadata["field"] == field
    assert await tasks.get(made.task_id) == made

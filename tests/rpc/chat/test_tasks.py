"""TaskService: a user's tasks, their order, their bounds, and that nobody else sees them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from parley.workspace.v1 import task_pb2, task_service_pb2_grpc
from parley.workspace.v1 import task_service_pb2 as pb
from parley_shared.status import status_error_from
from parley_testing.identity import SignedUp
from parley_testing.running_chat import RunningChat

NOBODYS = "tsk_" + 32 * "0"


@pytest.fixture
def tasks(chat: RunningChat) -> task_service_pb2_grpc.TaskServiceAsyncStub:
    return task_service_pb2_grpc.TaskServiceStub(chat.channel)


def at(day: int) -> Timestamp:
    time = Timestamp()
    time.FromDatetime(datetime(2027, 1, day, 9, tzinfo=UTC))
    return time


async def create(
    tasks: task_service_pb2_grpc.TaskServiceAsyncStub, person: SignedUp, title: str = "Pay", **fields: Any
) -> task_pb2.Task:
    made = await tasks.CreateTask(pb.CreateTaskRequest(title=title, **fields), metadata=person.metadata)
    return made.task


async def listed(tasks: task_service_pb2_grpc.TaskServiceAsyncStub, person: SignedUp, **fields: Any) -> list[str]:
    response = await tasks.ListTasks(pb.ListTasksRequest(**fields), metadata=person.metadata)
    return [task.title for task in response.tasks]


async def test_a_task_is_made_with_everything_that_was_said_and_read_back(
    tasks: task_service_pb2_grpc.TaskServiceAsyncStub, ada: SignedUp
) -> None:
    made = await create(
        tasks,
        ada,
        "  Call the dentist ",
        notes="About *that* tooth",
        due_time=at(2),
        time_zone="Europe/Berlin",
        priority=task_pb2.TASK_PRIORITY_HIGH,
        project="home",
    )
    assert made.task_id.startswith("tsk_")
    assert (made.title, made.notes, made.project) == ("Call the dentist", "About *that* tooth", "home")
    assert (made.due_time, made.time_zone, made.priority) == (at(2), "Europe/Berlin", task_pb2.TASK_PRIORITY_HIGH)
    assert made.state == task_pb2.TASK_STATE_OPEN
    assert made.create_time == made.update_time
    assert not made.HasField("complete_time")
    read = await tasks.GetTask(pb.GetTaskRequest(task_id=made.task_id), metadata=ada.metadata)
    assert read.task == made


async def test_what_is_not_said_has_its_default(
    tasks: task_service_pb2_grpc.TaskServiceAsyncStub, ada: SignedUp
) -> None:
    made = await create(tasks, ada)
    assert (made.priority, made.time_zone) == (task_pb2.TASK_PRIORITY_NORMAL, "UTC")
    assert not made.HasField("due_time")


async def test_what_is_due_first_comes_first_and_what_is_not_due_comes_last_page_by_page(
    tasks: task_service_pb2_grpc.TaskServiceAsyncStub, ada: SignedUp
) -> None:
    for title, due in {"third": 3, "first": 1, "second": 2}.items():
        await create(tasks, ada, title, due_time=at(due))
    for title in ("old", "newer", "newest"):
        await create(tasks, ada, title)
    expected = ["first", "second", "third", "newest", "newer", "old"]
    assert await listed(tasks, ada) == expected
    seen: list[str] = []
    request = pb.ListTasksRequest(page_size=1)
    while True:
        page = await tasks.ListTasks(request, metadata=ada.metadata)
        seen += [task.title for task in page.tasks]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == expected


async def test_a_list_is_narrowed_by_state_project_and_due_time(
    tasks: task_service_pb2_grpc.TaskServiceAsyncStub, ada: SignedUp
) -> None:
    await create(tasks, ada, "home", project="home", due_time=at(1))
    await create(tasks, ada, "work", project="work", due_time=at(5))
    done = await create(tasks, ada, "done", project="work")
    await tasks.CompleteTask(pb.CompleteTaskRequest(task_id=done.task_id), metadata=ada.metadata)
    assert await listed(tasks, ada) == ["home", "work"]
    assert await listed(tasks, ada, include_completed=True) == ["home", "work", "done"]
    assert await listed(tasks, ada, state=task_pb2.TASK_STATE_COMPLETED) == ["done"]
    assert await listed(tasks, ada, project="work", include_completed=True) == ["work", "done"]
    assert await listed(tasks, ada, due_before=at(5)) == ["home"]


async def test_only_the_fields_that_are_named_change(
    tasks: task_service_pb2_grpc.TaskServiceAsyncStub, ada: SignedUp
) -> None:
    made = await create(tasks, ada, notes="keep", due_time=at(1))
    named = await tasks.UpdateTask(
        pb.UpdateTaskRequest(task_id=made.task_id, title="Pay the rent", update_mask=FieldMask(paths=["title"])),
        metadata=ada.metadata,
    )
    assert (named.task.title, named.task.notes, named.task.due_time) == ("Pay the rent", "keep", at(1))
    filled = await tasks.UpdateTask(pb.UpdateTaskRequest(task_id=made.task_id, project="home"), metadata=ada.metadata)
    assert (filled.task.title, filled.task.project) == ("Pay the rent", "home")
    cleared = await tasks.UpdateTask(
        pb.UpdateTaskRequest(task_id=made.task_id, update_mask=FieldMask(paths=["due_time", "notes"])),
        metadata=ada.metadata,
    )
    assert not cleared.task.HasField("due_time")
    assert cleared.task.notes == ""


async def test_a_task_is_completed_once_and_opened_again(
    tasks: task_service_pb2_grpc.TaskServiceAsyncStub, ada: SignedUp
) -> None:
    made = await create(tasks, ada)
    request = pb.CompleteTaskRequest(task_id=made.task_id)
    first = await tasks.CompleteTask(request, metadata=ada.metadata)
    assert first.task.state == task_pb2.TASK_STATE_COMPLETED
    assert first.task.HasField("complete_time")
    assert await tasks.CompleteTask(request, metadata=ada.metadata) == first
    opened = await tasks.ReopenTask(pb.ReopenTaskRequest(task_id=made.task_id), metadata=ada.metadata)
    assert opened.task.state == task_pb2.TASK_STATE_OPEN
    assert not opened.task.HasField("complete_time")


async def test_a_deleted_task_is_gone(tasks: task_service_pb2_grpc.TaskServiceAsyncStub, ada: SignedUp) -> None:
    made = await create(tasks, ada)
    await tasks.DeleteTask(pb.DeleteTaskRequest(task_id=made.task_id), metadata=ada.metadata)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await tasks.DeleteTask(pb.DeleteTaskRequest(task_id=made.task_id), metadata=ada.metadata)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("rpc", ["GetTask", "UpdateTask", "CompleteTask", "ReopenTask", "DeleteTask"])
async def test_a_task_of_somebody_else_is_not_found(
    tasks: task_service_pb2_grpc.TaskServiceAsyncStub, ada: SignedUp, bob: SignedUp, rpc: str
) -> None:
    made = await create(tasks, ada)
    request = getattr(pb, f"{rpc}Request")(task_id=made.task_id)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await getattr(tasks, rpc)(request, metadata=bob.metadata)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert await listed(tasks, bob, include_completed=True) == []
    unchanged = await tasks.GetTask(pb.GetTaskRequest(task_id=made.task_id), metadata=ada.metadata)
    assert unchanged.task == made


@pytest.mark.parametrize(
    ("rpc", "fields", "field"),
    [
        ("CreateTask", {}, "title"),
        ("CreateTask", {"title": " "}, "title"),
        ("CreateTask", {"title": "x" * 301}, "title"),
        ("CreateTask", {"title": "two\nlines"}, "title"),
        ("CreateTask", {"title": "x", "notes": "x" * 10_001}, "notes"),
        ("CreateTask", {"title": "x", "notes": "\0"}, "notes"),
        ("CreateTask", {"title": "x", "project": "x" * 101}, "project"),
        ("CreateTask", {"title": "x", "time_zone": "Europe/Atlantis"}, "time_zone"),
        ("CreateTask", {"title": "x", "time_zone": "../../etc/passwd"}, "time_zone"),
        ("CreateTask", {"title": "x", "due_time": Timestamp(seconds=-1)}, "due_time"),
        ("CreateTask", {"title": "x", "due_time": Timestamp(seconds=1 << 60)}, "due_time"),
        ("CreateTask", {"title": "x", "priority": 9}, "priority"),
        ("ListTasks", {"page_size": 101}, "page_size"),
        ("ListTasks", {"state": 9}, "state"),
        ("ListTasks", {"page_token": "bm8"}, "page_token"),
        ("UpdateTask", {"task_id": "tsk_1"}, "task_id"),
        ("UpdateTask", {"task_id": NOBODYS, "update_mask": FieldMask(paths=["state"])}, "update_mask"),
        ("UpdateTask", {"task_id": NOBODYS, "update_mask": FieldMask(paths=["title"])}, "title"),
        ("GetTask", {}, "task_id"),
        ("CompleteTask", {"task_id": "ses_" + 32 * "0"}, "task_id"),
        ("DeleteTask", {}, "task_id"),
    ],
)
async def test_a_field_out_of_its_bounds_is_named(
    tasks: task_service_pb2_grpc.TaskServiceAsyncStub, ada: SignedUp, rpc: str, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await getattr(tasks, rpc)(getattr(pb, f"{rpc}Request")(**fields), metadata=ada.metadata)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert status_error_from(refused.value).metadata["field"] == field

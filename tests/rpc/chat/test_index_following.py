"""What chat owns can be found: each change reaches the index, once the index is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from parley.events.v1 import event_pb2, event_service_pb2, event_service_pb2_grpc
from parley.workspace.v1 import task_service_pb2, task_service_pb2_grpc
from parley_chat.adapters.sql_schema import tasks
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_index import ScriptedIndex
from sqlalchemy import update

NOWHERE = "127.0.0.1:1"


@pytest.fixture
async def index() -> AsyncIterator[ScriptedIndex]:
    async with ScriptedIndex() as scripted:
        yield scripted


async def add(running: RunningChat, person: Person, title: str, notes: str = "") -> str:
    stub = task_service_pb2_grpc.TaskServiceStub(running.channel)
    request = task_service_pb2.CreateTaskRequest(title=title, notes=notes, project="home")
    return (await stub.CreateTask(request, metadata=person.metadata)).task.task_id


async def test_tasks_that_are_made_changed_and_deleted_are_so_in_the_index(
    tmp_path: Path, index: ScriptedIndex
) -> None:
    async with running_chat(tmp_path, inference=NOWHERE, retrieval=index.address) as running:
        ada = await running.sign_up()
        stub = task_service_pb2_grpc.TaskServiceStub(running.channel)
        pay = await add(running, ada, "Pay", notes="By *transfer*")
        call = await add(running, ada, "Call")
        await index.until("Call", "Pay")
        item = index.items[pay]
        assert (item.item_type, item.project) == ("task", "home")
        assert "By *transfer*" in item.text
        assert "open" in item.text
        request = task_service_pb2.UpdateTaskRequest(task_id=pay, title="Pay the rent")
        await stub.UpdateTask(request, metadata=ada.metadata)
        await index.until("Call", "Pay the rent")
        await stub.DeleteTask(task_service_pb2.DeleteTaskRequest(task_id=call), metadata=ada.metadata)
        await index.until("Pay the rent")


async def test_a_task_that_recurs_is_found_by_its_rule_and_a_reminder_of_it_is_no_news(
    tmp_path: Path, index: ScriptedIndex
) -> None:
    async with running_chat(tmp_path, inference=NOWHERE, retrieval=index.address) as running:
        ada = await running.sign_up()
        stub = task_service_pb2_grpc.TaskServiceStub(running.channel)
        request = task_service_pb2.CreateTaskRequest(title="Bins", recurrence="FREQ=WEEKLY", remind_minutes_before=[0])
        request.due_time.FromDatetime(datetime.now(UTC) + timedelta(days=1))
        bins = (await stub.CreateTask(request, metadata=ada.metadata)).task.task_id
        await index.until("Bins")
        assert "FREQ=WEEKLY" in index.items[bins].text
        version = index.items[bins].version
        async with running.app.database.write() as connection:
            await connection.execute(update(tasks).values(remind_time=datetime.now(UTC)))
        await add(running, ada, "Other")
        await index.until("Bins", "Other")
        events = event_service_pb2_grpc.EventServiceStub(running.channel)
        async with asyncio.timeout(60):
            async for each in events.WatchEvents(event_service_pb2.WatchEventsRequest(), metadata=ada.metadata):
                if each.event.action == event_pb2.ACTION_REMINDED:
                    break
        await add(running, ada, "Last")
        await index.until("Bins", "Last", "Other")
        assert index.items[bins].version == version


async def test_what_changed_while_the_index_was_away_is_told_when_it_is_back(
    tmp_path: Path, index: ScriptedIndex
) -> None:
    async with running_chat(tmp_path, inference=NOWHERE, retrieval=index.address) as running:
        ada, bob = await running.sign_up(), await running.sign_up()
        await add(running, ada, "before")
        await index.until("before")
        await index.stop()
        await add(running, ada, "meanwhile")
        await add(running, bob, "another's")
        await index.start()
        await index.until("before", "meanwhile", "another's")


async def test_the_next_process_tells_what_the_one_before_it_did_not(tmp_path: Path, index: ScriptedIndex) -> None:
    async with running_chat(tmp_path, inference=NOWHERE, retrieval=NOWHERE) as running:
        ada = await running.sign_up()
        await add(running, ada, "untold")
    async with running_chat(tmp_path, inference=NOWHERE, retrieval=index.address):
        await index.until("untold")
    told = index.calls
    async with running_chat(tmp_path, inference=NOWHERE, retrieval=index.address) as running:
        await add(running, ada, "new")
        await index.until("new", "untold")
        assert index.calls == told + 1, "what the index knows is not told again"

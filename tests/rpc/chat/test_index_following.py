"""What chat owns can be found: each change reaches the index, once the index is there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from parley.workspace.v1 import task_service_pb2, task_service_pb2_grpc
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_index import ScriptedIndex

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

"""Workspaces as their port promises them, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from parley_chat.adapters.sql_accounts import SqlAccounts
from parley_chat.adapters.sql_conversations import SqlConversations
from parley_chat.adapters.sql_workspaces import SqlWorkspaces
from parley_chat.domain.accounts import Account, User
from parley_chat.domain.conversation import Session, new_session_id
from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.tasks import Task, TaskPriority, TaskState, new_task_id
from parley_chat.ports.toolbox import ToolOutcome
from parley_shared.sql import Database
from parley_testing.new_turns import new_turn

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
USER = "usr_" + 32 * "a"


def a_task(title: str = "Pay") -> Task:
    return Task(
        task_id=new_task_id(),
        title=title,
        notes="",
        due_time=None,
        time_zone="UTC",
        priority=TaskPriority.NORMAL,
        state=TaskState.OPEN,
        project="",
        create_time=NOW,
        update_time=NOW,
        complete_time=None,
    )


@pytest.fixture
async def workspaces(chat_database: Database) -> SqlWorkspaces:
    user = User(USER, "ada@example.org", "Ada", NOW)
    await SqlAccounts(chat_database).add(Account(user, "$argon2id$hash"))
    return SqlWorkspaces(chat_database)


@pytest.fixture
async def turn_id(chat_database: Database, workspaces: SqlWorkspaces) -> str:
    conversations = SqlConversations(chat_database)
    session = Session(new_session_id(), USER, "", NOW, NOW, "", "")
    await conversations.create_session(session)
    return (await conversations.begin_turn(new_turn(USER, session.session_id))).turn.turn_id


async def test_an_error_leaves_nothing_behind(workspaces: SqlWorkspaces) -> None:
    task = a_task()

    async def add_and_fail() -> None:
        async with workspaces.change(USER) as workspace:
            await workspace.tasks.add(task)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await add_and_fail()
    async with workspaces.read(USER) as workspace:
        assert await workspace.tasks.count_open() == 0
        with pytest.raises(NotFoundError):
            await workspace.tasks.get(task.task_id)


async def test_changes_of_one_task_at_the_same_time_are_all_kept(workspaces: SqlWorkspaces) -> None:
    task = a_task("0")
    async with workspaces.change(USER) as workspace:
        await workspace.tasks.add(task)

    async def count_up() -> None:
        async with workspaces.change(USER) as workspace:
            now = await workspace.tasks.get(task.task_id)
            await workspace.tasks.put(replace(now, title=str(int(now.title) + 1)))

    await asyncio.gather(*(count_up() for _ in range(10)))
    async with workspaces.read(USER) as workspace:
        assert (await workspace.tasks.get(task.task_id)).title == "10"


async def test_a_tool_that_two_run_at_the_same_time_takes_effect_once(workspaces: SqlWorkspaces, turn_id: str) -> None:
    async def run() -> str:
        async with workspaces.change(USER) as workspace:
            before = await workspace.tool_runs.find(turn_id, "call_1")
            if before is not None:
                return before.result_json
            task = a_task()
            await workspace.tasks.add(task)
            await workspace.tool_runs.keep(turn_id, "call_1", ToolOutcome(task.task_id), NOW)
            return task.task_id

    results = await asyncio.gather(*(run() for _ in range(5)))
    assert len(set(results)) == 1
    async with workspaces.read(USER) as workspace:
        assert await workspace.tasks.count_open() == 1

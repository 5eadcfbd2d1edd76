"""Projects as their port promises them, what leaves one that is deleted, and titles that models make: on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from parley_chat.adapters.sql_conversations import SqlConversations
from parley_chat.adapters.sql_events import SqlEventLog
from parley_chat.adapters.sql_index_cursors import SqlIndexCursors
from parley_chat.adapters.sql_titles import SqlTitles
from parley_chat.adapters.sql_workspaces import SqlWorkspaces
from parley_chat.domain.conversation import MessageState, Session, Usage, new_session_id
from parley_chat.domain.errors import KnowledgeUnavailableError, NotFoundError
from parley_chat.domain.events import Action, ResourceType
from parley_chat.domain.projects import MOST_PROJECTS, Project, ProjectCounts, TooManyProjectsError, new_project_id
from parley_chat.domain.tasks import Task, TaskPriority, TaskState, new_task_id
from parley_chat.domain.turn import TurnState
from parley_chat.operations import projects
from parley_chat.operations.index_following import IndexFollowing
from parley_chat.operations.projects import NewProject
from parley_chat.ports.conversations import SessionChanges
from parley_chat.ports.project_store import ProjectCursor
from parley_chat.ports.search_index import DeletedItem, IndexItem
from parley_chat.ports.workspace import TaskFilter
from parley_shared.sql import Database
from parley_testing.accounts import new_user
from parley_testing.new_turns import new_turn
from sqlalchemy import text

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def workspaces(chat_database: Database) -> SqlWorkspaces:
    return SqlWorkspaces(chat_database)


@pytest.fixture
def conversations(chat_database: Database) -> SqlConversations:
    return SqlConversations(chat_database)


@pytest.fixture
async def ada(chat_database: Database) -> str:
    return await new_user(chat_database)


@pytest.fixture
async def bob(chat_database: Database) -> str:
    return await new_user(chat_database)


async def a_project(workspaces: SqlWorkspaces, user_id: str, title: str = "House", at: datetime = NOW) -> Project:
    async with workspaces.change(user_id) as workspace:
        return (await projects.create_project(workspace, NewProject(title, "About it", "Be brief"), at, ""))[0]


async def a_session(conversations: SqlConversations, user_id: str, project_id: str = "", title: str = "") -> Session:
    session = Session(new_session_id(), user_id, title, NOW, NOW, "", "", project_id)
    await conversations.create_session(session)
    return session


async def a_task(workspaces: SqlWorkspaces, user_id: str, project: str, state: TaskState = TaskState.OPEN) -> Task:
    task = Task(
        task_id=new_task_id(),
        title="Paint",
        notes="",
        due_time=None,
        time_zone="UTC",
        priority=TaskPriority.NORMAL,
        state=state,
        project=project,
        create_time=NOW,
        update_time=NOW,
        complete_time=None if state is TaskState.OPEN else NOW,
    )
    async with workspaces.change(user_id) as workspace:
        await workspace.tasks.add(task)
    return task


async def test_projects_are_listed_by_their_last_change_and_archived_ones_only_when_asked_for(
    workspaces: SqlWorkspaces, ada: str, bob: str
) -> None:
    made = [
        await a_project(workspaces, ada, f"{number}", NOW + timedelta(microseconds=number // 2)) for number in range(5)
    ]
    await a_project(workspaces, bob, "Another's")
    async with workspaces.change(ada) as workspace:
        archived, _ = await projects.update_project(
            workspace, made[0].project_id, {"archived": True}, NOW + timedelta(hours=1), ""
        )
    async with workspaces.read(ada) as workspace:
        assert await workspace.projects.get(made[0].project_id) == archived
        store = workspace.projects
        assert {each.title for each in await store.page(100, None, archived=False)} == {"1", "2", "3", "4"}
        whole = list(await store.page(100, None, archived=True))
        assert [each.title for each in whole][:2] == ["0", "4"]
        paged: list[Project] = []
        after: ProjectCursor | None = None
        while page := await store.page(2, after, archived=True):
            paged += page
            after = ProjectCursor(page[-1].update_time, page[-1].project_id)
        assert paged == whole
    async with workspaces.read(bob) as workspace:
        with pytest.raises(NotFoundError):
            await workspace.projects.get(made[1].project_id)
    async with workspaces.change(bob) as workspace:
        assert not await workspace.projects.remove(made[1].project_id)


async def test_a_user_has_so_many_projects_and_no_more(
    workspaces: SqlWorkspaces, chat_database: Database, ada: str
) -> None:
    async with workspaces.change(ada) as workspace:
        for _ in range(MOST_PROJECTS):
            await workspace.projects.add(Project(new_project_id(), "x", "", "", False, NOW, NOW))
    with pytest.raises(TooManyProjectsError):
        await a_project(workspaces, ada)


async def test_what_belongs_to_a_project_is_counted_listed_and_moved(
    workspaces: SqlWorkspaces, conversations: SqlConversations, ada: str, bob: str
) -> None:
    house, garden = await a_project(workspaces, ada), await a_project(workspaces, ada, "Garden")
    inside = await a_session(conversations, ada, house.project_id, title="Walls")
    outside = await a_session(conversations, ada, title="Roof")
    for state in TaskState:
        await a_task(workspaces, ada, house.project_id, state)
    await a_task(workspaces, ada, "a label")
    async with workspaces.read(ada) as workspace:
        counts = await workspace.projects.counts([house.project_id, garden.project_id])
        assert counts == {house.project_id: ProjectCounts(1, 1), garden.project_id: ProjectCounts()}
        wanted = TaskFilter(None, house.project_id, None)
        assert len(await workspace.tasks.page(wanted, 10, None)) == 2

    moved = await conversations.update_session(
        ada, outside.session_id, SessionChanges(project_id=house.project_id), NOW
    )
    assert (moved.project_id, moved.title, moved.update_time) == (house.project_id, "Roof", outside.update_time)
    listed = await conversations.list_sessions(ada, 10, None, house.project_id)
    assert {each.session_id for each in listed} == {inside.session_id, outside.session_id}
    found = await conversations.search_sessions(ada, ["roof"], 10, None, garden.project_id)
    assert found == []
    await conversations.update_session(ada, inside.session_id, SessionChanges(project_id=""), NOW)
    assert len(await conversations.list_sessions(ada, 10, None, house.project_id)) == 1

    theirs = await a_session(conversations, bob)
    for attempt in (
        conversations.update_session(bob, theirs.session_id, SessionChanges(project_id=house.project_id), NOW),
        conversations.create_session(replace(theirs, session_id=new_session_id(), project_id=house.project_id)),
        conversations.begin_turn(
            replace(new_turn(bob, ""), new_session_id=new_session_id(), project_id=house.project_id)
        ),
    ):
        with pytest.raises(NotFoundError) as refused:
            await attempt
        assert refused.value.resource == "project"
    assert [each.session_id for each in await conversations.list_sessions(bob, 10, None)] == [theirs.session_id]


async def test_a_turn_and_its_usage_belong_to_the_project_of_the_session(
    workspaces: SqlWorkspaces, conversations: SqlConversations, chat_database: Database, ada: str
) -> None:
    house, garden = await a_project(workspaces, ada), await a_project(workspaces, ada, "Garden")
    new = replace(new_turn(ada, ""), new_session_id=new_session_id(), project_id=house.project_id)
    begun = await conversations.begin_turn(new)
    assert begun.turn.project_id == house.project_id
    session = await conversations.get_session(ada, begun.turn.session_id)
    assert session.project_id == house.project_id
    assert (await conversations.begin_turn(new_turn(ada, session.session_id))).turn.project_id == house.project_id
    # It counts where the session is when the answer ends.
    await conversations.update_session(ada, session.session_id, SessionChanges(project_id=garden.project_id), NOW)
    message = replace(
        await conversations.get_message(begun.turn.message_id),
        state=MessageState.COMPLETED,
        text="Yes.",
        usage=Usage(10, 5, False, 1, 2),
    )
    assert await conversations.finish_turn(begun.turn.turn_id, 1, TurnState.COMPLETED, message)
    async with chat_database.read() as connection:
        recorded = (await connection.execute(text("SELECT project_id FROM usage_records"))).scalars().all()
    assert recorded == [garden.project_id]


async def test_what_belongs_to_a_deleted_project_stays_and_each_is_told_before_the_end(
    workspaces: SqlWorkspaces, conversations: SqlConversations, chat_database: Database, ada: str, bob: str
) -> None:
    house = await a_project(workspaces, ada)
    session = await a_session(conversations, ada, house.project_id, title="Walls")
    task = await a_task(workspaces, ada, house.project_id)
    done = await a_task(workspaces, ada, house.project_id, TaskState.COMPLETED)
    elsewhere = await a_task(workspaces, ada, "a label")
    with pytest.raises(NotFoundError):
        async with workspaces.change(bob) as workspace:
            await projects.delete_project(workspace, house.project_id, NOW, "")
    log = SqlEventLog(chat_database)
    before = (await log.newest([ada]))[ada]
    later = NOW + timedelta(hours=1)
    async with workspaces.change(ada) as workspace:
        await projects.delete_project(workspace, house.project_id, later, "")
    async with workspaces.read(ada) as workspace:
        with pytest.raises(NotFoundError):
            await workspace.projects.get(house.project_id)
        assert await workspace.tasks.get(task.task_id) == replace(task, project="", update_time=later)
        assert (await workspace.tasks.get(done.task_id)).project == ""
        assert await workspace.tasks.get(elsewhere.task_id) == elsewhere
    kept = await conversations.get_session(ada, session.session_id)
    assert kept == replace(session, project_id="")
    changes = [event.change for event in (await log.page(ada, before, 100, ())).events]
    told = {(change.action, change.resource_type, change.resource_id) for change in changes[:-1]}
    assert told == {
        (Action.UPDATED, ResourceType.SESSION, session.session_id),
        (Action.UPDATED, ResourceType.TASK, task.task_id),
        (Action.UPDATED, ResourceType.TASK, done.task_id),
    }
    last = changes[-1]
    assert (last.action, last.resource_type, last.resource_id) == (
        Action.DELETED,
        ResourceType.PROJECT,
        house.project_id,
    )


class _Index:
    """An index that takes everything, and documents whose place answers when it likes."""

    def __init__(self) -> None:
        self.cleared: list[tuple[str, str]] = []
        self.projects: dict[str, str] = {}
        self.away = True

    async def put(self, user_id: str, items: Sequence[IndexItem]) -> None:
        self.projects |= {item.item_id: item.project for item in items}

    async def delete(self, user_id: str, items: Sequence[DeletedItem]) -> None:
        assert [item.item_type for item in items] == ["task"]

    async def clear(self, user_id: str, project_id: str) -> None:
        if self.away:
            raise KnowledgeUnavailableError
        self.cleared.append((user_id, project_id))


async def test_documents_of_a_deleted_project_are_moved_out_of_it_once_they_can_be(
    workspaces: SqlWorkspaces, chat_database: Database, ada: str
) -> None:
    house = await a_project(workspaces, ada)
    await a_project(workspaces, ada, "Garden")
    task = await a_task(workspaces, ada, house.project_id)
    async with workspaces.change(ada) as workspace:
        await projects.delete_project(workspace, house.project_id, NOW, "")
    index, cursors = _Index(), SqlIndexCursors(chat_database)
    following = IndexFollowing(SqlEventLog(chat_database), cursors, index, index)
    with pytest.raises(KnowledgeUnavailableError):
        await following.catch_up(ada)
    assert await cursors.cursor(ada) == 0
    index.away = False
    await following.catch_up(ada)
    await following.catch_up(ada)
    assert index.cleared == [(ada, house.project_id)]
    assert index.projects == {task.task_id: ""}


async def test_a_model_names_a_session_once_and_never_over_its_user(
    conversations: SqlConversations, chat_database: Database, ada: str, bob: str
) -> None:
    titles, log = SqlTitles(chat_database), SqlEventLog(chat_database)
    begun = await conversations.begin_turn(replace(new_turn(ada, ""), new_session_id=new_session_id(), title="What is"))
    session_id = begun.turn.session_id
    assert not await titles.claim(bob, session_id)
    assert [await titles.claim(ada, session_id) for _ in range(2)] == [True, False]
    assert not await titles.give(bob, session_id, "Theirs")
    before = (await log.newest([ada]))[ada]
    used = (await conversations.get_session(ada, session_id)).update_time
    assert await titles.give(ada, session_id, "Rye")
    (event,) = (await log.page(ada, before, 10, ())).events
    session = await conversations.get_session(ada, session_id)
    assert (event.change.action, event.change.resource) == (Action.UPDATED, session)
    assert (session.title, session.update_time) == ("Rye", used)
    # The next message does not take it away.
    await conversations.begin_turn(replace(new_turn(ada, session_id), title="And wheat"))
    assert (await conversations.get_session(ada, session_id)).title == "Rye"

    await conversations.update_session(ada, session_id, SessionChanges(title="Mine"), NOW)
    assert not await titles.give(ada, session_id, "A model's")
    assert (await conversations.get_session(ada, session_id)).title == "Mine"
    named = await a_session(conversations, ada, title="Named")
    assert not await titles.claim(ada, named.session_id)
    await conversations.delete_session(ada, session_id)
    assert not await titles.give(ada, session_id, "Too late")

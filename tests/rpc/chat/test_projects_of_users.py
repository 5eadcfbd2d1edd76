"""Projects and what belongs to them: rights, bounds, moving in and out, deleting, and what a turn in a project is told and finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from parley.chat.v1 import chat_service_pb2, session_pb2
from parley.events.v1 import event_pb2, event_service_pb2, event_service_pb2_grpc
from parley.inference.v1 import generation_pb2
from parley.workspace.v1 import project_pb2, project_service_pb2_grpc, task_service_pb2, task_service_pb2_grpc
from parley.workspace.v1 import project_service_pb2 as pb
from parley_shared.status import StatusError, status_error_from
from parley_testing.identity import SignedUp
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedInference
from parley_testing.scripted_search import ScriptedSearch
from parley_testing.turn_readers import stream

NOBODYS = "prj_" + 32 * "0"


@pytest.fixture
def projects(chat: RunningChat) -> project_service_pb2_grpc.ProjectServiceAsyncStub:
    return project_service_pb2_grpc.ProjectServiceStub(chat.channel)


async def create(running: RunningChat, person: Person | SignedUp, title: str = "House", **fields: Any) -> str:
    stub = project_service_pb2_grpc.ProjectServiceStub(running.channel)
    made = await stub.CreateProject(pb.CreateProjectRequest(title=title, **fields), metadata=person.metadata)
    return made.project.project_id


async def session_in(running: RunningChat, person: Person | SignedUp, project_id: str) -> session_pb2.Session:
    request = chat_service_pb2.CreateSessionRequest(title="Walls", project_id=project_id)
    return (await running.chat.CreateSession(request, metadata=person.metadata)).session


async def refusal(call: Any) -> StatusError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    error = status_error_from(raised.value)
    assert error is not None
    return error


async def test_a_project_is_made_read_changed_put_away_and_deleted(
    projects: project_service_pb2_grpc.ProjectServiceAsyncStub, chat: RunningChat, ada: SignedUp
) -> None:
    project_id = await create(chat, ada, "  House ", description="The *old* one", instructions="Answer briefly.")
    await session_in(chat, ada, project_id)
    got = (await projects.GetProject(pb.GetProjectRequest(project_id=project_id), metadata=ada.metadata)).project
    assert (got.title, got.description, got.instructions) == ("House", "The *old* one", "Answer briefly.")
    assert (got.archived, got.session_count, got.open_task_count) == (False, 1, 0)
    assert got.create_time == got.update_time

    async def update(**fields: Any) -> project_pb2.Project:
        request = pb.UpdateProjectRequest(project_id=project_id, **fields)
        return (await projects.UpdateProject(request, metadata=ada.metadata)).project

    assert (await update(title="New house")).description == "The *old* one"
    assert (await update(update_mask=FieldMask(paths=["description"]))).description == ""
    changed = await update(archived=True)
    assert (changed.title, changed.archived, changed.session_count) == ("New house", True, 1)
    assert changed.update_time.ToDatetime() > got.update_time.ToDatetime()
    other = await create(chat, ada, "Garden")
    listed = await projects.ListProjects(pb.ListProjectsRequest(), metadata=ada.metadata)
    assert [each.project_id for each in listed.projects] == [other]
    first = await projects.ListProjects(
        pb.ListProjectsRequest(page_size=1, include_archived=True), metadata=ada.metadata
    )
    rest = await projects.ListProjects(
        pb.ListProjectsRequest(include_archived=True, page_token=first.next_page_token), metadata=ada.metadata
    )
    assert [each.project_id for each in (*first.projects, *rest.projects)] == [other, project_id]
    assert (await update(archived=False)).archived is False

    await projects.DeleteProject(pb.DeleteProjectRequest(project_id=project_id), metadata=ada.metadata)
    gone = await refusal(projects.GetProject(pb.GetProjectRequest(project_id=project_id), metadata=ada.metadata))
    assert gone.code is grpc.StatusCode.NOT_FOUND
    sessions = await chat.chat.ListSessions(chat_service_pb2.ListSessionsRequest(), metadata=ada.metadata)
    assert [(each.title, each.project_id) for each in sessions.sessions] == [("Walls", "")]


async def test_anothers_project_is_not_there(
    projects: project_service_pb2_grpc.ProjectServiceAsyncStub, chat: RunningChat, ada: SignedUp, bob: SignedUp
) -> None:
    tasks = task_service_pb2_grpc.TaskServiceStub(chat.channel)
    adas = await create(chat, ada)
    mine = (await session_in(chat, bob, "")).session_id
    task = await tasks.CreateTask(task_service_pb2.CreateTaskRequest(title="Pay"), metadata=bob.metadata)
    for project_id in (adas, NOBODYS):
        for call in (
            projects.GetProject(pb.GetProjectRequest(project_id=project_id), metadata=bob.metadata),
            projects.UpdateProject(pb.UpdateProjectRequest(project_id=project_id, title="x"), metadata=bob.metadata),
            projects.DeleteProject(pb.DeleteProjectRequest(project_id=project_id), metadata=bob.metadata),
            chat.chat.CreateSession(
                chat_service_pb2.CreateSessionRequest(project_id=project_id), metadata=bob.metadata
            ),
            chat.chat.UpdateSession(
                chat_service_pb2.UpdateSessionRequest(session_id=mine, project_id=project_id), metadata=bob.metadata
            ),
            chat.chat.SendMessage(
                chat_service_pb2.SendMessageRequest(message="Hi", project_id=project_id), metadata=bob.metadata
            ),
            tasks.CreateTask(task_service_pb2.CreateTaskRequest(title="x", project=project_id), metadata=bob.metadata),
            tasks.UpdateTask(
                task_service_pb2.UpdateTaskRequest(task_id=task.task.task_id, project=project_id), metadata=bob.metadata
            ),
        ):
            error = await refusal(call)
            assert (error.code, error.metadata["resource"]) == (grpc.StatusCode.NOT_FOUND, "project")
    listed = await projects.ListProjects(pb.ListProjectsRequest(), metadata=bob.metadata)
    assert list(listed.projects) == []
    assert (await projects.GetProject(pb.GetProjectRequest(project_id=adas), metadata=ada.metadata)).project.title


@pytest.mark.parametrize(
    ("rpc", "fields", "named"),
    [
        ("CreateProject", {}, "title"),
        ("CreateProject", {"title": " "}, "title"),
        ("CreateProject", {"title": "x" * 201}, "title"),
        ("CreateProject", {"title": "two\nlines"}, "title"),
        ("CreateProject", {"title": "x", "description": "x" * 2_001}, "description"),
        ("CreateProject", {"title": "x", "instructions": "x" * 8_001}, "instructions"),
        ("CreateProject", {"title": "x", "instructions": "\0"}, "instructions"),
        ("GetProject", {"project_id": "ses_" + 32 * "0"}, "project_id"),
        ("UpdateProject", {"project_id": "House"}, "project_id"),
        ("UpdateProject", {"project_id": NOBODYS, "update_mask": FieldMask(paths=["title"])}, "title"),
        ("UpdateProject", {"project_id": NOBODYS, "update_mask": FieldMask(paths=["owner"])}, "update_mask"),
        ("DeleteProject", {}, "project_id"),
        ("ListProjects", {"page_size": 101}, "page_size"),
        ("ListProjects", {"page_token": "x" * 513}, "page_token"),
        ("ListProjects", {"page_token": "nonsense"}, "page_token"),
    ],
)
async def test_a_field_of_a_project_that_is_out_of_bounds_is_named(
    projects: Any, ada: SignedUp, rpc: str, fields: dict[str, Any], named: str
) -> None:
    error = await refusal(getattr(projects, rpc)(getattr(pb, f"{rpc}Request")(**fields), metadata=ada.metadata))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert named in [field for field, _ in error.violations]


@pytest.mark.parametrize(
    ("rpc", "fields", "named"),
    [
        ("CreateSession", {"project_id": "House"}, "project_id"),
        ("ListSessions", {"project_id": "House"}, "project_id"),
        ("SearchSessions", {"query": "x", "project_id": "House"}, "project_id"),
        ("UpdateSession", {"session_id": "ses_" + 32 * "0", "project_id": "House"}, "project_id"),
        ("UpdateSession", {"session_id": "ses_" + 32 * "0", "update_mask": FieldMask(paths=["tip"])}, "update_mask"),
        ("SendMessage", {"message": "x", "project_id": "House"}, "project_id"),
        ("SendMessage", {"message": "x", "session_id": "ses_" + 32 * "0", "project_id": NOBODYS}, "project_id"),
    ],
)
async def test_a_project_of_a_session_that_cannot_be_one_is_named(
    chat: RunningChat, ada: SignedUp, rpc: str, fields: dict[str, Any], named: str
) -> None:
    request = getattr(chat_service_pb2, f"{rpc}Request")(**fields)
    error = await refusal(getattr(chat.chat, rpc)(request, metadata=ada.metadata))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert named in [field for field, _ in error.violations]


async def test_a_session_is_moved_in_and_out_without_losing_its_title(chat: RunningChat, ada: SignedUp) -> None:
    project_id = await create(chat, ada)
    session = await session_in(chat, ada, "")

    async def update(**fields: Any) -> session_pb2.Session:
        request = chat_service_pb2.UpdateSessionRequest(session_id=session.session_id, **fields)
        return (await chat.chat.UpdateSession(request, metadata=ada.metadata)).session

    moved = await update(project_id=project_id)
    assert (moved.title, moved.project_id, moved.update_time) == ("Walls", project_id, session.update_time)
    renamed = await update(title="Roof")
    assert (renamed.title, renamed.project_id) == ("Roof", project_id)
    listing = chat_service_pb2.ListSessionsRequest(project_id=project_id)
    assert len((await chat.chat.ListSessions(listing, metadata=ada.metadata)).sessions) == 1
    searching = chat_service_pb2.SearchSessionsRequest(query="roof", project_id=project_id)
    assert len((await chat.chat.SearchSessions(searching, metadata=ada.metadata)).matches) == 1
    out = await update(update_mask=FieldMask(paths=["project_id"]))
    assert (out.title, out.project_id) == ("Roof", "")
    assert (await chat.chat.ListSessions(listing, metadata=ada.metadata)).sessions == []


async def test_what_happens_to_projects_is_told(chat: RunningChat, ada: SignedUp) -> None:
    stub = project_service_pb2_grpc.ProjectServiceStub(chat.channel)
    project_id = await create(chat, ada, instructions="Briefly.")
    await stub.UpdateProject(pb.UpdateProjectRequest(project_id=project_id, title="New"), metadata=ada.metadata)
    # Nothing changes, and nothing is told.
    await stub.UpdateProject(pb.UpdateProjectRequest(project_id=project_id, title="New"), metadata=ada.metadata)
    await stub.DeleteProject(pb.DeleteProjectRequest(project_id=project_id), metadata=ada.metadata)
    listed = await event_service_pb2_grpc.EventServiceStub(chat.channel).ListEvents(
        event_service_pb2.ListEventsRequest(resource_types=[event_pb2.RESOURCE_TYPE_PROJECT]), metadata=ada.metadata
    )
    assert [(event.action, event.project.title) for event in listed.events] == [
        (event_pb2.ACTION_CREATED, "House"),
        (event_pb2.ACTION_UPDATED, "New"),
        (event_pb2.ACTION_DELETED, ""),
    ]
    assert listed.events[0].project.instructions == "Briefly."


async def test_labels_that_are_no_ids_go_on_working(chat: RunningChat, ada: SignedUp) -> None:
    tasks = task_service_pb2_grpc.TaskServiceStub(chat.channel)
    for label in ("home", "Project X", "prj"):
        made = await tasks.CreateTask(
            task_service_pb2.CreateTaskRequest(title=label, project=label), metadata=ada.metadata
        )
        assert made.task.project == label
        listed = await tasks.ListTasks(task_service_pb2.ListTasksRequest(project=label), metadata=ada.metadata)
        assert [task.title for task in listed.tasks] == [label]


async def test_a_turn_in_a_project_is_told_its_instructions_and_finds_and_makes_what_belongs_to_it(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    async with (
        ScriptedSearch() as search,
        running_chat(tmp_path, inference=inference.address, retrieval=search.address) as running,
    ):
        ada = await running.sign_up()
        project_id = await create(running, ada, "Old house", instructions="Always answer in rhymes.")
        reader = stream(running, ada, message="What do my documents say of walls?", route=3, project_id=project_id)
        first = await inference.next_call()
        told = first.request.messages[0].text
        assert "Old house" in told
        assert project_id in told
        assert "Always answer in rhymes." in told
        assert {"create_project", "list_projects"} <= {tool.name for tool in first.request.tools}
        first.call_tool("create_task", '{"title": "Paint the walls"}')
        first.call_tool("create_task", '{"title": "Elsewhere", "project": "home"}')
        first.call_tool("search_documents", '{"query": "walls"}')
        first.call_tool("list_projects", "{}")
        first.finish(generation_pb2.FINISH_REASON_TOOL_CALLS)
        second = await inference.next_call()
        results = [json.loads(message.text) for message in second.request.messages[-4:]]
        second.say("Done.")
        second.finish()
        await reader.to_end()
        assert [request.project for request in search.requests] == [project_id, project_id]
        assert [result["task"]["project"] for result in results[:2]] == [project_id, "home"]
        (listed,) = results[3]["projects"]
        assert (listed["title"], listed["session_count"], listed["open_task_count"]) == ("Old house", 1, 1)

        # Out of its project, the same session is told of none, and searches everywhere.
        session_id = reader.events[0].started.session_id
        request = chat_service_pb2.UpdateSessionRequest(session_id=session_id)
        request.update_mask.paths.append("project_id")
        await running.chat.UpdateSession(request, metadata=ada.metadata)
        reader = stream(running, ada, message="And of roofs?", route=3, session_id=session_id)
        third = await inference.next_call()
        assert project_id not in third.request.messages[0].text
        third.say("Nothing.")
        third.finish()
        await reader.to_end()
        assert search.requests[-1].project == ""


async def test_a_repeated_send_into_a_project_is_one_turn_and_another_project_is_another_request(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    one, two = await create(running, alice), await create(running, alice, "Garden")
    fields: dict[str, Any] = {"message": "Hi", "client_message_id": "same", "project_id": one}
    reader = stream(running, alice, **fields)
    call = await inference.next_call()
    call.say("Hello.")
    call.finish()
    first = (await reader.to_end())[0].started
    again = (await stream(running, alice, **fields).to_end())[0].started
    assert again.session_id == first.session_id
    request = chat_service_pb2.SendMessageRequest(**{**fields, "project_id": two})
    error = await refusal(running.chat.SendMessage(request, metadata=alice.metadata))
    assert error.reason == "ERROR_REASON_CLIENT_MESSAGE_ID_REUSED"
    assert inference.calls == 1

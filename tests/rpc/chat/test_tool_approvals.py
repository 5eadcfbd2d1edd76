"""Calls of tools that wait for the user: asked once, decided once, through any door, and run at most once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2, tool_pb2, tool_service_pb2, tool_service_pb2_grpc, turn_event_pb2
from parley.events.v1 import event_pb2, event_service_pb2, event_service_pb2_grpc
from parley.identity.v1 import identity_service_pb2
from parley.inference.v1 import generation_pb2
from parley.workspace.v1 import task_pb2, task_service_pb2, task_service_pb2_grpc
from parley_shared.status import status_error_from
from parley_testing.databases import copy_as_killed
from parley_testing.postgres import PostgresServer
from parley_testing.redis_server import RedisServer
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedCall, ScriptedInference
from parley_testing.turn_readers import Reader, reason_of, resume, stream

TOOL_CALLS = generation_pb2.FINISH_REASON_TOOL_CALLS


def call_tools(call: ScriptedCall, *calls: tuple[str, dict[str, Any]]) -> None:
    """Lets the model call tools."""
    for name, arguments in calls:
        call.call_tool(name, json.dumps(arguments))
    call.finish(TOOL_CALLS)


def tools_of(running: RunningChat) -> tool_service_pb2_grpc.ToolServiceAsyncStub:
    return tool_service_pb2_grpc.ToolServiceStub(running.channel)


async def make_task(running: RunningChat, person: Person, title: str) -> str:
    stub = task_service_pb2_grpc.TaskServiceStub(running.channel)
    made = await stub.CreateTask(task_service_pb2.CreateTaskRequest(title=title), metadata=person.metadata)
    return str(made.task.task_id)


async def titles_of(running: RunningChat, person: Person) -> set[str]:
    stub = task_service_pb2_grpc.TaskServiceStub(running.channel)
    listed = await stub.ListTasks(task_service_pb2.ListTasksRequest(include_completed=True), metadata=person.metadata)
    return {task.title for task in listed.tasks if task.state == task_pb2.TASK_STATE_OPEN}


async def approve(
    running: RunningChat, person: Person, asked: turn_event_pb2.TurnEvent, arguments_json: str = ""
) -> tool_pb2.ToolApproval:
    request = tool_service_pb2.ApproveToolCallRequest(
        turn_id=asked.turn_id, tool_call_id=asked.approval_requested.tool_call_id, arguments_json=arguments_json
    )
    return (await tools_of(running).ApproveToolCall(request, metadata=person.metadata)).approval


async def deny(
    running: RunningChat, person: Person, asked: turn_event_pb2.TurnEvent, reason: str = ""
) -> tool_pb2.ToolApproval:
    request = tool_service_pb2.DenyToolCallRequest(
        turn_id=asked.turn_id, tool_call_id=asked.approval_requested.tool_call_id, reason=reason
    )
    return (await tools_of(running).DenyToolCall(request, metadata=person.metadata)).approval


async def pending_of(running: RunningChat, person: Person) -> list[tool_pb2.ToolApproval]:
    request = tool_service_pb2.ListToolApprovalsRequest()
    return list((await tools_of(running).ListToolApprovals(request, metadata=person.metadata)).approvals)


async def asked_to_delete(
    running: RunningChat, inference: ScriptedInference, person: Person, *titles: str, **fields: Any
) -> tuple[Reader, list[turn_event_pb2.TurnEvent], list[str]]:
    """A turn whose model wants to delete tasks: its reader, what was asked, and the tasks."""
    task_ids = [await make_task(running, person, title) for title in titles]
    reader = stream(running, person, message="Tidy up my tasks", **fields)
    call_tools(await inference.next_call(), *(("delete_task", {"task_id": each}) for each in task_ids))
    asked = [await reader.until("approval_requested") for _ in titles]
    return reader, asked, task_ids


def told(call: ScriptedCall) -> dict[str, Any]:
    """What the model is told of the last call."""
    result: dict[str, Any] = json.loads(call.request.messages[-1].text)
    return result


async def finished(reader: Reader, inference: ScriptedInference) -> ScriptedCall:
    """Lets the model answer, and gives what it was asked."""
    call = await inference.next_call()
    call.say("Done.")
    call.finish()
    await reader.to_end()
    return call


async def test_a_call_that_deletes_waits_for_the_user_and_runs_when_approved(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader, [asked], [task_id] = await asked_to_delete(running, inference, alice, "Pay")
    requested = asked.approval_requested
    assert (requested.tool, requested.effect) == ("delete_task", tool_pb2.TOOL_EFFECT_DELETE)
    assert json.loads(requested.arguments_json) == {"task_id": task_id}
    [waiting] = await pending_of(running, alice)
    assert (waiting.tool_call_id, waiting.turn_id) == (requested.tool_call_id, asked.turn_id)
    assert waiting.session_id == reader.events[0].started.session_id
    assert (waiting.state, waiting.expire_time) == (tool_pb2.TOOL_APPROVAL_STATE_PENDING, requested.expire_time)
    assert await titles_of(running, alice) == {"Pay"}
    assert inference.calls == 1

    approval = await approve(running, alice, asked)
    assert approval.state == tool_pb2.TOOL_APPROVAL_STATE_APPROVED
    assert approval.HasField("decide_time")
    await finished(reader, inference)
    reader.assert_whole_from(0)
    kinds = [kind for kind in reader.kinds() if kind not in {"delta", "notice"}]
    assert kinds[2:] == ["tool_called", "approval_requested", "approval_decided", "tool_returned", "completed"]
    [use] = reader.events[-1].completed.message.tool_uses
    assert (use.failed, use.approval) == (False, tool_pb2.TOOL_APPROVAL_STATE_APPROVED)
    assert await titles_of(running, alice) == set()
    assert await pending_of(running, alice) == []


async def test_what_does_not_delete_asks_nobody(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice)
    call_tools(await inference.next_call(), ("create_task", {"title": "Pay"}), ("list_tasks", {}))
    await finished(reader, inference)
    assert "approval_requested" not in reader.kinds()
    assert [use.approval for use in reader.events[-1].completed.message.tool_uses] == [0, 0]


async def test_a_user_changes_the_arguments_and_the_model_reads_what_ran(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    other = await make_task(running, alice, "Other")
    reader, [asked], [task_id] = await asked_to_delete(running, inference, alice, "Pay")
    edited = json.dumps({"task_id": other})
    assert (await approve(running, alice, asked, edited)).edited_arguments_json == edited
    call = await finished(reader, inference)
    [decided] = [event.approval_decided for event in reader.events if event.HasField("approval_decided")]
    assert (decided.edited, decided.arguments_json) == (True, edited)
    assert json.loads(call.request.messages[-2].tool_calls[0].arguments_json) == {"task_id": other}
    [use] = reader.events[-1].completed.message.tool_uses
    assert json.loads(use.arguments_json) == {"task_id": task_id}
    assert use.edited_arguments_json == edited
    assert await titles_of(running, alice) == {"Pay"}


async def test_a_denied_call_does_not_run_and_the_model_is_told_why(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader, [asked], _ = await asked_to_delete(running, inference, alice, "Pay")
    assert (await deny(running, alice, asked, "I still need it.")).reason == "I still need it."
    call = await finished(reader, inference)
    assert "I still need it." in told(call)["error"]["message"]
    [use] = reader.events[-1].completed.message.tool_uses
    assert (use.failed, use.approval) == (True, tool_pb2.TOOL_APPROVAL_STATE_DENIED)
    assert await titles_of(running, alice) == {"Pay"}


async def test_calls_of_one_round_are_decided_in_any_order_and_run_in_theirs(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader, [first, second, third], _ = await asked_to_delete(running, inference, alice, "One", "Two", "Three")
    assert len(await pending_of(running, alice)) == 3
    await approve(running, alice, third)
    decided = await reader.until("approval_decided")
    assert decided.approval_decided.tool_call_id == third.approval_requested.tool_call_id
    await deny(running, alice, first)
    await approve(running, alice, second)
    await finished(reader, inference)
    returned = [event.tool_returned for event in reader.events if event.HasField("tool_returned")]
    assert [each.tool_call_id for each in returned] == [
        each.approval_requested.tool_call_id for each in (first, second, third)
    ]
    assert [each.failed for each in returned] == [True, False, False]
    assert reader.kinds().count("approval_decided") == 3
    assert await titles_of(running, alice) == {"One"}


async def test_nobody_is_asked_about_what_cannot_be_run(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice)
    call_tools(await inference.next_call(), ("delete_task", {"name": "Pay"}))
    call = await finished(reader, inference)
    assert "task_id" in told(call)["error"]["message"]
    assert "approval_requested" not in reader.kinds()


async def test_the_same_decision_again_is_harmless_and_another_one_is_too_late(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader, [asked], [task_id] = await asked_to_delete(running, inference, alice, "Pay")
    decisions = await asyncio.gather(*(approve(running, alice, asked) for _ in range(5)))
    assert len({each.SerializeToString(deterministic=True) for each in decisions}) == 1
    # Other white space is no other decision.
    assert await approve(running, alice, asked, f'{{ "task_id":  "{task_id}" }}') == decisions[0]
    for late in (deny(running, alice, asked), approve(running, alice, asked, '{"task_id": "tsk_other"}')):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await late
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        error = status_error_from(refused.value)
        assert (error.reason, error.metadata["state"]) == ("ERROR_REASON_APPROVAL_CLOSED", "APPROVED")
    await finished(reader, inference)
    assert await approve(running, alice, asked) == decisions[0]
    assert reader.kinds().count("approval_decided") == reader.kinds().count("tool_returned") == 1


async def test_only_the_user_of_the_turn_decides_and_only_about_calls_that_ask(
    running: RunningChat, inference: ScriptedInference, alice: Person, carol: Person
) -> None:
    reader, [asked], _ = await asked_to_delete(running, inference, alice, "Pay")
    unknown = turn_event_pb2.TurnEvent(turn_id=asked.turn_id)
    unknown.approval_requested.tool_call_id = "call_unknown"
    for refused in (approve(running, carol, asked), deny(running, carol, asked), approve(running, alice, unknown)):
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await refused
        assert failure.value.code() is grpc.StatusCode.NOT_FOUND
    assert await pending_of(running, carol) == []
    assert len(await pending_of(running, alice)) == 1
    await deny(running, alice, asked)
    await finished(reader, inference)


async def test_a_token_that_may_not_delete_tasks_cannot_let_a_model_do_it(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    request = identity_service_pb2.CreateAccessTokenRequest(name="chat only", scopes=["chat:read", "chat:write"])
    token = (await running.identity.CreateAccessToken(request, metadata=alice.metadata)).token
    limited = Person(alice.user_id, (("authorization", f"Bearer {token}"),))
    reader, [asked], _ = await asked_to_delete(running, inference, alice, "Pay")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await approve(running, limited, asked)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert status_error_from(refused.value).metadata["scope"] == "tasks:write"
    # To say no takes no right.
    await deny(running, limited, asked)
    await finished(reader, inference)
    assert await titles_of(running, alice) == {"Pay"}


@pytest.mark.parametrize(
    ("arguments_json", "field"),
    [
        ("no json", "arguments_json"),
        ("[]", "arguments_json"),
        ("{}", "arguments_json.task_id"),
        ('{"task_id": 7}', "arguments_json.task_id"),
        ('{"task_id": "tsk_1", "colour": "red"}', "arguments_json.colour"),
        (json.dumps({"task_id": "x" * 100_000}), "arguments_json"),
    ],
)
async def test_arguments_that_do_not_fit_are_refused_at_the_door_and_the_call_goes_on_waiting(
    running: RunningChat, inference: ScriptedInference, alice: Person, arguments_json: str, field: str
) -> None:
    reader, [asked], _ = await asked_to_delete(running, inference, alice, "Pay")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await approve(running, alice, asked, arguments_json)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert [name for name, _ in status_error_from(refused.value).violations] == [field]
    assert len(await pending_of(running, alice)) == 1
    await deny(running, alice, asked)
    await finished(reader, inference)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (tool_service_pb2.DenyToolCallRequest(turn_id="trn_1", tool_call_id="call_1"), "turn_id"),
        (tool_service_pb2.DenyToolCallRequest(turn_id=f"trn_{'0' * 32}"), "tool_call_id"),
        (
            tool_service_pb2.DenyToolCallRequest(turn_id=f"trn_{'0' * 32}", tool_call_id="call_1", reason="x" * 1_001),
            "reason",
        ),
        (
            tool_service_pb2.DenyToolCallRequest(turn_id=f"trn_{'0' * 32}", tool_call_id="call_1", reason="\0"),
            "reason",
        ),
    ],
)
async def test_requests_out_of_their_bounds_are_refused_with_the_field(
    running: RunningChat, alice: Person, request_: tool_service_pb2.DenyToolCallRequest, field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await tools_of(running).DenyToolCall(request_, metadata=alice.metadata)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert [name for name, _ in status_error_from(refused.value).violations] == [field]


async def test_nobody_deciding_in_time_is_told_to_the_model_as_that(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    async with running_chat(tmp_path, inference=inference.address, PARLEY_CHAT_APPROVAL_SECONDS="1") as running:
        alice = await running.sign_up()
        reader, [asked], _ = await asked_to_delete(running, inference, alice, "Pay")
        call = await finished(reader, inference)
        assert "in time" in told(call)["error"]["message"]
        [decided] = [event.approval_decided for event in reader.events if event.HasField("approval_decided")]
        assert decided.state == tool_pb2.TOOL_APPROVAL_STATE_EXPIRED
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await approve(running, alice, asked)
        assert reason_of(refused.value) == "ERROR_REASON_APPROVAL_CLOSED"
        assert await titles_of(running, alice) == {"Pay"}


async def test_a_turn_that_waits_is_stopped_and_asks_no_more(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader, [asked], _ = await asked_to_delete(running, inference, alice, "Pay")
    receipt = await running.chat.StopReply(pb.StopReplyRequest(turn_id=asked.turn_id), metadata=alice.metadata)
    assert receipt.stopped
    assert receipt.message.state == message_pb2.MESSAGE_STATE_STOPPED
    assert [use.approval for use in receipt.message.tool_uses] == [tool_pb2.TOOL_APPROVAL_STATE_CLOSED]
    await reader.to_end()
    assert reader.kinds()[-1] == "stopped"
    assert await pending_of(running, alice) == []
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await approve(running, alice, asked)
    assert status_error_from(refused.value).metadata["state"] == "CLOSED"
    assert await titles_of(running, alice) == {"Pay"}
    following = stream(running, alice, message="Well?", session_id=receipt.message.session_id)
    call = await finished(following, inference)
    [result] = [each for each in call.request.messages if each.role == generation_pb2.PROMPT_ROLE_TOOL]
    assert "did not run" in result.text


async def test_a_turn_that_waits_is_not_too_long(tmp_path: Path, inference: ScriptedInference) -> None:
    async with running_chat(tmp_path, inference=inference.address, PARLEY_CHAT_MAX_TURN_SECONDS="5") as running:
        alice = await running.sign_up()
        reader, [asked], _ = await asked_to_delete(running, inference, alice, "Pay")
        # Longer than a turn may work; and it may work for as long as its two rounds take on a busy machine.
        end = asyncio.get_running_loop().time() + 5.5
        while asyncio.get_running_loop().time() < end:
            assert len(await pending_of(running, alice)) == 1
            await asyncio.sleep(0.1)
        await approve(running, alice, asked)
        await finished(reader, inference)
        assert reader.kinds()[-1] == "completed"


async def test_a_whole_answer_that_waits_comes_back_with_what_it_waits_for_and_goes_on_after(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    task_id = await make_task(running, alice, "Pay")
    request = pb.SendMessageRequest(message="Tidy up", client_message_id="mine")
    sending = asyncio.ensure_future(running.chat.SendMessage(request, metadata=alice.metadata))
    call = await inference.next_call()
    call.say("I will delete it.")
    call_tools(call, ("delete_task", {"task_id": task_id}))
    waiting = await sending
    assert (waiting.text, waiting.route) == ("I will delete it.", message_pb2.ROUTE_ENHANCED)
    assert [use.approval for use in waiting.tool_uses] == [tool_pb2.TOOL_APPROVAL_STATE_PENDING]
    [approval] = waiting.pending_approvals
    # Again while nobody has decided: the same at once.
    assert await running.chat.SendMessage(request, metadata=alice.metadata) == waiting
    decision = tool_service_pb2.ApproveToolCallRequest(turn_id=waiting.turn_id, tool_call_id=approval.tool_call_id)
    await tools_of(running).ApproveToolCall(decision, metadata=alice.metadata)
    sending = asyncio.ensure_future(running.chat.SendMessage(request, metadata=alice.metadata))
    call = await inference.next_call()
    call.say("Done.")
    call.finish()
    whole = await sending
    assert (whole.text, list(whole.pending_approvals)) == ("I will delete it.\n\nDone.", [])
    assert whole.message_id == waiting.message_id


async def test_events_tell_who_is_asked_and_what_became_of_it(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader, [first, second], _ = await asked_to_delete(running, inference, alice, "One", "Two")
    await deny(running, alice, first, "No.")
    await running.chat.StopReply(pb.StopReplyRequest(turn_id=second.turn_id), metadata=alice.metadata)
    await reader.to_end()
    stub = event_service_pb2_grpc.EventServiceStub(running.channel)
    request = event_service_pb2.ListEventsRequest(resource_types=[event_pb2.RESOURCE_TYPE_TOOL_APPROVAL])
    listed = (await stub.ListEvents(request, metadata=alice.metadata)).events
    calls = [each.approval_requested.tool_call_id for each in (first, second)]
    assert [(each.action, each.resource_id, each.tool_approval.state) for each in listed] == [
        (event_pb2.ACTION_CREATED, calls[0], tool_pb2.TOOL_APPROVAL_STATE_PENDING),
        (event_pb2.ACTION_CREATED, calls[1], tool_pb2.TOOL_APPROVAL_STATE_PENDING),
        (event_pb2.ACTION_UPDATED, calls[0], tool_pb2.TOOL_APPROVAL_STATE_DENIED),
        (event_pb2.ACTION_UPDATED, calls[1], tool_pb2.TOOL_APPROVAL_STATE_CLOSED),
    ]
    assert listed[2].tool_approval.reason == "No."
    assert {each.turn_id for each in listed} == {first.turn_id}


async def test_a_list_of_what_waits_has_pages_and_can_be_of_one_turn(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    one, asked, _ = await asked_to_delete(running, inference, alice, "One", "Two", "Three")
    other, [alone], _ = await asked_to_delete(running, inference, alice, "Four")
    calls = [each.approval_requested.tool_call_id for each in (*asked, alone)]
    found: list[str] = []
    token = ""
    while True:
        request = tool_service_pb2.ListToolApprovalsRequest(page_size=2, page_token=token)
        page = await tools_of(running).ListToolApprovals(request, metadata=alice.metadata)
        found += [each.tool_call_id for each in page.approvals]
        token = page.next_page_token
        if not token:
            break
    assert found == calls
    request = tool_service_pb2.ListToolApprovalsRequest(turn_id=alone.turn_id)
    page = await tools_of(running).ListToolApprovals(request, metadata=alice.metadata)
    assert [each.tool_call_id for each in page.approvals] == calls[3:]
    request = tool_service_pb2.ListToolApprovalsRequest(page_token="damaged")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await tools_of(running).ListToolApprovals(request, metadata=alice.metadata)
    assert reason_of(refused.value) == "ERROR_REASON_INVALID_PAGE_TOKEN"
    for reader in (one, other):
        reader.call.cancel()


async def test_tools_say_what_they_do_which_scope_they_need_and_whether_they_ask(
    running: RunningChat, alice: Person
) -> None:
    listed = await tools_of(running).ListTools(tool_service_pb2.ListToolsRequest(), metadata=alice.metadata)
    tools = {tool.name: tool for tool in listed.tools}
    assert {name: tool.effect for name, tool in tools.items() if tool.scope == "tasks:write"} == {
        "create_task": tool_pb2.TOOL_EFFECT_WRITE,
        "update_task": tool_pb2.TOOL_EFFECT_WRITE,
        "complete_task": tool_pb2.TOOL_EFFECT_WRITE,
        "reopen_task": tool_pb2.TOOL_EFFECT_WRITE,
        "delete_task": tool_pb2.TOOL_EFFECT_DELETE,
    }
    assert tools["search_documents"].effect == tools["list_tasks"].effect == tool_pb2.TOOL_EFFECT_READ
    assert tools["delete_task"].needs_approval
    assert not tools["create_task"].needs_approval
    schema = json.loads(tools["search_documents"].parameters_schema_json)
    assert schema["required"] == ["query"]
    request = identity_service_pb2.CreateAccessTokenRequest(name="reader", scopes=["chat:read", "tasks:read"])
    token = (await running.identity.CreateAccessToken(request, metadata=alice.metadata)).token
    listed = await tools_of(running).ListTools(
        tool_service_pb2.ListToolsRequest(), metadata=(("authorization", f"Bearer {token}"),)
    )
    assert [tool.name for tool in listed.tools] == ["list_tasks"]


@pytest.mark.parametrize(
    ("asks", "asked"), [("create_task", {"create_task"}), ("none", set()), ("write", {"create_task"})]
)
async def test_the_operator_says_which_calls_wait(
    tmp_path: Path, inference: ScriptedInference, asks: str, asked: set[str]
) -> None:
    async with running_chat(tmp_path, inference=inference.address, PARLEY_CHAT_TOOLS_ASK=asks) as running:
        alice = await running.sign_up()
        listed = await tools_of(running).ListTools(tool_service_pb2.ListToolsRequest(), metadata=alice.metadata)
        assert {tool.name for tool in listed.tools if tool.needs_approval} >= asked
        assert "delete_task" not in {tool.name for tool in listed.tools if tool.needs_approval}


async def copy_of_a_home_that_waits(tmp_path: Path, inference: ScriptedInference) -> tuple[Path, Person, Reader]:
    """What a process leaves behind when it dies while a turn waits for its user: its home is copied while it runs."""
    async with running_chat(tmp_path / "before", inference=inference.address) as running:
        alice = await running.sign_up()
        reader, [asked], _ = await asked_to_delete(running, inference, alice, "Pay")
        await asyncio.to_thread(copy_as_killed, tmp_path / "before", tmp_path / "after")
        await running.chat.StopReply(pb.StopReplyRequest(turn_id=asked.turn_id), metadata=alice.metadata)
        reader.call.cancel()
    return tmp_path / "after", alice, reader


async def test_what_waits_goes_on_waiting_in_the_next_process_and_the_one_after(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    home, alice, before = await copy_of_a_home_that_waits(tmp_path, inference)
    asked = before.events[-1]
    # More often than an answer is taken over that may be what kills its processes.
    for _ in range(6):
        async with running_chat(home, inference=inference.address, PARLEY_DRAIN_SECONDS="0") as running:
            assert len(await pending_of(running, alice)) == 1
    async with running_chat(home, inference=inference.address) as running:
        await approve(running, alice, asked)
        reader = resume(running, alice, asked.turn_id)
        await finished(reader, inference)
        reader.assert_whole_from(0)
        assert reader.kinds().count("approval_requested") == reader.kinds().count("tool_returned") == 1
        assert turn_event_pb2.NOTICE_KIND_CONTINUED not in {
            event.notice.kind for event in reader.events if event.HasField("notice")
        }
        assert await titles_of(running, alice) == set()


async def test_a_decision_that_the_log_does_not_have_is_taken_up_by_the_next_process(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    home, alice, before = await copy_of_a_home_that_waits(tmp_path, inference)
    asked = before.events[-1]
    (log,) = (home / "chat" / "turns").glob("*trn_*")
    lines = log.read_bytes().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if b'"approval_requested"' in line)
    # As if the process had died between asking in the database and the line that tells of it.
    log.write_bytes(b"".join(lines[:place]))
    async with running_chat(home, inference=inference.address) as running:
        [waiting] = await pending_of(running, alice)
        assert waiting.tool_call_id == asked.approval_requested.tool_call_id
        await deny(running, alice, asked)
        reader = resume(running, alice, asked.turn_id)
        await finished(reader, inference)
        reader.assert_whole_from(0)
        assert reader.kinds().count("approval_requested") == reader.kinds().count("approval_decided") == 1
        assert await titles_of(running, alice) == {"Pay"}


@pytest.fixture
async def replicas(
    tmp_path: Path, inference: ScriptedInference, postgres: PostgresServer, redis_server: RedisServer
) -> AsyncIterator[tuple[RunningChat, RunningChat]]:
    shared = {"PARLEY_CHAT_DATABASE_URL": postgres.new_database_url(), "PARLEY_CHAT_REDIS_URL": redis_server.new_url()}
    async with (
        running_chat(tmp_path, inference=inference.address, **shared) as one,
        running_chat(tmp_path, inference=inference.address, **shared) as two,
    ):
        yield one, two


async def test_a_decision_through_another_replica_is_heard_by_the_one_that_writes(
    replicas: tuple[RunningChat, RunningChat], inference: ScriptedInference
) -> None:
    one, two = replicas
    ada = await one.sign_up()
    reader, [first, second], _ = await asked_to_delete(one, inference, ada, "Pay", "Keep")
    assert len(await pending_of(two, ada)) == 2
    approved, again = await asyncio.gather(approve(two, ada, first), approve(one, ada, first))
    assert approved == again
    await deny(two, ada, second)
    await finished(reader, inference)
    reader.assert_whole_from(0)
    assert reader.kinds().count("tool_returned") == 2
    assert await titles_of(one, ada) == {"Keep"}


async def test_the_other_replica_takes_over_a_turn_that_waits(
    tmp_path: Path, inference: ScriptedInference, postgres: PostgresServer, redis_server: RedisServer
) -> None:
    shared = {"PARLEY_CHAT_DATABASE_URL": postgres.new_database_url(), "PARLEY_CHAT_REDIS_URL": redis_server.new_url()}
    async with running_chat(tmp_path, inference=inference.address, **shared) as two:
        async with running_chat(tmp_path, inference=inference.address, PARLEY_DRAIN_SECONDS="0", **shared) as one:
            ada = await one.sign_up()
            reader, [asked], _ = await asked_to_delete(one, inference, ada, "Pay")
            reader.call.cancel()
        follower = resume(two, ada, asked.turn_id)
        await follower.until("approval_requested")
        await approve(two, ada, asked)
        await finished(follower, inference)
        follower.assert_whole_from(0)
        assert follower.kinds().count("tool_returned") == 1
        assert await titles_of(two, ada) == set()

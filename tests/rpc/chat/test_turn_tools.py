"""Tools in a turn: offered by right, run once and whole, shown to every reader, told to the model, kept with the answer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2, turn_event_pb2
from parley.identity.v1 import identity_service_pb2
from parley.inference.v1 import generation_pb2
from parley.workspace.v1 import task_pb2, task_service_pb2, task_service_pb2_grpc
from parley_testing.databases import copy_as_killed
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedCall, ScriptedInference
from parley_testing.scripted_search import ScriptedSearch
from parley_testing.turn_readers import Reader, resume, stream

TOOL_CALLS = generation_pb2.FINISH_REASON_TOOL_CALLS
DENTIST = '{"title": "Call the dentist", "due_time": "2026-11-22T09:00:00"}'


async def tasks_of(running: RunningChat, person: Person) -> list[task_pb2.Task]:
    stub = task_service_pb2_grpc.TaskServiceStub(running.channel)
    listed = await stub.ListTasks(task_service_pb2.ListTasksRequest(include_completed=True), metadata=person.metadata)
    return list(listed.tasks)


def call_tools(call: ScriptedCall, *calls: tuple[str, str], text: str = "") -> None:
    """Lets the model say something and call tools."""
    if text:
        call.say(text)
    for name, arguments_json in calls:
        call.call_tool(name, arguments_json)
    call.finish(TOOL_CALLS)


def returned(reader: Reader) -> list[turn_event_pb2.ToolReturned]:
    return [event.tool_returned for event in reader.events if event.HasField("tool_returned")]


def result_of(tool_returned: turn_event_pb2.ToolReturned) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(tool_returned.result_json)
    return result


async def test_a_reminder_becomes_a_task_and_the_stream_the_model_and_the_list_all_show_it(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice, message="Remind me to call the dentist tomorrow at nine", time_zone="Europe/Berlin")
    first = await inference.next_call()
    assert "Europe/Berlin" in first.request.messages[0].text
    offered = {tool.name: tool for tool in first.request.tools}
    assert {"create_task", "list_tasks", "update_task", "complete_task", "delete_task", "search_documents"} <= set(
        offered
    )
    schema = json_format.MessageToDict(offered["create_task"].parameters_schema)
    assert schema["required"] == ["title"]
    assert schema["properties"]["due_time"]["format"] == "date-time"
    call_tools(first, ("create_task", DENTIST), text="Let me note that.")

    second = await inference.next_call()
    assistant, tool = second.request.messages[-2:]
    assert (assistant.text, len(assistant.tool_calls)) == ("Let me note that.", 1)
    assert tool.role == generation_pb2.PROMPT_ROLE_TOOL
    assert tool.tool_call_id == assistant.tool_calls[0].tool_call_id
    made = json.loads(tool.text)["task"]
    second.say("Done.")
    second.finish()
    await reader.to_end()

    reader.assert_whole_from(0)
    kinds = [kind for kind in reader.kinds() if kind not in {"delta", "notice"}]
    assert kinds == ["started", "route_chosen", "tool_called", "tool_returned", "completed"]
    assert reader.text() == "Let me note that.\n\nDone."
    (task,) = await tasks_of(running, alice)
    assert (task.task_id, task.title, task.time_zone) == (made["task_id"], "Call the dentist", "Europe/Berlin")
    assert task.due_time.ToJsonString() == "2026-11-22T08:00:00Z"
    message = reader.events[-1].completed.message
    assert task.turn_id == message.turn_id
    (use,) = message.tool_uses
    assert (use.tool, use.failed, use.text_offset) == ("create_task", False, len("Let me note that."))
    assert json.loads(use.result_json)["task"]["task_id"] == task.task_id
    listed = await running.chat.ListMessages(
        pb.ListMessagesRequest(session_id=message.session_id), metadata=alice.metadata
    )
    assert listed.messages[0] == message


async def test_a_model_makes_a_task_recur_and_remind_is_told_what_is_wrong_and_ends_both(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice, message="Every Monday at nine: the bins", time_zone="Europe/Berlin")
    first = await inference.next_call()
    offered = {tool.name: tool for tool in first.request.tools}
    properties = json_format.MessageToDict(offered["create_task"].parameters_schema)["properties"]
    assert "RRULE" in properties["recurrence"]["description"]
    assert properties["remind_minutes_before"]["items"] == {"type": "integer"}
    bins = {"title": "The bins", "due_time": "2037-03-23T09:00:00", "remind_minutes_before": [0]}
    call_tools(
        first,
        ("create_task", json.dumps({**bins, "recurrence": "FREQ=MINUTELY"})),
        ("create_task", json.dumps({**bins, "recurrence": "FREQ=WEEKLY;BYDAY=MO"})),
    )
    second = await inference.next_call()
    [task] = await tasks_of(running, alice)
    assert (task.recurrence, list(task.remind_minutes_before)) == ("FREQ=WEEKLY;BYDAY=MO", [0])
    call_tools(second, ("complete_task", json.dumps({"task_id": task.task_id})))
    third = await inference.next_call()
    following = json.loads(third.request.messages[-1].text)["next_task"]
    # Nine o'clock in Berlin, whose clocks went forward in between.
    assert following["due_time"] == following["remind_time"] == "2037-03-30T07:00:00Z"
    ended = {"task_id": following["task_id"], "recurrence": "", "remind_minutes_before": []}
    call_tools(third, ("update_task", json.dumps(ended)))
    (await inference.next_call()).finish()
    await reader.to_end()
    refused, made, completed, changed = returned(reader)
    assert (refused.failed, made.failed, completed.failed, changed.failed) == (True, False, False, False)
    assert "recurrence" in result_of(refused)["error"]["message"]
    (left,) = [task for task in await tasks_of(running, alice) if task.state == task_pb2.TASK_STATE_OPEN]
    assert (left.recurrence, list(left.remind_minutes_before), left.title) == ("", [], "The bins")
    assert left.turn_id == reader.events[0].turn_id


async def test_the_whole_answer_names_the_tools_that_were_used(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    sending = asyncio.ensure_future(
        running.chat.SendMessage(pb.SendMessageRequest(message="Remind me to pay"), metadata=alice.metadata)
    )
    call_tools(await inference.next_call(), ("create_task", '{"title": "Pay"}'))
    call = await inference.next_call()
    call.say("Noted.")
    call.finish()
    response = await sending
    assert [use.tool for use in response.tool_uses] == ["create_task"]
    assert response.text == "Noted."


async def test_several_calls_of_one_round_run_in_their_order_and_are_answered_together(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice)
    call_tools(
        await inference.next_call(),
        ("create_task", '{"title": "First"}'),
        ("create_task", '{"title": "Second"}'),
        ("list_tasks", "{}"),
    )
    call = await inference.next_call()
    assistant, *results = call.request.messages[-4:]
    assert [one.tool_call_id for one in assistant.tool_calls] == [result.tool_call_id for result in results]
    assert len({result.tool_call_id for result in results}) == 3
    assert {task["title"] for task in json.loads(results[2].text)["tasks"]} == {"First", "Second"}
    call.finish()
    await reader.to_end()
    assert reader.kinds().count("tool_called") == reader.kinds().count("tool_returned") == 3


@pytest.mark.parametrize(
    ("tool", "arguments_json", "words"),
    [
        ("create_task", "{}", "title"),
        ("create_task", "not json", "not JSON"),
        ("create_task", "[1]", "not a JSON object"),
        ("create_task", '{"title": "x", "colour": "red"}', "colour"),
        ("create_task", '{"title": "x", "due_time": "tomorrow"}', "due_time"),
        ("create_task", '{"title": "x", "time_zone": "Mars/Olympus"}', "time_zone"),
        ("complete_task", '{"task_id": "tsk_00000000000000000000000000000000"}', "task"),
        ("launch_missiles", "{}", "no tool of this name"),
    ],
)
async def test_what_a_model_gets_wrong_is_told_to_it_and_changes_nothing(
    running: RunningChat, inference: ScriptedInference, alice: Person, tool: str, arguments_json: str, words: str
) -> None:
    reader = stream(running, alice)
    call_tools(await inference.next_call(), (tool, arguments_json))
    call = await inference.next_call()
    assert words in json.loads(call.request.messages[-1].text)["error"]["message"]
    call.say("That did not work.")
    call.finish()
    await reader.to_end()
    assert reader.kinds()[-1] == "completed"
    assert [one.failed for one in returned(reader)] == [True]
    assert await tasks_of(running, alice) == []


async def test_a_task_of_somebody_else_does_not_exist_for_a_tool(
    running: RunningChat, inference: ScriptedInference, alice: Person, carol: Person
) -> None:
    stub = task_service_pb2_grpc.TaskServiceStub(running.channel)
    made = await stub.CreateTask(task_service_pb2.CreateTaskRequest(title="Carol's"), metadata=carol.metadata)
    reader = stream(running, alice)
    call_tools(await inference.next_call(), ("complete_task", json.dumps({"task_id": made.task.task_id})))
    call = await inference.next_call()
    call.finish()
    await reader.to_end()
    assert [one.failed for one in returned(reader)] == [True]
    assert [task.state for task in await tasks_of(running, carol)] == [task_pb2.TASK_STATE_OPEN]


async def test_a_token_that_may_not_write_tasks_is_offered_no_tool_that_does(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    token = await running.identity.CreateAccessToken(
        identity_service_pb2.CreateAccessTokenRequest(name="reader", scopes=["chat:read", "chat:write", "tasks:read"]),
        metadata=alice.metadata,
    )
    limited = Person(alice.user_id, (("authorization", f"Bearer {token.token}"),))
    reader = stream(running, limited)
    first = await inference.next_call()
    assert [tool.name for tool in first.request.tools] == ["list_tasks"]
    call_tools(first, ("create_task", '{"title": "Sneaked in"}'))
    call = await inference.next_call()
    call.finish()
    await reader.to_end()
    assert [one.failed for one in returned(reader)] == [True]
    assert await tasks_of(running, alice) == []


@pytest.mark.parametrize(
    ("scopes", "sees_tasks"),
    [
        (["chat:write", "tasks:read", "calendar:read"], True),
        (["chat:write", "tasks:read"], False),
        (["chat:write"], False),
    ],
)
async def test_passages_hold_tasks_only_for_a_token_that_may_read_them(
    tmp_path: Path, inference: ScriptedInference, scopes: list[str], sees_tasks: bool
) -> None:
    async with (
        ScriptedSearch() as search,
        running_chat(tmp_path, inference=inference.address, retrieval=search.address) as running,
    ):
        alice = await running.sign_up()
        request = identity_service_pb2.CreateAccessTokenRequest(name="narrow", scopes=scopes)
        token = (await running.identity.CreateAccessToken(request, metadata=alice.metadata)).token
        reader = stream(running, Person(alice.user_id, (("authorization", f"Bearer {token}"),)))
        (await inference.next_call()).finish()
        await reader.to_end()
        assert [request.include_items for request in search.requests] == [sees_tasks]
        # A model is told the passages: making snippets of them would only take time.
        assert [request.without_snippets for request in search.requests] == [True]


async def test_the_standard_route_offers_no_tools_and_runs_none(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice, route=message_pb2.ROUTE_STANDARD)
    call = await inference.next_call()
    assert not call.request.tools
    call.say("Hello.")
    call_tools(call, ("create_task", '{"title": "Unasked"}'))
    await reader.to_end()
    assert reader.kinds()[-1] == "completed"
    assert await tasks_of(running, alice) == []


async def test_a_model_that_never_stops_calling_has_to_answer_after_its_rounds(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    async with running_chat(tmp_path, inference=inference.address, PARLEY_CHAT_TOOL_ROUNDS="2") as running:
        alice = await running.sign_up()
        reader = stream(running, alice)
        for _ in range(2):
            call = await inference.next_call()
            assert call.request.tools
            call_tools(call, ("list_tasks", "{}"))
        last = await inference.next_call()
        assert not last.request.tools
        last.say("Enough.")
        last.finish()
        await reader.to_end()
        kinds = [event.notice.kind for event in reader.events if event.HasField("notice")]
        assert turn_event_pb2.NOTICE_KIND_TOOL_LIMIT in kinds
        assert reader.text() == "Enough."


async def test_the_next_message_knows_what_the_tools_of_the_last_answer_did(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice, message="Remind me to pay")
    call_tools(await inference.next_call(), ("create_task", '{"title": "Pay"}'))
    call = await inference.next_call()
    call.say("Noted.")
    call.finish()
    await reader.to_end()
    task_id = (await tasks_of(running, alice))[0].task_id

    following = stream(running, alice, message="Mark it as done", session_id=reader.events[0].started.session_id)
    call = await inference.next_call()
    roles = [message.role for message in call.request.messages[1:]]
    assert roles == [
        generation_pb2.PROMPT_ROLE_USER,
        generation_pb2.PROMPT_ROLE_ASSISTANT,
        generation_pb2.PROMPT_ROLE_TOOL,
        generation_pb2.PROMPT_ROLE_ASSISTANT,
        generation_pb2.PROMPT_ROLE_USER,
    ]
    assert task_id in call.request.messages[3].text
    call_tools(call, ("complete_task", json.dumps({"task_id": task_id})))
    call = await inference.next_call()
    call.finish()
    await following.to_end()
    assert (await tasks_of(running, alice))[0].state == task_pb2.TASK_STATE_COMPLETED


async def copy_of_a_home_after(tmp_path: Path, inference: ScriptedInference, kind: str) -> tuple[Path, Person, Reader]:
    """What a process leaves behind when it dies behind an event: its home is copied while it runs."""
    async with running_chat(tmp_path / "before", inference=inference.address) as running:
        alice = await running.sign_up()
        reader = stream(running, alice, message="Remind me to pay")
        call_tools(await inference.next_call(), ("create_task", '{"title": "Pay"}'), text="One moment.")
        await reader.until(kind)
        second = await inference.next_call()
        await asyncio.to_thread(copy_as_killed, tmp_path / "before", tmp_path / "after")
        second.finish()
        await reader.to_end()
    return tmp_path / "after", alice, reader


async def test_a_tool_that_ran_is_not_run_again_by_the_process_that_goes_on(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    home, alice, before = await copy_of_a_home_after(tmp_path, inference, "tool_returned")
    async with running_chat(home, inference=inference.address) as running:
        call = await inference.next_call()
        assert [message.role for message in call.request.messages[-2:]] == [
            generation_pb2.PROMPT_ROLE_ASSISTANT,
            generation_pb2.PROMPT_ROLE_TOOL,
        ]
        assert call.request.answer_so_far == ""
        call.say("Noted.")
        call.finish()
        replayed = resume(running, alice, before.events[0].turn_id)
        await replayed.to_end()
        replayed.assert_whole_from(0)
        assert replayed.kinds().count("tool_called") == replayed.kinds().count("tool_returned") == 1
        assert replayed.text() == "One moment.\n\nNoted."
        assert len(await tasks_of(running, alice)) == 1


async def test_a_tool_whose_result_did_not_reach_the_log_takes_effect_once_all_the_same(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    home, alice, before = await copy_of_a_home_after(tmp_path, inference, "tool_returned")
    # As if the process had died between the effect and the line that tells of it.
    (log,) = (home / "chat" / "turns").glob("*trn_*")
    lines = log.read_bytes().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if b'"tool_returned"' in line)
    log.write_bytes(b"".join(lines[:place]))
    async with running_chat(home, inference=inference.address) as running:
        call = await inference.next_call()
        assert json.loads(call.request.messages[-1].text)["task"]["title"] == "Pay"
        call.finish()
        replayed = resume(running, alice, before.events[0].turn_id)
        await replayed.to_end()
        replayed.assert_whole_from(0)
        assert [one.failed for one in returned(replayed)] == [False]
        (task,) = await tasks_of(running, alice)
        assert result_of(returned(replayed)[0])["task"]["task_id"] == task.task_id


async def test_tokens_of_every_round_are_on_the_bill(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    inference.price = generation_pb2.TokenPrice(
        input_usd_micros=1_000_000, output_usd_micros=2_000_000, cached_input_usd_micros=1_000_000
    )
    reader = stream(running, alice)
    first = await inference.next_call()
    first.use(100, 10)
    call_tools(first, ("list_tasks", "{}"))
    second = await inference.next_call()
    second.say("Nothing to do.")
    second.use(150, 5)
    second.finish()
    await reader.to_end()
    usage = reader.events[-1].completed.message.usage
    assert (usage.input_tokens, usage.output_tokens, usage.cost_usd_micros) == (250, 15, 280)

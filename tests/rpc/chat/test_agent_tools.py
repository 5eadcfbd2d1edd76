"""Agents with tools: offered by the agent's list and the caller's token, run for the user, told to the model and to the reader."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from parley.ai.v1 import agent_service_pb2 as pb
from parley.ai.v1 import agent_service_pb2_grpc
from parley.identity.v1 import identity_service_pb2
from parley.inference.v1 import agent_service_pb2, generation_pb2
from parley.retrieval.v1 import search_service_pb2
from parley.workspace.v1 import task_pb2, task_service_pb2, task_service_pb2_grpc
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedCall, ScriptedInference
from parley_testing.scripted_search import ScriptedSearch

TOOL_CALLS = generation_pb2.FINISH_REASON_TOOL_CALLS
PLANNER = agent_service_pb2.Agent(
    agent_id="planner", title="Planner", description="Plans.", tools=["create_task", "list_tasks"], max_steps=8
)
READER = agent_service_pb2.Agent(
    agent_id="reader", title="Reader", description="Reads documents.", tools=["search_documents"], max_steps=1
)
ALL_ROUND = agent_service_pb2.Agent(
    agent_id="all_round", title="All-round", description="Does it all.", tools=["*"], max_steps=8
)


@pytest.fixture(autouse=True)
def agents(inference: ScriptedInference) -> None:
    inference.agents.agents = [ALL_ROUND, PLANNER, READER]


@pytest.fixture
async def search() -> AsyncIterator[ScriptedSearch]:
    async with ScriptedSearch() as scripted:
        yield scripted


@pytest.fixture
async def searching(tmp_path: Path, inference: ScriptedInference, search: ScriptedSearch) -> AsyncIterator[RunningChat]:
    """Chat with documents behind it."""
    async with running_chat(tmp_path, inference=inference.address, retrieval=search.address) as chat:
        yield chat


def stub(running: RunningChat) -> Any:
    return agent_service_pb2_grpc.AgentServiceStub(running.channel)


def process(running: RunningChat, person: Person, **request: Any) -> asyncio.Future[pb.ProcessResponse]:
    """Lets an agent work, while the test says what its model does."""
    values = {"agent_id": "planner", "input": "Remind me to pay", **request}
    asked: asyncio.Future[pb.ProcessResponse] = asyncio.ensure_future(
        stub(running).Process(pb.ProcessRequest(**values), metadata=person.metadata)
    )
    return asked


def call_tools(call: ScriptedCall, *calls: tuple[str, str]) -> None:
    for name, arguments_json in calls:
        call.call_tool(name, arguments_json)
    call.finish(TOOL_CALLS)


def result_in(call: ScriptedCall) -> dict[str, Any]:
    """What the model is told of the last tool."""
    assert call.request.messages[-1].role == generation_pb2.PROMPT_ROLE_TOOL
    result: dict[str, Any] = json.loads(call.request.messages[-1].text)
    return result


async def end(inference: ScriptedInference) -> ScriptedCall:
    """Takes the next call and lets the model answer."""
    call = await inference.next_call()
    call.say("Done.")
    call.finish()
    return call


async def tasks_of(running: RunningChat, person: Person) -> list[task_pb2.Task]:
    tasks = task_service_pb2_grpc.TaskServiceStub(running.channel)
    listed = await tasks.ListTasks(task_service_pb2.ListTasksRequest(include_completed=True), metadata=person.metadata)
    return list(listed.tasks)


async def test_an_agent_makes_the_task_that_it_is_asked_for(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    asked = process(running, alice, time_zone="Europe/Berlin")
    first = await inference.next_call()
    assert [tool.name for tool in first.request.tools] == ["create_task", "list_tasks"]
    assert "Europe/Berlin" in first.request.messages[0].text
    first.say("Let me note that.")
    call_tools(first, ("create_task", '{"title": "Pay", "due_time": "2026-11-22T09:00:00"}'))
    second = await end(inference)
    assistant, tool = second.request.messages[-2:]
    assert (assistant.text, [call.name for call in assistant.tool_calls]) == ("Let me note that.", ["create_task"])
    assert tool.tool_call_id == assistant.tool_calls[0].tool_call_id
    assert second.request.agent_id == "planner"
    answer = await asked
    (task,) = await tasks_of(running, alice)
    assert (task.title, task.time_zone, task.turn_id) == ("Pay", "Europe/Berlin", "")
    assert task.due_time.ToJsonString() == "2026-11-22T08:00:00Z"
    assert answer.text == "Let me note that.\n\nDone."
    (use,) = answer.tool_uses
    assert (use.tool, use.failed, use.text_offset) == ("create_task", False, len("Let me note that."))
    assert json.loads(use.result_json) == result_in(second)
    assert json.loads(use.result_json)["task"]["task_id"] == task.task_id


async def test_an_agent_is_refused_what_asks_the_user_and_is_told_so(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    tasks = task_service_pb2_grpc.TaskServiceStub(running.channel)
    made = await tasks.CreateTask(task_service_pb2.CreateTaskRequest(title="Pay"), metadata=alice.metadata)
    asked = process(running, alice, agent_id="all_round", input="Delete my tasks")
    call_tools(await inference.next_call(), ("delete_task", json.dumps({"task_id": made.task.task_id})))
    assert "nobody can be asked here" in result_in(await end(inference))["error"]["message"]
    assert [use.failed for use in (await asked).tool_uses] == [True]
    assert [task.task_id for task in await tasks_of(running, alice)] == [made.task.task_id]


async def test_a_reader_sees_a_tool_before_it_runs_and_its_result(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    request = pb.StreamProcessRequest(agent_id="planner", input="Remind me to pay and to rest")
    asked = stub(running).StreamProcess(request, metadata=alice.metadata)
    first = await inference.next_call()
    call_tools(first, ("create_task", '{"title": "Pay"}'), ("create_task", '{"title": "Rest"}'))
    await end(inference)
    events = [event async for event in asked]
    assert [event.WhichOneof("event") for event in events] == [
        "started",
        "tool_called",
        "tool_called",
        "tool_returned",
        "tool_returned",
        "text_delta",
        "finished",
    ]
    called, returned = events[2].tool_called, events[4].tool_returned
    assert (called.tool, called.arguments_json) == ("create_task", '{"title": "Rest"}')
    assert (returned.tool_call_id, returned.tool, returned.failed) == (called.tool_call_id, "create_task", False)
    assert events[1].tool_called.tool_call_id != called.tool_call_id
    assert len(await tasks_of(running, alice)) == 2


async def test_two_works_of_an_agent_do_not_share_the_names_of_their_calls(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    names = set()
    for _ in range(2):
        asked = process(running, alice)
        call_tools(await inference.next_call(), ("create_task", '{"title": "Pay"}'))
        await end(inference)
        names.add((await asked).tool_uses[0].tool_call_id)
    assert len(names) == 2
    assert len(await tasks_of(running, alice)) == 2


async def test_a_tool_that_the_agent_may_not_use_is_not_run_whoever_calls_it(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    asked = process(running, alice)
    call_tools(await inference.next_call(), ("create_task", '{"title": "Pay"}'))
    second = await inference.next_call()
    task_id = result_in(second)["task"]["task_id"]
    call_tools(second, ("delete_task", json.dumps({"task_id": task_id})))
    third = await end(inference)
    assert "may not be used" in result_in(third)["error"]["message"]
    assert [use.failed for use in (await asked).tool_uses] == [False, True]
    assert len(await tasks_of(running, alice)) == 1


async def test_an_agent_without_tools_is_offered_none_and_what_it_calls_is_not_run(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    inference.agents.agents = [agent_service_pb2.Agent(agent_id="planner", title="Planner", max_steps=8)]
    asked = process(running, alice)
    call = await inference.next_call()
    assert not call.request.tools
    call.say("Hello.")
    call_tools(call, ("create_task", '{"title": "Unasked"}'))
    answer = await asked
    assert (answer.text, list(answer.tool_uses)) == ("Hello.", [])
    assert await tasks_of(running, alice) == []


async def test_the_scopes_of_the_callers_token_hold_for_its_agents(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    token = await running.identity.CreateAccessToken(
        identity_service_pb2.CreateAccessTokenRequest(name="reader", scopes=["ai:write", "tasks:read"]),
        metadata=alice.metadata,
    )
    limited = Person(alice.user_id, (("authorization", f"Bearer {token.token}"),))
    asked = process(running, limited, agent_id="all_round")
    first = await inference.next_call()
    assert [tool.name for tool in first.request.tools] == ["list_tasks"]
    call_tools(first, ("create_task", '{"title": "Sneaked in"}'), ("search_documents", '{"query": "pay"}'))
    await end(inference)
    assert [use.failed for use in (await asked).tool_uses] == [True, True]
    assert await tasks_of(running, alice) == []


@pytest.mark.parametrize(
    ("agent_id", "rounds", "most"), [("planner", 2, 2), ("reader", 8, 1)], ids=["of chat", "of the agent"]
)
async def test_an_agent_that_never_stops_calling_has_to_answer_after_its_rounds(
    tmp_path: Path, inference: ScriptedInference, agent_id: str, rounds: int, most: int
) -> None:
    async with running_chat(tmp_path, inference=inference.address, PARLEY_CHAT_TOOL_ROUNDS=str(rounds)) as running:
        alice = await running.sign_up()
        asked = process(running, alice, agent_id=agent_id)
        for _ in range(most):
            call = await inference.next_call()
            assert call.request.tools
            call_tools(call, ("list_tasks", "{}"))
        last = await inference.next_call()
        assert not last.request.tools
        assert "Answer now" in last.request.messages[0].text
        last.say("Enough.")
        call_tools(last, ("list_tasks", "{}"))
        answer = await asked
        assert (answer.text, len(answer.tool_uses)) == ("Enough.", most)
        assert "as often as it may" in answer.notices[0]


@pytest.mark.parametrize(
    ("tool", "arguments_json", "words"),
    [
        ("create_task", "not json", "not JSON"),
        ("create_task", '{"title": "x", "due_time": "tomorrow"}', "due_time"),
        ("search_documents", "{}", "query"),
        ("search_documents", '{"query": " "}', "query"),
        ("search_documents", '{"query": "x", "limit": 11}', "limit"),
        ("search_documents", '{"query": "x", "limit": true}', "limit"),
        ("search_documents", '{"query": "x", "colour": "red"}', "colour"),
        ("search_documents", "[]", "not a JSON object"),
        # Nothing answers where `running` looks for retrieval.
        ("search_documents", '{"query": "x"}', "cannot be searched"),
        ("launch_missiles", "{}", "no tool of this name"),
    ],
)
async def test_a_tool_that_fails_is_told_to_the_model_which_goes_on(
    running: RunningChat, inference: ScriptedInference, alice: Person, tool: str, arguments_json: str, words: str
) -> None:
    asked = process(running, alice, agent_id="all_round")
    call_tools(await inference.next_call(), (tool, arguments_json))
    assert words in result_in(await end(inference))["error"]["message"]
    answer = await asked
    assert (answer.text, [use.failed for use in answer.tool_uses]) == ("Done.", [True])
    assert await tasks_of(running, alice) == []


async def test_a_tool_that_takes_too_long_is_given_up_and_the_agent_goes_on(
    tmp_path: Path, inference: ScriptedInference, search: ScriptedSearch
) -> None:
    search.answers.clear()
    variables = {"PARLEY_CHAT_TOOL_SECONDS": "0.1"}
    async with running_chat(tmp_path, inference=inference.address, retrieval=search.address, **variables) as running:
        asked = process(running, await running.sign_up(), agent_id="reader")
        call_tools(await inference.next_call(), ("search_documents", '{"query": "rent"}'))
        assert "longer than 0.1 seconds" in result_in(await end(inference))["error"]["message"]
        assert [use.failed for use in (await asked).tool_uses] == [True]


async def test_an_agent_searches_the_documents_of_its_project(
    searching: RunningChat, inference: ScriptedInference, search: ScriptedSearch
) -> None:
    search.hits = [
        search_service_pb2.SearchHit(
            chunk_id="chk_1", document_id="doc_1", document_title="Rent", heading="Dates", text="x" * 5_000
        )
    ]
    asked = process(searching, await searching.sign_up(), agent_id="reader", project="home")
    first = await inference.next_call()
    (offered,) = first.request.tools
    schema = json_format.MessageToDict(offered.parameters_schema)
    assert (offered.name, schema["required"], set(schema["properties"])) == (
        "search_documents",
        ["query"],
        {"query", "limit"},
    )
    call_tools(first, ("search_documents", '{"query": "When is the rent due?", "limit": 3}'))
    (passage,) = result_in(await end(inference))["passages"]
    assert (passage["title"], passage["heading"], passage["document_id"]) == ("Rent", "Dates", "doc_1")
    assert len(passage["text"]) == 2_000
    assert not (await asked).tool_uses[0].failed
    (asked_for,) = search.requests
    assert (asked_for.query, asked_for.limit, asked_for.project) == ("When is the rent due?", 3, "home")
    assert not asked_for.include_items


async def test_tokens_of_every_round_are_on_the_bill(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    inference.price = generation_pb2.TokenPrice(
        input_usd_micros=1_000_000, output_usd_micros=2_000_000, cached_input_usd_micros=1_000_000
    )
    asked = process(running, alice)
    first = await inference.next_call()
    first.use(100, 10)
    call_tools(first, ("list_tasks", "{}"))
    second = await inference.next_call()
    second.say("Nothing to do.")
    second.use(150, 5)
    second.finish()
    usage = (await asked).usage
    assert (usage.input_tokens, usage.output_tokens, usage.cost_usd_micros) == (250, 15, 280)
    assert not usage.estimated


async def test_another_model_that_goes_on_after_tools_is_told(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    request = pb.StreamProcessRequest(agent_id="planner", input="What is there to do?")
    asked = stub(running).StreamProcess(request, metadata=alice.metadata)
    first = await inference.next_call()
    first.switch("other-1")
    call_tools(first, ("list_tasks", "{}"))
    await end(inference)
    events = [event async for event in asked]
    assert [event.started.model for event in events if event.HasField("started")] == ["scripted-1", "scripted-1"]


async def test_what_tools_did_stays_when_the_model_fails_later(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    asked = process(running, alice)
    call_tools(await inference.next_call(), ("create_task", '{"title": "Pay"}'))
    (await inference.next_call()).break_off()
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await asked
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
    assert len(await tasks_of(running, alice)) == 1

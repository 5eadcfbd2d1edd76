"""AgentService, and generations that name an agent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from parley.inference.v1 import (
    agent_service_pb2,
    agent_service_pb2_grpc,
    generation_pb2,
    inference_service_pb2,
)
from parley_shared.channels import open_channel
from parley_shared.settings import SettingsError
from parley_testing.fake_openai import FakeOpenAI
from parley_testing.tokens import TestKeys

SHIPPED = ["data_analyst", "researcher", "summarizer", "task_planner"]
OWN = """title = "Own"
description = "The operator's."
instructions = "Speak like a sailor."
model = "other-model"
tools = ["add"]
max_steps = 1
max_output_tokens = 50
temperature = 0.5
"""


async def call(service: Any, method: str, request: Any, *scopes: str) -> Any:
    """Calls AgentService."""
    async with open_channel(service.address) as channel:
        stub = agent_service_pb2_grpc.AgentServiceStub(channel)
        return await getattr(stub, method)(request, metadata=service.metadata(*scopes))


async def agents_of(service: Any) -> dict[str, Any]:
    response = await call(service, "ListAgents", agent_service_pb2.ListAgentsRequest())
    return {agent.agent_id: agent for agent in response.agents}


async def failure_of_get(service: Any, agent_id: str) -> Any:
    async with open_channel(service.address) as channel:
        stub = agent_service_pb2_grpc.AgentServiceStub(channel)
        return await service.failure(stub.GetAgent, agent_service_pb2.GetAgentRequest(agent_id=agent_id))


def tools(*names: str) -> list[generation_pb2.Tool]:
    return [generation_pb2.Tool(name=name) for name in names]


async def test_the_agents_that_ship_are_listed_by_their_ids(offline: Any) -> None:
    agents = await agents_of(offline)
    assert list(agents) == SHIPPED
    researcher = agents["researcher"]
    assert (researcher.title, researcher.model, researcher.searches) == ("Researcher", "strong", True)
    assert list(agents["task_planner"].tools) == ["create_task", "list_tasks"]


async def test_one_agent_is_got_by_its_id(offline: Any) -> None:
    response = await call(offline, "GetAgent", agent_service_pb2.GetAgentRequest(agent_id="summarizer"))
    assert response.agent == (await agents_of(offline))["summarizer"]


async def test_an_unknown_agent_is_not_found_and_the_nearest_are_named(offline: Any, ask: Any) -> None:
    generation = inference_service_pb2.GenerateRequest(messages=ask().messages, agent_id="sumarizer")
    _, of_stream = await offline.stream(ask(agent_id="sumarizer"))
    for failure in (
        of_stream,
        await failure_of_get(offline, "sumarizer"),
        await offline.failure(offline.generations.Generate, generation),
    ):
        assert (failure.code, failure.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
        assert failure.metadata["resource"] == "agent"
        assert failure.message.startswith("There is no agent sumarizer. Is one of these meant: summarizer")
        assert failure.metadata["nearest"].startswith("summarizer")


async def test_the_name_of_an_agent_is_bounded(offline: Any, ask: Any) -> None:
    for failure in (
        (await offline.stream(ask(agent_id="a" * 65)))[1],
        await failure_of_get(offline, "a" * 65),
        await failure_of_get(offline, ""),
    ):
        assert (failure.code, failure.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("agent_id",))


async def test_agents_need_the_scope(offline: Any) -> None:
    for method, request in (
        ("ListAgents", agent_service_pb2.ListAgentsRequest()),
        ("GetAgent", agent_service_pb2.GetAgentRequest(agent_id="summarizer")),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(offline, method, request, "chat:read")
        assert raised.value.code() == grpc.StatusCode.PERMISSION_DENIED


async def test_an_agent_of_the_operator_answers_with_its_instructions_model_tools_and_limits(
    serve: Any, upstream: FakeOpenAI, ask: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "sailor.toml").write_text(OWN)
    async with serve(
        OPENAI_BASE_URL=upstream.base_url,
        PARLEY_INFERENCE_MODEL="fake-model",
        PARLEY_INFERENCE_MODELS="other-model",
        PARLEY_INFERENCE_AGENTS_FOLDER=str(folder),
    ) as service:
        assert list(await agents_of(service)) == sorted([*SHIPPED, "sailor"])
        sampling = generation_pb2.Sampling(max_output_tokens=80)
        _, failure = await service.stream(
            ask("Hello", agent_id="sailor", tools=tools("add", "drop"), sampling=sampling)
        )
        assert failure is None
        body = upstream.requests[-1].body
        assert body["messages"][0] == {"role": "system", "content": "Speak like a sailor."}
        assert (body["model"], body["max_tokens"], body["temperature"]) == ("other-model", 50, 0.5)
        assert [tool["function"]["name"] for tool in body["tools"]] == ["add"]

        round_of = [
            *ask("Hello").messages,
            generation_pb2.PromptMessage(
                role=generation_pb2.PROMPT_ROLE_ASSISTANT,
                tool_calls=[generation_pb2.ToolCall(tool_call_id="1", name="add", arguments_json="{}")],
            ),
            generation_pb2.PromptMessage(role=generation_pb2.PROMPT_ROLE_TOOL, text="done", tool_call_id="1"),
        ]
        _, failure = await service.stream(
            ask(messages=round_of, agent_id="sailor", tools=tools("add"), model="fake-model")
        )
        assert failure is None
        body = upstream.requests[-1].body
        assert "tools" not in body
        assert body["model"] == "fake-model"
        assert "used all the tool calls" in body["messages"][0]["content"]


async def test_agents_in_the_home_are_found_and_replace_those_that_ship(serve: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "agents").mkdir(parents=True)
    (home / "agents" / "summarizer.toml").write_text(OWN)
    keys = TestKeys(home)
    async with serve(PARLEY_HOME=str(home)) as service:
        agents = await agents_of(replace(service, keys=keys))
        assert list(agents) == SHIPPED
        assert agents["summarizer"].title == "Own"


@pytest.mark.parametrize(
    ("text", "problem"),
    [(OWN + "colour = 1", "own.toml: colour is not known"), ("title = 1", "own.toml: title must be a text")],
)
async def test_a_wrong_file_stops_the_start_with_file_and_key(
    serve: Any, tmp_path: Path, text: str, problem: str
) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(SettingsError) as raised:
        async with serve(PARLEY_INFERENCE_AGENTS_FOLDER=str(tmp_path)):
            pass
    assert str(raised.value).startswith(f"PARLEY_INFERENCE_AGENTS_FOLDER: {problem}")
    assert raised.value.variable == "PARLEY_INFERENCE_AGENTS_FOLDER"
    assert str(tmp_path) not in str(raised.value)


async def test_a_folder_that_is_named_has_to_be_there(serve: Any, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PARLEY_INFERENCE_AGENTS_FOLDER: the folder cannot be read"):
        async with serve(PARLEY_INFERENCE_AGENTS_FOLDER=str(tmp_path / "none")):
            pass


@pytest.mark.parametrize(
    ("agent_id", "text", "words"),
    [
        (
            "summarizer",
            "Tea is drunk in many countries. " * 3 + "Coffee is not tea at all.",
            "Tea is drunk in many countries.",
        ),
        (
            "task_planner",
            "Move house: pack boxes, hire a van, clean the flat",
            "1. Pack boxes\n2. Hire a van\n3. Clean",
        ),
        ("data_analyst", "name,price\nlamp,3\ntable,5", "| price | 2 | 4 | 4 | 3 | 5 | 8 |"),
        ("researcher", "What does tea cost?", "I found nothing about this in your documents."),
    ],
)
async def test_the_agents_that_ship_work_without_a_model_and_say_so(
    offline: Any, ask: Any, agent_id: str, text: str, words: str
) -> None:
    responses, failure = await offline.stream(ask(text, agent_id=agent_id))
    assert failure is None
    answer = "".join(response.text_delta for response in responses)
    assert words in answer
    assert "No model is configured" in answer


async def test_the_researcher_cites_without_a_model(offline: Any, ask: Any) -> None:
    passage = generation_pb2.Passage(number=1, title="Menu", text="A pot of tea costs 4 euros. Cake is free.")
    responses, failure = await offline.stream(ask("What does tea cost?", agent_id="researcher", passages=[passage]))
    assert failure is None
    assert "A pot of tea costs 4 euros [1]." in "".join(response.text_delta for response in responses)

"""AgentService: the operator's agents at work, with and without the user's documents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from parley.ai.v1 import agent_service_pb2 as pb
from parley.ai.v1 import agent_service_pb2_grpc, text_generation_pb2
from parley.inference.v1 import generation_pb2
from parley.retrieval.v1 import search_service_pb2
from parley_shared.status import StatusError, status_error_from
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedInference
from parley_testing.scripted_search import ScriptedSearch

HITS = [
    search_service_pb2.SearchHit(
        chunk_id="chk_1", document_id="doc_1", document_title="Holidays", heading="May", text="Closed on 1 May."
    ),
    search_service_pb2.SearchHit(chunk_id="chk_2", document_id="doc_2", document_title="Hours", text="Open at 9."),
]


@pytest.fixture
async def search() -> AsyncIterator[ScriptedSearch]:
    async with ScriptedSearch() as scripted:
        yield scripted


@pytest.fixture
async def searching(tmp_path: Path, inference: ScriptedInference, search: ScriptedSearch) -> AsyncIterator[RunningChat]:
    """Chat with passages behind it."""
    variables = {"PARLEY_CHAT_PASSAGES": "4", "PARLEY_CHAT_SEARCH_SECONDS": "30"}
    async with running_chat(tmp_path, inference=inference.address, retrieval=search.address, **variables) as chat:
        yield chat


def stub(running: RunningChat) -> Any:
    return agent_service_pb2_grpc.AgentServiceStub(running.channel)


async def error_of(call: Any) -> StatusError:
    """What a call that must fail says."""
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call
    return status_error_from(refusal.value)


async def test_the_agents_are_listed_with_what_they_may_use(running: RunningChat, alice: Person) -> None:
    listed = await stub(running).ListAgents(pb.ListAgentsRequest(), metadata=alice.metadata)
    assert [agent.agent_id for agent in listed.agents] == ["researcher", "summarizer"]
    researcher = listed.agents[0]
    assert (researcher.title, researcher.description) == ("Researcher", "Answers from documents.")
    assert (list(researcher.tools), researcher.searches) == (["*"], True)


async def test_an_agent_that_searches_is_given_passages_and_answers_from_them(
    searching: RunningChat, inference: ScriptedInference, search: ScriptedSearch
) -> None:
    search.hits = HITS
    alice = await searching.sign_up()
    request = pb.ProcessRequest(agent_id="researcher", input="When?", model="strong", project="office")
    asked = asyncio.ensure_future(stub(searching).Process(request, metadata=alice.metadata))
    call = await inference.next_call()
    call.say("On 1 May [1].")
    call.use(50, 5)
    call.finish()
    answer = await asked
    assert (answer.agent_id, answer.text, answer.model) == ("researcher", "On 1 May [1].", "scripted-1")
    assert answer.finish_reason == text_generation_pb2.FINISH_REASON_STOP
    assert [(source.number, source.chunk_id, source.document_id) for source in answer.sources] == [
        (1, "chk_1", "doc_1"),
        (2, "chk_2", "doc_2"),
    ]
    assert (answer.sources[0].document_title, answer.sources[0].heading) == ("Holidays", "May")
    assert answer.sources[0].text == "Closed on 1 May."
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (50, 5)
    assert not answer.notices
    assert len(answer.trace_id) == 32
    (asked_for,) = search.requests
    assert (asked_for.query, asked_for.limit, asked_for.project) == ("When?", 4, "office")
    # The agent's instructions are inference's: chat adds nothing but the time.
    sent = call.request
    time, asked_by_user = sent.messages
    assert (time.role, time.text[:19]) == (generation_pb2.PROMPT_ROLE_SYSTEM, "For the user it is ")
    assert (asked_by_user.role, asked_by_user.text) == (generation_pb2.PROMPT_ROLE_USER, "When?")
    assert (sent.agent_id, sent.model) == ("researcher", "strong")
    assert [(passage.number, passage.title, passage.text) for passage in sent.passages] == [
        (1, "Holidays", "Closed on 1 May."),
        (2, "Hours", "Open at 9."),
    ]


async def test_the_sources_of_a_stream_come_before_who_writes(
    searching: RunningChat, inference: ScriptedInference, search: ScriptedSearch
) -> None:
    search.hits = HITS[:1]
    alice = await searching.sign_up()
    request = pb.StreamProcessRequest(agent_id="researcher", input="When?")
    asked = stub(searching).StreamProcess(request, metadata=alice.metadata)
    call = await inference.next_call()
    call.think("Hm.")
    call.say("On 1 May [1].")
    call.switch("other-1")
    call.finish()
    events = [event async for event in asked]
    assert [event.WhichOneof("event") for event in events] == [
        "sources",
        "started",
        "reasoning_delta",
        "text_delta",
        "model_switched",
        "finished",
    ]
    assert [source.number for source in events[0].sources.sources] == [1]


async def test_an_agent_that_does_not_search_is_given_nothing(
    searching: RunningChat, inference: ScriptedInference, search: ScriptedSearch
) -> None:
    search.hits = HITS
    alice = await searching.sign_up()
    request = pb.StreamProcessRequest(agent_id="summarizer", input="Long.")
    asked = stub(searching).StreamProcess(request, metadata=alice.metadata)
    call = await inference.next_call()
    call.finish()
    assert [event.WhichOneof("event") async for event in asked] == ["started", "finished"]
    assert not search.requests
    assert not call.request.passages


async def test_when_nothing_is_found_the_agent_answers_without_sources(
    searching: RunningChat, inference: ScriptedInference
) -> None:
    alice = await searching.sign_up()
    request = pb.StreamProcessRequest(agent_id="researcher", input="When?")
    asked = stub(searching).StreamProcess(request, metadata=alice.metadata)
    (await inference.next_call()).finish()
    assert [event.WhichOneof("event") async for event in asked] == ["started", "finished"]


async def test_documents_that_cannot_be_searched_are_a_notice_and_no_error(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    # Nothing answers where `running` looks for retrieval.
    asked = asyncio.ensure_future(
        stub(running).Process(pb.ProcessRequest(agent_id="researcher", input="When?"), metadata=alice.metadata)
    )
    call = await inference.next_call()
    call.say("I do not know.")
    call.finish()
    answer = await asked
    assert answer.text == "I do not know."
    assert len(answer.notices) == 1
    assert "documents" in answer.notices[0]
    assert not answer.sources
    streamed = stub(running).StreamProcess(
        pb.StreamProcessRequest(agent_id="researcher", input="When?"), metadata=alice.metadata
    )
    (await inference.next_call()).finish()
    assert [event.WhichOneof("event") async for event in streamed] == ["notice", "started", "finished"]


async def test_a_search_that_takes_too_long_is_not_waited_for(
    tmp_path: Path, inference: ScriptedInference, search: ScriptedSearch
) -> None:
    search.answers.clear()
    variables = {"PARLEY_CHAT_SEARCH_SECONDS": "0.1"}
    async with running_chat(tmp_path, inference=inference.address, retrieval=search.address, **variables) as chat:
        alice = await chat.sign_up()
        request = pb.ProcessRequest(agent_id="researcher", input="When?")
        asked = asyncio.ensure_future(stub(chat).Process(request, metadata=alice.metadata))
        (await inference.next_call()).finish()
        assert (await asked).notices


async def test_an_agent_that_does_not_exist_is_not_found(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    error = await error_of(
        stub(running).Process(pb.ProcessRequest(agent_id="nobody", input="Hi"), metadata=alice.metadata)
    )
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "ERROR_REASON_RESOURCE_NOT_FOUND")
    assert error.metadata["resource"] == "agent"
    asked = stub(running).StreamProcess(pb.StreamProcessRequest(agent_id="nobody", input="Hi"), metadata=alice.metadata)
    failed = (await asked.read()).failed
    assert (failed.code, failed.reason) == (5, "ERROR_REASON_RESOURCE_NOT_FOUND")
    assert (await error_of(asked.read())).code is grpc.StatusCode.NOT_FOUND
    assert inference.calls == 0


async def test_a_cut_call_cancels_the_agents_generation(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    request = pb.StreamProcessRequest(agent_id="summarizer", input="Long.")
    asked = stub(running).StreamProcess(request, metadata=alice.metadata)
    call = await inference.next_call()
    await asked.read()
    asked.cancel()
    async with asyncio.timeout(30):
        await call.cancelled.wait()


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("agent_id", {"agent_id": "", "input": "Hi"}),
        ("agent_id", {"agent_id": "x" * 65, "input": "Hi"}),
        ("input", {"agent_id": "a", "input": ""}),
        ("input", {"agent_id": "a", "input": "\n\t "}),
        ("input", {"agent_id": "a", "input": "x" * 100_001}),
        ("input", {"agent_id": "a", "input": "a\0"}),
        ("model", {"agent_id": "a", "input": "Hi", "model": "x" * 201}),
        ("project", {"agent_id": "a", "input": "Hi", "project": "x" * 101}),
        ("time_zone", {"agent_id": "a", "input": "Hi", "time_zone": "Mars/Olympus"}),
    ],
)
async def test_what_is_out_of_bounds_is_refused_and_named(
    running: RunningChat, alice: Person, field: str, values: dict[str, Any]
) -> None:
    error = await error_of(stub(running).Process(pb.ProcessRequest(**values), metadata=alice.metadata))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation[0] for violation in error.violations] == [field]
    streamed = stub(running).StreamProcess(pb.StreamProcessRequest(**values), metadata=alice.metadata)
    error = await error_of(streamed.read())
    assert [violation[0] for violation in error.violations] == [field]

"""Suggestions: what they follow from, what they cost, and that there are always some."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2
from parley.workspace.v1 import project_service_pb2, project_service_pb2_grpc
from parley_shared.status import status_error_from
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedCall, ScriptedInference
from parley_testing.scripted_library import ScriptedDocument, ScriptedLibrary
from parley_testing.turn_readers import stream

LEASE = ScriptedDocument(
    "doc_lease",
    "Lease",
    {
        "Lease": "This is the lease of the flat, and it is made in two copies.",
        "Lease › 1. Rent": "The rent is due on the third day of the month.",
        "Lease › 2. Notice": "The notice period is three months to the end of a month.",
        "Lease › 3. Pets": "Small animals are allowed without asking.",
    },
)
GUIDE = ScriptedDocument(
    "doc_guide",
    "Add a provider",
    {
        "Add a provider › How do I add OpenAI?": "Set the key and start it again.",
        "Add a provider › How do I choose the model?": "By its name, in the request or in the settings.",
    },
    shared=True,
)
FLOW = ScriptedDocument(
    "doc_flow", "Turns", {"Turns › How does a turn flow?": "From the message to the end."}, shared=True
)
WRITTEN = {
    "suggestions": [
        {"prompt": "How long is the notice period for the landlord?", "reason": "the other side of it"},
        {"prompt": "Compare it with the law.", "reason": "a next step"},
        {"prompt": "when is THE rent due", "reason": "was asked"},
        {"prompt": "Compare it with the law!", "reason": "twice"},
        {"prompt": "   ", "reason": "nothing"},
        {"prompt": "x" * 301, "reason": "too long"},
    ]
}


@pytest.fixture
async def library() -> AsyncIterator[ScriptedLibrary]:
    async with ScriptedLibrary(LEASE, GUIDE, FLOW) as scripted:
        yield scripted


@pytest.fixture
async def running(tmp_path: Path, inference: ScriptedInference, library: ScriptedLibrary) -> AsyncIterator[RunningChat]:
    async with running_chat(
        tmp_path, inference=inference.address, retrieval=library.address, PARLEY_CHAT_SUGGESTION_SECONDS="30"
    ) as chat:
        yield chat


@pytest.fixture
async def alone(tmp_path: Path, inference: ScriptedInference, library: ScriptedLibrary) -> AsyncIterator[RunningChat]:
    """A chat that asks no model for suggestions."""
    async with running_chat(
        tmp_path, inference=inference.address, retrieval=library.address, PARLEY_CHAT_SUGGESTION_SECONDS="0"
    ) as chat:
        yield chat


async def suggest(
    running: RunningChat, person: Person, session_id: str = "", limit: int = 0
) -> list[pb.PromptSuggestion]:
    request = pb.SuggestPromptsRequest(session_id=session_id, limit=limit)
    response = await running.chat.SuggestPrompts(request, metadata=person.metadata, timeout=60)
    return list(response.suggestions)


def prompts(found: Sequence[pb.PromptSuggestion]) -> list[str]:
    return [each.prompt for each in found]


async def converse(
    running: RunningChat, inference: ScriptedInference, person: Person, question: str, answer: str, session_id: str = ""
) -> str:
    reader = stream(running, person, message=question, session_id=session_id)
    call = await inference.next_call()
    call.say(answer)
    call.finish()
    events = await reader.to_end()
    assert events[-1].HasField("completed")
    return events[0].started.session_id


async def next_model_call(inference: ScriptedInference) -> ScriptedCall:
    call = await inference.next_call()
    assert call.request.HasField("response_schema")
    return call


async def test_a_user_with_documents_is_invited_to_ask_them_and_then_the_shared_ones(alone: RunningChat) -> None:
    alice = await alone.sign_up()
    found = await suggest(alone, alice, limit=10)
    assert prompts(found)[:4] == [
        "What does “Lease” say about Rent?",
        "Summarize “Lease”.",
        "What does “Lease” say about Notice?",
        "What does “Lease” say about Pets?",
    ]
    assert found[0].reason == "your document “Lease” has a part about Rent"
    assert prompts(found)[4:7] == ["How do I add OpenAI?", "How does a turn flow?", "How do I choose the model?"]
    assert found[4].reason == "answered in “Add a provider”"
    assert {each.route for each in found[:7]} == {message_pb2.ROUTE_ENHANCED}


async def test_a_new_user_is_invited_by_the_shared_documents_alone(
    alone: RunningChat, library: ScriptedLibrary
) -> None:
    library.documents.remove(LEASE)
    found = await suggest(alone, await alone.sign_up())
    assert prompts(found)[:3] == ["How do I add OpenAI?", "How does a turn flow?", "How do I choose the model?"]
    assert len(found) == 4


async def test_a_german_document_is_asked_about_in_german(alone: RunningChat, library: ScriptedLibrary) -> None:
    text = "Die Miete ist am dritten Werktag fällig und wird auf das Konto überwiesen."
    library.documents[:] = [ScriptedDocument("doc_de", "Mietvertrag", {"Mietvertrag › § 4 Miete": text})]
    found = await suggest(alone, await alone.sign_up())
    assert prompts(found)[:2] == ["Was steht in „Mietvertrag“ über Miete?", "Fasse „Mietvertrag“ zusammen."]


async def test_without_retrieval_there_is_still_something_to_begin_with(
    alone: RunningChat, library: ScriptedLibrary
) -> None:
    library.broken = True
    found = await suggest(alone, await alone.sign_up())
    assert len(found) == 4
    assert {each.reason for each in found} == {"something to begin with"}
    assert {each.route for each in found} == {message_pb2.ROUTE_STANDARD, message_pb2.ROUTE_ENHANCED}


async def test_what_follows_from_an_exchange_are_parts_that_were_not_read_and_what_the_answer_speaks_of(
    alone: RunningChat, inference: ScriptedInference
) -> None:
    alice = await alone.sign_up()
    answer = "On the third day of the month [2].\n\n## Late payment\n\nInterest is due. **Rent** is what it is about."
    session_id = await converse(alone, inference, alice, "When is the rent due?", answer)
    found = await suggest(alone, alice, session_id, limit=10)
    # The passage about rent was cited: it is no news, and neither is a word of the question.
    assert prompts(found)[:3] == [
        "What does “Lease” say about Notice?",
        "What does “Lease” say about Pets?",
        "Tell me more about Late payment.",
    ]
    assert "What does “Lease” say about Rent?" not in prompts(found)
    assert "Tell me more about Rent." not in prompts(found)
    assert inference.calls == 1


async def test_suggestions_are_in_the_language_of_the_conversation(
    alone: RunningChat, inference: ScriptedInference, library: ScriptedLibrary
) -> None:
    alice = await alone.sign_up()
    answer = "Die Miete ist am dritten Tag fällig.\n\n```python\nprint(3)\n```"
    session_id = await converse(alone, inference, alice, "Wann ist die Miete fällig, laut Vertrag?", answer)
    library.documents.clear()
    found = prompts(await suggest(alone, alice, session_id))
    assert "Erkläre diesen Code Schritt für Schritt." in found


async def test_nothing_is_suggested_that_was_said_already(alone: RunningChat, inference: ScriptedInference) -> None:
    alice = await alone.sign_up()
    session_id = await converse(alone, inference, alice, "Where is the lease?", "In the drawer.")
    first = (await suggest(alone, alice, session_id))[0].prompt
    await converse(alone, inference, alice, first.upper(), "As I said.", session_id)
    after = await suggest(alone, alice, session_id, limit=10)
    assert first not in prompts(after)
    assert len({each.prompt for each in after}) == len(after)


async def test_small_talk_is_followed_by_something_to_begin_with(
    alone: RunningChat, inference: ScriptedInference
) -> None:
    alice = await alone.sign_up()
    session_id = await converse(alone, inference, alice, "Hi!", "Hello.")
    assert prompts(await suggest(alone, alice, session_id))[0] == "What does “Lease” say about Rent?"


async def test_a_model_is_asked_once_for_the_end_of_a_session_and_what_it_says_is_checked(
    running: RunningChat, inference: ScriptedInference
) -> None:
    alice = await running.sign_up()
    session_id = await converse(running, inference, alice, "When is the rent due?", "On the third [2].")
    asked = asyncio.create_task(suggest(running, alice, session_id, limit=10))
    call = await next_model_call(inference)
    assert call.request.model == "fast"
    assert call.request.cache_seconds > 0
    assert "When is the rent due?" in call.request.messages[-1].text
    assert call.request.messages[-1].text.count("On the third [2].") == 1
    schema: Any = MessageToDict(call.request.response_schema)
    assert schema["required"] == ["suggestions"]
    call.say(json.dumps(WRITTEN))
    call.finish()
    found = await asked
    assert prompts(found)[:2] == ["How long is the notice period for the landlord?", "Compare it with the law."]
    assert found[0].reason == "the other side of it"
    assert all(len(each.prompt) <= 300 for each in found)
    assert len({each.prompt.casefold().rstrip("!.") for each in found}) == len(found)
    assert "when is THE rent due" not in prompts(found)
    # Again, with another number of them: nobody is asked.
    assert prompts(await suggest(running, alice, session_id, limit=1)) == prompts(found)[:1]
    assert inference.calls == 2


async def test_two_who_ask_at_once_ask_the_model_once(running: RunningChat, inference: ScriptedInference) -> None:
    alice = await running.sign_up()
    session_id = await converse(running, inference, alice, "When is the rent due?", "On the third.")
    first = asyncio.create_task(suggest(running, alice, session_id))
    call = await next_model_call(inference)
    second = asyncio.create_task(suggest(running, alice, session_id))
    first.cancel()
    await asyncio.wait([first])
    call.say(json.dumps(WRITTEN))
    call.finish()
    assert prompts(await second)[0] == WRITTEN["suggestions"][0]["prompt"]
    assert inference.calls == 2


@pytest.mark.parametrize("trouble", ["fails", "lies", "breaks off", "is no JSON", "is not as the schema says"])
async def test_a_model_in_trouble_is_done_without(
    running: RunningChat, inference: ScriptedInference, trouble: str
) -> None:
    alice = await running.sign_up()
    session_id = await converse(running, inference, alice, "When is the rent due?", "On the third.")
    asked = asyncio.create_task(suggest(running, alice, session_id))
    call = await next_model_call(inference)
    match trouble:
        case "fails":
            call.fail(grpc.StatusCode.RESOURCE_EXHAUSTED, "scripted")
        case "lies":
            call.say('{"suggestions": []}')
            call.finish()
        case "breaks off":
            call.say('{"sugg')
            call.break_off()
        case "is no JSON":
            call.say("Sure! Here are some.")
            call.finish()
        case _:
            call.say('{"suggestions": [7]}')
            call.finish()
    assert prompts(await asked)[0] == "What does “Lease” say about Rent?"
    # Not again for the same end of the session: looking at a page would cost a call each time.
    await suggest(running, alice, session_id)
    assert inference.calls == 2


async def test_a_model_that_takes_too_long_is_hung_up_on(
    tmp_path: Path, inference: ScriptedInference, library: ScriptedLibrary
) -> None:
    async with running_chat(
        tmp_path, inference=inference.address, retrieval=library.address, PARLEY_CHAT_SUGGESTION_SECONDS="3"
    ) as running:
        alice = await running.sign_up()
        session_id = await converse(running, inference, alice, "When is the rent due?", "On the third.")
        found = await suggest(running, alice, session_id)
        assert prompts(found)[0] == "What does “Lease” say about Rent?"
        call = await next_model_call(inference)
        async with asyncio.timeout(30):
            await call.cancelled.wait()


async def test_a_new_message_brings_new_suggestions(alone: RunningChat, inference: ScriptedInference) -> None:
    alice = await alone.sign_up()
    session_id = await converse(alone, inference, alice, "When is the rent due?", "On the third.")
    before = prompts(await suggest(alone, alice, session_id))
    await converse(alone, inference, alice, before[0], "Yes.\n\n## Deposit\n\nTwo months.", session_id)
    after = prompts(await suggest(alone, alice, session_id, limit=10))
    assert before[0] not in after
    assert "Tell me more about Deposit." in after


async def test_while_an_answer_is_written_its_end_is_not_guessed(
    running: RunningChat, inference: ScriptedInference
) -> None:
    alice = await running.sign_up()
    reader = stream(running, alice, message="When is the rent due?")
    call = await inference.next_call()
    session_id = (await reader.until("started")).started.session_id
    found = await suggest(running, alice, session_id)
    assert len(found) == 4
    assert inference.calls == 1
    call.say("On the third.")
    call.finish()
    await reader.to_end()
    # What was suggested meanwhile is not kept.
    asked = asyncio.create_task(suggest(running, alice, session_id))
    call = await next_model_call(inference)
    call.say(json.dumps(WRITTEN))
    call.finish()
    assert prompts(await asked)[0] == WRITTEN["suggestions"][0]["prompt"]


async def test_the_suggestions_of_a_session_are_its_users_alone(
    alone: RunningChat, inference: ScriptedInference
) -> None:
    alice, carol = await alone.sign_up(), await alone.sign_up()
    session_id = await converse(alone, inference, alice, "When is the rent due?", "On the third.")
    await suggest(alone, alice, session_id)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await suggest(alone, carol, session_id)
    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND


async def test_what_was_kept_of_a_deleted_session_is_not_told(alone: RunningChat, inference: ScriptedInference) -> None:
    alice = await alone.sign_up()
    session_id = await converse(alone, inference, alice, "When is the rent due?", "On the third.")
    await suggest(alone, alice, session_id)
    await alone.chat.DeleteSession(pb.DeleteSessionRequest(session_id=session_id), metadata=alice.metadata)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await suggest(alone, alice, session_id)
    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND


async def test_looking_again_asks_retrieval_no_more(alone: RunningChat, library: ScriptedLibrary) -> None:
    alice = await alone.sign_up()
    assert await suggest(alone, alice) == await suggest(alone, alice)
    assert library.listed == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"session_id": "x"}, "session_id"), ({"limit": -1}, "limit"), ({"limit": 11}, "limit")],
)
async def test_a_request_out_of_its_bounds_is_refused(alone: RunningChat, fields: dict[str, Any], field: str) -> None:
    alice = await alone.sign_up()
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await alone.chat.SuggestPrompts(pb.SuggestPromptsRequest(**fields), metadata=alice.metadata)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation[0] for violation in status_error_from(refusal.value).violations] == [field]


async def test_in_a_project_only_its_documents_are_suggested(alone: RunningChat, library: ScriptedLibrary) -> None:
    alice = await alone.sign_up()
    stub = project_service_pb2_grpc.ProjectServiceStub(alone.channel)
    made = await stub.CreateProject(project_service_pb2.CreateProjectRequest(title="House"), metadata=alice.metadata)
    house = made.project.project_id
    library.documents.append(ScriptedDocument("doc_walls", "Walls", {"Walls › Colour": "White."}, project=house))
    session = await alone.chat.CreateSession(pb.CreateSessionRequest(project_id=house), metadata=alice.metadata)
    inside = prompts(await suggest(alone, alice, session.session.session_id, limit=10))
    assert "What does “Walls” say about Colour?" in inside
    assert not any("Lease" in prompt or "OpenAI" in prompt for prompt in inside)
    outside = prompts(await suggest(alone, alice, limit=10))
    assert any("Lease" in prompt for prompt in outside)

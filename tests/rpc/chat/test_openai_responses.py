"""OpenAIResponseService: a turn as OpenAI's Responses API tells it: its events and their numbers, its items, and what is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from parley.chat.v1 import chat_service_pb2, tool_service_pb2, tool_service_pb2_grpc
from parley.inference.v1 import generation_pb2
from parley.openai.v1 import response_service_pb2 as pb
from parley.openai.v1 import response_service_pb2_grpc
from parley_shared.status import StatusError, status_error_from
from parley_testing.running_chat import Person, RunningChat
from parley_testing.scripted_inference import ScriptedCall, ScriptedInference

Event = pb.StreamResponseResponse
ENDS = {"response.completed", "response.failed", "response.incomplete"}


@pytest.fixture
def door(running: RunningChat) -> Any:
    return response_service_pb2_grpc.OpenAIResponseServiceStub(running.channel)


def whole(text: object = "Hello.", **parameters: Any) -> pb.CreateResponseRequest:
    return ParseDict({"input": text, **parameters}, pb.CreateResponseRequest())


def streamed(text: object = "Hello.", **parameters: Any) -> pb.StreamResponseRequest:
    return ParseDict({"input": text, **parameters}, pb.StreamResponseRequest())


async def error_of(call: Any) -> StatusError:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call
    return status_error_from(refusal.value)


async def read(call: Any) -> list[Event]:
    return [_event(answer) async for answer in call]


def _event(answer: Any) -> Event:
    """Two messages of the contract, because two rpcs have one each, and the same fields."""
    return Event.FromString(answer.SerializeToString())


def as_model(answer: Any) -> pb.ModelResponse:
    return pb.ModelResponse.FromString(answer.SerializeToString())


async def resumed(door: Any, person: Person, response_id: str, **after: int) -> list[Event]:
    request = pb.ResumeResponseRequest(response_id=response_id, **after)
    return await read(door.ResumeResponse(request, metadata=person.metadata))


def assert_numbered(events: list[Event], first: int = 0) -> None:
    assert [event.sequence_number for event in events] == list(range(first, first + len(events)))


async def written(
    door: Any, inference: ScriptedInference, person: Person, *pieces: str, **parameters: Any
) -> list[Event]:
    """The events of a response that is written and read to its end."""
    reading = asyncio.ensure_future(read(door.StreamResponse(streamed(**parameters), metadata=person.metadata)))
    call = await inference.next_call()
    for piece in pieces:
        call.say(piece)
    call.use(70, 9)
    call.finish()
    return await reading


async def test_a_response_is_streamed_in_openais_order_and_ends_as_it_is_kept(
    door: Any, inference: ScriptedInference, alice: Person
) -> None:
    events = await written(door, inference, alice, "Hello ", "there.", model="fast")
    assert_numbered(events)
    kinds = [event.type.removeprefix("response.") for event in events]
    assert kinds[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
    assert set(kinds[4:-4]) == {"output_text.delta"}
    assert kinds[-4:] == ["output_text.done", "content_part.done", "output_item.done", "completed"]
    assert "".join(event.delta for event in events) == events[-4].text == "Hello there."
    assert len({event.item_id for event in events if event.HasField("item_id")}) == 1
    assert (events[0].response.status, events[0].response.model) == ("in_progress", "fast")

    response = events[-1].response
    assert response.id == events[0].response.id == f"resp_{response.parley.turn_id.removeprefix('trn_')}"
    assert (response.object, response.status, response.model) == ("response", "completed", "scripted-1")
    (item,) = response.output
    assert (item.type, item.role, item.status, item.content[0].text) == (
        "message",
        "assistant",
        "completed",
        "Hello there.",
    )
    assert item.id == events[2].item.id == events[4].item_id == response.parley.message_id
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (70, 9, 79)
    assert response.parley.route in {"standard", "enhanced"}
    got = await door.GetResponse(pb.GetResponseRequest(response_id=response.id), metadata=alice.metadata)
    assert as_model(got) == response


async def test_every_reader_is_told_the_same_under_the_same_numbers_wherever_it_begins(
    door: Any, running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    events = await written(door, inference, alice, *(f"word{number} " for number in range(40)))
    response_id = events[-1].response.id
    assert await resumed(door, alice, response_id) == events
    for after in (0, 3, 17, len(events) - 2):
        assert await resumed(door, alice, response_id, starting_after=after) == events[after + 1 :]
    for beyond in (len(events) - 1, len(events) + 1000, 2_147_483_647):
        assert await resumed(door, alice, response_id, starting_after=beyond) == []

    # The log has every delta, and a reader of ChatService who comes late gets them as one: the numbers here do not depend on it.
    resume = chat_service_pb2.ResumeReplyRequest(turn_id=events[-1].response.parley.turn_id)
    turn = [answer.event async for answer in running.chat.ResumeReply(resume, metadata=alice.metadata)]
    assert "".join(event.delta.text for event in turn) == "".join(event.delta for event in events)
    assert turn[-1].completed.message.usage.input_tokens == events[-1].response.usage.input_tokens


async def test_who_is_cut_off_while_it_is_written_goes_on_behind_what_came(
    door: Any, inference: ScriptedInference, alice: Person
) -> None:
    first = door.StreamResponse(streamed(), metadata=alice.metadata)
    begun = asyncio.ensure_future(inference.next_call())
    events = [await first.read()]
    call = await begun
    call.say("One ")
    while "One " not in events[-1].delta:
        events.append(await first.read())
    first.cancel()
    response_id = events[0].response.id

    now = await door.GetResponse(pb.GetResponseRequest(response_id=response_id), metadata=alice.metadata)
    assert (now.status, list(now.output)) == ("in_progress", [])
    going_on = asyncio.ensure_future(resumed(door, alice, response_id, starting_after=events[-1].sequence_number))
    call.say("two.")
    call.finish()
    rest = await going_on
    assert not call.cancelled.is_set()
    assert_numbered(events + rest)
    assert "".join(event.delta for event in events + rest) == "One two."
    assert rest[-1].type == "response.completed"
    assert rest[-1].response.output[0].content[0].text == "One two."


async def test_a_tool_that_runs_is_an_item_between_the_texts(
    door: Any, inference: ScriptedInference, alice: Person
) -> None:
    reading = asyncio.ensure_future(read(door.StreamResponse(streamed("Remind me."), metadata=alice.metadata)))
    call = await inference.next_call()
    call.say("Let me see. ")
    call.call_tool("list_tasks", "{}")
    call.call_tool("no_such_tool", "{}")
    call.finish(generation_pb2.FINISH_REASON_TOOL_CALLS)
    call = await inference.next_call()
    call.say("Nothing.")
    call.finish()
    events = await reading
    assert_numbered(events)
    response = events[-1].response
    before, listed, failed, after = response.output
    assert [before.content[0].text, after.content[0].text.strip()] == ["Let me see. ", "Nothing."]
    assert (listed.type, listed.name, listed.server_label, listed.status) == (
        "mcp_call", "list_tasks", "parley", "completed",
    )  # fmt: skip
    assert listed.HasField("output")
    assert not listed.HasField("error")
    assert (failed.name, failed.status) == ("no_such_tool", "failed")
    assert "error" in failed.error
    done = [event for event in events if event.type == "response.output_item.done"]
    assert [event.item.id for event in sorted(done, key=lambda event: event.output_index)] == [
        item.id for item in response.output
    ], "the stream and the whole response name the same items in the same places"
    assert {event.type for event in events} >= {
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.done",
        "response.mcp_call.completed",
        "response.mcp_call.failed",
    }


async def test_a_whole_response_is_that_of_the_turn_and_goes_on_from_another(
    door: Any, inference: ScriptedInference, alice: Person
) -> None:
    async def ask(**parameters: Any) -> tuple[pb.ModelResponse, ScriptedCall]:
        asked = asyncio.ensure_future(door.CreateResponse(whole(**parameters), metadata=alice.metadata))
        call = await inference.next_call()
        call.say("Blue.")
        call.finish()
        return await asked, call

    message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "My colour is blue."}]}
    first, _ = await ask(text=[message], store=True, temperature=1, tool_choice="auto", tools=[], instructions="")
    assert (first.status, first.output[0].content[0].text) == ("completed", "Blue.")
    second, call = await ask(text="Which is it?", previous_response_id=first.id)
    assert second.conversation == first.conversation
    assert [told.text for told in call.request.messages if told.role != generation_pb2.PROMPT_ROLE_SYSTEM] == [
        "My colour is blue.", "Blue.", "Which is it?",
    ]  # fmt: skip
    third, call = await ask(text="And now?", conversation={"id": first.conversation.id})
    assert third.conversation == first.conversation
    assert "Which is it?" in [told.text for told in call.request.messages]


async def test_in_the_background_it_is_returned_at_once_and_the_same_key_makes_no_second(
    door: Any, inference: ScriptedInference, alice: Person
) -> None:
    metadata = (*alice.metadata, ("idempotency-key", "one-of-mine"))
    first = await door.CreateResponse(whole(background=True), metadata=metadata)
    assert first.status == "in_progress"
    call = await inference.next_call()
    again = await door.CreateResponse(whole(background=True), metadata=metadata)
    assert again.id == first.id
    call.say("Done.")
    call.finish()
    events = await resumed(door, alice, first.id)
    assert events[-1].response.output[0].content[0].text == "Done."
    assert inference.calls == 1
    other = await error_of(door.CreateResponse(whole("Something else."), metadata=metadata))
    assert other.reason == "ERROR_REASON_CLIENT_MESSAGE_ID_REUSED"
    nameless = await error_of(
        door.CreateResponse(whole(), metadata=(*alice.metadata, ("idempotency-key", "no spaces")))
    )
    assert nameless.metadata["field"] == "idempotency-key"


async def test_what_is_cancelled_closes_the_model_and_ends_as_incomplete(
    door: Any, inference: ScriptedInference, alice: Person
) -> None:
    stream = door.StreamResponse(streamed(), metadata=alice.metadata)
    begun = asyncio.ensure_future(inference.next_call())
    events = [await stream.read()]
    call = await begun
    call.say("Half ")
    while "Half " not in events[-1].delta:
        events.append(await stream.read())
    request = pb.CancelResponseRequest(response_id=events[0].response.id)
    cancelled = await door.CancelResponse(request, metadata=alice.metadata)
    while events[-1].type not in ENDS:
        events.append(await stream.read())
    await asyncio.wait_for(call.cancelled.wait(), 60)
    assert_numbered(events)
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.status == cancelled.status == "cancelled"
    assert [(item.status, item.content[0].text) for item in cancelled.output] == [("incomplete", "Half ")]
    again = await door.CancelResponse(request, metadata=alice.metadata)
    assert again == cancelled


async def test_a_failure_is_an_event_and_a_status_and_stays_readable(
    door: Any, inference: ScriptedInference, alice: Person
) -> None:
    refusal = StatusError(grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_PROVIDER_UNAVAILABLE", "The provider is away.")
    events: list[Event] = []

    async def listen() -> None:
        async for answer in door.StreamResponse(streamed(), metadata=alice.metadata):
            events.append(answer)  # noqa: PERF401 - what came before the error is kept

    listening = asyncio.ensure_future(listen())
    call = await inference.next_call()
    call.say("Half ")
    call.fail_for(refusal)
    told = await error_of(listening)
    assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_PROVIDER_UNAVAILABLE")
    assert_numbered(events)
    assert [event.type for event in events if event.type in ENDS] == ["response.failed"]
    response = events[-1].response
    assert (response.status, response.error.code) == ("failed", "provider_unavailable")
    assert [item.content[0].text for item in response.output] == ["Half "]
    got = await door.GetResponse(pb.GetResponseRequest(response_id=response.id), metadata=alice.metadata)
    assert as_model(got) == response
    assert await resumed(door, alice, response.id, starting_after=events[-1].sequence_number) == []

    asked = asyncio.ensure_future(door.CreateResponse(whole(), metadata=alice.metadata))
    (await inference.next_call()).fail_for(refusal)
    assert (await error_of(asked)).reason == "ERROR_REASON_PROVIDER_UNAVAILABLE"


UNHONOURED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"input": ""}, "input"),
    ({"input": "  "}, "input"),
    ({"input": 7}, "input"),
    ({"input": "x" * 32_001}, "input"),
    ({"input": "\0"}, "input"),
    ({"input": []}, "input"),
    ({"input": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}, "input"),
    ({"input": ["a"]}, "input[0]"),
    ({"input": [{"role": "assistant", "content": "a"}]}, "input[0]"),
    ({"input": [{"type": "function_call_output", "call_id": "a", "output": "b"}]}, "input[0]"),
    ({"input": [{"role": "user", "content": 7}]}, "input[0].content"),
    ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "a"}]}]}, "input[0].content[0]"),
    ({"model": "x" * 201}, "model"),
    ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ({"conversation": "conv_1"}, "conversation"),
    ({"conversation": {"id": ""}}, "conversation"),
    ({"conversation": 7}, "conversation"),
    ({"conversation": f"ses_{'0' * 32}", "previous_response_id": f"resp_{'0' * 32}"}, "conversation"),
    ({"store": False}, "store"),
    ({"instructions": "Be brief."}, "instructions"),
    ({"tools": [{"type": "web_search"}]}, "tools"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tool_choice": {"type": "function", "name": "a"}}, "tool_choice"),
    ({"text": {"format": {"type": "json_object"}}}, "text"),
    ({"temperature": 0}, "temperature"),
    ({"top_p": 0.5}, "top_p"),
    ({"max_output_tokens": 5}, "max_output_tokens"),
    ({"prompt": {"id": "a"}}, "prompt"),
)


def test_messages_that_stand_for_the_same_have_the_same_fields() -> None:
    def fields(message: Any) -> list[tuple[object, ...]]:
        return [
            (field.name, field.number, field.type, field.is_repeated, field.has_presence)
            for field in message.DESCRIPTOR.fields
        ]

    for answer in (pb.CreateResponseResponse, pb.GetResponseResponse, pb.CancelResponseResponse):
        assert fields(answer) == fields(pb.ModelResponse)
    assert fields(pb.StreamResponseResponse) == fields(pb.ResumeResponseResponse)
    assert fields(pb.CreateResponseRequest) == fields(pb.StreamResponseRequest)


async def test_what_a_turn_cannot_honour_is_refused_by_its_name(
    door: Any, inference: ScriptedInference, alice: Person
) -> None:
    for parameters, field in UNHONOURED:
        given = {"input": "Hello.", **parameters}
        for call in (
            door.CreateResponse(ParseDict(given, pb.CreateResponseRequest()), metadata=alice.metadata),
            read(door.StreamResponse(ParseDict(given, pb.StreamResponseRequest()), metadata=alice.metadata)),
        ):
            refused = await error_of(call)
            told = (refused.code, refused.metadata["field"])
            assert told == (grpc.StatusCode.INVALID_ARGUMENT, field), (parameters, refused.message)
    assert inference.calls == 0


async def test_a_response_is_its_users_alone(
    door: Any, inference: ScriptedInference, alice: Person, carol: Person
) -> None:
    response = (await written(door, inference, alice, "Mine."))[-1].response
    for call in (
        door.GetResponse(pb.GetResponseRequest(response_id=response.id), metadata=carol.metadata),
        resumed(door, carol, response.id),
        door.CancelResponse(pb.CancelResponseRequest(response_id=response.id), metadata=carol.metadata),
        door.CreateResponse(whole(previous_response_id=response.id), metadata=carol.metadata),
        door.CreateResponse(whole(conversation=response.conversation.id), metadata=carol.metadata),
    ):
        assert (await error_of(call)).code == grpc.StatusCode.NOT_FOUND
    for call in (
        door.GetResponse(pb.GetResponseRequest(response_id="resp_1"), metadata=alice.metadata),
        resumed(door, alice, "resp_1"),
        resumed(door, alice, response.id, starting_after=-1),
        door.CancelResponse(pb.CancelResponseRequest(), metadata=alice.metadata),
    ):
        assert (await error_of(call)).code == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_response_that_waits_for_its_user_is_returned_as_it_is(
    door: Any, running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    tools = tool_service_pb2_grpc.ToolServiceStub(running.channel)
    asked = asyncio.ensure_future(door.CreateResponse(whole("Delete it."), metadata=alice.metadata))
    call = await inference.next_call()
    call.call_tool("delete_task", f'{{"task_id":"tsk_{"0" * 32}"}}')
    call.finish(generation_pb2.FINISH_REASON_TOOL_CALLS)
    response = await asked
    assert response.status == "in_progress"
    request = tool_service_pb2.ListToolApprovalsRequest(turn_id=response.parley.turn_id)
    (waiting,) = (await tools.ListToolApprovals(request, metadata=alice.metadata)).approvals
    decision = tool_service_pb2.DenyToolCallRequest(turn_id=waiting.turn_id, tool_call_id=waiting.tool_call_id)
    await tools.DenyToolCall(decision, metadata=alice.metadata)
    call = await inference.next_call()
    call.say("I left it.")
    call.finish()
    end = (await resumed(door, alice, response.id))[-1].response
    assert [item.type for item in end.output] == ["mcp_call", "message"]
    assert end.output[0].status == "failed"

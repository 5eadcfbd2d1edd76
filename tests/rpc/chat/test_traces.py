"""The trace of a turn: gathered for the user that it was done for, and for nobody else."""

from __future__ import annotations

import asyncio
import re
import uuid
from pathlib import Path

import grpc
import pytest
from parley.telemetry.v1 import span_pb2, trace_service_pb2, trace_service_pb2_grpc
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedInference
from parley_testing.turn_readers import stream


async def trace_of(running: RunningChat, person: Person, trace_id: str) -> trace_service_pb2.GetTraceResponse:
    request = trace_service_pb2.GetTraceRequest(trace_id=trace_id)
    return await trace_service_pb2_grpc.TraceServiceStub(running.channel).GetTrace(request, metadata=person.metadata)


async def whole_trace(running: RunningChat, person: Person, trace_id: str) -> dict[str, span_pb2.Span]:
    """By name, once the call of the turn has ended too, which is a moment after its last event."""
    async with asyncio.timeout(60):
        while True:
            try:
                response = await trace_of(running, person, trace_id)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise
            else:
                spans = {span.name: span for span in response.spans}
                if {"chat.turn", "parley.chat.v1.ChatService/StreamReply"} <= spans.keys():
                    # Nothing answers where chat looks for them here.
                    assert list(response.missing_services) == ["inference", "retrieval"]
                    return spans
            await asyncio.sleep(0.05)


async def answered(running: RunningChat, inference: ScriptedInference, person: Person, message: str = "Hi!") -> str:
    """Has a message answered; gives the trace of the answer."""
    reader = stream(running, person, message=message)
    call = await inference.next_call()
    call.say("So it is.")
    call.finish()
    events = await reader.to_end()
    return events[-1].completed.message.trace_id


async def test_an_answer_opens_its_own_trace(running: RunningChat, inference: ScriptedInference, alice: Person) -> None:
    trace_id = await answered(running, inference, alice, "Hi, my parrot!")
    spans = await whole_trace(running, alice, trace_id)
    call, turn = spans["parley.chat.v1.ChatService/StreamReply"], spans["chat.turn"]
    assert turn.parent_span_id == call.span_id
    assert turn.service == "chat"
    assert (call.kind, turn.kind) == (span_pb2.SPAN_KIND_SERVER, span_pb2.SPAN_KIND_INTERNAL)
    assert call.attributes["rpc.response.status_code"] == "OK"
    assert call.start_time.ToNanoseconds() <= turn.start_time.ToNanoseconds() <= turn.end_time.ToNanoseconds()
    generate = spans["chat.turn.generate"]
    assert generate.parent_span_id == turn.span_id
    assert all(re.fullmatch("[0-9a-f]{16}", span.span_id) for span in spans.values())
    told = str(list(spans.values()))
    assert "user.id" not in told
    assert "parrot" not in told


async def test_nobody_sees_the_trace_of_somebody_else_whoever_made_its_id(
    running: RunningChat, inference: ScriptedInference, alice: Person, carol: Person
) -> None:
    trace_id = await answered(running, inference, alice)
    hers = await whole_trace(running, alice, trace_id)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await trace_of(running, carol, trace_id)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    # Carol goes on in the trace of Alice, even under a span of it.
    under = hers["chat.turn"].span_id
    forged = Person(carol.user_id, (*carol.metadata, ("traceparent", f"00-{trace_id}-{under}-01")))
    assert await answered(running, inference, forged) == trace_id
    seen = await whole_trace(running, carol, trace_id)
    assert {span.span_id for span in seen.values()}.isdisjoint(span.span_id for span in hers.values())


@pytest.mark.parametrize("trace_id", ["", "0" * 31, "G" * 32, "AB" * 16, "0" * 33])
async def test_what_is_no_trace_id_is_named_as_the_field_that_is_wrong(
    running: RunningChat, alice: Person, trace_id: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await trace_of(running, alice, trace_id)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_trace_that_nobody_knows_is_not_found(running: RunningChat, alice: Person) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await trace_of(running, alice, uuid.uuid4().hex)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_chat_serves_also_when_the_address_for_the_edges_spans_is_not_to_be_had(
    tmp_path: Path, inference: ScriptedInference, running: RunningChat
) -> None:
    taken = f"127.0.0.1:{running.app.server.port}"
    async with running_chat(
        tmp_path / "second", inference=inference.address, PARLEY_CHAT_EDGE_SPANS_ADDRESS=taken
    ) as second:
        person = await second.sign_up()
        assert await answered(second, inference, person)

"""How many turns run, how long, and what a deadline ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2 as pb
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedInference
from parley_testing.turn_readers import Reader, reason_of, stream


async def test_a_user_has_a_bounded_number_of_running_turns_and_repeats_are_not_counted(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    async with running_chat(
        tmp_path, inference=inference.address, PARLEY_CHAT_MAX_RUNNING_TURNS_PER_USER="2"
    ) as running:
        alice, carol = await running.sign_up(), await running.sign_up()
        readers = [stream(running, alice, client_message_id=f"turn-{number}") for number in range(2)]
        calls = [await inference.next_call() for _ in readers]
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await stream(running, alice).to_end()
        assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert reason_of(refusal.value) == "ERROR_REASON_TOO_MANY_TURNS"
        readers.append(stream(running, alice, client_message_id="turn-0"))
        await readers[-1].until("route_chosen")
        readers.append(stream(running, carol))
        calls.append(await inference.next_call())
        for call in calls:
            call.finish()
        for reader in readers:
            await reader.to_end()
        after = stream(running, alice)
        (await inference.next_call()).finish()
        await after.to_end()
        assert after.kinds()[-1] == "completed"


async def test_a_turn_that_takes_too_long_fails_and_keeps_its_text(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    async with running_chat(tmp_path, inference=inference.address, PARLEY_CHAT_MAX_TURN_SECONDS="1") as running:
        alice = await running.sign_up()
        reader = stream(running, alice)
        call = await inference.next_call()
        call.say("Half")
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await reader.to_end()
        assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert reader.events[-1].failed.message.text == "Half"
        async with asyncio.timeout(30):
            await call.cancelled.wait()


async def test_the_deadline_of_a_call_does_not_end_its_turn(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    request = pb.StreamReplyRequest(message="How do I add a provider?", client_message_id="mine")
    reader = Reader(running.chat.StreamReply(request, metadata=alice.metadata, timeout=0.5))
    call = await inference.next_call()
    call.say("Half")
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await reader.to_end()
    assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    call.say(" and half")
    call.finish()
    again = stream(running, alice, client_message_id="mine")
    await again.to_end()
    assert again.text() == "Half and half"
    assert again.kinds()[-1] == "completed"

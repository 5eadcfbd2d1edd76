"""Turns whose process died or was told to end, in the next process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from parley.chat.v1 import message_pb2, turn_event_pb2
from parley_testing.databases import copy_as_killed
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedInference
from parley_testing.turn_readers import Reader, resume, stream


async def copy_of_a_home_in_mid_stream(
    tmp_path: Path, inference: ScriptedInference, **fields: Any
) -> tuple[Path, Person, Reader]:
    """What a process leaves behind when it dies in the middle of an answer: its home is copied while it runs."""
    async with running_chat(tmp_path / "before", inference=inference.address) as running:
        alice = await running.sign_up()
        reader = stream(running, alice, **fields)
        call = await inference.next_call()
        call.say("Every delivered ")
        call.say("word.")
        while reader.text() != "Every delivered word.":
            await reader.next()
        await asyncio.to_thread(copy_as_killed, tmp_path / "before", tmp_path / "after")
        call.finish()
        await reader.to_end()
    del reader.events[-1]
    return tmp_path / "after", alice, reader


async def test_what_a_process_left_running_goes_on_in_the_next_from_what_was_delivered(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    home, alice, before = await copy_of_a_home_in_mid_stream(tmp_path, inference)
    async with running_chat(home, inference=inference.address) as running:
        call = await inference.next_call()
        assert call.request.answer_so_far == "Every delivered word."
        assert call.request.messages[-1].text == "How do I add a provider?"
        resumed = resume(running, alice, before.events[0].turn_id, before.events[-1].sequence)
        call.say(" And more.")
        call.finish()
        await resumed.to_end()
        resumed.assert_whole_from(before.events[-1].sequence)
        assert [event.notice.kind for event in resumed.events if event.HasField("notice")] == [
            turn_event_pb2.NOTICE_KIND_CONTINUED
        ]
        assert before.text() + resumed.text() == "Every delivered word. And more."
        assert resumed.events[-1].completed.message.text == "Every delivered word. And more."
        replayed = resume(running, alice, before.events[0].turn_id)
        await replayed.to_end()
        replayed.assert_whole_from(0)
        assert replayed.text() == "Every delivered word. And more."
        assert replayed.kinds().count("started") == 1
        assert replayed.kinds().count("route_chosen") == 1


@pytest.mark.parametrize(("on_failure", "kinds"), [("CONTINUE", ["notice", "route_chosen"]), ("FAIL", ["failed"])])
async def test_a_turn_whose_process_died_before_its_first_event_begins_with_started_all_the_same(
    tmp_path: Path, inference: ScriptedInference, on_failure: str, kinds: list[str]
) -> None:
    policy = message_pb2.OnFailure.Value(f"ON_FAILURE_{on_failure}")
    home, alice, before = await copy_of_a_home_in_mid_stream(tmp_path, inference, on_failure=policy)
    for path in home.rglob("trn_*.jsonl"):
        path.write_bytes(b"")
    async with running_chat(home, inference=inference.address) as running:
        resumed = resume(running, alice, before.events[0].turn_id)
        while len(resumed.events) < 1 + len(kinds):
            await resumed.next()
        assert resumed.kinds() == ["started", *kinds]
        assert resumed.events[0].started == before.events[0].started
        resumed.assert_whole_from(0)
        resumed.call.cancel()


async def test_what_a_process_left_running_fails_when_that_is_asked_for(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    home, alice, before = await copy_of_a_home_in_mid_stream(
        tmp_path, inference, on_failure=message_pb2.ON_FAILURE_FAIL
    )
    async with running_chat(home, inference=inference.address) as running:
        resumed = resume(running, alice, before.events[0].turn_id)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await resumed.to_end()
        assert failure.value.code() is grpc.StatusCode.ABORTED
        resumed.assert_whole_from(0)
        assert resumed.text() == "Every delivered word."
        assert resumed.events[-1].failed.failure.reason == "ERROR_REASON_TURN_INTERRUPTED"
        assert resumed.events[-1].failed.message.text == "Every delivered word."
    assert inference.calls == 1


async def test_what_a_process_left_running_begins_anew_when_that_is_asked_for(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    home, alice, before = await copy_of_a_home_in_mid_stream(
        tmp_path, inference, on_failure=message_pb2.ON_FAILURE_RESTART
    )
    async with running_chat(home, inference=inference.address) as running:
        call = await inference.next_call()
        assert call.request.answer_so_far == ""
        call.say("Anew.")
        call.finish()
        resumed = resume(running, alice, before.events[0].turn_id, before.events[-1].sequence)
        await resumed.to_end()
        resumed.assert_whole_from(before.events[-1].sequence)
        assert [kind for kind in resumed.kinds() if kind != "notice"] == ["restarted", "delta", "completed"]
        assert resumed.events[-1].completed.message.text == "Anew."


async def test_an_answer_that_keeps_killing_its_process_is_given_up(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    home, alice, before = await copy_of_a_home_in_mid_stream(tmp_path, inference)
    for number in range(5):
        following = tmp_path / f"life {number}"
        async with running_chat(home, inference=inference.address):
            call = await inference.next_call()
            await asyncio.to_thread(copy_as_killed, home, following)
            call.finish()
        home = following
    async with running_chat(home, inference=inference.address) as running:
        resumed = resume(running, alice, before.events[0].turn_id)
        with pytest.raises(grpc.aio.AioRpcError):
            await resumed.to_end()
        assert resumed.events[-1].failed.failure.reason == "ERROR_REASON_TURN_INTERRUPTED"
        assert resumed.events[-1].failed.message.text == "Every delivered word."


async def test_a_process_that_is_told_to_end_leaves_its_answers_to_the_next(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    async with running_chat(tmp_path, inference=inference.address) as running:
        alice = await running.sign_up()
        reader = stream(running, alice)
        call = await inference.next_call()
        call.say("Half ")
        await reader.until("delta")
        await running.app.drain()
        with pytest.raises(grpc.aio.AioRpcError) as cut:
            await reader.to_end()
        assert cut.value.code() is grpc.StatusCode.UNAVAILABLE
        assert reader.kinds()[-1] == "delta"
    async with running_chat(tmp_path, inference=inference.address) as running:
        call = await inference.next_call()
        call.say("and half.")
        call.finish()
        resumed = resume(running, alice, reader.events[0].turn_id, reader.events[-1].sequence)
        await resumed.to_end()
        resumed.assert_whole_from(reader.events[-1].sequence)
        assert resumed.events[-1].completed.message.text == "Half and half."


async def test_a_process_that_is_told_to_end_fails_the_answers_that_may_not_go_on(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = stream(running, alice, on_failure=message_pb2.ON_FAILURE_FAIL)
    call = await inference.next_call()
    call.say("Half")
    await reader.until("delta")
    await running.app.drain()
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await reader.to_end()
    assert failure.value.code() is grpc.StatusCode.ABORTED
    assert reader.events[-1].failed.failure.reason == "ERROR_REASON_TURN_INTERRUPTED"

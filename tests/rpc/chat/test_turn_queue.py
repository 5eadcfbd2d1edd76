"""Answers that wait when no model can be reached, because their request says that they may."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2, turn_event_pb2
from parley_chat.operations import answer_writer
from parley_shared.status import StatusError
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedInference
from parley_testing.turn_readers import Reader, reason_of, resume, stream


@pytest.fixture(autouse=True)
def _no_long_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_writer, "QUEUE_AFTER_SECONDS", 0.2)


def ask(running: RunningChat, person: Person, message: str = "How do I add a provider?") -> Reader:
    return stream(running, person, message=message, queue_when_unavailable=True)


async def until_place(reader: Reader, place: int) -> turn_event_pb2.TurnEvent:
    while True:
        event = await reader.until("queued")
        if event.queued.place == place:
            return event


async def test_an_answer_waits_while_inference_is_away_and_is_given_when_it_is_back(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    await inference.stop()
    reader = ask(running, alice)
    queued = await until_place(reader, 1)
    assert "place 1" in queued.queued.message
    await inference.start()
    call = await inference.next_call()
    call.say("Here I am.")
    call.finish()
    await reader.to_end()
    reader.assert_whole_from(0)
    assert reader.kinds()[-1] == "completed"
    assert reader.text() == "Here I am."
    notices = [event.notice.kind for event in reader.events if event.HasField("notice")]
    assert turn_event_pb2.NOTICE_KIND_TRYING_AGAIN in notices


async def test_each_who_waits_sees_their_place_and_one_after_the_other_is_answered(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    await inference.stop()
    readers = []
    for place in (1, 2, 3):
        reader = ask(running, alice, f"Question {place}")
        await until_place(reader, place)
        readers.append(reader)
    await inference.start()
    for place, reader in enumerate(readers, start=1):
        call = await inference.next_call()
        assert call.request.messages[-1].text == f"Question {place}"
        if place < len(readers):
            # The next ones have not been let through, and have moved up once this one has its model.
            assert inference.calls == place
        call.say("yes")
        await reader.until("delta")
        call.finish()
        await reader.to_end()
    assert next(event.queued.place for event in readers[2].events if event.HasField("queued")) == 3
    assert all(reader.kinds()[-1] == "completed" for reader in readers)


async def test_an_answer_that_waits_survives_a_restart_and_keeps_its_place(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    await inference.stop()
    async with running_chat(tmp_path, inference=inference.address) as running:
        alice = await running.sign_up()
        readers = []
        for place in (1, 2):
            readers.append(ask(running, alice, f"Question {place}"))
            await until_place(readers[-1], place)
        turn_ids = [reader.events[0].turn_id for reader in readers]
    async with running_chat(tmp_path, inference=inference.address) as running:
        again = [resume(running, alice, turn_id) for turn_id in turn_ids]
        await inference.start()
        for place, reader in enumerate(again, start=1):
            call = await inference.next_call()
            assert call.request.messages[-1].text == f"Question {place}"
            call.say("yes")
            call.finish()
            await reader.to_end()
            reader.assert_whole_from(0)
            assert reader.kinds()[-1] == "completed"
            assert reader.kinds().count("started") == 1


async def test_an_answer_that_waits_can_be_stopped(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    await inference.stop()
    first, second = ask(running, alice), ask(running, alice)
    places = {}
    for reader in (first, second):
        event = await reader.until("queued")
        places[event.queued.place] = reader
    stopped, other = places[1], places[2]
    turn_id = stopped.events[0].turn_id
    receipt = await running.chat.StopReply(pb.StopReplyRequest(turn_id=turn_id), metadata=alice.metadata)
    assert receipt.stopped
    assert receipt.message.state == message_pb2.MESSAGE_STATE_STOPPED
    await stopped.to_end()
    assert stopped.events[-1].stopped.text_length == 0
    await until_place(other, 1)
    await inference.start()
    (await inference.next_call()).finish()
    await other.to_end()
    assert other.kinds()[-1] == "completed"


async def test_a_provider_that_is_away_is_waited_for_too(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    reader = ask(running, alice)
    away = StatusError(grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_PROVIDER_UNAVAILABLE", "Nobody is there.")
    (await inference.next_call()).fail_for(away)
    await until_place(reader, 1)
    call = await inference.next_call()
    call.say("Back.")
    call.finish()
    await reader.to_end()
    assert (reader.text(), reader.kinds()[-1]) == ("Back.", "completed")


async def test_an_answer_whose_request_does_not_say_so_does_not_wait(tmp_path: Path) -> None:
    nowhere = "127.0.0.1:1"
    async with running_chat(tmp_path, inference=nowhere, PARLEY_CHAT_INFERENCE_PATIENCE_SECONDS="0.1") as running:
        alice = await running.sign_up()
        reader = stream(running, alice)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await reader.to_end()
        assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "queued" not in reader.kinds()


async def test_an_answer_does_not_wait_for_ever(tmp_path: Path) -> None:
    async with running_chat(tmp_path, inference="127.0.0.1:1", PARLEY_CHAT_QUEUE_SECONDS="1") as running:
        alice = await running.sign_up()
        reader = ask(running, alice)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            async with asyncio.timeout(60):
                await reader.to_end()
        assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
        assert reason_of(failed.value) == "ERROR_REASON_PROVIDER_UNAVAILABLE"
        assert "queued" in reader.kinds()


async def test_the_time_of_a_turn_does_not_run_while_it_waits(tmp_path: Path, inference: ScriptedInference) -> None:
    await inference.stop()
    async with running_chat(tmp_path, inference=inference.address, PARLEY_CHAT_MAX_TURN_SECONDS="2") as running:
        alice = await running.sign_up()
        patient, other = ask(running, alice), ask(running, alice)
        await patient.until("queued")
        await other.until("queued")
        # Longer than a turn may take: the session's clock shows it, no sleep.
        await asyncio.sleep(2.5)
        await inference.start()
        for _ in range(2):
            call = await inference.next_call()
            call.say("at last")
            call.finish()
        for reader in (patient, other):
            await reader.to_end()
            assert reader.kinds()[-1] == "completed"

"""The `parley` command as a process, against a scripted server: what it prints where, its exit codes, and what Ctrl-C does."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2, session_pb2
from parley.system.v1 import system_map_pb2 as pb_map
from parley.system.v1 import system_service_pb2 as pb_system
from parley.system.v1 import traffic_pb2 as pb_traffic
from parley_testing.command import COMMAND, SECONDS, Ended, end, environment, run, start, terminal
from parley_testing.scripted_chat import (
    SESSION_ID,
    TURN_ID,
    Abort,
    HealthySystem,
    ScriptedChat,
    Silence,
    Step,
    queued_events,
    serving,
    turn_events,
)


@pytest.fixture
async def chat() -> AsyncIterator[ScriptedChat]:
    chat = ScriptedChat()
    async with serving(chat):
        yield chat


def scripted(chat: ScriptedChat, folder: Path) -> dict[str, str]:
    """What points a command at the scripts."""
    return {"PARLEY_HOME": str(folder / "home"), "PARLEY_ADDRESS": f"127.0.0.1:{chat.port}", "PARLEY_TOKEN": "secret"}


def notice(steps: list[Step]) -> list[Step]:
    """The events of a turn with a notice in them."""
    chosen = steps[1]
    assert not isinstance(chosen, Abort | Silence)
    chosen.notice.message = "No provider is configured."
    return steps


async def test_in_a_pipe_the_answer_alone_is_on_standard_output(chat: ScriptedChat, tmp_path: Path) -> None:
    events = turn_events("It is ", "[1] *so*.")
    cited = message_pb2.Citation(number=1, document_title="A guide", heading="Setup › Keys")
    events[-1].completed.message.citations.append(cited)
    chat.script(notice([*events]))
    ended = await run(
        scripted(chat, tmp_path), "ask", "How?", "--route", "enhanced", "--model", "m", "--session", SESSION_ID
    )
    assert (ended.code, ended.out) == (0, "It is [1] *so*.\n")
    assert "! No provider is configured." in ended.err
    assert "[1] A guide › Setup › Keys" in ended.err
    (request,) = chat.requests("StreamReply")
    assert (request.message, request.session_id, request.model) == ("How?", SESSION_ID, "m")
    assert request.route == message_pb2.ROUTE_ENHANCED


async def test_the_answer_is_written_as_it_comes(chat: ScriptedChat, tmp_path: Path) -> None:
    silence = Silence()
    chat.script([*turn_events("first", "second")[:3], silence])
    process = await start(scripted(chat, tmp_path), "ask", "Hi")
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readexactly(5), SECONDS) == b"first"
    process.kill()
    await process.communicate()


async def test_a_question_can_come_from_standard_input(chat: ScriptedChat, tmp_path: Path) -> None:
    chat.script(turn_events("Yes."))
    assert (await run(scripted(chat, tmp_path), "ask", "-", given="Is it\nso?")).code == 0
    assert chat.requests("StreamReply")[0].message == "Is it\nso?"


async def test_json_is_the_final_message(chat: ScriptedChat, tmp_path: Path) -> None:
    chat.script(turn_events("Yes."))
    ended = await run(scripted(chat, tmp_path), "ask", "Hi", "--json")
    message = json.loads(ended.out)
    assert (ended.code, message["text"], message["session_id"]) == (0, "Yes.", SESSION_ID)
    assert message["citations"] == []


async def test_a_failed_answer_is_an_exit_code_and_words(chat: ScriptedChat, tmp_path: Path) -> None:
    chat.script(turn_events("Half", end="failed"), turn_events("Half", end="failed"))
    ended = await run(scripted(chat, tmp_path), "ask", "Hi")
    assert (ended.code, ended.out) == (1, "Half\n")
    assert "The answer failed: The provider broke off." in ended.err
    ended = await run(scripted(chat, tmp_path), "ask", "Hi", "--json")
    assert (ended.code, json.loads(ended.out)["text"]) == (1, "Half")


@pytest.mark.parametrize(
    ("abort", "words"),
    [
        (Abort(grpc.StatusCode.UNAUTHENTICATED, "Jwt is expired"), r"refused the token: Jwt is expired\. Give"),
        (Abort(grpc.StatusCode.NOT_FOUND, "There is no such session."), r"There is no such session\."),
        (Abort(grpc.StatusCode.UNIMPLEMENTED, "x"), r"does not know this call"),
    ],
)
async def test_a_refusal_is_told_in_words(chat: ScriptedChat, tmp_path: Path, abort: Abort, words: str) -> None:
    chat.script([abort])
    ended = await run(scripted(chat, tmp_path), "ask", "Hi")
    assert (ended.code, ended.out) == (1, "")
    assert re.search(words, ended.err)


class StoppingChat(ScriptedChat):
    """A turn that writes half an answer and waits until it is stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.stopped = asyncio.Event()

    async def StreamReply(self, request: object, context: object) -> AsyncIterator[pb.StreamReplyResponse]:
        events = turn_events("Half an answer", end="stopped")
        for event in events[:-1]:
            yield pb.StreamReplyResponse(event=event)
        await self.stopped.wait()
        yield pb.StreamReplyResponse(event=events[-1])

    async def StopReply(self, request: pb.StopReplyRequest, context: object) -> pb.StopReplyResponse:
        assert request.turn_id == TURN_ID
        self.stopped.set()
        return pb.StopReplyResponse(stopped=True)


class WaitingChat(ScriptedChat):
    """A turn that waits in place 2, then in place 1, is answered, and ends: each time `go_on` is set, the next."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()
        self.stopped = False

    async def StreamReply(self, request: object, context: object) -> AsyncIterator[pb.StreamReplyResponse]:
        events = queued_events("At last.", places=[2, 1])
        for event in events:
            yield pb.StreamReplyResponse(event=event)
            if event.HasField("queued") or event.HasField("delta"):
                await self.go_on.wait()
                self.go_on.clear()
            if self.stopped:
                stopped = turn_events(end="stopped")[-1]
                stopped.sequence = stopped.first_sequence = event.sequence + 1
                yield pb.StreamReplyResponse(event=stopped)
                return

    async def StopReply(self, request: pb.StopReplyRequest, context: object) -> pb.StopReplyResponse:
        self.stopped = True
        self.go_on.set()
        return pb.StopReplyResponse(stopped=True)


async def test_ctrl_c_stops_the_turn_and_tells_what_is_kept(tmp_path: Path) -> None:
    chat = StoppingChat()
    async with serving(chat):
        process = await start(scripted(chat, tmp_path), "ask", "Hi")
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readexactly(14), SECONDS) == b"Half an answer"
        process.send_signal(signal.SIGINT)
        ended = await end(process)
    assert (ended.code, ended.out) == (130, "\n")
    assert "Stopped. 14 characters were written and are kept." in ended.err
    assert chat.stopped.is_set()


async def test_a_second_ctrl_c_leaves_a_turn_that_does_not_stop(tmp_path: Path) -> None:
    asked = asyncio.Event()

    class Deaf(ScriptedChat):
        async def StopReply(self, request: object, context: object) -> object:
            asked.set()
            return await asyncio.Event().wait()

    deaf = Deaf()
    deaf.script([*turn_events("Half")[:3], Silence()])
    async with serving(deaf):
        process = await start(scripted(deaf, tmp_path), "ask", "Hi")
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.readexactly(4), SECONDS)
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(asked.wait(), SECONDS)
        process.send_signal(signal.SIGINT)
        ended = await end(process)
    assert ended.code == 130
    assert "it goes on in Parley" in ended.err


async def test_a_conversation_goes_on_in_its_session_and_ends_at_ctrl_d(chat: ScriptedChat, tmp_path: Path) -> None:
    chat.script(turn_events("# Title\n\nOne **bold** word.\n"), turn_events("Two."))
    async with terminal(scripted(chat, tmp_path), "chat") as shown:
        await shown.until(lambda seen: "›" in seen)
        shown.type("Hi\r")
        await shown.until(lambda seen: "One bold word." in seen and seen.rstrip().endswith("›"))
        shown.type("And?\r")
        await shown.until(lambda seen: "Two." in seen and seen.rstrip().endswith("›"))
        shown.type("\x04")
        await shown.end()
        seen = await shown.until(lambda seen: f"parley chat --session {SESSION_ID}" in seen)
    assert shown.process.returncode == 0
    assert "**bold**" not in seen
    assert [request.session_id for request in chat.requests("StreamReply")] == ["", SESSION_ID]


async def test_ctrl_c_in_a_conversation_stops_the_answer_and_at_the_prompt_leaves(tmp_path: Path) -> None:
    chat = StoppingChat()
    async with serving(chat), terminal(scripted(chat, tmp_path), "chat") as shown:
        await shown.until(lambda seen: "›" in seen)
        shown.type("Hi\r")
        await shown.until(lambda seen: "Half an answer" in seen)
        shown.type("\x03")
        await shown.until(lambda seen: "Stopped. 14 characters" in seen and seen.rstrip().endswith("›"))
        assert chat.stopped.is_set()
        assert "^C" not in shown.seen
        await shown.leave()
    assert shown.process.returncode == 0


async def test_what_a_model_writes_cannot_drive_the_terminal(chat: ScriptedChat, tmp_path: Path) -> None:
    chat.script(turn_events("before \x1b]0;owned\x07\x1b[2J\x9b31m after\n"))
    async with terminal(scripted(chat, tmp_path), "ask", "Hi") as shown:
        await shown.end()
        seen = await shown.until(lambda seen: "after" in seen)
    assert "before" in seen
    assert [part for part in ("\x1b]0;", "\x1b[2J", "\x07", "\x9b") if part in shown.raw] == []


async def test_a_session_that_is_being_answered_is_followed(chat: ScriptedChat, tmp_path: Path) -> None:
    session = session_pb2.Session(session_id=SESSION_ID, title="Plans", running_turn_id=TURN_ID)
    chat.answer("GetSession", pb.GetSessionResponse(session=session))
    earlier = message_pb2.Message(
        role=message_pb2.ROLE_USER, text="What now?", state=message_pb2.MESSAGE_STATE_COMPLETED
    )
    chat.answer("ListMessages", pb.ListMessagesResponse(messages=[earlier]))
    chat.script(turn_events("It goes on."))
    async with terminal(scripted(chat, tmp_path), "chat", "--session", SESSION_ID) as shown:
        seen = await shown.until(lambda seen: "It goes on." in seen and seen.rstrip().endswith("›"))
        shown.type("/quit\r")
        await shown.end()
    assert seen.index("Plans") < seen.index("What now?") < seen.index("It goes on.")
    assert chat.requests("ResumeReply") == [pb.ResumeReplyRequest(turn_id=TURN_ID, after_sequence=0)]


async def test_a_refused_message_does_not_end_the_conversation(chat: ScriptedChat, tmp_path: Path) -> None:
    chat.script([Abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Too large.")], turn_events("Better."))
    async with terminal(scripted(chat, tmp_path), "chat") as shown:
        await shown.until(lambda seen: "›" in seen)
        shown.type("Hi\r")
        await shown.until(lambda seen: "Too large." in seen and seen.rstrip().endswith("›"))
        shown.type("hi\r")
        await shown.until(lambda seen: "Better." in seen and seen.rstrip().endswith("›"))
        shown.type("\x04")
        await shown.end()
    assert shown.process.returncode == 0


async def test_a_reader_that_has_enough_ends_the_command_quietly(chat: ScriptedChat, tmp_path: Path) -> None:
    chat.script([*turn_events(*["line\n"] * 2000)])
    process = await asyncio.create_subprocess_shell(
        f"{sys.executable} -m parley_cli ask Hi | head -n 1",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(scripted(chat, tmp_path)),
    )
    assert await end(process) == Ended(0, "line\n", "")


async def test_the_place_of_a_turn_that_waits_is_told_beside_the_answer(chat: ScriptedChat, tmp_path: Path) -> None:
    chat.script(queued_events("At last.", places=[3, 1]), queued_events("At last.", places=[2]))
    ended = await run(scripted(chat, tmp_path), "ask", "Hi", "--queue")
    assert ended == Ended(0, "At last.\n", "waiting for a model: place 3\nwaiting for a model: place 1\n")
    ended = await run(scripted(chat, tmp_path), "ask", "Hi", "--json")
    assert (json.loads(ended.out)["text"], ended.err) == ("At last.", "waiting for a model: place 2\n")
    assert [request.queue_when_unavailable for request in chat.requests("StreamReply")] == [True, False]


async def test_the_place_of_a_turn_that_waits_goes_away_when_the_answer_begins(tmp_path: Path) -> None:
    chat = WaitingChat()
    async with serving(chat), terminal(scripted(chat, tmp_path), "chat", "--queue") as shown:
        await shown.until(lambda seen: "›" in seen)
        shown.type("Hi\r")
        await shown.until(lambda seen: "waiting for a model: place 2" in seen)
        chat.go_on.set()
        await shown.until(lambda seen: "waiting for a model: place 1" in seen)
        chat.go_on.set()
        await shown.until(lambda seen: "At last." in seen)
        # Its line was erased before the answer was drawn, and it was not drawn again.
        assert "\x1b[2K" in shown.raw[shown.raw.rindex("place 1") : shown.raw.index("At last.")]
        chat.go_on.set()
        await shown.until(lambda seen: seen.rstrip().endswith("›"))
        assert shown.seen.rindex("place") < shown.seen.index("At last.")
        shown.type("\x04")
        await shown.end()


async def test_ctrl_c_stops_a_turn_that_waits(tmp_path: Path) -> None:
    chat = WaitingChat()
    async with serving(chat), terminal(scripted(chat, tmp_path), "ask", "Hi", "--queue") as shown:
        await shown.until(lambda seen: "waiting for a model: place 2" in seen)
        shown.type("\x03")
        await shown.until(lambda seen: "Stopped. 0 characters" in seen)
        assert await shown.end() == 130


@pytest.mark.parametrize("arguments", [("ask", "Hi"), ("ask", "Hi", "--json")])
async def test_output_that_cannot_be_written_is_a_line_and_an_exit_code(
    chat: ScriptedChat, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    chat.script(turn_events("Yes."))
    with Path("/dev/full").open("wb") as full:  # noqa: ASYNC230 - a device that takes no time
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=full,
            stderr=asyncio.subprocess.PIPE,
            env=environment(scripted(chat, tmp_path)),
        )
        _, err = await asyncio.wait_for(process.communicate(), SECONDS)
    assert (process.returncode, err.decode()) == (1, "The output could not be written: No space left on device.\n")


async def test_a_token_that_no_call_can_carry_is_told_at_once(chat: ScriptedChat, tmp_path: Path) -> None:
    ended = await run(scripted(chat, tmp_path) | {"PARLEY_TOKEN": "two\nlines"}, "ask", "Hi")
    assert ended == Ended(2, "", "What PARLEY_TOKEN holds is not a token: it has a space or a line break in it.\n")
    assert chat.received == []


UP, DOWN, AWAY = (
    pb_system.SERVING_STATE_SERVING,
    pb_system.SERVING_STATE_NOT_SERVING,
    pb_system.SERVING_STATE_UNREACHABLE,
)
WITHOUT_DOCUMENTS = "Retrieval is down: answers come without documents."
WAIT_OR_FAIL = "Inference is down: answers wait for it, when `--queue` asked for that, or fail."


@pytest.mark.parametrize(
    ("inference", "retrieval", "told"),
    [
        (UP, UP, []),
        (UP, AWAY, [WITHOUT_DOCUMENTS]),
        (DOWN, UP, [WAIT_OR_FAIL]),
        (AWAY, DOWN, [WAIT_OR_FAIL, WITHOUT_DOCUMENTS]),
    ],
)
async def test_status_says_what_it_means_for_answers_that_a_service_is_down(
    tmp_path: Path,
    inference: pb_system.ServingState.ValueType,
    retrieval: pb_system.ServingState.ValueType,
    told: list[str],
) -> None:
    status = pb_system.GetStatusResponse(
        state=inference,
        services=[
            pb_system.ServiceStatus(service="chat", state=UP, version="1.0"),
            pb_system.ServiceStatus(service="inference", state=inference),
            pb_system.ServiceStatus(service="retrieval", state=retrieval),
        ],
        default_model="scripted",
    )
    chat = ScriptedChat()
    async with serving(chat, system=HealthySystem(status)):
        ended = await run(scripted(chat, tmp_path), "status")
    assert [words for words in (WAIT_OR_FAIL, WITHOUT_DOCUMENTS) if words in ended.out] == told
    assert ended.code == (0 if inference == UP else 1)


async def test_status_tells_what_goes_over_each_way_and_how_answers_did(tmp_path: Path) -> None:
    status = pb_system.GetStatusResponse(
        state=pb_system.SERVING_STATE_SERVING,
        links=[
            pb_map.SystemLink(
                from_node_id="inference",
                to_node_id="provider:cloud",
                traffic=pb_traffic.Traffic(
                    window_seconds=60, call_count=120, error_count=3, running_count=2, time_to_first_token_ms=340
                ),
            ),
            pb_map.SystemLink(from_node_id="retrieval", to_node_id="retrieval:index"),
        ],
        answers=pb_map.AnswerFigures(window_seconds=3600, ended_count=40, failed_count=1, switch_count=2),
    )
    chat = ScriptedChat()
    async with serving(chat, system=HealthySystem(status)):
        ended = await run(scripted(chat, tmp_path), "status")
    assert ended.code == 0
    assert "Answers: 40 ended, 1 failed, 2 times another model went on, in the last 60 min" in ended.out
    row = next(line for line in ended.out.splitlines() if "provider:cloud" in line)
    assert row.split() == ["inference", "provider:cloud", "2.0/s", "3/min", "2", "340", "ms"]
    assert "retrieval:index" not in ended.out

"""Holds what the readers of a run saw against what Parley has: the log from its first event, and the stored messages."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from random import Random

from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2, turn_event_pb2

from parley_testing.doors import RefusedError
from parley_testing.fault_callers import Stopper, WholeReader
from parley_testing.fault_readers import SILENCE_SECONDS, ClientReader, DoorReader
from parley_testing.fault_transcripts import (
    Transcript,
    as_the_client_gives,
    client_stretches,
    first_difference,
    stretches,
    text_of,
)
from parley_testing.fault_upstream import Script
from parley_testing.fault_ways import Ways

MAY_FAIL_WITH = frozenset({"ERROR_REASON_TURN_INTERRUPTED", "ERROR_REASON_SERVICE_UNAVAILABLE"})
"""How a turn fails whose request says that it shall, when what writes it dies."""


@dataclass(slots=True)
class RanTurn:
    """A turn of a run and everybody who read it."""

    script: Script
    request: pb.StreamReplyRequest
    token: str
    readers: list[DoorReader] = field(default_factory=list)
    clients: list[ClientReader] = field(default_factory=list)
    whole: WholeReader | None = None
    stopper: Stopper | None = None

    @property
    def turn_id(self) -> str:
        """Its name; empty when no reader has learned it."""
        readers: list[DoorReader | ClientReader] = [*self.readers, *self.clients]
        return next((reader.turn_id for reader in readers if reader.turn_id), "")

    @property
    def session_id(self) -> str:
        """The session that it is in; empty when no reader has seen its first event."""
        for reader in self.readers:
            for event in reader.transcript.events:
                if event.HasField("started"):
                    return event.started.session_id
        return next((client.session_id for client in self.clients if client.session_id), "")


@dataclass(slots=True)
class Verdict:
    """What was found."""

    ways: Ways
    random: Random
    complaints: list[str] = field(default_factory=list)
    transcripts: int = 0
    events: int = 0
    """Places of the logs that were compared, once for each transcript."""
    lost: int = 0
    repeated: int = 0
    out_of_order: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)

    async def judge(self, turn: RanTurn) -> None:
        """Compares everything that is known of a turn."""
        log = await self._replay(turn)
        self._judge_log(turn, log)
        for reader in turn.readers:
            seen = reader.transcript
            self._compare(reader.name, seen, log, first_difference(stretches(seen.events), stretches(log.events)))
        for client in turn.clients:
            # The library refuses a gap itself, and passes over what comes twice; a place it never came to is lost all the same.
            seen = Transcript(client.name, client.turn_id, client.events[-1].sequence if client.events else 0)
            held = as_the_client_gives(log.events)
            self._compare(client.name, seen, log, first_difference(client_stretches(client.events), held))
        self._judge_whole(turn, log)
        self._judge_stop(turn, log)
        await self._judge_messages(turn, log)

    async def _replay(self, turn: RanTurn) -> Transcript:
        """The log from its first event, by a reader who has seen nothing."""
        door = self.ways.any_door(self.random, turn.token)
        log = Transcript(f"{turn.script.key} replay")
        try:
            async with asyncio.timeout(SILENCE_SECONDS), aclosing(door.resume(turn.turn_id)) as events:
                async for event in events:
                    log.take(event)
        except RefusedError as refused:
            if log.outcome != "failed":
                self._complain(
                    turn, f"the replay through {type(door).__name__} was refused after {log.last}: {refused}"
                )
        except TimeoutError:
            self._complain(turn, f"the replay through {type(door).__name__} had no end after {log.last}")
        return log

    def _judge_log(self, turn: RanTurn, log: Transcript) -> None:
        for complaint in log.complaints:
            self._complain(turn, f"in the log: {complaint}")
        self.outcomes[log.outcome] = self.outcomes.get(log.outcome, 0) + 1
        if not log.outcome:
            self._complain(turn, f"the log has no outcome behind {log.last}")
            return
        last = log.events[-1]
        written = text_of(log.events)
        message = _message_of(last)
        if message.text != written:
            self._complain(turn, f"the outcome's text is not the joined deltas: {_apart(message.text, written)}")
        if log.outcome == "completed":
            if written != turn.script.text:
                self._complain(turn, f"the answer is not the provider's: {_apart(written, turn.script.text)}")
        elif log.outcome == "failed" and turn.request.on_failure == message_pb2.ON_FAILURE_FAIL:
            if last.failed.failure.reason not in MAY_FAIL_WITH:
                self._complain(turn, f"it failed with {last.failed.failure}")
            if not turn.script.text.startswith(written):
                self._complain(turn, f"what was written is not the provider's: {_apart(written, turn.script.text)}")
        elif log.outcome == "stopped" and turn.stopper is not None:
            if not turn.script.text.startswith(written):
                self._complain(turn, f"what was written is not the provider's: {_apart(written, turn.script.text)}")
            if last.stopped.text_length != len(written):
                self._complain(turn, f"the receipt tells {last.stopped.text_length} characters of {len(written)}")
        else:
            self._complain(turn, f"it ended as {log.outcome}: {last.failed.failure}")

    def _compare(self, name: str, seen: Transcript, log: Transcript, difference: str) -> None:
        self.transcripts += 1
        self.events += log.last
        self.lost += seen.lost + max(0, log.last - seen.last)
        self.repeated += seen.repeated
        self.out_of_order += seen.out_of_order
        self.complaints += [f"{name}: {complaint}" for complaint in seen.complaints]
        if seen.turn_id != log.turn_id:
            self.complaints.append(f"{name} read the turn {seen.turn_id}, its log is of {log.turn_id}")
        if difference:
            self.complaints.append(f"{name}: {difference}")

    def _judge_whole(self, turn: RanTurn, log: Transcript) -> None:
        whole = turn.whole
        if whole is None or not log.outcome:
            return
        self.transcripts += 1
        if whole.response is None:
            if log.outcome == "completed":
                self.complaints.append(f"{whole.name}: refused with {whole.refusal}, and the turn is {log.outcome}")
        elif (whole.response.turn_id, whole.response.text) != (log.turn_id, _message_of(log.events[-1]).text):
            self.complaints.append(
                f"{whole.name}: another answer of {whole.response.turn_id}: {whole.response.text[-100:]}"
            )

    def _judge_stop(self, turn: RanTurn, log: Transcript) -> None:
        """The receipt tells how the turn ended, whoever ended it."""
        stopper = turn.stopper
        if stopper is None or stopper.response is None or not log.outcome:
            return
        if stopper.response.message != _message_of(log.events[-1]):
            self.complaints.append(f"{stopper.name}: the receipt is not the outcome's: {stopper.response}")
        if stopper.stopped and log.outcome != "stopped":
            self.complaints.append(f"{stopper.name}: it was told that it stopped the turn, which is {log.outcome}")

    async def _judge_messages(self, turn: RanTurn, log: Transcript) -> None:
        """The session shows the turn's two messages once, and the answer as the turn ended."""
        if not log.outcome:
            return
        door = self.ways.any_door(self.random, turn.token)
        listed = (await door.messages(_message_of(log.events[-1]).session_id)).messages
        mine = [message for message in listed if message.turn_id == log.turn_id]
        if [message.text for message in listed].count(turn.script.prompt) != 1:
            self._complain(turn, "the user's message is not in the session exactly once")
        answers = [message for message in mine if message.role == message_pb2.ROLE_ASSISTANT]
        if answers != [_message_of(log.events[-1])]:
            self._complain(turn, f"the stored answer is not the outcome's: {answers}")
        if any(message.state == message_pb2.MESSAGE_STATE_STREAMING for message in listed):
            self._complain(turn, "an answer of the session is still on its way")

    def _complain(self, turn: RanTurn, words: str) -> None:
        self.complaints.append(f"{turn.script.key} ({turn.turn_id}): {words}")


def _message_of(event: turn_event_pb2.TurnEvent) -> message_pb2.Message:
    return getattr(event, str(event.WhichOneof("event"))).message  # type: ignore[no-any-return] # one of three typed messages


def _apart(mine: str, other: str) -> str:
    """Where two texts part."""
    at = next(
        (place for place, pair in enumerate(zip(mine, other, strict=False)) if pair[0] != pair[1]),
        min(len(mine), len(other)),
    )
    return f"from {at}: {mine[max(0, at - 20) : at + 60]!r} and {other[max(0, at - 20) : at + 60]!r} of {len(mine)} and {len(other)}"

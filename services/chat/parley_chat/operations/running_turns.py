"""The turns that this process writes: each is a task of its own that belongs to no call, until its outcome is kept.

Which turns those are is decided elsewhere: by who begins them (turns.py) and by who takes them over (takeover.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from parley_chat.domain.conversation import Failure, Message, MessageState, OnFailure
from parley_chat.domain.errors import GenerationError
from parley_chat.domain.turn import TurnCompleted, TurnFailed, TurnOutcome, TurnState, TurnStopped
from parley_chat.operations.answer import Answer
from parley_chat.operations.answer_writer import AnswerWriter
from parley_chat.ports.conversations import Conversations
from parley_chat.ports.tracing import Tracing
from parley_chat.ports.turn_log import TurnLogFencedError, TurnLogMissingError

logger = logging.getLogger(__name__)

INTERRUPTED = Failure(
    10,
    "ERROR_REASON_TURN_INTERRUPTED",
    "The service was restarted while it answered. What had been written is kept.",
    retryable=True,
)
INTERNAL = Failure(
    13, "ERROR_REASON_INTERNAL", "Parley failed while it answered. What had been written is kept.", retryable=True
)
TOO_LONG = Failure(
    4,
    "ERROR_REASON_DEADLINE_EXCEEDED",
    "The answer took longer than a turn may. What had been written is kept.",
    retryable=True,
)

FINISH_PAUSES_SECONDS = (0.1, 0.4, 1.6)
"""Between the tries to store an outcome."""

LEAST_LOOK_SECONDS = 0.1
"""Between two looks at how long a turn has worked: of one that waits, that does not change."""

STORE_LATER_SECONDS = 5.0
"""Between the tries to store an outcome that could not be stored."""


@dataclass(slots=True, eq=False)
class RunningTurn:
    """A turn that this process writes."""

    answer: Answer
    work: asyncio.Task[None]
    ended: asyncio.Future[TurnOutcome | None]
    """The outcome; None when this process no longer writes the turn and another one will, or does already."""
    watchers: int = 0
    stop_requested: bool = False
    left_to_next: bool = False
    supervisor: asyncio.Task[None] | None = field(default=None)

    def request_stop(self) -> None:
        """Ends the writing; what was written is kept. Once: a second wish must not break off the cleaning up after the first."""
        if not self.stop_requested:
            self.stop_requested = True
            self.work.cancel()


class RunningTurns:
    """Writes turns and keeps their outcomes."""

    def __init__(
        self, conversations: Conversations, writer: AnswerWriter, tracing: Tracing, longest_seconds: float
    ) -> None:
        self._conversations = conversations
        self._writer = writer
        self._tracing = tracing
        self._longest_seconds = longest_seconds
        self._running: dict[str, RunningTurn] = {}
        self._storing: set[asyncio.Task[None]] = set()
        self._listeners: list[Callable[[Answer, Message], None]] = []
        self._end_listeners: list[Callable[[TurnOutcome], None]] = []
        self.draining = False
        """Whether this process is about to end and begins nothing new."""

    def when_completed(self, listener: Callable[[Answer, Message], None]) -> None:
        """Has somebody told of each answer that this process has written whole and stored. They must neither wait nor fail."""
        self._listeners.append(listener)

    def when_ended(self, listener: Callable[[TurnOutcome], None]) -> None:
        """Has somebody told how each turn ended that was this process's to end. They must neither wait nor fail."""
        self._end_listeners.append(listener)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._running)

    @property
    def busy(self) -> int:
        """How many there are that do not just wait for their users, who may take a day."""
        return sum(not running.answer.in_consent for running in self._running.values())

    def get(self, turn_id: str) -> RunningTurn | None:
        """Gets one, if this process writes it."""
        return self._running.get(turn_id)

    def of_user(self, user_id: str) -> list[RunningTurn]:
        """Lists a user's."""
        return [running for running in self._running.values() if running.answer.turn.user_id == user_id]

    def request_stop(self, turn_id: str) -> None:
        """Stops one, if this process writes it."""
        if running := self._running.get(turn_id):
            running.request_stop()

    def run(self, answer: Answer) -> None:
        """Starts to write an answer."""
        turn_id = answer.turn.turn_id
        context = self._tracing.detached_context()
        running = RunningTurn(
            answer=answer,
            work=asyncio.create_task(self._writer.write(answer), name=f"answer {turn_id}", context=context),
            ended=asyncio.get_running_loop().create_future(),
        )
        self._running[turn_id] = running
        running.supervisor = asyncio.create_task(self._supervise(running), name=f"turn {turn_id}", context=context)

    async def _supervise(self, running: RunningTurn) -> None:
        """Waits for the answer, whatever becomes of it, and ends the turn. Is itself never cancelled."""
        answer, work = running.answer, running.work
        timed_out = False
        while not work.done() and not timed_out:
            left = self._longest_seconds - answer.seconds_working()
            await asyncio.wait({work}, timeout=max(LEAST_LOOK_SECONDS, left))
            timed_out = answer.seconds_working() >= self._longest_seconds and not work.done()
        if timed_out:
            work.cancel()
            await asyncio.wait({work})
        outcome: TurnOutcome | None = None
        try:
            if not self._belongs_to_another(running):
                state, failure = self._end_of(running, timed_out=timed_out)
                outcome = await self._keep(answer, answer.as_message(state, failure))
                if isinstance(outcome, TurnCompleted):
                    for listener in self._listeners:
                        listener(answer, outcome.message)
        finally:
            self._running.pop(answer.turn.turn_id, None)
            running.ended.set_result(outcome)
            await answer.log.close()

    def _belongs_to_another(self, running: RunningTurn) -> bool:
        if running.work.cancelled():
            return running.left_to_next and not running.stop_requested
        if isinstance(running.work.exception(), TurnLogFencedError):
            logger.warning("a turn was taken over by another replica", extra={"turn_id": running.answer.turn.turn_id})
            return True
        return False

    def _end_of(self, running: RunningTurn, *, timed_out: bool) -> tuple[MessageState, Failure | None]:
        if timed_out:
            return MessageState.FAILED, TOO_LONG
        if running.work.cancelled():
            return (MessageState.STOPPED, None) if running.stop_requested else (MessageState.FAILED, INTERRUPTED)
        error = running.work.exception()
        if error is None:
            return MessageState.COMPLETED, None
        if isinstance(error, GenerationError):
            return MessageState.FAILED, error.failure
        logger.error("a turn failed", exc_info=error, extra={"turn_id": running.answer.turn.turn_id})
        return MessageState.FAILED, INTERNAL

    async def end(self, answer: Answer, state: MessageState, failure: Failure | None = None) -> None:
        """Ends a turn that nobody writes any more, with what there is of its answer."""
        await self._keep(answer, answer.as_message(state, failure))
        await answer.log.close()

    async def _keep(self, answer: Answer, message: Message) -> TurnOutcome | None:
        """Keeps how a turn ended, in the conversations and then in the log. Gives what its readers are told.

        None when it was not this process's to end: somebody else writes it, or it was deleted.
        """
        turn = answer.turn
        told = {"turn_id": turn.turn_id}
        outcome = outcome_of(message)
        if outcome is None:
            raise ValueError("a turn cannot end while its answer is on its way")
        try:
            if not await self._finish(answer, message):
                return None
        except Exception:
            # Its readers are told now; the database is told when it takes it, by this process or by whoever takes the turn over.
            logger.exception("the outcome of a turn could not be kept", extra=told)
            outcome = TurnFailed(INTERNAL, replace(message, state=MessageState.FAILED, failure=INTERNAL))
            storing = asyncio.create_task(self._store_later(answer, outcome.message))
            self._storing.add(storing)
            storing.add_done_callback(self._storing.discard)
        try:
            await answer.log.append([*answer.opening(), outcome])
        except TurnLogFencedError:
            logger.warning("a turn was taken over when it had ended", extra=told)
        except (OSError, TurnLogMissingError):
            # What is stored counts: readers whose log has no end look there.
            logger.exception("the log of a turn could not be written", extra=told)
        for listener in self._end_listeners:
            listener(outcome)
        return outcome

    async def _finish(self, answer: Answer, message: Message) -> bool:
        """Stores an outcome, and tries again when the database is busy or away for a moment."""
        turn = answer.turn
        state = TurnState(message.state.value)
        for pause in FINISH_PAUSES_SECONDS:
            try:
                return await self._conversations.finish_turn(turn.turn_id, turn.fence, state, message)
            except Exception:
                logger.warning("the outcome of a turn is stored later", exc_info=True, extra={"turn_id": turn.turn_id})
                await asyncio.sleep(pause)
        return await self._conversations.finish_turn(turn.turn_id, turn.fence, state, message)

    async def _store_later(self, answer: Answer, message: Message) -> None:
        """Stores a failure as soon as the database takes it, so that no session shows an answer on its way that is not."""
        turn = answer.turn
        while True:
            await asyncio.sleep(STORE_LATER_SECONDS)
            try:
                await self._conversations.finish_turn(turn.turn_id, turn.fence, TurnState.FAILED, message)
            except Exception:
                logger.warning("the outcome of a turn is stored later", exc_info=True, extra={"turn_id": turn.turn_id})
            else:
                return

    async def drain(self, seconds: float) -> None:
        """Gives what runs some time to end, and leaves the rest to the next process, or to another one."""
        self.draining = True
        supervisors = [running.supervisor for running in self._running.values() if running.supervisor]
        # Whose user is asked does not end in that time.
        working = [each.supervisor for each in self._running.values() if each.supervisor and not each.answer.in_consent]
        if working:
            await asyncio.wait(working, timeout=seconds)
        for running in list(self._running.values()):
            running.left_to_next = running.answer.turn.on_failure is not OnFailure.FAIL
            running.work.cancel()
        if supervisors:
            await asyncio.wait(supervisors)
        for storing in self._storing:
            storing.cancel()


def outcome_of(message: Message) -> TurnOutcome | None:
    """Makes the last event of a turn from its stored answer; None while it has none."""
    match message.state:
        case MessageState.COMPLETED:
            return TurnCompleted(message)
        case MessageState.STOPPED:
            return TurnStopped(message)
        case MessageState.FAILED:
            return TurnFailed(message.failure or INTERNAL, message)
        case MessageState.STREAMING:
            return None

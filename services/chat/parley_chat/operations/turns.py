"""The life of turns: begun once, watched by anybody who may, stopped, ended, recovered.

A turn does not belong to the call that began it. It is a task of this process; its events are in the turn log before anybody gets
them; its outcome is in the conversations before its last event is in the log.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from parley_chat.domain.conversation import (
    Failure,
    Message,
    MessageState,
    OnFailure,
    Route,
    new_message_id,
    new_session_id,
    new_turn_id,
    title_of,
)
from parley_chat.domain.errors import (
    ClientMessageIdReusedError,
    DrainingError,
    GenerationError,
    TooManyTurnsError,
    TurnFailedError,
    TurnLogExpiredError,
    TurnStoppedError,
)
from parley_chat.domain.turn import (
    Notice,
    NoticeKind,
    Turn,
    TurnCompleted,
    TurnEvent,
    TurnFailed,
    TurnOutcome,
    TurnState,
    TurnStopped,
    merge_deltas,
    request_digest,
)
from parley_chat.operations.answer import Answer
from parley_chat.operations.answer_writer import AnswerWriter
from parley_chat.ports.conversations import Conversations, NewTurn
from parley_chat.ports.tracing import Tracing
from parley_chat.ports.turn_log import TurnLog, TurnLogMissingError

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

STORE_LATER_SECONDS = 5.0
"""Between the tries to store an outcome that could not be stored."""

MOST_TAKEOVERS = 5
"""After which an answer is given up: it may be what kills its processes."""


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """What a user asks to be answered. Checked at the door."""

    user_id: str
    message: str
    session_id: str
    client_message_id: str
    """Empty to have one chosen."""
    route: Route
    model: str
    parent_message_id: str | None
    """None for the session's newest; empty for none."""
    on_failure: OnFailure

    def digest(self) -> str:
        """Tells a repeat of this request from another one under the same client_message_id."""
        parent = "newest" if self.parent_message_id is None else self.parent_message_id
        return request_digest((self.message, self.session_id, self.route, self.model, parent))


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """How many turns run, and how long."""

    running_per_user: int
    running: int
    seconds: float
    """The longest that one turn may take."""
    log_retention_seconds: float
    """How long events are kept after a turn's end."""


@dataclass(slots=True, eq=False)
class _RunningTurn:
    answer: Answer
    work: asyncio.Task[None]
    ended: asyncio.Future[TurnOutcome | None]
    """The outcome; None when the turn is left to the next process."""
    watchers: int = 0
    stop_requested: bool = False
    left_to_next: bool = False
    supervisor: asyncio.Task[None] | None = field(default=None)


class Turns:
    """Runs the turns of this process."""

    def __init__(
        self,
        conversations: Conversations,
        log: TurnLog,
        writer: AnswerWriter,
        tracing: Tracing,
        limits: TurnLimits,
        now: Callable[[], datetime],
    ) -> None:
        self._conversations = conversations
        self._log = log
        self._writer = writer
        self._tracing = tracing
        self._limits = limits
        self._now = now
        self._running: dict[str, _RunningTurn] = {}
        self._beginning: dict[tuple[str, str], asyncio.Task[Turn]] = {}
        self._storing: set[asyncio.Task[None]] = set()
        self._draining = False

    @property
    def running_count(self) -> int:
        """How many turns run in this process."""
        return len(self._running)

    async def begin(self, request: ReplyRequest, *, stop_when_cut: bool = False) -> Turn:
        """Begins the turn that answers a message, or finds the one that already does.

        Raises NotFoundError, ClientMessageIdReusedError, TooManyTurnsError and DrainingError, and has then changed
        nothing. A turn is begun whole or not at all, also when the caller goes away meanwhile; with `stop_when_cut`, such
        a turn is stopped unless somebody else watches it.
        """
        key = (request.user_id, request.client_message_id or new_turn_id())
        beginning = self._beginning.get(key)
        if beginning is None:
            try:
                self._admit(request.user_id)
            except (DrainingError, TooManyTurnsError):
                # A repeat of a send adds no turn, so it is never one too many.
                turn = await self._conversations.find_turn(*key)
                if turn is None:
                    raise
                return _same_request(turn, request)
            beginning = self._beginning[key] = asyncio.create_task(self._begin(request), name="begin turn")
            beginning.add_done_callback(lambda _: self._beginning.pop(key))
        try:
            return _same_request(await asyncio.shield(beginning), request)
        except asyncio.CancelledError:
            if stop_when_cut:
                beginning.add_done_callback(self._stop_unwatched)
            raise

    def _stop_unwatched(self, beginning: asyncio.Task[Turn]) -> None:
        if beginning.cancelled() or beginning.exception():
            return
        running = self._running.get(beginning.result().turn_id)
        if running and not running.watchers:
            self._request_stop(running)

    def _admit(self, user_id: str) -> None:
        if self._draining:
            raise DrainingError
        users = [running.answer.turn.user_id for running in self._running.values()]
        users += [beginning_user_id for beginning_user_id, _ in self._beginning]
        if users.count(user_id) >= self._limits.running_per_user:
            raise TooManyTurnsError(self._limits.running_per_user)
        if len(users) >= self._limits.running:
            raise TooManyTurnsError(self._limits.running)

    async def _begin(self, request: ReplyRequest) -> Turn:
        turn_id = new_turn_id()
        trace_id = self._tracing.current_trace_id()
        new = NewTurn(
            turn_id=turn_id,
            user_id=request.user_id,
            session_id=request.session_id,
            new_session_id=new_session_id(),
            parent_message_id=request.parent_message_id,
            client_message_id=request.client_message_id or turn_id,
            request_digest=request.digest(),
            user_message_id=new_message_id(),
            message_id=new_message_id(),
            text=request.message,
            title=title_of(request.message),
            time=self._now(),
            trace_id=trace_id,
            wished_route=request.route,
            model=request.model,
            on_failure=request.on_failure,
        )
        # The log is there before the turn can be found, so that nobody finds a turn without a log.
        log = await self._log.begin(turn_id)
        created = False
        try:
            begun = await self._conversations.begin_turn(new)
            created = begun.created
        finally:
            if not created:
                await log.close()
                await self._log.delete(turn_id)
        if not created:
            return begun.turn
        self._run(Answer(begun.turn, request.message, begun.parent_message_id, trace_id, log))
        return begun.turn

    def _run(self, answer: Answer) -> None:
        """Starts to write an answer, as a task of its own that belongs to no call."""
        turn_id = answer.turn.turn_id
        context = self._tracing.detached_context()
        running = _RunningTurn(
            answer=answer,
            work=asyncio.create_task(self._writer.write(answer), name=f"answer {turn_id}", context=context),
            ended=asyncio.get_running_loop().create_future(),
        )
        self._running[turn_id] = running
        running.supervisor = asyncio.create_task(self._supervise(running), name=f"turn {turn_id}", context=context)

    async def watch(
        self, turn: Turn, *, after_sequence: int = 0, stop_when_unwatched: bool = False
    ) -> AsyncGenerator[TurnEvent, None]:
        """Replays a turn after a place and follows it to its end. Deltas that piled up are merged.

        Raises TurnLogExpiredError, and DrainingError when this process leaves the rest of the turn to the next one.
        With `stop_when_unwatched`, the turn is stopped when this watcher goes before the end and was the last.
        """
        running = self._running.get(turn.turn_id)
        try:
            reader = await self._log.open_reader(turn.turn_id, after_sequence)
        except TurnLogMissingError:
            raise TurnLogExpiredError(turn.turn_id) from None
        if running:
            running.watchers += 1
        try:
            while events := await reader.next():
                for event in merge_deltas(events):
                    yield event
                if events[-1].is_last:
                    return
            outcome = await self._outcome_after(turn, reader.end_sequence)
            if outcome and outcome.sequence > after_sequence:
                yield outcome
        finally:
            reader.close()
            if running:
                running.watchers -= 1
                if stop_when_unwatched and not running.watchers and not running.ended.done():
                    self._request_stop(running)

    async def _outcome_after(self, turn: Turn, end_sequence: int) -> TurnEvent | None:
        """Makes the last event of a turn whose log ends without one: its process died before it could be logged."""
        events = await self._log.read(turn.turn_id)
        if events and events[-1].is_last:
            return None
        body = _outcome_of(await self._conversations.get_message(turn.message_id))
        if body is None:
            # Left to the next process; or its outcome could be kept neither in the log nor, so far, in the database.
            raise DrainingError if self._draining else TurnFailedError(turn.turn_id, INTERNAL)
        return TurnEvent(end_sequence + 1, end_sequence + 1, body)

    async def find(self, user_id: str, turn_id: str) -> Turn:
        """Gets a turn of the user, or raises NotFoundError."""
        return await self._conversations.get_turn(user_id, turn_id)

    async def answer_of(self, turn: Turn) -> Message:
        """Waits for the whole answer. Raises TurnFailedError, TurnStoppedError."""
        running = self._running.get(turn.turn_id)
        outcome = (
            await asyncio.shield(running.ended)
            if running
            else _outcome_of(await self._conversations.get_message(turn.message_id))
        )
        match outcome:
            case TurnCompleted(message):
                return message
            case TurnStopped():
                raise TurnStoppedError(turn.turn_id)
            case TurnFailed(failure):
                raise TurnFailedError(turn.turn_id, failure)
            case _:
                raise DrainingError

    async def stop(self, user_id: str, turn_id: str) -> tuple[Message, bool]:
        """Stops a turn and waits for its end; True when it was this that ended it. Raises NotFoundError."""
        turn = await self._conversations.get_turn(user_id, turn_id)
        running = self._running.get(turn_id)
        if running is None:
            return await self._conversations.get_message(turn.message_id), False
        first = not running.stop_requested
        self._request_stop(running)
        outcome = await asyncio.shield(running.ended)
        if outcome is None:
            raise DrainingError
        return outcome.message, first and isinstance(outcome, TurnStopped)

    async def stop_session(self, user_id: str, session_id: str) -> None:
        """Stops what runs in a session, or is about to, and waits for it."""
        beginning = [task for (owner_id, _), task in self._beginning.items() if owner_id == user_id]
        if beginning:
            await asyncio.wait(beginning)
        mine = [
            running
            for running in self._running.values()
            if running.answer.turn.session_id == session_id and running.answer.turn.user_id == user_id
        ]
        for running in mine:
            self._request_stop(running)
        if mine:
            await asyncio.wait([running.ended for running in mine])

    async def forget(self, turn_ids: list[str]) -> None:
        """Deletes the logs of turns that no longer exist."""
        for turn_id in turn_ids:
            await self._log.delete(turn_id)

    def _request_stop(self, running: _RunningTurn) -> None:
        running.stop_requested = True
        running.work.cancel()

    async def _supervise(self, running: _RunningTurn) -> None:
        """Waits for the answer, whatever becomes of it, and ends the turn. Is itself never cancelled."""
        answer = running.answer
        left = self._limits.seconds - (time.monotonic() - answer.started)
        await asyncio.wait({running.work}, timeout=max(0.0, left))
        timed_out = not running.work.done()
        if timed_out:
            running.work.cancel()
            await asyncio.wait({running.work})
        if running.left_to_next and running.work.cancelled() and not running.stop_requested:
            self._end(running, None)
            await answer.log.close()
            return
        failure = TOO_LONG if timed_out else self._failure_of(running)
        if running.stop_requested and running.work.cancelled():
            state, message = TurnState.STOPPED, answer.as_message(MessageState.STOPPED)
            outcome: TurnOutcome = TurnStopped(message)
        elif failure:
            state, message = TurnState.FAILED, answer.as_message(MessageState.FAILED, failure)
            outcome = TurnFailed(failure, message)
        else:
            state, message = TurnState.COMPLETED, answer.as_message(MessageState.COMPLETED)
            outcome = TurnCompleted(message)
        try:
            outcome = await self._keep(answer, state, outcome)
        finally:
            self._end(running, outcome)
            await answer.log.close()

    async def _keep(self, answer: Answer, state: TurnState, outcome: TurnOutcome) -> TurnOutcome:
        """Keeps how a turn ended, in the conversations and then in the log. Gives what its readers are told."""
        told = {"turn_id": answer.turn.turn_id}
        try:
            stored = await self._finish(answer.turn.turn_id, state, outcome.message)
        except Exception:
            # Its readers are told now; the database is told when it takes it, by this process or by the next one's recovery.
            logger.exception("the outcome of a turn could not be kept", extra=told)
            outcome = TurnFailed(INTERNAL, replace(outcome.message, state=MessageState.FAILED, failure=INTERNAL))
            stored = True
            storing = asyncio.create_task(self._store_later(answer.turn.turn_id, outcome.message))
            self._storing.add(storing)
            storing.add_done_callback(self._storing.discard)
        if stored:
            try:
                await answer.log.append([*answer.opening(), outcome])
            except OSError:
                # What is stored counts: readers whose log has no end look there.
                logger.exception("the log of a turn could not be written", extra=told)
        return outcome

    async def _finish(self, turn_id: str, state: TurnState, message: Message) -> bool:
        """Stores an outcome, and tries again when the database is busy or away for a moment."""
        for pause in FINISH_PAUSES_SECONDS:
            try:
                return await self._conversations.finish_turn(turn_id, state, message)
            except Exception:
                logger.warning("the outcome of a turn is stored later", exc_info=True, extra={"turn_id": turn_id})
                await asyncio.sleep(pause)
        return await self._conversations.finish_turn(turn_id, state, message)

    async def _store_later(self, turn_id: str, message: Message) -> None:
        """Stores a failure as soon as the database takes it, so that no session shows an answer on its way that is not."""
        while True:
            await asyncio.sleep(STORE_LATER_SECONDS)
            try:
                await self._conversations.finish_turn(turn_id, TurnState.FAILED, message)
            except Exception:
                logger.warning("the outcome of a turn is stored later", exc_info=True, extra={"turn_id": turn_id})
            else:
                return

    def _end(self, running: _RunningTurn, outcome: TurnOutcome | None) -> None:
        self._running.pop(running.answer.turn.turn_id, None)
        running.ended.set_result(outcome)

    def _failure_of(self, running: _RunningTurn) -> Failure | None:
        if running.work.cancelled():
            return None if running.stop_requested else INTERRUPTED
        error = running.work.exception()
        if error is None:
            return None
        if isinstance(error, GenerationError):
            return error.failure
        logger.error("a turn failed", exc_info=error, extra={"turn_id": running.answer.turn.turn_id})
        return INTERNAL

    async def recover(self) -> int:
        """Goes on with the turns that a process before this one left running, from what their logs hold. Returns how many there were."""
        turns = await self._conversations.running_turns()
        for turn in turns:
            try:
                await self._recover(turn)
            except OSError:
                # Its log cannot be read or written now: one turn must not keep the service from all others.
                logger.exception("a turn could not be recovered", extra={"turn_id": turn.turn_id})
        return len(turns)

    async def _recover(self, turn: Turn) -> None:
        events = await self._log.read(turn.turn_id)
        stored = await self._conversations.get_message(turn.message_id)
        question = await self._conversations.get_message(turn.user_message_id)
        log = await self._log.take_over(turn.turn_id, 1)
        answer = Answer.restored(turn, question, stored.trace_id, log, events, self._now())
        takeovers = sum(isinstance(event.body, Notice) and event.body.kind is NoticeKind.CONTINUED for event in events)
        gone_on = turn.on_failure is not OnFailure.FAIL and takeovers < MOST_TAKEOVERS
        logger.warning("recovering a turn", extra={"turn_id": turn.turn_id, "goes_on": gone_on})
        if events and isinstance(events[-1].body, TurnOutcome):
            # It had ended and only the database does not know: a process can die between the two.
            message = events[-1].body.message
            await self._conversations.finish_turn(turn.turn_id, TurnState(message.state.value), message)
            await log.close()
        elif gone_on:
            words = "The service was restarted; the answer goes on."
            await log.append([*answer.opening(), Notice(NoticeKind.CONTINUED, words)])
            answer.end_attempt()
            if answer.parts and turn.on_failure is OnFailure.RESTART:
                await answer.begin_anew()
            self._run(answer)
        else:
            message = answer.as_message(MessageState.FAILED, INTERRUPTED)
            await self._conversations.finish_turn(turn.turn_id, TurnState.FAILED, message)
            await log.append([*answer.opening(), TurnFailed(INTERRUPTED, message)])
            await log.close()

    async def expire_logs(self) -> None:
        """Forgets the events of turns that ended long enough ago."""
        expired = await self._log.expire(older_than_seconds=self._limits.log_retention_seconds)
        if expired:
            logger.debug("expired turn logs", extra={"count": len(expired)})

    async def drain(self, seconds: float) -> None:
        """Begins no more turns, gives the running ones some time to end, and leaves the rest to the next process."""
        self._draining = True
        supervisors = [running.supervisor for running in self._running.values() if running.supervisor]
        if supervisors:
            await asyncio.wait(supervisors, timeout=seconds)
        for running in list(self._running.values()):
            running.left_to_next = running.answer.turn.on_failure is not OnFailure.FAIL
            running.work.cancel()
        if supervisors:
            await asyncio.wait(supervisors)
        for storing in self._storing:
            storing.cancel()


def _same_request(turn: Turn, request: ReplyRequest) -> Turn:
    if turn.request_digest != request.digest():
        raise ClientMessageIdReusedError(turn.turn_id)
    return turn


def _outcome_of(message: Message) -> TurnOutcome | None:
    match message.state:
        case MessageState.COMPLETED:
            return TurnCompleted(message)
        case MessageState.STOPPED:
            return TurnStopped(message)
        case MessageState.FAILED:
            return TurnFailed(message.failure or INTERNAL, message)
        case MessageState.STREAMING:
            return None

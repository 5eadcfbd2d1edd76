"""The life of turns as their users see it: begun once, watched by anybody who may, stopped, asked for.

A turn does not belong to the call that began it, nor to the replica that was called. Its events are in the turn log before anybody
gets them; its outcome is in the conversations before its last event is in the log. Who writes it is running_turns.py's and
takeover.py's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime

from parley_chat.domain.conversation import (
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
    NotFoundError,
    TooManyTurnsError,
    TurnFailedError,
    TurnLogExpiredError,
    TurnStoppedError,
)
from parley_chat.domain.turn import (
    Turn,
    TurnCompleted,
    TurnEvent,
    TurnFailed,
    TurnState,
    TurnStopped,
    merge_deltas,
    request_digest,
)
from parley_chat.operations.admission import Admission
from parley_chat.operations.answer import Answer
from parley_chat.operations.running_turns import INTERNAL, RunningTurns, outcome_of
from parley_chat.operations.takeover import Takeover
from parley_chat.ports.conversations import Conversations, NewTurn
from parley_chat.ports.stop_signals import StopSignals
from parley_chat.ports.tracing import Tracing
from parley_chat.ports.turn_log import TurnLog, TurnLogMissingError
from parley_chat.ports.turn_ownership import TurnOwnership

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How long a reader of another replica's turn waits for an event before it looks whether the turn has ended."""

ENDED_LOOK_SECONDS = 0.1
"""The same for a turn whose end is stored: its last event is in the log, or comes at once."""


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
    queue_when_unavailable: bool = False
    scopes: tuple[str, ...] = ()
    """What the caller's token allows, in alphabetical order: the tools of the model need them."""
    time_zone: str = "UTC"
    """The user's, an IANA name."""
    project_id: str = ""
    """The project of a new session; empty for none."""

    def digest(self) -> str:
        """Tells a repeat of this request from another one under the same client_message_id."""
        parent = "newest" if self.parent_message_id is None else self.parent_message_id
        # What has no project is told apart as it was before there were any.
        project = (self.project_id,) if self.project_id else ()
        return request_digest((self.message, self.session_id, self.route, self.model, parent, *project))


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """How many turns a user has running in all processes together, and how long their events are kept."""

    running_per_user: int
    log_retention_seconds: float
    """After a turn's end."""


class Turns:
    """Begins turns, and gives their users access to them, whichever replica writes them."""

    def __init__(
        self,
        conversations: Conversations,
        log: TurnLog,
        ownership: TurnOwnership,
        running: RunningTurns,
        takeover: Takeover,
        admission: Admission,
        signals: StopSignals,
        tracing: Tracing,
        limits: TurnLimits,
        now: Callable[[], datetime],
    ) -> None:
        self._conversations = conversations
        self._log = log
        self._ownership = ownership
        self._running = running
        self._takeover = takeover
        self._admission = admission
        self._signals = signals
        self._tracing = tracing
        self._limits = limits
        self._now = now
        self._beginning: dict[tuple[str, str], asyncio.Task[Turn]] = {}

    @property
    def running_count(self) -> int:
        """How many turns this process writes."""
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
                self._admission.take(request.user_id)
            except (DrainingError, TooManyTurnsError):
                # A repeat of a send adds no turn, so it is never one too many.
                turn = await self._conversations.find_turn(*key)
                if turn is None:
                    raise
                return _same_request(turn, request)
            beginning = self._beginning[key] = asyncio.create_task(self._begin(request), name="begin turn")
            beginning.add_done_callback(lambda _: self._begun(key))
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
            running.request_stop()

    def _begun(self, key: tuple[str, str]) -> None:
        """It is among the running turns now, or came to nothing."""
        self._beginning.pop(key)
        self._admission.give_back(key[0])

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
            queue_when_unavailable=request.queue_when_unavailable,
            scopes=request.scopes,
            time_zone=request.time_zone,
            owner_id=self._ownership.replica_id,
            most_running=self._limits.running_per_user,
            project_id=request.project_id,
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
        answer = Answer(
            begun.turn, request.message, begun.parent_message_id, trace_id, log, has_budgets=begun.has_budgets
        )
        self._running.run(answer)
        return begun.turn

    async def watch(
        self, turn: Turn, *, after_sequence: int = 0, stop_when_unwatched: bool = False, merging: bool = True
    ) -> AsyncGenerator[TurnEvent, None]:
        """Replays a turn after a place and follows it to its end, whoever writes it. With `merging`, deltas that piled up are merged.

        Raises TurnLogExpiredError, and DrainingError when this process is about to end before the turn does. With
        `stop_when_unwatched`, a turn that this process writes is stopped when this watcher goes before the end and was the last here.
        """
        running = self._running.get(turn.turn_id)
        if running:
            running.watchers += 1
        try:
            async with aclosing(self._follow(turn, after_sequence)) as batches:
                async for batch in batches:
                    for event in merge_deltas(batch) if merging else batch:
                        yield event
        finally:
            if running:
                running.watchers -= 1
                if stop_when_unwatched and not running.watchers and not running.ended.done():
                    running.request_stop()

    async def _follow(self, turn: Turn, place: int) -> AsyncGenerator[list[TurnEvent], None]:
        while True:
            async with aclosing(self._follow_writer(turn, place)) as batches:
                async for events in batches:
                    yield events
                    place = events[-1].sequence
                    if events[-1].is_last:
                        return
            # Nothing more comes from whoever wrote it until now.
            rest = await self._rest_of_ended(turn, place)
            if rest is not None:
                yield rest
                return
            if self._running.draining:
                raise DrainingError
            if not self._log.is_shared:
                # Its outcome could be kept neither in the log nor, so far, in the database.
                raise TurnFailedError(turn.turn_id, INTERNAL)
            # Somebody takes it over, or keeps its outcome later.
            await asyncio.sleep(ENDED_LOOK_SECONDS)

    async def _follow_writer(self, turn: Turn, place: int) -> AsyncGenerator[list[TurnEvent], None]:
        """Gives the events after a place, until nothing more comes from the one who writes them, or nothing has come for a while."""
        try:
            reader = await self._log.open_reader(turn.turn_id, place)
        except TurnLogMissingError:
            await self._expect_outcome(turn)
            return
        # What is written here ends in any case. Of another replica it is not certain that its last words are in the log.
        patience: float | None = LOOK_SECONDS if turn.state is TurnState.RUNNING else ENDED_LOOK_SECONDS
        if self._running.get(turn.turn_id) is not None or not self._log.is_shared:
            patience = None
        try:
            while True:
                try:
                    async with asyncio.timeout(patience):
                        events = await reader.next()
                except TimeoutError:
                    return
                if not events:
                    return
                yield events
        finally:
            reader.close()

    async def _expect_outcome(self, turn: Turn) -> None:
        """Waits for the end of a turn whose log is gone. Raises TurnLogExpiredError when it ended before."""
        message = await self._conversations.get_message(turn.message_id)
        if not self._log.is_shared or outcome_of(message):
            raise TurnLogExpiredError(turn.turn_id)
        # Who writes it will notice, and fail the turn.
        await asyncio.sleep(LOOK_SECONDS)

    async def _rest_of_ended(self, turn: Turn, place: int) -> list[TurnEvent] | None:
        """Gives all that is behind a place of a turn that has ended; None while it has not.

        Its log may end without the outcome, because its process died between the two; and it may have more than the outcome
        behind the place, because another replica wrote on when the writer that was followed was shut out.
        """
        body = outcome_of(await self._conversations.get_message(turn.message_id))
        if body is None:
            return None
        events = await self._log.read(turn.turn_id)
        rest = [event for event in events if event.sequence > place]
        if not (events and events[-1].is_last):
            # Where its writer would have logged it, or still does: behind the last event, and `started` at least is before it.
            end = events[-1].sequence if events else 1
            if end >= place:
                rest.append(TurnEvent(end + 1, end + 1 if events else 1, body))
        return rest

    async def find(self, user_id: str, turn_id: str) -> Turn:
        """Gets a turn of the user, or raises NotFoundError."""
        return await self._conversations.get_turn(user_id, turn_id)

    async def answer_until_now(self, turn: Turn) -> Message:
        """Gets the answer as it is stored: without text while it is being written."""
        return await self._conversations.get_message(turn.message_id)

    async def answer_of(self, turn: Turn) -> Message:
        """Waits for the whole answer. Raises TurnFailedError, TurnStoppedError and DrainingError."""
        message = await self._ended_message(turn)
        match outcome_of(message):
            case TurnCompleted():
                return message
            case TurnStopped():
                raise TurnStoppedError(turn.turn_id)
            case TurnFailed(failure):
                raise TurnFailedError(turn.turn_id, failure)
            case _:
                raise DrainingError

    async def _ended_message(self, turn: Turn) -> Message:
        """Waits for a turn's end and gives its answer; of a turn that nobody ends, the answer as it is."""
        running = self._running.get(turn.turn_id)
        outcome = await asyncio.shield(running.ended) if running else None
        if outcome:
            return outcome.message
        while True:
            message = await self._conversations.get_message(turn.message_id)
            if outcome_of(message) or not self._log.is_shared:
                return message
            if self._running.draining:
                raise DrainingError
            try:
                async with aclosing(self._follow(turn, 0)) as batches:
                    async for _ in batches:
                        pass
            except TurnLogExpiredError:
                # It ended in this moment: its answer is stored.
                continue

    async def stop(self, user_id: str, turn_id: str) -> tuple[Message, bool]:
        """Stops a turn and waits for its end; True when it was this that ended it. Raises NotFoundError."""
        turn = await self._conversations.get_turn(user_id, turn_id)
        running = self._running.get(turn_id)
        if running:
            first = not running.stop_requested
            running.request_stop()
            if outcome := await asyncio.shield(running.ended):
                return outcome.message, first and isinstance(outcome, TurnStopped)
        if turn.state is not TurnState.RUNNING or not self._log.is_shared:
            if self._running.draining:
                raise DrainingError
            return await self._conversations.get_message(turn.message_id), False
        first = await self._stop_elsewhere(turn)
        message = await self._ended_message(turn)
        return message, first and message.state is MessageState.STOPPED

    async def _stop_elsewhere(self, turn: Turn) -> bool:
        """Asks whoever writes the turn to stop it. True for the first to ask while it runs."""
        first = await self._ownership.request_stop(turn.turn_id)
        await self._signals.send(turn.turn_id)
        return first

    async def stop_session(self, user_id: str, session_id: str) -> None:
        """Stops what runs in a session, or is about to, and waits for it."""
        beginning = [task for (owner_id, _), task in self._beginning.items() if owner_id == user_id]
        if beginning:
            await asyncio.wait(beginning)
        mine = [running for running in self._running.of_user(user_id) if running.answer.turn.session_id == session_id]
        for running in mine:
            running.request_stop()
        if mine:
            await asyncio.wait([running.ended for running in mine])
        if self._log.is_shared:
            for turn in await self._conversations.running_turns(user_id, session_id):
                await self._stop_elsewhere(turn)
                # Deleted meanwhile is ended too.
                with suppress(NotFoundError):
                    await self._ended_message(turn)

    async def forget(self, turn_ids: list[str]) -> None:
        """Deletes the logs of turns that no longer exist."""
        for turn_id in turn_ids:
            await self._log.delete(turn_id)

    async def expire_logs(self) -> None:
        """Forgets the events of turns that ended long enough ago."""
        expired = await self._log.expire(older_than_seconds=self._limits.log_retention_seconds)
        if expired:
            logger.debug("expired turn logs", extra={"count": len(expired)})

    async def drain(self, seconds: float) -> None:
        """Begins no more turns, gives the running ones some time to end, and leaves the rest to the next process, or to another."""
        self._running.draining = True
        await self._takeover.stop_claiming()
        await self._running.drain(seconds)
        await self._takeover.leave()


def _same_request(turn: Turn, request: ReplyRequest) -> Turn:
    if turn.request_digest != request.digest():
        raise ClientMessageIdReusedError(turn.turn_id)
    return turn

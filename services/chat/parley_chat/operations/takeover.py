"""Goes on with turns whose process is gone: one before this process's start, or another replica that died or left.

What such a turn wrote is in its log. Taking the log over with a higher fence shuts out whoever wrote it until now, if that one only
seemed dead.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime

from parley_chat.domain.budgets import BudgetReached, failure_of
from parley_chat.domain.conversation import MessageState, OnFailure
from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.turn import Notice, NoticeKind, Turn, TurnEvent, TurnOutcome, TurnState
from parley_chat.operations.answer import Answer
from parley_chat.operations.running_turns import INTERRUPTED, RunningTurns
from parley_chat.ports.conversations import Conversations
from parley_chat.ports.turn_log import TurnLog, TurnLogFencedError, TurnLogMissingError, TurnLogWriter
from parley_chat.ports.turn_ownership import TurnOwnership

logger = logging.getLogger(__name__)

MOST_TAKEOVERS = 5
"""After which an answer is given up: it may be what kills its processes."""

BEATS_PER_LEASE = 4
"""How often a lease is renewed, and orphans are looked for, in the time that it lasts."""


class Takeover:
    """Keeps this replica's lease, and takes over what others left."""

    def __init__(
        self,
        conversations: Conversations,
        log: TurnLog,
        ownership: TurnOwnership,
        running: RunningTurns,
        most_running: int,
        now: Callable[[], datetime],
    ) -> None:
        self._conversations = conversations
        self._log = log
        self._ownership = ownership
        self._running = running
        self._most_running = most_running
        self._now = now
        self._tasks: list[asyncio.Task[None]] = []
        self._taking: set[asyncio.Task[None]] = set()
        self._claim_from = 0.0

    async def start(self, *, is_only_process: bool) -> None:
        """Begins this replica's lease and goes on with the turns that nobody writes.

        `is_only_process` says that nobody else can be there: then nobody is waited for and the lease is not renewed. Raises
        AnotherReplicaError when there is one with another log.
        """
        await self._ownership.join(has_shared_log=self._log.is_shared, is_only_process=is_only_process)
        await self._claim()
        if self._taking:
            await asyncio.wait(self._taking)
        if not is_only_process:
            self._tasks = [
                asyncio.create_task(self._every_beat(self._renew), name="renewal of the lease"),
                asyncio.create_task(self._every_beat(self._look_around), name="takeover of turns"),
            ]

    async def stop_claiming(self) -> None:
        """Takes nothing more over. What was being taken over is run, or not, before this returns."""
        for task in self._tasks[1:]:
            task.cancel()
        await asyncio.gather(*self._tasks[1:], *self._taking, return_exceptions=True)

    async def leave(self) -> None:
        """Ends the lease: what this replica did not end is free for others at once."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._ownership.leave()
        except Exception:
            logger.warning("the lease could not be ended; it runs out", exc_info=True)

    async def _every_beat(self, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(self._ownership.lease_seconds / BEATS_PER_LEASE)
            try:
                await act()
            except Exception:
                # The database is away: nobody else can claim anything meanwhile either.
                logger.warning("the lease of this replica could not be kept", exc_info=True)

    async def _renew(self) -> None:
        began = time.monotonic()
        try:
            await self._ownership.renew()
        finally:
            if time.monotonic() - began > self._ownership.lease_seconds / BEATS_PER_LEASE:
                # The database was away or slow, for the others too: they get the time to renew theirs before they are taken for dead.
                self._claim_from = time.monotonic() + self._ownership.lease_seconds

    async def _look_around(self) -> None:
        for turn_id in await self._ownership.stop_requests():
            self._running.request_stop(turn_id)
        if time.monotonic() >= self._claim_from:
            await self._claim()

    async def _claim(self) -> None:
        room = self._most_running - self._running.busy - len(self._taking)
        if room <= 0 or self._running.draining:
            return
        for turn in await self._ownership.claim(room):
            task = asyncio.create_task(self._take(turn), name=f"takeover {turn.turn_id}")
            self._taking.add(task)
            task.add_done_callback(self._taking.discard)

    async def _take(self, turn: Turn) -> None:
        told = {"turn_id": turn.turn_id}
        try:
            await self._go_on(turn)
        except TurnLogFencedError:
            logger.warning("a turn was taken over by another replica first", extra=told)
        except NotFoundError:
            logger.info("a turn was deleted before it could be taken over", extra=told)
        except Exception:
            # Its log cannot be read or written now: one turn must not keep the service from all others.
            logger.exception("a turn could not be taken over", extra=told)
            await self._give_back(turn)

    async def _give_back(self, turn: Turn) -> None:
        try:
            await self._ownership.release(turn)
        except Exception:
            logger.warning("a turn could not be given back", exc_info=True, extra={"turn_id": turn.turn_id})

    async def _go_on(self, turn: Turn) -> None:
        try:
            log = await self._log.take_over(turn.turn_id, turn.fence)
        except TurnLogMissingError:
            await self._end_without_log(turn)
            return
        try:
            await self._go_on_from(turn, log, await self._log.read(turn.turn_id))
        except BaseException:
            await log.close()
            raise

    async def _end_without_log(self, turn: Turn) -> None:
        """Fails a turn of whose events nothing is left, so that nobody waits for more of them."""
        stored = await self._conversations.get_message(turn.message_id)
        state = MessageState.STOPPED if turn.stop_requested else MessageState.FAILED
        failure = None if turn.stop_requested else INTERRUPTED
        message = replace(stored, state=state, failure=failure)
        await self._conversations.finish_turn(turn.turn_id, turn.fence, TurnState(state.value), message)

    async def _go_on_from(self, turn: Turn, log: TurnLogWriter, events: Sequence[TurnEvent]) -> None:
        if events and isinstance(events[-1].body, TurnOutcome):
            # It had ended and only the database does not know: a process can die between the two.
            message = events[-1].body.message
            await self._conversations.finish_turn(turn.turn_id, turn.fence, TurnState(message.state.value), message)
            await log.close()
            return
        stored = await self._conversations.get_message(turn.message_id)
        question = await self._conversations.get_message(turn.user_message_id)
        answer = Answer.restored(turn, question, stored.trace_id, log, events, self._now())
        takeovers = sum(isinstance(event.body, Notice) and event.body.kind is NoticeKind.CONTINUED for event in events)
        goes_on = turn.on_failure is not OnFailure.FAIL and takeovers < MOST_TAKEOVERS and not turn.stop_requested
        logger.warning("taking a turn over", extra={"turn_id": turn.turn_id, "goes_on": goes_on})
        if turn.stop_requested:
            await self._running.end(answer, MessageState.STOPPED)
        elif events and isinstance(reached := events[-1].body, BudgetReached):
            await self._running.end(answer, MessageState.FAILED, failure_of(reached))
        elif not goes_on:
            await self._running.end(answer, MessageState.FAILED, INTERRUPTED)
        else:
            # To wait kills no process.
            waits = turn.queue_time is not None or answer.waits_for_consent
            if not waits:
                words = "The process that wrote the answer ended; another one goes on."
                await log.append([*answer.opening(), Notice(NoticeKind.CONTINUED, words)])
            answer.end_attempt()
            if answer.parts and turn.on_failure is OnFailure.RESTART and not answer.waits_for_consent:
                await answer.begin_anew()
            self._running.run(answer)

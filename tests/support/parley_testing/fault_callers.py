"""Callers that are cut and call again: for the whole answer of a turn, and to stop one. They judge nothing: see fault_verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import aiohttp
from parley.chat.v1 import chat_service_pb2 as pb

from parley_testing.doors import RefusedError
from parley_testing.fault_readers import SILENCE_SECONDS, FaultError, Tally
from parley_testing.fault_ways import Ways, is_cut


@dataclass(slots=True)
class WholeReader:
    """Asks for the whole answer of a message, and again when it was cut: the same `client_message_id` is the same turn."""

    name: str
    ways: Ways
    token: str
    random: Random
    tally: Tally
    most_cuts: int
    request: pb.StreamReplyRequest
    turn_failed: Callable[[], bool]
    """Whether another reader has seen the turn fail."""
    response: pb.SendMessageResponse | None = None
    refusal: RefusedError | None = None
    """What the failure of the turn was told as."""

    async def read(self) -> None:
        """Asks until there is an answer, or a failure of the turn. Judges neither."""
        sent = self.request
        request = pb.SendMessageRequest(
            message=sent.message,
            session_id=sent.session_id,
            client_message_id=sent.client_message_id,
            route=sent.route,
            on_failure=sent.on_failure,
            queue_when_unavailable=sent.queue_when_unavailable,
        )
        for attempt in range(1_000_000):
            door = self.ways.any_door(self.random, self.token)
            patience = self.random.uniform(0.0, 1.0) if attempt < self.most_cuts else 2 * SILENCE_SECONDS
            try:
                async with asyncio.timeout(patience):
                    self.response = await door.send(request)
            except TimeoutError:
                if attempt >= self.most_cuts:
                    raise FaultError(f"{self.name}: no answer after {patience:g} s") from None
                self.tally.cut("before the whole answer")
            except RefusedError as refused:
                # A failed turn is told with its failure's status, and UNAVAILABLE may be one.
                if not is_cut(refused) or self.turn_failed():
                    self.refusal = refused
                    return
                await asyncio.sleep(self.random.uniform(0.05, 0.5))
            except aiohttp.ClientPayloadError:
                await asyncio.sleep(self.random.uniform(0.05, 0.5))
            else:
                return


@dataclass(slots=True)
class Stopper:
    """Stops a turn through whichever door, and again when the call was cut: stopping is idempotent."""

    name: str
    ways: Ways
    token: str
    random: Random
    response: pb.StopReplyResponse | None = None
    stopped: bool = False
    """Whether one of the calls said that it was this that ended the turn."""

    async def stop(self, turn_id: str) -> None:
        """Calls until there is an answer. Raises FaultError."""
        while True:
            door = self.ways.any_door(self.random, self.token)
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    self.response = await door.stop(turn_id)
            except TimeoutError:
                raise FaultError(f"{self.name}: no receipt within {SILENCE_SECONDS:g} s") from None
            except RefusedError as refused:
                if not is_cut(refused):
                    raise FaultError(f"{self.name}: {refused}") from refused
            except aiohttp.ClientPayloadError:
                # The answer was cut.
                pass
            else:
                self.stopped = self.response.stopped
                return
            await asyncio.sleep(self.random.uniform(0.05, 0.5))

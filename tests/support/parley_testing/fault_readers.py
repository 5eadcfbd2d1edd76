"""Readers of one turn that are cut at random places and go on from where they were, through whichever door.

`DoorReader` resumes as the contract says a client does; `ClientReader` is the repository's Python client, which does so inside. They judge
nothing: what they saw is compared when the turn has ended.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from random import Random

import aiohttp
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2
from parley_client import Backoff, OnFailureName, Parley, ParleyError, TurnEvent, TurnFailed, TurnFailedError

from parley_testing.doors import Door, RefusedError
from parley_testing.fault_proxy import fault_proxy
from parley_testing.fault_transcripts import Transcript
from parley_testing.fault_ways import UNAVAILABLE, Ways, is_cut

SILENCE_SECONDS = 90.0
"""After which a stream that says nothing and does not end is a failure: no script, and no restart, takes as long."""
PATIENT = Backoff(attempts=10_000, first_seconds=0.05, most_seconds=1.0)
CUTS = ("none", "before the first event", "between events", "in mid-frame", "after the last event")
CUT_WEIGHTS = (1, 2, 4, 3, 1)


@dataclass(frozen=True, slots=True)
class Reattached:
    """A resume that gave an event."""

    broken: float
    """When the stream before it ended, `time.monotonic()`."""
    called: float
    """When the call was made that gave the event."""
    first_event: float


@dataclass(slots=True)
class Tally:
    """What the readers of a run did."""

    cuts: dict[str, int] = field(default_factory=dict)
    """By kind."""
    reattached: list[Reattached] = field(default_factory=list)

    def cut(self, kind: str) -> None:
        """Counts a cut."""
        self.cuts[kind] = self.cuts.get(kind, 0) + 1

    @property
    def all_cuts(self) -> int:
        """How many cuts there were."""
        return sum(self.cuts.values())


class FaultError(AssertionError):
    """A reader got what the contract does not allow."""


@dataclass(slots=True)
class DoorReader:
    """Reads a turn through the doors."""

    name: str
    ways: Ways
    token: str
    random: Random
    tally: Tally
    most_cuts: int
    request: pb.StreamReplyRequest | None = None
    """With it the reader sends the message; without it, it joins the turn."""
    transcript: Transcript = field(init=False)
    turn_known: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the first event is there."""
    slow: bool = False
    _cuts: int = 0
    _broken: float = 0.0
    _pause: float = 0.0

    def __post_init__(self) -> None:
        self.transcript = Transcript(self.name)

    @property
    def turn_id(self) -> str:
        """The turn; empty until its first event is here."""
        return self.transcript.turn_id

    @property
    def failed(self) -> bool:
        """Whether the turn has failed."""
        return self.transcript.outcome == "failed"

    async def read(self, turn_id: str = "") -> None:
        """Reads to the end of the turn, and once more behind it when the last cut was there. Raises FaultError."""
        self.transcript.turn_id = turn_id
        while True:
            kind = self.random.choices(CUTS, CUT_WEIGHTS)[0] if self._cuts < self.most_cuts else "none"
            try:
                cut = await self._attempt(kind)
            except RefusedError as refused:
                cut = False
                if self.transcript.outcome != "failed" and not is_cut(refused):
                    raise FaultError(f"{self.name} after {self.transcript.last}: {refused}") from refused
            if cut:
                self._cuts += 1
                self.tally.cut(kind)
            elif self.transcript.outcome:
                return
            self._broken = time.monotonic()
            if not cut:
                await asyncio.sleep(self._pause * self.random.uniform(0.5, 1.0))
                self._pause = min(max(0.05, 2 * self._pause), 1.0)

    async def _attempt(self, kind: str) -> bool:
        """One call. True when it was this reader that cut it."""
        async with AsyncExitStack() as stack:
            ways, proxy = self.ways, None
            if kind == "in mid-frame":
                most = self.random.choice((300, 1_500, 6_000))
                proxy = await stack.enter_async_context(
                    fault_proxy(self.ways.edge_port, lambda: self.random.randint(1, most))
                )
                ways = Ways(f"127.0.0.1:{proxy.port}")
            door = ways.any_door(self.random, self.token)
            try:
                return await self._read_until_cut(door, kind)
            except RefusedError:
                if proxy is not None and proxy.cuts:
                    return True
                raise
            except aiohttp.ClientPayloadError as error:
                if proxy is not None and proxy.cuts:
                    return True
                # A refusal whose body was cut.
                raise RefusedError(UNAVAILABLE, str(error)) from error

    async def _read_until_cut(self, door: Door, kind: str) -> bool:
        called = time.monotonic()
        limit = self.random.choice((1, 2, 3, 5, 10, 20))
        patience = self.random.choice((0.0, 0.002, 0.01, 0.03)) if kind == "before the first event" else SILENCE_SECONDS
        transcript = self.transcript
        stream = (
            door.resume(transcript.turn_id, transcript.last)
            if transcript.turn_id or self.request is None
            else door.stream(self.request)
        )
        count = 0
        async with aclosing(stream) as events:
            while True:
                try:
                    async with asyncio.timeout(patience):
                        event = await anext(events)
                except StopAsyncIteration:
                    # The contract calls a stream that ends without an outcome a cut one.
                    return False
                except TimeoutError:
                    if kind == "before the first event":
                        return True
                    raise FaultError(
                        f"{self.name}: nothing came for {SILENCE_SECONDS:g} s after {transcript.last} through {type(door).__name__}"
                    ) from None
                count += 1
                if count == 1:
                    self._note_first(called)
                transcript.take(event)
                self.turn_known.set()
                if transcript.outcome and kind == "after the last event":
                    return True
                if count >= limit and kind == "between events" and not transcript.outcome:
                    return True
                if self.slow:
                    await asyncio.sleep(self.random.choice((0.0, 0.05, 0.3)))

    def _note_first(self, called: float) -> None:
        if self._broken:
            self.tally.reattached.append(Reattached(self._broken, called, time.monotonic()))
        self._pause = 0.0


@dataclass(slots=True)
class ClientReader:
    """Reads a turn with the client library, whose connection is cut now and then."""

    name: str
    ways: Ways
    token: str
    random: Random
    tally: Tally
    most_cuts: int
    request: pb.StreamReplyRequest | None = None
    events: list[TurnEvent] = field(default_factory=list)
    turn_id: str = ""
    session_id: str = ""
    turn_known: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def failed(self) -> bool:
        """Whether the turn has failed."""
        return bool(self.events) and isinstance(self.events[-1], TurnFailed)

    async def read(self, turn_id: str = "") -> None:
        """Reads to the end of the turn. Raises FaultError."""
        cuts_left = self.most_cuts

        def budget() -> int | None:
            nonlocal cuts_left
            cuts_left -= 1
            return (
                self.random.choice((100, 700, 2_000, 4_000, 8_000)) + self.random.randint(0, 99)
                if cuts_left >= 0
                else None
            )

        async with fault_proxy(self.ways.edge_port, budget) as proxy:
            async with Parley.connect(
                f"127.0.0.1:{proxy.port}", token=self.token, backoff=PATIENT, stream_backoff=PATIENT
            ) as client:
                await self._read(client, turn_id)
            for _ in range(proxy.cuts):
                self.tally.cut("under the client library")

    async def _read(self, client: Parley, turn_id: str) -> None:
        request = self.request
        turn = (
            client.resume_reply(turn_id)
            if request is None
            else client.stream_reply(
                request.message,
                session_id=request.session_id,
                client_message_id=request.client_message_id,
                route="standard" if request.route == message_pb2.ROUTE_STANDARD else "enhanced",
                on_failure=_ON_FAILURE[request.on_failure],
            )
        )
        while True:
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    event = await anext(turn)
            except (StopAsyncIteration, TurnFailedError):
                return
            except TimeoutError:
                raise FaultError(f"{self.name}: nothing came for {SILENCE_SECONDS:g} s after {turn.sequence}") from None
            except ParleyError as error:
                raise FaultError(f"{self.name} after {turn.sequence}: {error!r}") from error
            self.turn_id, self.session_id = event.turn_id, turn.session_id
            self.events.append(event)
            self.turn_known.set()


_ON_FAILURE: dict[int, OnFailureName | None] = {
    message_pb2.ON_FAILURE_UNSPECIFIED: None,
    message_pb2.ON_FAILURE_CONTINUE: "continue",
    message_pb2.ON_FAILURE_RESTART: "restart",
    message_pb2.ON_FAILURE_FAIL: "fail",
}

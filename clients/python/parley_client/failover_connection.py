"""Two channels as one: each call goes to the side that serves its feature now, and on to the other one where that is safe.

It decides by circuits and placements, which others keep. A call that may have arrived is made again only where the contract, or the
user by `shared_data`, says that no harm can come of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from parley.system.v1 import system_service_pb2

from parley_client.channel_connection import ChannelConnection
from parley_client.connection import Connection, Request, Response, SideName
from parley_client.errors import ClientClosedError, ParleyError
from parley_client.failover import (
    FLAG_PREFIX,
    Failover,
    FailoverEvent,
    FailoverListener,
    Placement,
    placement_from,
    preference,
)
from parley_client.identity import Identity
from parley_client.rpc import Rpc
from parley_client.system import GET_HEALTH


class FailoverConnection(Connection):
    """Makes calls at the primary or at the secondary."""

    def __init__(
        self,
        primary: ChannelConnection,
        secondary: ChannelConnection,
        policy: Failover,
        *,
        timeout_seconds: float,
        on_failover: FailoverListener | None,
    ) -> None:
        self.identity = Identity(self)
        self.sides: dict[SideName, ChannelConnection] = {"primary": primary, "secondary": secondary}
        self._policy = policy
        self._placed: dict[str, Placement] = {str(feature): placement for feature, placement in policy.features.items()}
        self._timeout_seconds = timeout_seconds
        self._on_failover = on_failover
        self.flag_value: Callable[[str], str] = lambda name: ""
        """Tells the value of a flag, empty when it is off or not known."""
        self.on_move: Callable[[FailoverEvent], None] = lambda event: None
        """Is told of every move before the user's listener is."""
        self._serving: dict[str, SideName] = {}
        # What was moved because a side failed, and is not back yet.
        self._fled: set[str] = set()
        self._probes: dict[SideName, asyncio.Task[None]] = {}
        self._closed = False
        for side in self.sides.values():
            side.leaves = self._leaver(side)
            side.health.on_change = self.settle

    @property
    def shared_data(self) -> bool:
        """Whether both sides have the same data, as the user says."""
        return self._policy.shared_data

    def placement(self, feature: str) -> Placement:
        """Which side should serve a feature, by configuration, by flag, or by default."""
        if (configured := self._placed.get(feature)) is not None:
            return configured
        # The flags themselves are not moved by a flag: who reads it then?
        flagged = self.flag_value(f"{FLAG_PREFIX}{feature}") if self._policy.flags and feature != "flags" else ""
        return placement_from(flagged) or "primary"

    def side_of(self, feature: str) -> SideName:
        """Which side serves a feature now. The preferred one when none of them answers: a call is the best probe."""
        sides = preference(self.placement(feature))
        return next((side for side in sides if not self.sides[side].health.is_open(feature)), sides[0])

    def at(self, rpc: Rpc[Request, Response], *, side: SideName | None = None) -> ChannelConnection:
        """The channel of the side that serves the rpc now, or of the side that is named."""
        return self.sides[side or self._settle(rpc.feature)]

    async def call(
        self,
        rpc: Rpc[Request, Response],
        request: Request,
        *,
        timeout_seconds: float | None = None,
        cut_only: bool = False,
    ) -> Response:
        """Makes a unary call at the side that serves it, and at the other one when that is safe and the first does not answer."""
        deadline = time.monotonic() + (self._timeout_seconds if timeout_seconds is None else timeout_seconds)
        at = self.at(rpc)
        tried = {at.side}
        while True:
            try:
                return await at.call(
                    rpc, request, timeout_seconds=max(deadline - time.monotonic(), 0.001), cut_only=cut_only
                )
            except ParleyError as error:
                at = self._next(rpc, error, tried, repeatable=rpc.repeatable or cut_only)
                if time.monotonic() >= deadline:
                    raise

    async def stream(self, rpc: Rpc[Request, Response], request: Request) -> AsyncGenerator[Response, None]:
        """The messages of a server stream. It may begin at either side; once it has begun it stays there."""
        at = self.at(rpc)
        tried = {at.side}
        while True:
            begun = False
            try:
                async with aclosing(at.stream(rpc, request)) as messages:
                    async for message in messages:
                        begun = True
                        yield message
            except ParleyError as error:
                if begun:
                    raise
                at = self._next(rpc, error, tried, repeatable=rpc.repeatable)
            else:
                return

    async def upload(
        self,
        rpc: Rpc[Request, Response],
        requests: Callable[[], AsyncIterator[Request]],
        *,
        timeout_seconds: float,
    ) -> Response:
        """Makes a call whose request is a stream. Goes to the other side only when nothing of it was sent."""
        at = self.at(rpc)
        tried = {at.side}
        while True:
            try:
                return await at.upload(rpc, requests, timeout_seconds=timeout_seconds)
            except ParleyError as error:
                at = self._next(rpc, error, tried, repeatable=False)

    async def close(self) -> None:
        """Ends the probes and the running calls, and closes both channels."""
        self._closed = True
        probes = list(self._probes.values())
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)
        for side in self.sides.values():
            await side.close()

    def settle(self) -> None:
        """Looks again at who serves what: a circuit or a flag has changed."""
        for feature in list(self._serving):
            self._settle(feature)
        for name, side in self.sides.items():
            if side.health.any_open and name not in self._probes and not self._closed:
                self._probes[name] = asyncio.get_running_loop().create_task(self._probe(name, side))

    def _settle(self, feature: str) -> SideName:
        """The side that serves a feature now; tells when it is another than before."""
        now = self.side_of(feature)
        before = self._serving.get(feature, now)
        self._serving[feature] = now
        if before != now:
            if self.sides[before].health.is_open(feature):
                self._fled.add(feature)
                self._tell(FailoverEvent(feature, now, before, "failed"))
            else:
                recovered = feature in self._fled
                self._fled.discard(feature)
                self._tell(FailoverEvent(feature, now, before, "recovered" if recovered else "placed"))
        return now

    def _tell(self, event: FailoverEvent) -> None:
        self.on_move(event)
        if self._on_failover is None:
            return
        try:
            self._on_failover(event)
        except Exception as error:  # noqa: BLE001 - a listener's fault must not become a call's
            asyncio.get_running_loop().call_exception_handler(
                {"message": "on_failover raised", "exception": error, "event": event}
            )

    def _leaver(self, side: ChannelConnection) -> Callable[[Rpc[Any, Any]], bool]:
        return lambda rpc: self.side_of(rpc.feature) != side.side

    def _next(
        self, rpc: Rpc[Any, Any], error: ParleyError, tried: set[SideName], *, repeatable: bool
    ) -> ChannelConnection:
        """The other side, when the call is now served there and may be made again; raises the error otherwise."""
        other = self.at(rpc)
        harmless = rpc.read_only or (repeatable and self.shared_data)
        if other.side in tried or not (error.unsent or (error.cut and harmless)):
            raise error
        tried.add(other.side)
        return other

    async def _probe(self, name: SideName, side: ChannelConnection) -> None:
        """Asks a side for its health until all its circuits are closed."""
        failures = 1
        try:
            while side.health.any_open:
                await asyncio.sleep(self._policy.probe.pause_seconds(failures) or 0.0)
                answer = await side.probe(
                    GET_HEALTH,
                    system_service_pb2.GetHealthRequest(),
                    timeout_seconds=self._policy.probe_timeout_seconds,
                )
                good = answer is not None and answer.state == system_service_pb2.SERVING_STATE_SERVING
                failures = 1 if good else failures + 1
                side.health.probed(good=good)
        except ClientClosedError:
            # The client went away in the middle of a probe.
            return
        finally:
            self._probes.pop(name, None)

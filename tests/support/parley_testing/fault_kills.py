"""Kills processes of a running Parley with -9, or freezes them for some seconds, and knows when everything was calm."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from parley_testing.mesh import Mesh

BACK_SECONDS = 120.0
"""How long a killed process may take until its successor listens."""
SETTLE_SECONDS = 2.0
"""How long after that the mesh counts as shaken: the edge has to find out."""

Restart = Callable[[], Awaitable[None]]
"""Kills something that `parley up` does not run, and starts it again."""


@dataclass(slots=True)
class Kill:
    """One kill -9."""

    name: str
    time: float
    """`time.monotonic()`."""
    back: float = float("inf")
    """When the successor listened."""


class Kills:
    """What was killed, and when it was back."""

    def __init__(self, mesh: Mesh, others: Mapping[str, Restart] | None = None) -> None:
        self.history: list[Kill] = []
        self.frozen: list[Kill] = []
        """What was stopped where it was and went on later, as a process does whose machine had no time for it."""
        self._mesh = mesh
        self._others = dict(others or {})
        self._away: dict[str, asyncio.Task[None]] = {}
        self.names = (*(name for name in mesh.pids if name != "up"), *self._others)
        """Everything that can be killed."""

    def counts(self) -> Counter[str]:
        """How often what was killed."""
        return Counter(kill.name for kill in self.history)

    def calm(self, since: float, until: float) -> bool:
        """Whether nothing was away, or only just back, in a stretch of time."""
        return not any(
            kill.time <= until and since <= kill.back + SETTLE_SECONDS for kill in (*self.history, *self.frozen)
        )

    def last_before(self, moment: float, *names: str) -> Kill | None:
        """The last kill until a moment of a process whose name begins with one of these."""
        return next(
            (kill for kill in reversed(self.history) if kill.time <= moment and kill.name.startswith(names)), None
        )

    def away(self, since: float, until: float, *names: str, besides: Kill) -> bool:
        """Whether another process whose name begins with one of these was away in a stretch of time."""
        return any(
            kill is not besides and kill.name.startswith(names) and kill.time <= until and since <= kill.back
            for kill in (*self.history, *self.frozen)
        )

    def since(self, moment: float, name: str) -> int:
        """How many processes whose name begins so were killed or frozen since a moment."""
        return sum(kill.time >= moment and kill.name.startswith(name) for kill in (*self.history, *self.frozen))

    async def kill(self, name: str) -> None:
        """Kills one, when its last successor is there. Does not wait until it is back."""
        if (before := self._away.pop(name, None)) is not None:
            await before
        if name in self._others:
            kill = Kill(name, time.monotonic())
            self.history.append(kill)
            self._away[name] = asyncio.create_task(self._restart(kill))
            return
        pid = self._mesh.pids[name]
        os.kill(pid, signal.SIGKILL)
        kill = Kill(name, time.monotonic())
        self.history.append(kill)
        self._away[name] = asyncio.create_task(self._wait_until_back(kill, pid))

    async def freeze(self, name: str, seconds: float) -> None:
        """Stops a process where it is, and lets it go on after some seconds, unless it was killed meanwhile."""
        pid = self._mesh.pids.get(name)
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        frozen = Kill(name, time.monotonic())
        self.frozen.append(frozen)
        try:
            await asyncio.sleep(seconds)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
            frozen.back = time.monotonic()

    async def wait_until_all_are_back(self) -> None:
        """Waits for every successor. Raises AssertionError for one that does not come."""
        away = list(self._away.values())
        self._away.clear()
        for waiting in away:
            await waiting

    async def close(self) -> None:
        """Waits for nothing any more."""
        for waiting in self._away.values():
            waiting.cancel()
        await asyncio.gather(*self._away.values(), return_exceptions=True)

    async def _restart(self, kill: Kill) -> None:
        async with asyncio.timeout(BACK_SECONDS):
            await self._others[kill.name]()
        kill.back = time.monotonic()

    async def _wait_until_back(self, kill: Kill, old_pid: int) -> None:
        deadline = time.monotonic() + BACK_SECONDS
        while self._mesh.pids.get(kill.name) in {old_pid, None} or not await _listens(self._mesh.address(kill.name)):
            assert self._mesh.process.poll() is None, "parley up ended"
            assert time.monotonic() < deadline, f"{kill.name} was not back after {BACK_SECONDS:g} s"
            await asyncio.sleep(0.02)
        kill.back = time.monotonic()


async def kill_at_random(
    kills: Kills, random: Random, count: int, pause_seconds: float, may_kill: Callable[[str], bool]
) -> None:
    """Kills so many, each kind as often as the others, with pauses of this length on average; sometimes two or three at once."""
    deck: list[str] = []
    while len(kills.history) < count:
        # Now and then several die together.
        together = random.choices((1, 2, 3), (7, 2, 1))[0]
        await asyncio.sleep(together * pause_seconds * random.uniform(0.4, 1.6))
        for _ in range(min(together, count - len(kills.history))):
            if not deck:
                deck = list(kills.names)
                random.shuffle(deck)
            while not any(map(may_kill, deck)):  # noqa: ASYNC110 - turns end by themselves; nobody tells when
                await asyncio.sleep(0.1)
            name = next(filter(may_kill, deck))
            deck.remove(name)
            await kills.kill(name)
            await asyncio.sleep(random.choice((0.0, 0.05, 0.3)))


async def freeze_at_random(
    kills: Kills, random: Random, pause_seconds: float, may_freeze: Callable[[str], bool]
) -> None:
    """Freezes processes of chat for longer than their leases last, one after the other, until it is cancelled."""
    names = [name for name in kills.names if name.startswith("chat")]
    while True:
        await asyncio.sleep(pause_seconds * random.uniform(0.4, 1.6))
        name = random.choice(names)
        if may_freeze(name):
            await kills.freeze(name, random.uniform(2.5, 4.5))


async def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    return True

"""The user's flags, kept up to date in the background so that asking for one takes no time and never fails.

A value once known stays known through any outage. It changes no flags.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parley.flags.v1 import flag_service_pb2 as pb

from parley_client.errors import ClientClosedError, ParleyError
from parley_client.flags import WATCH_FLAGS
from parley_client.tokens import TokenError

if TYPE_CHECKING:
    from collections.abc import Callable

    from parley_client.connection import Connection, SideName

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0


@dataclass(frozen=True)
class KnownFlag:
    """What a flag was for the user when the client last heard."""

    enabled: bool
    value: str
    """What it says beside on; empty when it is off, and when it says nothing."""


class LiveFlags:
    """Watches flags from the first question on."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[SideName, dict[str, KnownFlag]] = {}
        self._side: SideName = "primary"
        self._watching: asyncio.Task[None] | None = None
        self._heard = asyncio.Event()
        self._closed = False
        self.on_change: Callable[[], None] = lambda: None
        """Is called after anything was heard."""

    def enabled(self, name: str, default: bool) -> bool:
        """Whether a flag is on, as far as is known; the default when it is not."""
        self.start()
        flag = self._flag(name, self._side)
        return default if flag is None else flag.enabled

    def value(self, name: str, default: str = "") -> str:
        """What a flag says beside on; the default when it is off, not known, or says nothing."""
        self.start()
        flag = self._flag(name, self._side)
        return flag.value or default if flag is not None else default

    def placement(self, name: str) -> str:
        """The value of a flag about failover: the primary's word, also while the secondary is the one that is watched."""
        self.start()
        flag = self._flag(name, "primary")
        return flag.value if flag is not None else ""

    async def ready(self, timeout_seconds: float) -> bool:
        """Waits until flags were heard once. False when that takes too long."""
        self.start()
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._heard.wait()
        except TimeoutError:
            return False
        return True

    def start(self) -> None:
        """Begins to watch, if nobody did."""
        if self._watching is None and not self._closed:
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    def restart(self) -> None:
        """Watches where flags are served now. What is known stays known."""
        if self._watching is not None and not self._closed:
            self._watching.cancel()
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def close(self) -> None:
        """Ends the watching."""
        self._closed = True
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    def _flag(self, name: str, first: SideName) -> KnownFlag | None:
        # What one side does not have, the other may: sides with data of their own have flags of their own.
        for side in (first, "primary", "secondary"):
            if (flag := self._known.get(side, {}).get(name)) is not None:
                return flag
        return None

    async def _watch(self) -> None:
        failures = 0
        while True:
            at = self._connection.at(WATCH_FLAGS)
            try:
                async with aclosing(at.stream(WATCH_FLAGS, pb.WatchFlagsRequest())) as messages:
                    async for message in messages:
                        failures = 0
                        self._side = at.side
                        self._known[at.side] = {
                            flag.name: KnownFlag(flag.enabled, flag.value) for flag in message.flags
                        }
                        self._heard.set()
                        self.on_change()
            except ClientClosedError:
                return
            except (ParleyError, TokenError):
                # Whatever it was, an older Parley without flags or a token that may not read them included, it may end.
                pass
            failures += 1
            longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(failures - 1, 20))
            await asyncio.sleep(random.uniform(0, longest))  # noqa: S311 - spreads clients in time; guards no secret

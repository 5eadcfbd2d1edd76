"""Whether a feature can be used now, as far as is known: from the calls that were made, and from Parley's own status in between.

Asking takes no time. It decides nothing: a call that is made all the same may succeed.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from parley.system.v1 import system_service_pb2 as pb

from parley_client.errors import (
    ClientClosedError,
    ParleyError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnimplementedError,
)
from parley_client.features import PartName, parts_of
from parley_client.system import GET_HEALTH, GET_STATUS
from parley_client.tokens import TokenError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parley_client.channel_connection import ChannelConnection
    from parley_client.connection import SideName

_PAUSE_SECONDS = 15.0
_TIMEOUT_SECONDS = 10.0
# What the health of the whole is about.
_WHOLE: frozenset[PartName] = frozenset({"chat", "inference"})


class Availability:
    """What is known of the sides of one client. Asks for their status from the first question on."""

    def __init__(self, sides: Sequence[ChannelConnection], side_of: Callable[[str], SideName]) -> None:
        self._sides = {side.side: side for side in sides}
        self._side_of = side_of
        self._away: dict[SideName, frozenset[str]] = {}
        """The services of a side that do not take calls."""
        self._asking: asyncio.Task[None] | None = None
        self._asked = asyncio.Event()
        self._closed = False

    def is_available(self, feature: str) -> bool:
        """Whether the side that serves a feature answers, and has what the feature needs. True as long as nothing speaks against it."""
        if self._asking is None and not self._closed:
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        side = self._side_of(feature)
        if self._sides[side].health.is_open(feature):
            return False
        return not (parts_of(feature) & self._away.get(side, frozenset()))

    async def close(self) -> None:
        """Ends the asking."""
        self._closed = True
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self) -> None:
        while True:
            try:
                for name, side in self._sides.items():
                    away = await self._away_at(side)
                    if away is not None:
                        self._away[name] = away
            except ClientClosedError:
                return
            await asyncio.sleep(random.uniform(_PAUSE_SECONDS / 2, _PAUSE_SECONDS))  # noqa: S311 - guards no secret

    async def _away_at(self, side: ChannelConnection) -> frozenset[str] | None:
        """The services of a side that take no calls; None when nobody answers, of which the side's circuits know."""
        if side.has_tokens:
            try:
                status = await side.call(GET_STATUS, pb.GetStatusRequest(), timeout_seconds=_TIMEOUT_SECONDS)
                return frozenset(each.service for each in status.services if each.state != pb.SERVING_STATE_SERVING)
            except (UnauthenticatedError, PermissionDeniedError, UnimplementedError, TokenError):
                # Everybody may ask for the health of the whole.
                pass
            except ClientClosedError:
                raise
            except ParleyError:
                return None
        try:
            health = await side.call(GET_HEALTH, pb.GetHealthRequest(), timeout_seconds=_TIMEOUT_SECONDS)
        except ClientClosedError:
            raise
        except ParleyError:
            return None
        return frozenset() if health.state == pb.SERVING_STATE_SERVING else _WHOLE

"""What a client knows beside its calls: its sides, the user's flags, and what is available. It joins them and decides nothing itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from parley_client.availability import Availability
from parley_client.failover_connection import FailoverConnection
from parley_client.live_flags import LiveFlags
from parley_client.system import GET_HEALTH

if TYPE_CHECKING:
    from parley_client.channel_connection import ChannelConnection
    from parley_client.connection import Connection, SideName
    from parley_client.failover import FailoverEvent


class Sides:
    """One side, or two."""

    def __init__(self, connection: Connection) -> None:
        self.flags = LiveFlags(connection)
        self.by_name: Mapping[SideName, ChannelConnection]
        self.side_of: Callable[[str], SideName]
        """Which side serves a feature now."""
        if isinstance(connection, FailoverConnection):
            self.by_name = connection.sides
            self.side_of = connection.side_of
            connection.flag_value = self.flags.placement
            connection.on_move = self._moved
            self.flags.on_change = connection.settle
        else:
            only = connection.at(GET_HEALTH)
            self.by_name = {only.side: only}
            self.side_of = lambda feature: only.side
        self.availability = Availability(tuple(self.by_name.values()), self.side_of)

    def channel(self, side: SideName) -> ChannelConnection:
        """The channel of a side. ValueError when there is no such side."""
        if side not in self.by_name:
            raise ValueError(f"this client has no {side}")
        return self.by_name[side]

    async def close(self) -> None:
        """Ends what runs in the background."""
        await asyncio.gather(self.flags.close(), self.availability.close())

    def _moved(self, event: FailoverEvent) -> None:
        if event.feature == "flags":
            self.flags.restart()

"""The ways into a Parley that is being disturbed: every door of the edge, and with replicas of chat each of them as well."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random

from parley_testing.doors import DOORS, Door, GrpcDoor, RefusedError

UNAVAILABLE = 14
ANSWERING_SECONDS = 90.0
ROUNDS_IN_A_ROW = 5
"""The edge balances calls: one round may pass by the process that does not answer yet."""


@dataclass(frozen=True, slots=True)
class Ways:
    """Where a call can go."""

    edge: str
    """host:port."""
    replicas: tuple[str, ...] = ()
    """host:port of each process of chat, when there are several; they speak gRPC."""

    @property
    def edge_port(self) -> int:
        """The port of the edge."""
        return int(self.edge.rpartition(":")[2])

    def any_door(self, random: Random, token: str) -> Door:
        """One of all ways. The process behind it may be gone: then another is tried."""
        if self.replicas and random.random() < 0.25:
            return GrpcDoor(random.choice(self.replicas), token)
        return random.choice(list(DOORS.values()))(self.edge, token)

    async def wait_until_all_answer(self, token: str, session_id: str) -> None:
        """Waits until every way lists a session's messages some times in a row. Raises TimeoutError when one does not."""
        doors: list[Door] = [door(self.edge, token) for door in DOORS.values()]
        doors += [GrpcDoor(replica, token) for replica in self.replicas]
        rounds = 0
        async with asyncio.timeout(ANSWERING_SECONDS):
            while rounds < ROUNDS_IN_A_ROW:
                try:
                    for door in doors:
                        await door.messages(session_id)
                except RefusedError as refused:
                    if not is_cut(refused):
                        raise
                    rounds = 0
                    await asyncio.sleep(0.2)
                else:
                    rounds += 1


def is_cut(refused: RefusedError) -> bool:
    """Whether the way broke, rather than Parley answering no: UNAVAILABLE, or a stream that the edge reset behind its first event."""
    return refused.code == UNAVAILABLE or "RST_STREAM" in refused.words or "Stream removed" in refused.words

"""Which replica writes which turn.

A replica has one lease for all its turns, and renews it while it lives. A turn whose owner has no lease any more is anybody's: the
first to claim it gets it with a higher fence, and whoever comes back with the lower one is refused by the log and by the conversations.
"""

from __future__ import annotations

from typing import Protocol

from parley_chat.domain.turn import Turn


class AnotherReplicaError(Exception):
    """Another replica lives whose log this one cannot read, or the reverse: neither could go on with the other's turns."""


class TurnOwnership(Protocol):
    """This replica's part in it."""

    @property
    def replica_id(self) -> str:
        """Names this process, and no other, ever."""
        ...

    @property
    def lease_seconds(self) -> float:
        """How long a replica is believed to live after it last renewed its lease."""
        ...

    async def join(self, *, has_shared_log: bool, is_only_process: bool) -> None:
        """Begins this replica's lease.

        With `is_only_process`, all others are declared dead. Otherwise raises AnotherReplicaError when others live, unless all share
        their log.
        """
        ...

    async def renew(self) -> None:
        """Renews the lease, also one that ran out."""
        ...

    async def claim(self, limit: int) -> list[Turn]:
        """Takes turns whose owners are dead, the oldest first."""
        ...

    async def release(self, turn: Turn) -> None:
        """Gives a turn back, unless somebody else has it: the next who claims gets it."""
        ...

    async def leave(self) -> None:
        """Ends the lease: whatever this replica still has can be claimed at once."""
        ...

    async def request_stop(self, turn_id: str) -> bool:
        """Asks the owner, whoever it is or will be, to stop a turn. True for the first to ask while it runs."""
        ...

    async def stop_requests(self) -> list[str]:
        """Lists this replica's running turns that somebody asked to stop."""
        ...

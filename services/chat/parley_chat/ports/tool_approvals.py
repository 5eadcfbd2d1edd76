"""Where the consent of users to calls of tools is kept. Whichever replica writes a turn, any may take its user's decision."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from parley_chat.domain.tool_approvals import Decision, ToolApproval
from parley_chat.domain.turn import Turn


@dataclass(frozen=True, slots=True)
class ApprovalCursor:
    """The last of a page; the next one goes on after it."""

    create_time: datetime
    tool_call_id: str


class ToolApprovals(Protocol):
    """The consent of all users."""

    async def ask(self, turn: Turn, approvals: Sequence[ToolApproval]) -> Sequence[ToolApproval]:
        """Stores what a turn asks, and gives it as stored: what an earlier process asked already is as it is by now.

        Raises TurnLogFencedError when the turn has ended, or is another process's.
        """
        ...

    async def state_of(self, turn_ids: Collection[str]) -> Sequence[ToolApproval]:
        """All that these turns have asked."""
        ...

    async def get(self, user_id: str, turn_id: str, tool_call_id: str) -> ToolApproval:
        """One of a user's. Raises NotFoundError."""
        ...

    async def decide(
        self, user_id: str, turn_id: str, tool_call_id: str, decision: Decision, now: datetime
    ) -> ToolApproval:
        """Stores a decision if there is none, and gives what is stored. Raises NotFoundError.

        One whose time is over expires instead.
        """
        ...

    async def expire(self, turn_id: str, now: datetime) -> Sequence[ToolApproval]:
        """Ends those of a turn whose time is over, and gives all that the turn has asked."""
        ...

    async def pending(
        self, user_id: str, turn_id: str, limit: int, after: ApprovalCursor | None, now: datetime
    ) -> Sequence[ToolApproval]:
        """Lists those that a user can decide, the oldest first; of one turn, or of all when it is empty."""
        ...

    async def start(self, turn_id: str, tool_call_id: str, now: datetime) -> bool:
        """Notes that a call begins whose effect cannot be taken back. False when that was noted before."""
        ...

"""What tools do to the world, and the user's consent to their calls. Not which tools there are, and not how a turn waits."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

MOST_REASON_CHARACTERS = 1_000
"""Of why a user denied."""


class ToolEffect(StrEnum):
    """What a tool does."""

    READ = "read"
    """Looks, and changes nothing."""
    WRITE = "write"
    """Makes or changes what the user keeps in Parley."""
    DELETE = "delete"
    """Deletes what the user keeps in Parley, for good."""
    EXTERNAL = "external"
    """Acts outside of Parley, which cannot take it back."""


class ApprovalState(StrEnum):
    """How far the user's consent to a call is."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    """The user did not decide in time."""
    CLOSED = "closed"
    """The turn ended before the user decided."""


@dataclass(frozen=True, slots=True)
class ConsentPolicy:
    """Which calls of tools wait for the user."""

    asks: Collection[str]
    """Names of tools, and effects. What is not in it runs without asking, unless the tool itself wants to be asked about."""

    def needs_approval(self, tool: str, effect: ToolEffect, own_wish: bool | None) -> bool:
        """Decides for a tool: named is asked for; then counts what the tool's source says, and then its effect."""
        if tool in self.asks:
            return True
        return effect.value in self.asks if own_wish is None else own_wish


@dataclass(frozen=True, slots=True)
class ToolApproval:
    """A call that the user is asked about."""

    tool_call_id: str
    turn_id: str
    session_id: str
    tool: str
    effect: ToolEffect
    arguments_json: str
    """As the model wrote it."""
    state: ApprovalState
    create_time: datetime
    expire_time: datetime
    decide_time: datetime | None = None
    """When it stopped to be pending."""
    edited_arguments_json: str = ""
    """What the user lets it run with instead; empty when they changed nothing."""
    reason: str = ""
    """Why the user denied."""

    def is_open(self, now: datetime) -> bool:
        """Whether the user can still decide."""
        return self.state is ApprovalState.PENDING and now < self.expire_time

    def ended(self, state: ApprovalState, now: datetime) -> ToolApproval:
        """The same, no longer pending."""
        return replace(self, state=state, decide_time=now)

    def answered(self, decision: Decision, now: datetime) -> ToolApproval:
        """The same with what the user decided."""
        return replace(
            self.ended(ApprovalState.APPROVED if decision.approves else ApprovalState.DENIED, now),
            edited_arguments_json=self._edited(decision),
            reason=decision.reason,
        )

    def was_answered(self, decision: Decision) -> bool:
        """Whether the user decided the same before. A denial is the same for another reason too."""
        if decision.approves:
            return self.state is ApprovalState.APPROVED and _same(self.edited_arguments_json, self._edited(decision))
        return self.state is ApprovalState.DENIED

    def _edited(self, decision: Decision) -> str:
        return "" if _same(decision.arguments_json, self.arguments_json) else decision.arguments_json


@dataclass(frozen=True, slots=True)
class Decision:
    """What a user decides about a call."""

    approves: bool
    arguments_json: str = ""
    """What it shall run with instead, checked; empty for the model's own."""
    reason: str = ""
    """Why the user denies."""


def _same(one: str, other: str) -> bool:
    """Whether two texts are the same JSON, or the same text."""
    if one == other:
        return True
    try:
        return bool(json.loads(one) == json.loads(other))
    except (ValueError, RecursionError):
        return False

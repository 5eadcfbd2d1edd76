"""Where budgets are kept, what is spent of them and what is held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from parley_chat.domain.budgets import Budget, BudgetState, Wish
from parley_chat.domain.conversation import Route


@dataclass(frozen=True, slots=True)
class Holder:
    """A text for which is held."""

    user_id: str
    holder_id: str
    """The turn's id, or a name of a text's own."""
    expire_time: datetime | None
    """After which nothing is held for it any more, because its process must be gone; None for a turn, whose state tells."""


class BudgetBooks(Protocol):
    """Holds for texts that are being written. What was held is settled where usage is recorded: in the transaction of the record.

    Each method is one transaction. Exact, however many processes hold for a user at the same time.
    """

    async def hold(self, holder: Holder, wish: Wish, now: datetime) -> int | None:
        """Holds in all budgets of the user, in place of what the holder held before. Gives how many tokens of output are granted, `least`
        to `wished` of the wish; None when the user has no budgets.

        Raises BudgetExceededError, and what was held before stays.
        """
        ...

    async def check(self, user_id: str, now: datetime) -> bool:
        """Whether the user has budgets. Raises BudgetExceededError when nothing is left of one."""
        ...

    async def release(self, holder: Holder) -> None:
        """Gives back what is held for a text that took nothing."""
        ...


class Budgets(Protocol):
    """Keeps budgets. Each method is one transaction; a change is told as an event in the same."""

    async def states(self, user_id: str, now: datetime) -> Sequence[BudgetState]:
        """Lists the operator's budgets for the user, and the user's own, the oldest first."""
        ...

    async def add(self, user_id: str, budget: Budget, now: datetime) -> BudgetState:
        """Keeps a new budget of the user's. Raises TooManyBudgetsError."""
        ...

    async def put(self, user_id: str, budget: Budget, now: datetime) -> BudgetState:
        """Replaces the name and the limits of a budget of the user's own. Raises NotFoundError."""
        ...

    async def remove(self, user_id: str, budget_id: str, now: datetime) -> None:
        """Deletes a budget of the user's own. Raises NotFoundError."""
        ...

    async def usual_output_tokens(self, user_id: str, route: Route) -> Sequence[int]:
        """How many tokens the user's last answers of a route had, at most 50 of those that became whole."""
        ...

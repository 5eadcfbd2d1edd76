"""Where it is kept what models took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from parley_chat.domain.usage import UsageRecord, UsageRow, UsageSpan


class UsageLedger(Protocol):
    """Keeps records for good. Those of answers are written with the answer, in its transaction, and not here."""

    async def add(self, record: UsageRecord, holder_id: str = "") -> None:
        """Keeps a record, and in the same transaction settles what is held for it in budgets under this name."""
        ...

    async def sums(self, span: UsageSpan, limit: int) -> tuple[Sequence[UsageRow], UsageRow]:
        """Adds up: at most `limit` rows, one for each combination of the dimensions that occurs, sorted by them; and all together."""
        ...

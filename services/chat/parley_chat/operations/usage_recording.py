"""Records what texts took that are no answers of a session. Whoever wrote one does not wait, and may be gone before it is recorded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine

from parley_chat.domain.usage import UsageRecord
from parley_chat.operations.spending import TextSpending
from parley_chat.ports.tracing import Tracing
from parley_chat.ports.usage_ledger import UsageLedger

logger = logging.getLogger(__name__)


class UsageRecording:
    """Writes records behind the backs of those who note them: as many at once as texts may end at once, which admission bounds."""

    def __init__(
        self, ledger: UsageLedger, tracing: Tracing, *, on_record: Callable[[UsageRecord], None] = lambda record: None
    ) -> None:
        """`on_record` is told of each record. It must neither wait nor fail."""
        self._on_record = on_record
        self._ledger = ledger
        self._tracing = tracing
        self._writing: set[asyncio.Task[None]] = set()

    def note(self, record: UsageRecord, *, holder_id: str = "") -> None:
        """Takes a record to be written, which settles what was held for it. Never fails."""
        self._on_record(record)
        self._do(self._write(record, holder_id))

    def give_back(self, spending: TextSpending) -> None:
        """Has given back what is held for a text of which there is no record. Never fails."""
        self._do(self._give_back(spending))

    def _do(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name="usage", context=self._tracing.detached_context())
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def close(self) -> None:
        """Waits until everything is written."""
        while self._writing:
            await asyncio.wait(self._writing)

    async def _give_back(self, spending: TextSpending) -> None:
        try:
            await spending.give_back()
        except Exception:
            # It expires by itself.
            logger.exception("what was held in budgets could not be given back")

    async def _write(self, record: UsageRecord, holder_id: str) -> None:
        try:
            await self._ledger.add(record, holder_id)
        except Exception:
            # The text is with its user already, and there is nobody to tell but the operator.
            logger.exception("usage could not be recorded", extra={"purpose": record.purpose.value})

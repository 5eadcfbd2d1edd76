"""Records what texts took that are no answers of a session. Whoever wrote one does not wait, and may be gone before it is recorded."""

from __future__ import annotations

import asyncio
import logging

from parley_chat.domain.usage import UsageRecord
from parley_chat.ports.tracing import Tracing
from parley_chat.ports.usage_ledger import UsageLedger

logger = logging.getLogger(__name__)


class UsageRecording:
    """Writes records behind the backs of those who note them: as many at once as texts may end at once, which admission bounds."""

    def __init__(self, ledger: UsageLedger, tracing: Tracing) -> None:
        self._ledger = ledger
        self._tracing = tracing
        self._writing: set[asyncio.Task[None]] = set()

    def note(self, record: UsageRecord) -> None:
        """Takes a record to be written. Never fails."""
        task = asyncio.create_task(self._write(record), name="usage", context=self._tracing.detached_context())
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def close(self) -> None:
        """Waits until everything is written."""
        while self._writing:
            await asyncio.wait(self._writing)

    async def _write(self, record: UsageRecord) -> None:
        try:
            await self._ledger.add(record)
        except Exception:
            # The text is with its user already, and there is nobody to tell but the operator.
            logger.exception("usage could not be recorded", extra={"purpose": record.purpose.value})

"""The audit trail as it is kept: gathered, listed, and forgotten after its time. How entries are made: identity_audit.py."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from parley_chat.domain.audit import AuditEntry, AuditQuery, Deed
from parley_chat.ports.audit_log import AuditLog

logger = logging.getLogger(__name__)

GATHERED_MOST = 500
"""Entries that wait to be written. What comes when there are so many is left out, and told: it is in the log."""
WRITE_SECONDS = 1.0
FORGET_SECONDS = 3600.0
FORGOTTEN_AT_ONCE = 500
"""So that other writers need not wait long."""

_Key = tuple[Deed, str, datetime | None, str]


class AuditBook:
    """The use cases. `start` and `close` frame its life."""

    def __init__(self, log: AuditLog, retention: timedelta, now: Callable[[], datetime]) -> None:
        self._log = log
        self._retention = retention
        self._now = now
        self._gathered: dict[_Key, AuditEntry] = {}
        self._left_out = 0
        self._came = asyncio.Event()
        """Set while something is gathered."""
        self._writing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins to write what is gathered, and to forget what is old."""
        self._tasks = [
            asyncio.create_task(self._write_when_gathered(), name="write the audit trail"),
            asyncio.create_task(self._forget_at_times(), name="forget old audit events"),
        ]

    async def close(self) -> None:
        """Ends both, and writes what is gathered."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        try:
            await self._write_gathered()
        except Exception:
            logger.warning("the last of the audit trail could not be written", exc_info=True)

    async def write(self, entry: AuditEntry) -> None:
        """Writes an entry that belongs to no other change of the database."""
        await self._log.write([entry])

    def gather(self, entry: AuditEntry) -> None:
        """Takes an entry whose deed is folded, and that is too cheap to bring about for a write each time. It is written within moments."""
        key = (entry.deed, entry.user_id, entry.window_start, entry.address)
        there = self._gathered.get(key)
        if there is not None:
            newer = replace(entry, audit_event_id=there.audit_event_id, create_time=there.create_time)
            self._gathered[key] = replace(newer, count=there.count + entry.count, last_time=entry.newest_time)
        elif len(self._gathered) < GATHERED_MOST:
            self._gathered[key] = entry
        else:
            self._left_out += 1
        self._came.set()

    async def list(self, query: AuditQuery, *, limit: int, before: str) -> list[AuditEntry]:
        """Entries, newest first, at most `limit`, beginning after the one of this id: what this process has gathered among them."""
        await self._write_gathered()
        return await self._log.page(query, limit=limit, before=before)

    async def forget_old(self) -> None:
        """Deletes what is older than it may get."""
        before = self._now() - self._retention
        forgotten = FORGOTTEN_AT_ONCE
        while forgotten >= FORGOTTEN_AT_ONCE:
            forgotten = await self._log.forget(before, most=FORGOTTEN_AT_ONCE)

    async def _write_gathered(self) -> None:
        async with self._writing:
            while self._gathered:
                key, entry = next(iter(self._gathered.items()))
                # What comes while it is written is gathered anew; what cannot be written is kept for the next time.
                del self._gathered[key]
                try:
                    await self._log.write([entry])
                except BaseException:
                    self._put_back(key, entry)
                    raise
            self._came.clear()
            left_out, self._left_out = self._left_out, 0
        if left_out:
            logger.warning("entries of the audit trail were left out", extra={"count": left_out})

    def _put_back(self, key: _Key, entry: AuditEntry) -> None:
        newer = self._gathered.pop(key, None)
        self._gathered[key] = entry
        if newer is not None:
            self.gather(newer)

    async def _write_when_gathered(self) -> None:
        while True:
            await self._came.wait()
            await asyncio.sleep(WRITE_SECONDS)
            try:
                await self._write_gathered()
            except Exception:
                # Kept, and tried again in a moment.
                logger.warning("the audit trail could not be written", exc_info=True)

    async def _forget_at_times(self) -> None:
        while True:
            try:
                await self.forget_old()
            except Exception:
                logger.warning("old audit events could not be forgotten", exc_info=True)
            await asyncio.sleep(FORGET_SECONDS)

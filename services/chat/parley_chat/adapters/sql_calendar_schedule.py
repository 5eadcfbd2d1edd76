"""Which calendar accounts are due, in SQL, for all replicas.

Times are those of the process: what they decide is minutes apart, and a claim that another clock ends too early is shut out by its fence.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from parley_shared.sql import Database, UtcDateTime
from sqlalchemy import ColumnElement, and_, case, func, literal, or_, select, update

from parley_chat.adapters.sql_calendar import to_account
from parley_chat.adapters.sql_calendar_schema import calendar_accounts
from parley_chat.ports.calendar import SyncClaim

_BETWEEN_NOTICES = timedelta(seconds=10)


class SqlCalendarSchedule:
    """The port `CalendarSchedule`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """Reads along the index."""
        query = (
            select(calendar_accounts.c.user_id, calendar_accounts.c.account_id)
            .where(_is_due(now))
            .order_by(calendar_accounts.c.next_sync_time)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return [(row.user_id, row.account_id) for row in await connection.execute(query)]

    async def next_time(self) -> datetime | None:
        """Reads the first entry of the index."""
        query = select(func.min(calendar_accounts.c.next_sync_time)).where(
            calendar_accounts.c.next_sync_time.is_not(None), calendar_accounts.c.lease_expire_time.is_(None)
        )
        async with self._database.read() as connection:
            found: datetime | None = (await connection.execute(query)).scalar_one()
            return found

    async def claim(self, user_id: str, account_id: str, now: datetime, expire_time: datetime) -> SyncClaim | None:
        """Updates the row of an account that is due: the second of two that try waits for the first and finds it claimed."""
        claiming = (
            update(calendar_accounts)
            .where(calendar_accounts.c.account_id == account_id, calendar_accounts.c.user_id == user_id, _is_due(now))
            .values(lease_expire_time=expire_time, next_sync_time=expire_time, fence=calendar_accounts.c.fence + 1)
            .returning(calendar_accounts)
        )
        async with self._database.write() as connection:
            row = (await connection.execute(claiming)).first()
        if row is None:
            return None
        return SyncClaim(user_id, to_account(row), row.sealed, row.progress, row.fence, row.failures, expire_time)

    async def notice(self, notice_hash: str, now: datetime) -> bool:
        """Moves the time towards now."""
        table = calendar_accounts.c
        is_rested = or_(table.last_sync_time.is_(None), table.last_sync_time < now - _BETWEEN_NOTICES)
        time = case((is_rested, literal(now, UtcDateTime)), else_=literal(now + _BETWEEN_NOTICES, UtcDateTime))
        noticing = (
            update(calendar_accounts)
            .where(table.notice_hash == notice_hash)
            .values(next_sync_time=case((table.next_sync_time > time, time), else_=table.next_sync_time))
        )
        async with self._database.write() as connection:
            return bool((await connection.execute(noticing)).rowcount)


def _is_due(now: datetime) -> ColumnElement[bool]:
    lease = calendar_accounts.c.lease_expire_time
    return and_(calendar_accounts.c.next_sync_time <= now, or_(lease.is_(None), lease <= now))

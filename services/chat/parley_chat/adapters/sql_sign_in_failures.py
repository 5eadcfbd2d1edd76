"""Sign-ins that failed, counted in the SQL database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from parley_shared.sql import Database
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from parley_chat.adapters.sql_schema import sign_in_failures
from parley_chat.domain.sign_in_delays import FORGOTTEN_AFTER, FailureKey


class SqlSignInFailures:
    """The port `SignInFailures`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def wait_seconds(self, keys: Sequence[FailureKey], now: datetime) -> float:
        query = select(sign_in_failures.c.retry_time).where(sign_in_failures.c.key.in_([key.name for key in keys]))
        async with self._database.read() as connection:
            times: list[datetime] = [row.retry_time for row in await connection.execute(query)]
        return max([0.0, *((time - now).total_seconds() for time in times)])

    async def add(self, keys: Sequence[FailureKey], now: datetime) -> None:
        for key in keys:
            try:
                await self._add(key, now)
            except IntegrityError:
                # Two were the first at the same time: this one is the second.
                await self._add(key, now)

    async def forget(self, key: FailureKey) -> None:
        async with self._database.write() as connection:
            await connection.execute(delete(sign_in_failures).where(sign_in_failures.c.key == key.name))

    async def _add(self, key: FailureKey, now: datetime) -> None:
        table = sign_in_failures
        old = delete(table).where(table.c.fail_time < now - FORGOTTEN_AFTER)
        find = select(table.c.failures).where(table.c.key == key.name).with_for_update()
        async with self._database.write() as connection:
            await connection.execute(old)
            before = (await connection.execute(find)).scalar_one_or_none()
            failures = (before or 0) + 1
            retry_time = now + timedelta(seconds=key.rule.seconds_after(failures))
            values = {"failures": failures, "fail_time": now, "retry_time": retry_time}
            if before is None:
                await connection.execute(insert(table).values(key=key.name, **values))
            else:
                await connection.execute(update(table).where(table.c.key == key.name).values(**values))

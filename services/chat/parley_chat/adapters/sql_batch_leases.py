"""The port `BatchLeases` in SQL: who writes which line, and what became of it. Leases run by the database's clock.

Every write of a line holds its batch's row first, and keeps up the sums there in the same transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from parley_shared.sql import Database
from sqlalchemy import ColumnElement, Row, and_, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_chat.adapters.sql_batch_rows import (
    ACTIVE,
    OPEN,
    RETURNED,
    end_if_finished,
    failure_text,
    hold_batch,
    later,
    to_batch,
)
from parley_chat.adapters.sql_batch_schema import batch_lines as lines
from parley_chat.adapters.sql_batch_schema import batches
from parley_chat.adapters.sql_events import NO_NEWS, hold_user, record
from parley_chat.domain.batches import Batch, BatchLine, BatchState, LineFailure, LineForm, LineState, Spent
from parley_chat.domain.conversation import Failure
from parley_chat.domain.events import Action, changed_batch
from parley_chat.ports.batches import ClaimedLine, LineClaim
from parley_chat.ports.event_log import EventNews

_PENDING, _RUNNING = LineState.PENDING.value, LineState.RUNNING.value
_SEVERAL = 16
"""How many batches are tried, where other processes take lines of the first ones in the same moment."""
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class SqlBatchLeases:
    """The part of one process."""

    def __init__(self, database: Database, lease_seconds: float, news: EventNews = NO_NEWS) -> None:
        self._database = database
        self._lease = timedelta(seconds=lease_seconds)
        self._news = news
        self._worker_id = f"wrk_{uuid4().hex}"

    async def free_all(self) -> None:
        """Ends all leases."""
        running = select(batches.c.batch_id).where(batches.c.running_count > 0)
        async with self._database.write() as connection:
            await connection.execute(
                update(lines)
                .where(lines.c.batch_id.in_(running), lines.c.state == _RUNNING)
                .values(lease_expire_time=_LONG_AGO)
            )

    async def claim(self) -> ClaimedLine | None:
        """Looks for the batch whose turn it is, and takes its first line."""
        async with self._database.read() as connection:
            # Mostly there is nothing to do, and then nothing is locked.
            order = _by_turn((await connection.execute(self._candidates())).all())
        for batch_id in order[:_SEVERAL]:
            async with self._database.write() as connection:
                claimed = await self._claim(connection, batch_id)
            if claimed is not None:
                return claimed
        return None

    async def _claim(self, connection: AsyncConnection, batch_id: str) -> ClaimedLine | None:
        mine = select(batches.c.user_id).where(batches.c.batch_id == batch_id, self._is_due())
        user_id = (await connection.execute(mine.with_for_update(skip_locked=True))).scalar_one_or_none()
        if user_id is None:
            return None
        first = select(lines.c.number).where(lines.c.batch_id == batch_id).order_by(lines.c.number).limit(1)
        first = first.with_for_update(skip_locked=True)
        number = (await connection.execute(first.where(self._is_orphan()))).scalar_one_or_none()
        was_pending = number is None
        if was_pending:
            number = (await connection.execute(first.where(self._is_waiting()))).scalar_one_or_none()
        if number is None:
            return None
        taken = await connection.execute(
            update(lines)
            .where(lines.c.batch_id == batch_id, lines.c.number == number)
            .values(
                state=_RUNNING,
                worker_id=self._worker_id,
                fence=lines.c.fence + 1,
                lease_expire_time=later(self._database, self._lease),
                attempt_count=lines.c.attempt_count + 1,
                next_attempt_time=None,
            )
            .returning(
                lines.c.name, lines.c.form, lines.c.request, lines.c.fence, lines.c.attempt_count.label("attempt")
            )
        )
        row = taken.one()
        now = later(self._database)
        changed: dict[str, Any] = {"state": BatchState.RUNNING.value, "claim_time": now}
        changed["start_time"] = func.coalesce(batches.c.start_time, now)
        if was_pending:
            changed["pending_count"] = batches.c.pending_count - 1
            changed["running_count"] = batches.c.running_count + 1
        await connection.execute(update(batches).where(batches.c.batch_id == batch_id).values(changed))
        return ClaimedLine(
            LineClaim(user_id, batch_id, number, row.fence),
            BatchLine(number, row.name, LineForm(row.form), row.request),
            row.attempt,
        )

    async def renew(self, claims: Sequence[LineClaim]) -> None:
        """Moves the ends of leases on."""
        if not claims:
            return
        async with self._database.write() as connection:
            await connection.execute(
                update(lines).where(self._are_mine(claims)).values(lease_expire_time=later(self._database, self._lease))
            )

    async def lost(self, claims: Sequence[LineClaim]) -> Collection[LineClaim]:
        """Looks for the rows that are held."""
        if not claims:
            return []
        query = select(lines.c.batch_id, lines.c.number, lines.c.fence).where(self._are_mine(claims))
        async with self._database.read() as connection:
            held = {(row.batch_id, row.number, row.fence) for row in await connection.execute(query)}
        return [claim for claim in claims if (claim.batch_id, claim.number, claim.fence) not in held]

    async def complete(self, claim: LineClaim, result: str, spent: Spent) -> bool:
        """Writes the result."""
        return await self._end(claim, {"state": LineState.COMPLETED.value, "result": result}, "completed_count", spent)

    async def fail(self, claim: LineClaim, failure: LineFailure, spent: Spent) -> bool:
        """Writes the failure."""
        failed = {"state": LineState.FAILED.value, "failure": failure_text(failure)}
        return await self._end(claim, failed, "failed_count", spent)

    async def postpone(self, claim: LineClaim, delay: timedelta, rest: timedelta, spent: Spent) -> bool:
        """Writes the time of the next attempt."""
        waiting = {"state": _PENDING, "next_attempt_time": later(self._database, delay)}
        resting = {"rest_until_time": later(self._database, rest)}
        async with self._database.write() as connection:
            return await self._write(connection, claim, waiting, "pending_count", spent, resting) is not None

    async def release(self, claim: LineClaim, spent: Spent) -> bool:
        """Takes the attempt back."""
        async with self._database.write() as connection:
            return await self._write(connection, claim, _GIVEN_BACK, "pending_count", spent) is not None

    async def pause(self, claim: LineClaim, failure: Failure, spent: Spent) -> bool:
        """Takes the attempt back and changes the batch. The second line that meets the same changes nothing more."""
        now = datetime.now(UTC)
        async with self._database.write() as connection:
            await hold_user(connection, claim.user_id)
            if await self._write(connection, claim, _GIVEN_BACK, "pending_count", spent) is None:
                return False
            paused = await connection.execute(
                update(batches)
                .where(batches.c.batch_id == claim.batch_id, batches.c.state.in_(ACTIVE))
                .values(state=BatchState.PAUSED.value, pause_reason=failure.reason, pause_message=failure.message)
                .returning(*RETURNED)
            )
            row = paused.first()
            if row is not None:
                change = changed_batch(Action.UPDATED, to_batch(row))
                await record(connection, claim.user_id, [change], now)
        self._news.tell(claim.user_id)
        return True

    async def end_finished(self) -> Sequence[Batch]:
        """Looks for them, and ends each."""
        query = select(batches.c.user_id, batches.c.batch_id).where(
            batches.c.state.in_(OPEN), batches.c.pending_count == 0, batches.c.running_count == 0
        )
        async with self._database.read() as connection:
            found = (await connection.execute(query)).all()
        ended = [await end_if_finished(self._database, user_id, batch_id) for user_id, batch_id in found]
        for batch in ended:
            if batch is not None:
                self._news.tell(batch.user_id)
        return [batch for batch in ended if batch is not None]

    async def _end(self, claim: LineClaim, values: Mapping[str, Any], counter: str, spent: Spent) -> bool:
        async with self._database.write() as connection:
            left = await self._write(connection, claim, values, counter, spent)
        if left is None:
            return False
        if left == 0 and await end_if_finished(self._database, claim.user_id, claim.batch_id):
            self._news.tell(claim.user_id)
        return True

    async def _write(
        self,
        connection: AsyncConnection,
        claim: LineClaim,
        values: Mapping[str, Any],
        counter: str,
        spent: Spent,
        of_batch: Mapping[str, Any] | None = None,
    ) -> int | None:
        """Writes a line that is held, and counts it; gives how many lines have not ended, None when the claim does not hold."""
        if not await hold_batch(connection, claim.batch_id):
            return None
        held = and_(
            lines.c.batch_id == claim.batch_id,
            lines.c.number == claim.number,
            lines.c.worker_id == self._worker_id,
            lines.c.fence == claim.fence,
            lines.c.state == _RUNNING,
        )
        written = await connection.execute(update(lines).where(held).values(dict(values)))
        changed: dict[str, Any] = {
            "input_tokens": batches.c.input_tokens + spent.input_tokens,
            "output_tokens": batches.c.output_tokens + spent.output_tokens,
            "cost_usd_micros": batches.c.cost_usd_micros + spent.cost_usd_micros,
            "unpriced_count": batches.c.unpriced_count + spent.unpriced_count,
        }
        if spent.estimated:
            changed["estimated"] = True
        if written.rowcount:
            changed |= {"running_count": batches.c.running_count - 1, counter: batches.c[counter] + 1}
            changed |= of_batch or {}
        summed = await connection.execute(
            update(batches)
            .where(batches.c.batch_id == claim.batch_id)
            .values(changed)
            .returning((batches.c.pending_count + batches.c.running_count).label("left"))
        )
        left: int = summed.one().left
        return left if written.rowcount else None

    def _candidates(self) -> Any:
        of_batch = lines.c.batch_id == batches.c.batch_id
        # Two questions, each along the index of states.
        orphan = select(lines.c.number).where(of_batch, self._is_orphan()).correlate(batches).exists()
        waiting = select(lines.c.number).where(of_batch, self._is_waiting()).correlate(batches).exists()
        is_next = and_(self._is_due(), or_(orphan, waiting))
        return select(
            batches.c.batch_id,
            batches.c.user_id,
            batches.c.running_count,
            batches.c.claim_time,
            is_next.label("is_next"),
        ).where(batches.c.state.in_(ACTIVE))

    def _is_due(self) -> ColumnElement[bool]:
        rested = or_(batches.c.rest_until_time.is_(None), batches.c.rest_until_time <= later(self._database))
        return and_(batches.c.state.in_(ACTIVE), rested)

    def _is_waiting(self) -> ColumnElement[bool]:
        due = or_(lines.c.next_attempt_time.is_(None), lines.c.next_attempt_time <= later(self._database))
        return and_(lines.c.state == _PENDING, due)

    def _is_orphan(self) -> ColumnElement[bool]:
        return and_(lines.c.state == _RUNNING, lines.c.lease_expire_time < later(self._database))

    def _are_mine(self, claims: Sequence[LineClaim]) -> ColumnElement[bool]:
        # Not whatever this process has: a line whose end could not be written must be taken again.
        keys = [(claim.batch_id, claim.number) for claim in claims]
        return and_(
            tuple_(lines.c.batch_id, lines.c.number).in_(keys),
            lines.c.worker_id == self._worker_id,
            lines.c.state == _RUNNING,
        )


_GIVEN_BACK = {"state": _PENDING, "attempt_count": lines.c.attempt_count - 1}


def _by_turn(rows: Sequence[Row[Any]]) -> list[str]:
    """The batches with a line to take, in the order in which their turns come."""
    running: defaultdict[str, int] = defaultdict(int)
    served: defaultdict[str, datetime] = defaultdict(lambda: _LONG_AGO)
    for row in rows:
        running[row.user_id] += row.running_count
        served[row.user_id] = max(served[row.user_id], row.claim_time or _LONG_AGO)
    waiting = [row for row in rows if row.is_next]
    waiting.sort(key=lambda row: (running[row.user_id], served[row.user_id], row.claim_time or _LONG_AGO, row.batch_id))
    return [row.batch_id for row in waiting]

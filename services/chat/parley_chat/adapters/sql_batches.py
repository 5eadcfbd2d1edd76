"""The port `BatchStore` in SQL. An upload is a batch in a state of its own, whose lines come in many small transactions: others write
between them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from parley_shared.sql import Database
from sqlalchemy import and_, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_chat.adapters.sql_batch_rows import (
    RECEIVING,
    RETURNED,
    SELECT_BATCH,
    hold_batch,
    to_batch,
    to_failure,
)
from parley_chat.adapters.sql_batch_schema import batch_lines, batches
from parley_chat.adapters.sql_events import NO_NEWS, hold_user, record
from parley_chat.domain.batches import (
    Batch,
    BatchLine,
    BatchNameTakenError,
    BatchState,
    BatchStateError,
    LineForm,
    LineResult,
    LineState,
    TooManyBatchesError,
)
from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.events import Action, changed_batch, deleted_batch
from parley_chat.ports.batches import BatchCursor
from parley_chat.ports.event_log import EventNews

_ENDED_LINES = (LineState.COMPLETED.value, LineState.FAILED.value, LineState.CANCELLED.value)
_SEVERAL = 20
"""How many batches are deleted in one go because their time is over."""


class SqlBatches:
    """Keeps batches."""

    def __init__(self, database: Database, news: EventNews = NO_NEWS) -> None:
        self._database = database
        self._news = news

    async def open_upload(self, user_id: str, batch_id: str) -> None:
        """Inserts a row that no query for batches finds."""
        now = datetime.now(UTC)
        nothing = dict.fromkeys(
            (
                "total_count",
                "pending_count",
                "running_count",
                "completed_count",
                "failed_count",
                "cancelled_count",
                "input_tokens",
                "output_tokens",
                "cost_usd_micros",
                "unpriced_count",
            ),
            0,
        )
        texts = dict.fromkeys(("title", "client_batch_id", "digest", "pause_reason", "pause_message"), "")
        row = {"batch_id": batch_id, "user_id": user_id, "state": RECEIVING, "create_time": now, "touch_time": now}
        async with self._database.write() as connection:
            await connection.execute(insert(batches).values(**row, **nothing, **texts, estimated=False))

    async def add_lines(self, batch_id: str, lines: Sequence[BatchLine]) -> None:
        """Inserts rows."""
        async with self._database.write() as connection:
            touched = await connection.execute(
                update(batches)
                .where(batches.c.batch_id == batch_id, batches.c.state == RECEIVING)
                .values(touch_time=datetime.now(UTC))
            )
            if not touched.rowcount:
                raise NotFoundError("batch")
            if lines:
                await connection.execute(
                    insert(batch_lines),
                    [
                        {
                            "batch_id": batch_id,
                            "number": line.number,
                            "name": line.name,
                            "form": line.form.value,
                            "request": line.request,
                            "state": LineState.PENDING.value,
                            "attempt_count": 0,
                            "worker_id": "",
                            "fence": 0,
                            "result": "",
                            "failure": "",
                        }
                        for line in lines
                    ],
                )

    async def begin(self, batch: Batch, digest: str, most: int) -> Batch:
        """Changes the state of the row; whoever begins another for the same user waits."""
        async with self._database.write() as connection:
            await hold_user(connection, batch.user_id)
            if batch.client_batch_id:
                found = await _named(connection, batch.user_id, batch.client_batch_id)
                if found is not None:
                    there, its_digest = found
                    if its_digest != digest:
                        raise BatchNameTakenError
                    return there
            kept = select(func.count()).where(batches.c.user_id == batch.user_id, batches.c.state != RECEIVING)
            if (await connection.execute(kept)).scalar_one() >= most:
                raise TooManyBatchesError(most)
            counting = select(func.count()).where(batch_lines.c.batch_id == batch.batch_id)
            count = (await connection.execute(counting)).scalar_one()
            begun = await connection.execute(
                update(batches)
                .where(batches.c.batch_id == batch.batch_id, batches.c.state == RECEIVING)
                .values(
                    title=batch.title,
                    client_batch_id=batch.client_batch_id,
                    digest=digest,
                    state=BatchState.QUEUED.value,
                    create_time=batch.create_time,
                    total_count=count,
                    pending_count=count,
                )
                .returning(*RETURNED)
            )
            row = begun.first()
            if row is None:
                raise NotFoundError("batch")
            stored = to_batch(row)
            await record(connection, batch.user_id, [changed_batch(Action.CREATED, stored)], batch.create_time)
        self._news.tell(batch.user_id)
        return stored

    async def drop_upload(self, batch_id: str) -> None:
        """Deletes the row, and with it those of its lines."""
        async with self._database.write() as connection:
            await connection.execute(
                delete(batches).where(batches.c.batch_id == batch_id, batches.c.state == RECEIVING)
            )

    async def drop_uploads_before(self, time: datetime) -> int:
        """Deletes rows."""
        async with self._database.write() as connection:
            dropped = await connection.execute(
                delete(batches).where(batches.c.state == RECEIVING, batches.c.touch_time < time)
            )
            return dropped.rowcount

    async def find(self, user_id: str, client_batch_id: str) -> tuple[Batch, str] | None:
        """Reads a row."""
        async with self._database.read() as connection:
            return await _named(connection, user_id, client_batch_id)

    async def get(self, user_id: str, batch_id: str) -> Batch:
        """Reads a row."""
        async with self._database.read() as connection:
            return await _get(connection, user_id, batch_id)

    async def page(self, user_id: str, limit: int, after: BatchCursor | None) -> Sequence[Batch]:
        """Reads along the index, backwards."""
        query = SELECT_BATCH.where(batches.c.user_id == user_id)
        if after is not None:
            older = batches.c.create_time < after.create_time
            same = and_(batches.c.create_time == after.create_time, batches.c.batch_id < after.batch_id)
            query = query.where(or_(older, same))
        query = query.order_by(batches.c.create_time.desc(), batches.c.batch_id.desc()).limit(limit)
        async with self._database.read() as connection:
            return [to_batch(row) for row in await connection.execute(query)]

    async def results(self, user_id: str, batch_id: str, after_line: int, limit: int) -> Sequence[LineResult]:
        """Reads along the primary key."""
        query = (
            select(
                batch_lines.c.number,
                batch_lines.c.name,
                batch_lines.c.form,
                batch_lines.c.state,
                batch_lines.c.result,
                batch_lines.c.failure,
            )
            .where(
                batch_lines.c.batch_id == batch_id,
                batch_lines.c.number > after_line,
                batch_lines.c.state.in_(_ENDED_LINES),
            )
            .order_by(batch_lines.c.number)
            .limit(limit)
        )
        async with self._database.read() as connection:
            await _get(connection, user_id, batch_id)
            return [
                LineResult(
                    number=row.number,
                    name=row.name,
                    form=LineForm(row.form),
                    state=LineState(row.state),
                    result=row.result,
                    failure=to_failure(row.failure) if row.failure else None,
                )
                for row in await connection.execute(query)
            ]

    async def cancel(self, user_id: str, batch_id: str) -> tuple[Batch, bool]:
        """Ends the batch and its lines in one transaction: whoever writes one of them finds that its claim does not hold."""
        now = datetime.now(UTC)
        async with self._database.write() as connection:
            await hold_user(connection, user_id)
            batch = await _get(connection, user_id, batch_id)
            if batch.state.ended:
                return batch, False
            await hold_batch(connection, batch_id)
            cancelled = await connection.execute(
                update(batch_lines)
                .where(
                    batch_lines.c.batch_id == batch_id,
                    batch_lines.c.state.in_((LineState.PENDING.value, LineState.RUNNING.value)),
                )
                .values(state=LineState.CANCELLED.value)
            )
            ended = await connection.execute(
                update(batches)
                .where(batches.c.batch_id == batch_id)
                .values(
                    state=BatchState.CANCELLED.value,
                    end_time=now,
                    pending_count=0,
                    running_count=0,
                    cancelled_count=batches.c.cancelled_count + cancelled.rowcount,
                    pause_reason="",
                    pause_message="",
                )
                .returning(*RETURNED)
            )
            batch = to_batch(ended.one())
            await record(connection, user_id, [changed_batch(Action.UPDATED, batch)], now)
        self._news.tell(user_id)
        return batch, True

    async def resume(self, user_id: str, batch_id: str) -> Batch:
        """Changes the state back to what it was."""
        async with self._database.write() as connection:
            await hold_user(connection, user_id)
            resumed = await connection.execute(
                update(batches)
                .where(
                    batches.c.batch_id == batch_id,
                    batches.c.user_id == user_id,
                    batches.c.state == BatchState.PAUSED.value,
                )
                .values(state=BatchState.RUNNING.value, rest_until_time=None, pause_reason="", pause_message="")
                .returning(*RETURNED)
            )
            row = resumed.first()
            if row is None:
                raise BatchStateError((await _get(connection, user_id, batch_id)).state)
            batch = to_batch(row)
            await record(connection, user_id, [changed_batch(Action.UPDATED, batch)], datetime.now(UTC))
        self._news.tell(user_id)
        return batch

    async def delete(self, user_id: str, batch_id: str) -> None:
        """Deletes the row, and with it those of its lines."""
        async with self._database.write() as connection:
            await hold_user(connection, user_id)
            await _get(connection, user_id, batch_id)
            await _delete(connection, user_id, batch_id)
        self._news.tell(user_id)

    async def delete_ended_before(self, time: datetime) -> int:
        """Finds them by their ends, and deletes each in a transaction of its own."""
        old = (
            select(batches.c.user_id, batches.c.batch_id)
            .where(batches.c.end_time < time)
            .order_by(batches.c.end_time)
            .limit(_SEVERAL)
        )
        async with self._database.read() as connection:
            found = (await connection.execute(old)).all()
        deleted = 0
        for user_id, batch_id in found:
            async with self._database.write() as connection:
                await hold_user(connection, user_id)
                # Another replica may have been here.
                deleted += await _delete(connection, user_id, batch_id)
            self._news.tell(user_id)
        return deleted


async def _get(connection: AsyncConnection, user_id: str, batch_id: str) -> Batch:
    row = (
        await connection.execute(SELECT_BATCH.where(batches.c.batch_id == batch_id, batches.c.user_id == user_id))
    ).first()
    if row is None:
        raise NotFoundError("batch")
    return to_batch(row)


async def _named(connection: AsyncConnection, user_id: str, client_batch_id: str) -> tuple[Batch, str] | None:
    query = SELECT_BATCH.add_columns(batches.c.digest).where(
        batches.c.user_id == user_id, batches.c.client_batch_id == client_batch_id
    )
    row = (await connection.execute(query)).first()
    return None if row is None else (to_batch(row), row.digest)


async def _delete(connection: AsyncConnection, user_id: str, batch_id: str) -> int:
    deleted = await connection.execute(
        delete(batches).where(batches.c.batch_id == batch_id, batches.c.user_id == user_id)
    )
    if deleted.rowcount:
        await record(connection, user_id, [deleted_batch(batch_id)], datetime.now(UTC))
    return deleted.rowcount

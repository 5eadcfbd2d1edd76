"""Where batches are kept, and who writes which line, on SQLite and on PostgreSQL: two workers, leases that end, sums that are right."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from parley_chat.adapters.sql_batch_leases import SqlBatchLeases
from parley_chat.adapters.sql_batch_schema import batch_lines
from parley_chat.adapters.sql_batches import SqlBatches
from parley_chat.domain.batches import (
    Batch,
    BatchLine,
    BatchNameTakenError,
    BatchState,
    BatchStateError,
    LineFailure,
    LineForm,
    LineState,
    Spent,
    TooManyBatchesError,
    new_batch_id,
)
from parley_chat.domain.conversation import Failure
from parley_chat.domain.errors import NotFoundError
from parley_chat.ports.batches import BatchCursor, ClaimedLine
from parley_shared.sql import Database
from parley_testing.accounts import new_user
from sqlalchemy import update

FAILURE = Failure(8, "ERROR_REASON_PROVIDER_QUOTA", "There is no money left.", retryable=True)
NOTHING = Spent()
NO_TIME = timedelta()
LONG = timedelta(hours=1)


class Store(SqlBatches):
    """The store, with batches that are made in one call."""

    async def batch(self, user_id: str, lines: int, *, name: str = "", most: int = 100, digest: str = "d") -> Batch:
        batch_id = new_batch_id()
        await self.open_upload(user_id, batch_id)
        made = [BatchLine(number, str(number), LineForm.PARLEY, "{}") for number in range(1, lines + 1)]
        await self.add_lines(batch_id, made)
        new = Batch(batch_id, user_id, "", name, BatchState.QUEUED, datetime.now(UTC))
        return await self.begin(new, digest, most)


@pytest.fixture
def store(chat_database: Database) -> Store:
    return Store(chat_database)


@pytest.fixture
def worker(chat_database: Database) -> SqlBatchLeases:
    return SqlBatchLeases(chat_database, lease_seconds=600)


@pytest.fixture
def other(chat_database: Database) -> SqlBatchLeases:
    return SqlBatchLeases(chat_database, lease_seconds=600)


async def claimed(worker: SqlBatchLeases) -> ClaimedLine:
    line = await worker.claim()
    assert line is not None
    return line


async def end_leases(database: Database) -> None:
    """As if the processes that have lines had died long ago."""
    async with database.write() as connection:
        await connection.execute(update(batch_lines).values(lease_expire_time=datetime(2020, 1, 1, tzinfo=UTC)))


async def test_a_batch_is_seen_once_it_is_whole(store: Store, worker: SqlBatchLeases, chat_database: Database) -> None:
    ada, bob = await new_user(chat_database), await new_user(chat_database)
    upload = new_batch_id()
    await store.open_upload(ada, upload)
    await store.add_lines(upload, [BatchLine(1, "a", LineForm.PARLEY, "{}")])
    assert (await worker.claim(), list(await store.page(ada, 10, None))) == (None, [])
    with pytest.raises(NotFoundError):
        await store.get(ada, upload)
    batch = await store.begin(Batch(upload, ada, "T", "", BatchState.QUEUED, datetime.now(UTC)), "d", 100)
    assert (batch.total_count, batch.pending_count, batch.title) == (1, 1, "T")
    assert await store.get(ada, upload) == batch
    with pytest.raises(NotFoundError):
        await store.get(bob, upload)


async def test_uploads_are_dropped_and_batches_are_not(store: Store, chat_database: Database) -> None:
    ada = await new_user(chat_database)
    upload = new_batch_id()
    await store.open_upload(ada, upload)
    kept = await store.batch(ada, 1)
    assert await store.drop_uploads_before(datetime.now(UTC) - LONG) == 0
    assert await store.drop_uploads_before(datetime.now(UTC) + LONG) == 1
    with pytest.raises(NotFoundError):
        await store.add_lines(upload, [])
    await store.drop_upload(kept.batch_id)
    assert (await store.get(ada, kept.batch_id)).total_count == 1


async def test_a_name_is_one_batch_of_its_user_and_users_keep_so_many(store: Store, chat_database: Database) -> None:
    ada, bob = await new_user(chat_database), await new_user(chat_database)
    first = await store.batch(ada, 2, name="n")
    assert (await store.batch(ada, 2, name="n")).batch_id == first.batch_id
    with pytest.raises(BatchNameTakenError):
        await store.batch(ada, 2, name="n", digest="other")
    assert (await store.batch(bob, 2, name="n", most=1)).batch_id != first.batch_id
    with pytest.raises(TooManyBatchesError):
        await store.batch(ada, 1, most=1)
    together = await asyncio.gather(*(store.batch(bob, 1, name="m") for _ in range(5)))
    assert len({batch.batch_id for batch in together}) == 1


async def test_two_workers_divide_the_lines(
    store: Store, worker: SqlBatchLeases, other: SqlBatchLeases, chat_database: Database
) -> None:
    ada = await new_user(chat_database)
    batch = await store.batch(ada, 12)
    taken: list[int] = []

    async def work(of: SqlBatchLeases) -> None:
        while line := await of.claim():
            taken.append(line.line.number)
            assert await of.complete(line.claim, "{}", Spent(2, 3, 5, 1, estimated=True))

    await asyncio.gather(work(worker), work(other), work(worker), work(other))
    assert sorted(taken) == list(range(1, 13))
    done = await store.get(ada, batch.batch_id)
    assert (done.state, done.completed_count, done.pending_count, done.running_count) == (BatchState.DONE, 12, 0, 0)
    sums = (done.input_tokens, done.output_tokens, done.cost_usd_micros, done.unpriced_count, done.estimated)
    assert sums == (24, 36, 60, 12, True)
    assert done.start_time is not None
    assert done.end_time is not None


async def test_a_line_whose_owner_died_is_taken_and_its_owner_can_write_nothing_more(
    store: Store, worker: SqlBatchLeases, other: SqlBatchLeases, chat_database: Database
) -> None:
    ada = await new_user(chat_database)
    batch = await store.batch(ada, 1)
    old = await claimed(worker)
    assert (old.attempt, await other.claim()) == (1, None)
    await end_leases(chat_database)
    new = await claimed(other)
    assert (new.line.number, new.attempt) == (1, 2)
    await worker.renew([old.claim])
    assert list(await worker.lost([old.claim])) == [old.claim]
    assert list(await other.lost([new.claim])) == []
    assert not await worker.complete(old.claim, "old", Spent(output_tokens=7))
    assert not await worker.fail(old.claim, LineFailure(FAILURE), NOTHING)
    assert not await worker.postpone(old.claim, NO_TIME, NO_TIME, NOTHING)
    assert not await worker.release(old.claim, NOTHING)
    assert not await worker.pause(old.claim, FAILURE, NOTHING)
    assert await other.complete(new.claim, "new", Spent(output_tokens=3))
    [result] = await store.results(ada, batch.batch_id, 0, 10)
    assert (result.state, result.result) == (LineState.COMPLETED, "new")
    done = await store.get(ada, batch.batch_id)
    assert (done.state, done.running_count, done.output_tokens) == (BatchState.DONE, 0, 10), "both were paid"


async def test_a_lease_that_is_renewed_goes_on(
    store: Store, worker: SqlBatchLeases, other: SqlBatchLeases, chat_database: Database
) -> None:
    await store.batch(await new_user(chat_database), 1)
    line = await claimed(worker)
    await end_leases(chat_database)
    await worker.renew([line.claim])
    assert await other.claim() is None
    await worker.free_all()
    assert (await claimed(other)).line.number == 1


async def test_what_is_postponed_waits_and_leaves_the_batch_alone_for_a_while(
    store: Store, worker: SqlBatchLeases, chat_database: Database
) -> None:
    ada = await new_user(chat_database)
    batch = await store.batch(ada, 2)
    first = await claimed(worker)
    assert await worker.postpone(first.claim, LONG, NO_TIME, NOTHING)
    second = await claimed(worker)
    assert second.line.number == 2
    assert await worker.postpone(second.claim, NO_TIME, LONG, NOTHING)
    assert await worker.claim() is None, "the batch rests"
    assert (await store.get(ada, batch.batch_id)).pending_count == 2


async def test_a_pause_lasts_until_its_user_ends_it(
    store: Store, worker: SqlBatchLeases, chat_database: Database
) -> None:
    ada = await new_user(chat_database)
    batch = await store.batch(ada, 3)
    first, second = await claimed(worker), await claimed(worker)
    assert await worker.pause(first.claim, FAILURE, NOTHING)
    assert await worker.pause(second.claim, FAILURE, NOTHING)
    assert await worker.claim() is None
    paused = await store.get(ada, batch.batch_id)
    assert (paused.state, paused.pause_reason) == (BatchState.PAUSED, FAILURE.reason)
    assert (paused.pending_count, paused.running_count) == (3, 0)
    assert (await store.resume(ada, batch.batch_id)).state is BatchState.RUNNING
    again = await claimed(worker)
    assert (again.line.number, again.attempt) == (1, 1), "the attempt does not count"
    with pytest.raises(BatchStateError):
        await store.resume(ada, batch.batch_id)


async def test_places_are_shared_among_users_and_then_among_their_batches(
    store: Store, worker: SqlBatchLeases, chat_database: Database
) -> None:
    ada, bob = await new_user(chat_database), await new_user(chat_database)
    first, second = await store.batch(ada, 5), await store.batch(ada, 5)
    third = await store.batch(bob, 5)
    order = [(await claimed(worker)).claim.batch_id for _ in range(6)]
    assert order.count(third.batch_id) == 3
    assert {order.count(first.batch_id), order.count(second.batch_id)} == {1, 2}
    assert order[:2].count(third.batch_id) == 1


async def test_cancelling_and_deleting_end_every_claim(
    store: Store, worker: SqlBatchLeases, chat_database: Database
) -> None:
    ada = await new_user(chat_database)
    batch = await store.batch(ada, 3)
    line = await claimed(worker)
    cancelled, first = await store.cancel(ada, batch.batch_id)
    assert (first, cancelled.state, cancelled.cancelled_count, cancelled.running_count) == (
        True,
        BatchState.CANCELLED,
        3,
        0,
    )
    assert list(await worker.lost([line.claim])) == [line.claim]
    assert not await worker.complete(line.claim, "late", Spent(output_tokens=4))
    after, again = await store.cancel(ada, batch.batch_id)
    assert (again, after.completed_count, after.output_tokens) == (False, 0, 4)
    gone = await store.batch(ada, 1)
    line = await claimed(worker)
    await store.delete(ada, gone.batch_id)
    assert list(await worker.lost([line.claim])) == [line.claim]
    assert not await worker.release(line.claim, NOTHING)
    with pytest.raises(NotFoundError):
        await store.delete(ada, gone.batch_id)


async def test_a_batch_whose_process_died_before_it_could_end_it_is_ended(
    store: Store, worker: SqlBatchLeases, chat_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await new_user(chat_database)
    batch = await store.batch(ada, 1)

    async def died(*_: object) -> None:
        raise ConnectionError("the process died")

    with monkeypatch.context() as patched:
        patched.setattr("parley_chat.adapters.sql_batch_leases.end_if_finished", died)
        with pytest.raises(ConnectionError):
            await worker.complete((await claimed(worker)).claim, "{}", NOTHING)
    assert (await store.get(ada, batch.batch_id)).state is BatchState.RUNNING
    assert [ended.batch_id for ended in await worker.end_finished()] == [batch.batch_id]
    assert (await store.get(ada, batch.batch_id)).state is BatchState.DONE
    assert list(await worker.end_finished()) == []


async def test_pages_and_results_go_on_where_they_ended(
    store: Store, worker: SqlBatchLeases, chat_database: Database
) -> None:
    ada = await new_user(chat_database)
    made = [(await store.batch(ada, 3)).batch_id for _ in range(3)]
    first = await store.page(ada, 2, None)
    rest = await store.page(ada, 2, BatchCursor(first[-1].create_time, first[-1].batch_id))
    assert [batch.batch_id for batch in (*first, *rest)] == made[::-1]
    await store.cancel(ada, made[0])
    assert [line.number for line in await store.results(ada, made[0], 0, 2)] == [1, 2]
    assert [line.number for line in await store.results(ada, made[0], 2, 2)] == [3]
    assert await store.delete_ended_before(datetime.now(UTC) - LONG) == 0
    assert await store.delete_ended_before(datetime.now(UTC) + LONG) == 1
    assert len(await store.page(ada, 10, None)) == 2

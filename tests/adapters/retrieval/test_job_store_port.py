"""The suite of the ports `JobStore` and `JobLeases`, on every database that retrieval runs on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from parley_retrieval.adapters.sql_document_store import SqlDocumentStore
from parley_retrieval.adapters.sql_job_leases import SqlJobLeases
from parley_retrieval.adapters.sql_job_store import SqlJobStore
from parley_retrieval.domain.documents import Document, MediaType, new_document_id, sha256
from parley_retrieval.domain.errors import JobLostError, TooManyBytesError, TooManyDocumentsError, TooManyJobsError
from parley_retrieval.domain.jobs import (
    FailureReason,
    FileFacts,
    Job,
    JobClaim,
    JobFailure,
    JobStage,
    JobState,
    StageProgress,
    UserLimits,
    new_job_id,
)
from parley_retrieval.domain.visibility import Visibility
from parley_retrieval.ports.job_store import JobCursor
from parley_shared.sql import Database

TIME = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
MANY = UserLimits(documents=100, bytes=1_000_000, unfinished_jobs=100)
FAILURE = JobFailure(FailureReason.BROKEN, "It is damaged.", retryable=False)


def job(owner_id: str = "usr_a", content: str = "", minutes: int = 0, size: int = 10) -> Job:
    made = TIME + timedelta(minutes=minutes)
    return Job(
        job_id=new_job_id(),
        owner_id=owner_id,
        document_id=new_document_id(),
        facts=FileFacts(filename="näme", project="p", source_uri="s", media_type=MediaType.CSV, labels={"a": "ä"}),
        size_bytes=size,
        content_sha256=sha256(content or new_job_id()),
        create_time=made,
        update_time=made,
        stages=(StageProgress(JobStage.RECEIVED, size, size, "bytes", made, made),),
    )


def document_of(one: Job) -> Document:
    return Document(
        document_id=one.document_id,
        owner_id=one.owner_id,
        title="T",
        text="text",
        media_type=MediaType.CSV,
        project="",
        source_uri="",
        content_sha256=sha256("text"),
        size_bytes=4,
        chunk_count=0,
        create_time=TIME,
        update_time=TIME,
        file_sha256=one.content_sha256,
    )


@pytest.fixture
def store(retrieval_database: Database) -> SqlJobStore:
    return SqlJobStore(retrieval_database)


@pytest.fixture
def leases(retrieval_database: Database) -> SqlJobLeases:
    return SqlJobLeases(retrieval_database, lease_seconds=300)


async def add(store: SqlJobStore, *several: Job) -> None:
    for one in several:
        assert not (await store.add(one, MANY)).duplicate


async def taken(leases: SqlJobLeases) -> tuple[Job, JobClaim]:
    claimed = await leases.claim()
    assert claimed is not None
    return claimed


async def found(store: SqlJobStore, owner_id: str, job_id: str) -> Job:
    job = await store.find(owner_id, job_id)
    assert job is not None
    return job


async def test_a_job_comes_back_as_it_was_added_to_its_owner_alone(store: SqlJobStore) -> None:
    one = job()
    await add(store, one)
    assert await store.find("usr_a", one.job_id) == one
    assert await store.find_of_document("usr_a", one.document_id) == one
    assert await store.find("usr_b", one.job_id) is None
    assert await store.find_of_document("usr_b", one.document_id) is None


async def test_one_of_several_that_add_the_same_file_at_once_is_the_first(store: SqlJobStore) -> None:
    several = [job(content="same") for _ in range(6)]
    added = await asyncio.gather(*(store.add(one, MANY) for one in several))
    assert sorted(one.duplicate for one in added) == [False] + [True] * 5
    assert len({one.job.job_id for one in added}) == 1
    assert not (await store.add(job("usr_b", "same"), MANY)).duplicate
    assert len(await store.kept_files()) == 2


async def test_a_failed_job_gives_its_file_to_the_next(store: SqlJobStore, leases: SqlJobLeases) -> None:
    one, two = job(content="same"), job(content="same")
    await add(store, one)
    claimed = await taken(leases)
    await leases.end(claimed[1], JobState.FAILED, FAILURE, claimed[0])
    added = await store.add(two, MANY)
    assert (added.duplicate, added.superseded_job_id) == (False, one.job_id)
    assert await store.kept_files() == {two.job_id}
    assert not await store.queue_again("usr_a", one.job_id, MANY)


async def test_limits_hold_also_when_everybody_comes_at_once(store: SqlJobStore) -> None:
    async def tries(limits: UserLimits, owner: str, error: type[Exception]) -> int:
        results = await asyncio.gather(
            *(store.add(job(owner, size=10), limits) for _ in range(6)), return_exceptions=True
        )
        assert {type(result) for result in results if isinstance(result, BaseException)} == {error}
        return sum(not isinstance(result, BaseException) for result in results)

    assert await tries(replace(MANY, unfinished_jobs=2), "usr_1", TooManyJobsError) == 2
    assert await tries(replace(MANY, documents=3), "usr_2", TooManyDocumentsError) == 3
    assert await tries(replace(MANY, bytes=49), "usr_3", TooManyBytesError) == 4
    assert (await store.usage("usr_3")).bytes == 40


async def test_jobs_are_paged_newest_first_and_by_state(store: SqlJobStore) -> None:
    several = [job(minutes=minutes) for minutes in (0, 1, 1, 2)]
    await add(store, *several, job("usr_b"))
    ordered = sorted(several, key=lambda one: (one.create_time, one.job_id), reverse=True)
    first = await store.page("usr_a", frozenset(), None, 2)
    assert first == ordered[:2]
    after = JobCursor(first[-1].create_time, first[-1].job_id)
    assert await store.page("usr_a", frozenset(), after, 2) == ordered[2:]
    assert await store.page("usr_a", {JobState.DONE}, None, 9) == []
    assert await store.page("usr_a", {JobState.DONE, JobState.QUEUED}, None, 9) == ordered


async def test_users_take_turns_and_the_places_say_so(store: SqlJobStore, leases: SqlJobLeases) -> None:
    of_a = [job("usr_a", minutes=minutes) for minutes in range(3)]
    of_b = [job("usr_b", minutes=minutes + 10) for minutes in range(2)]
    await add(store, *of_a, *of_b)
    order = [of_a[0], of_b[0], of_a[1], of_b[1], of_a[2]]
    places = await store.queue_places([one.job_id for one in order])
    assert [places[one.job_id] for one in order] == [1, 2, 3, 4, 5]
    for expected in order[:2]:
        claimed = await taken(leases)
        assert claimed[0].job_id == expected.job_id
    late = job("usr_c", minutes=99)
    await add(store, late)
    # Who had no turn yet is before those who had one.
    assert await store.queue_places([late.job_id, of_a[1].job_id]) == {late.job_id: 1, of_a[1].job_id: 2}
    assert [(await taken(leases))[0].job_id for _ in range(4)] == [
        late.job_id,
        of_a[1].job_id,
        of_b[1].job_id,
        of_a[2].job_id,
    ]
    assert await leases.claim() is None


async def test_workers_that_claim_at_once_divide_the_jobs(store: SqlJobStore, retrieval_database: Database) -> None:
    several = [job(f"usr_{number}") for number in range(6)]
    await add(store, *several)
    workers = [SqlJobLeases(retrieval_database, lease_seconds=300) for _ in range(4)]
    claimed = [worker.claim() for worker in workers * 2]
    jobs = [one[0].job_id for one in await asyncio.gather(*claimed) if one is not None]
    while more := await workers[0].claim():
        jobs.append(more[0].job_id)
    assert sorted(jobs) == sorted(one.job_id for one in several)


async def test_a_job_whose_lease_is_over_is_anothers_and_the_first_writes_nothing_more(
    store: SqlJobStore, retrieval_database: Database
) -> None:
    one = job()
    await add(store, one)
    dead, living = SqlJobLeases(retrieval_database, 0.0), SqlJobLeases(retrieval_database, 300)
    first = await taken(dead)
    second = await taken(living)
    assert second[0].job_id == one.job_id
    assert (second[0].attempt_count, second[0].failed_attempts) == (2, 1)
    assert await living.claim() is None
    for write in (
        dead.save(first[1], first[0]),
        dead.end(first[1], JobState.FAILED, FAILURE, first[0]),
        dead.postpone(first[1], FAILURE, timedelta()),
        dead.release(first[1]),
        SqlDocumentStore(retrieval_database).put(document_of(one), [], first[1]),
    ):
        with pytest.raises(JobLostError):
            await write
    assert not await dead.finish(first[1])
    assert await dead.wishes([first[1]]) == {}
    await dead.renew([first[1]])
    assert await SqlDocumentStore(retrieval_database).document(one.document_id) is None
    assert await living.finish(second[1])
    done = await found(store, "usr_a", one.job_id)
    assert done.state is JobState.DONE


async def test_a_lease_that_is_renewed_is_not_taken(store: SqlJobStore, retrieval_database: Database) -> None:
    await add(store, job())
    short, renewing = SqlJobLeases(retrieval_database, 0.0), SqlJobLeases(retrieval_database, 300)
    claimed = await taken(short)
    await renewing.renew([claimed[1]])
    assert await renewing.claim() is None
    await renewing.free_all()
    assert await renewing.claim() is not None


async def test_progress_and_the_document_are_written_together_with_the_stage(
    store: SqlJobStore, leases: SqlJobLeases, retrieval_database: Database
) -> None:
    await add(store, job())
    claimed = await taken(leases)
    one, claim = claimed
    progress = StageProgress(JobStage.PARSED, 3, 7, "pages", TIME)
    saved = await leases.save(claim, replace(one.with_progress(progress), title="Title", media_type=MediaType.PDF))
    # What it is called now is what its sender is taken to have called it.
    assert await store.find("usr_a", one.job_id) == replace(saved, facts=replace(saved.facts, title="Title"))
    assert saved.stages[-1] == progress
    documents = SqlDocumentStore(retrieval_database)
    await documents.put(document_of(one), [], claim)
    after = await found(store, "usr_a", one.job_id)
    assert after.stage is JobStage.INDEXED
    written = await documents.find(Visibility("usr_a"), one.document_id)
    assert written is not None
    assert written.file_sha256 == one.content_sha256


async def test_what_may_pass_waits_and_is_taken_when_its_time_has_come(
    store: SqlJobStore, leases: SqlJobLeases
) -> None:
    await add(store, job())
    claimed = await taken(leases)
    await leases.postpone(claimed[1], FAILURE, timedelta(hours=1))
    waiting = await found(store, "usr_a", claimed[0].job_id)
    assert (waiting.state, waiting.failed_attempts, waiting.failure) == (JobState.WAITING_FOR_RETRY, 1, FAILURE)
    assert waiting.next_attempt_time is not None
    assert await leases.claim() is None
    assert await store.request_cancel("usr_a", waiting.job_id)
    assert await store.queue_again("usr_a", waiting.job_id, MANY)
    again = await taken(leases)
    await leases.postpone(again[1], FAILURE, timedelta())
    third = await taken(leases)
    assert (third[0].attempt_count, third[0].failed_attempts) == (3, 1)


async def test_who_runs_a_job_is_told_of_its_cancelling_and_cannot_finish_it(
    store: SqlJobStore, leases: SqlJobLeases
) -> None:
    await add(store, job())
    claimed = await taken(leases)
    one, claim = claimed
    assert await leases.wishes([claim]) == {one.job_id: False}
    assert not await store.request_cancel("usr_b", one.job_id)
    assert await leases.wishes([claim]) == {one.job_id: False}
    assert not await store.request_cancel("usr_a", one.job_id)
    assert await leases.wishes([claim]) == {one.job_id: True}
    assert not await leases.finish(claim)
    await leases.end(claim, JobState.CANCELLED, None, one)
    ended = await found(store, "usr_a", one.job_id)
    assert (ended.state, ended.failure) == (JobState.CANCELLED, None)
    assert ended.end_time is not None


async def test_a_written_job_that_waits_is_cancelled_by_a_worker_who_takes_it_back(
    store: SqlJobStore, leases: SqlJobLeases, retrieval_database: Database
) -> None:
    await add(store, job())
    claimed = await taken(leases)
    await SqlDocumentStore(retrieval_database).put(document_of(claimed[0]), [], claimed[1])
    await leases.release(claimed[1])
    assert not await store.request_cancel("usr_a", claimed[0].job_id)
    again = await taken(leases)
    assert again[0].cancel_requested


async def test_a_file_that_is_dropped_is_new_again_and_its_job_stays_ended(
    store: SqlJobStore, leases: SqlJobLeases
) -> None:
    one = job(content="same")
    await add(store, one)
    claimed = await taken(leases)
    assert await leases.finish(claimed[1])
    assert (await store.add(job(content="same"), MANY)).duplicate
    await store.drop_file("usr_b", one.document_id)
    assert await store.kept_files() == {one.job_id}
    await store.drop_file("usr_a", one.document_id)
    assert await store.kept_files() == set()
    assert not (await store.add(job(content="same"), MANY)).duplicate
    assert not await store.queue_again("usr_a", one.job_id, MANY)

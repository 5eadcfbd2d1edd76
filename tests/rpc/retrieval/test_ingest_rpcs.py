"""IngestService: files become documents, and what their owner can do meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from parley.retrieval.v1 import document_pb2, job_pb2
from parley.retrieval.v1 import ingest_service_pb2 as pb
from parley_shared.sql import Database
from parley_shared.status import status_error_from
from parley_testing.databases import database_url
from parley_testing.ingestion import SECONDS, Sender, pdf, pdf_with_outline, word
from parley_testing.postgres import PostgresServer
from sqlalchemy import text

STAGES = [
    job_pb2.JOB_STAGE_RECEIVED,
    job_pb2.JOB_STAGE_PARSED,
    job_pb2.JOB_STAGE_CHUNKED,
    job_pb2.JOB_STAGE_EMBEDDED,
    job_pb2.JOB_STAGE_INDEXED,
    job_pb2.JOB_STAGE_DONE,
]
USER = f"usr_{'3' * 32}"


def sender(caller: Any) -> Sender:
    return Sender(caller.retrieval.channel, caller.metadata)


@asynccontextmanager
async def refused(code: grpc.StatusCode, reason: str, field: str = "") -> AsyncIterator[None]:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        yield
    error = status_error_from(refusal.value)
    assert (refusal.value.code(), error.reason) == (code, f"ERROR_REASON_{reason}"), refusal.value.details()
    if field:
        assert error.violations[0][0] == field


def files_of(home: Path) -> list[Path]:
    """The files that are kept below a folder."""
    return [path for path in home.rglob("*") if path.is_file() and "files" in path.parts]


async def test_a_hit_in_a_pdf_has_the_headings_of_its_outline_also_after_a_change_of_the_title(caller: Any) -> None:
    content = pdf_with_outline(
        (0, "Waders", "Waders\nThe avocet sweeps its bill."),
        (1, "Long legs", "Long legs\nThe stilt stands in the pond."),
        (0, "Ducks", "Ducks\nThe teal dabbles."),
    )
    job = await sender(caller).ended(content, filename="birds.pdf")
    for _ in range(2):
        (hit,) = await caller.search("stilt", exclude_shared=True)
        assert (hit.heading, hit.page_number) == ("Waders › Long legs", 1)
        assert "teal" not in hit.text, "sections are not mixed"
        (hit,) = await caller.search("teal", exclude_shared=True)
        assert hit.heading == "Ducks"
        await caller.update(document_id=job.document_id, title="Of birds")
    await caller.update(document_id=job.document_id, text="The stilt has left.")
    (hit,) = await caller.search("stilt", exclude_shared=True)
    assert hit.heading == ""


async def test_a_pdf_can_be_searched_by_page_once_its_job_is_done(caller: Any) -> None:
    content = pdf("The heron stands in shallow water.", "The egret hunts at noon.", title="Herons")
    facts = {"filename": "herons.pdf", "project": "birds", "source_uri": "here", "labels": {"kind": "wader"}}
    sent = await sender(caller).send(content, **facts)
    assert (sent.duplicate, sent.job.state) == (False, job_pb2.JOB_STATE_QUEUED)
    jobs = await sender(caller).watch(sent.job_id)
    job = jobs[-1]
    assert job.state == job_pb2.JOB_STATE_DONE
    assert [stage.stage for stage in job.stages] == STAGES
    assert {(stage.done, stage.total, stage.unit) for stage in job.stages[:2]} == {
        (len(content), len(content), "bytes"),
        (2, 2, "pages"),
    }
    assert all(stage.HasField("end_time") for stage in job.stages)
    assert (job.title, job.media_type, job.attempt_count) == ("Herons", document_pb2.MEDIA_TYPE_PDF, 1)
    assert job.content_sha256 == hashlib.sha256(content).hexdigest()

    (hit,) = await caller.search("egret", exclude_shared=True)
    document = (await caller.get(sent.document_id)).document
    assert document.text[hit.start_offset : hit.end_offset] == hit.text
    assert document.page_count == 2
    assert (document.filename, document.project, document.source_uri) == ("herons.pdf", "birds", "here")
    assert (dict(document.labels), document.version) == ({"kind": "wader"}, 1)
    assert document.file_sha256 == job.content_sha256
    assert document.chunk_count == job.stages[2].done


@pytest.mark.parametrize(
    ("content", "title", "query", "heading"),
    [
        (word(title="Birds"), "Birds", "jacana", "Waders › Feet"),
        (b"<html><title>Page</title><body><h1>Rails</h1><p>The corncrake calls.", "Page", "corncrake", "Rails"),
        (b"# Rails\n\nThe corncrake calls.\n", "Rails", "corncrake", "Rails"),
        (b"name,voice\ncoot,loud\nrail,hoarse\ncrake,none\n", "a file", "hoarse", ""),
        (b'{"bird": {"name": "corncrake"}}', "a file", "corncrake", ""),
        (b"The corncrake calls at night.", "a file", "corncrake", ""),
    ],
)
async def test_every_kind_of_file_can_be_searched(
    caller: Any, content: bytes, title: str, query: str, heading: str
) -> None:
    job = await sender(caller).ended(content, filename="a file")
    assert (job.state, job.title) == (job_pb2.JOB_STATE_DONE, title), job.failure
    (hit,) = await caller.search(query, exclude_shared=True)
    assert (hit.document_id, hit.heading, hit.document_title) == (job.document_id, heading, title)


async def test_the_same_bytes_are_stored_once_for_each_user(retrieval: Any, caller: Any) -> None:
    job = await sender(caller).ended(b"The shoveler sieves.", title="One")
    again = await sender(caller).send(b"The shoveler sieves.", title="Another")
    assert (again.duplicate, again.job_id, again.document_id) == (True, job.job_id, job.document_id)
    other = await sender(retrieval.caller()).send(b"The shoveler sieves.")
    assert not other.duplicate
    assert other.document_id != job.document_id

    await caller.delete(job.document_id)
    anew = await sender(caller).send(b"The shoveler sieves.")
    assert not anew.duplicate


async def test_a_file_that_failed_is_tried_anew_when_it_is_handed_in_again(caller: Any) -> None:
    content = b'{"bird": '
    failed = await sender(caller).ended(content, media_type=document_pb2.MEDIA_TYPE_JSON)
    assert failed.state == job_pb2.JOB_STATE_FAILED
    assert failed.failure.reason == job_pb2.JOB_FAILURE_REASON_BROKEN
    again = await sender(caller).send(content, media_type=document_pb2.MEDIA_TYPE_PLAIN_TEXT)
    assert not again.duplicate
    assert (await sender(caller).watch(again.job_id))[-1].state == job_pb2.JOB_STATE_DONE
    async with refused(grpc.StatusCode.FAILED_PRECONDITION, "JOB_STATE"):
        await sender(caller).retry(failed.job_id)


async def test_a_broken_file_is_a_failed_job_and_the_service_lives_on(caller: Any) -> None:
    for content, reason in (
        (b"", job_pb2.JOB_FAILURE_REASON_NO_TEXT),
        (pdf("x", password="y"), job_pb2.JOB_FAILURE_REASON_ENCRYPTED),
        (pdf("words " * 500)[:900], job_pb2.JOB_FAILURE_REASON_BROKEN),
    ):
        job = await sender(caller).ended(content)
        assert (job.state, job.failure.reason, job.failure.retryable) == (job_pb2.JOB_STATE_FAILED, reason, False)
        assert job.failure.message
        assert not job.HasField("next_attempt_time")
        assert job.HasField("end_time")
    assert (await sender(caller).ended(b"The teal is small.")).state == job_pb2.JOB_STATE_DONE


async def test_another_users_job_is_not_there(retrieval: Any, caller: Any) -> None:
    job = await sender(caller).ended(b"The pochard dives.")
    other = sender(retrieval.caller())
    for call in (other.job, other.watch, other.cancel, other.retry):
        async with refused(grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND"):
            await call(job.job_id)
    assert not (await other.jobs()).jobs


async def test_jobs_are_listed_newest_first_by_page_and_by_state(caller: Any) -> None:
    own = sender(caller)
    ids = [(await own.ended(content)).job_id for content in (b"one", b"", b"three", b"four")]
    page = await own.jobs(page_size=3)
    assert [job.job_id for job in page.jobs] == ids[:0:-1]
    rest = await own.jobs(page_size=3, page_token=page.next_page_token)
    assert ([job.job_id for job in rest.jobs], rest.next_page_token) == (ids[:1], "")
    failed = await own.jobs(states=[job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_CANCELLED])
    assert [job.job_id for job in failed.jobs] == [ids[1]]
    async with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN"):
        await own.jobs(page_token=page.next_page_token, states=[job_pb2.JOB_STATE_DONE])
    async with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "states"):
        await own.jobs(states=[job_pb2.JOB_STATE_UNSPECIFIED])


@pytest.mark.parametrize(
    ("requests", "field"),
    [
        ([], "metadata"),
        ([pb.IngestRequest(chunk=b"a")], "metadata"),
        ([pb.IngestRequest(metadata=pb.IngestMetadata()), pb.IngestRequest(metadata=pb.IngestMetadata())], "metadata"),
        ([pb.IngestRequest(metadata=pb.IngestMetadata(), chunk=b"a" * 1_000_001)], "chunk"),
        ([pb.IngestRequest(metadata=pb.IngestMetadata(filename="a" * 301))], "metadata.filename"),
        ([pb.IngestRequest(metadata=pb.IngestMetadata(title="a" * 301))], "metadata.title"),
        ([pb.IngestRequest(metadata=pb.IngestMetadata(project="a" * 101))], "metadata.project"),
        ([pb.IngestRequest(metadata=pb.IngestMetadata(source_uri="a" * 2_001))], "metadata.source_uri"),
        ([pb.IngestRequest(metadata=pb.IngestMetadata(title="a\0"))], "metadata.title"),
        ([pb.IngestRequest(metadata=pb.IngestMetadata(labels={"A": "b"}))], "metadata.labels"),
        ([pb.IngestRequest(metadata=pb.IngestMetadata(labels={"a": "b" * 501}))], "metadata.labels"),
        ([pb.IngestRequest(metadata=pb.IngestMetadata(labels={f"a{n}": "" for n in range(21)}))], "metadata.labels"),
        ([pb.IngestRequest(metadata=pb.IngestMetadata(media_type=99))], "metadata.media_type"),  # type: ignore[arg-type]  # It is none.
    ],
)
async def test_an_upload_that_breaks_a_bound_is_refused_and_names_the_field(
    caller: Any, requests: list[pb.IngestRequest], field: str
) -> None:
    async def parts() -> AsyncIterator[pb.IngestRequest]:
        for request in requests:
            yield request

    async with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", field):
        await sender(caller).stub.Ingest(parts(), metadata=caller.metadata)
    assert not (await sender(caller).jobs()).jobs


async def test_an_upload_whose_sender_goes_or_stands_still_leaves_nothing(tmp_path: Path, serve: Any) -> None:
    async with serve(tmp_path, PARLEY_STREAM_IDLE_SECONDS="1") as retrieval:
        own = sender(retrieval.caller())
        uploads = tmp_path / "retrieval" / "files" / "uploads"
        stays = asyncio.Event()

        async def parts() -> AsyncIterator[pb.IngestRequest]:
            yield pb.IngestRequest(metadata=pb.IngestMetadata(), chunk=b"half")
            await stays.wait()

        call = own.stub.Ingest(parts(), metadata=own.metadata)
        call_task = asyncio.ensure_future(call)
        async with asyncio.timeout(SECONDS):
            while not any(uploads.iterdir()):  # noqa: ASYNC110 - the folder tells nobody
                await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call_task
        async with refused(grpc.StatusCode.DEADLINE_EXCEEDED, "STREAM_IDLE"):
            await own.stub.Ingest(parts(), metadata=own.metadata)
        async with asyncio.timeout(SECONDS):
            while any(uploads.iterdir()):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        assert files_of(tmp_path) == []
        assert not (await own.jobs()).jobs


async def test_deleting_a_document_removes_its_file_and_its_job_cannot_begin_again(tmp_path: Path, serve: Any) -> None:
    async with serve(tmp_path) as retrieval:
        caller = retrieval.caller()
        own = sender(caller)
        job = await own.ended(b"The wigeon whistles.")
        assert [path.name for path in files_of(tmp_path)] == ["file"]
        await caller.delete(job.document_id)
        assert files_of(tmp_path) == []
        assert await caller.search("wigeon") == []
        async with refused(grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND"):
            await caller.get(job.document_id)
        async with refused(grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND"):
            await caller.delete(job.document_id)
        async with refused(grpc.StatusCode.FAILED_PRECONDITION, "JOB_STATE"):
            await own.retry(job.job_id)
        assert (await own.job(job.job_id)).state == job_pb2.JOB_STATE_DONE


async def test_an_edited_document_of_a_file_has_another_version_and_no_pages(caller: Any) -> None:
    job = await sender(caller).ended(pdf("One heron.", "Two herons."))
    after = await caller.update(document_id=job.document_id, title="Other")
    assert after.document.version == 1
    after = await caller.update(document_id=job.document_id, text="Three herons.")
    assert (after.document.version, after.document.page_count) == (2, 2)
    assert [hit.text for hit in await caller.search("herons", exclude_shared=True)] == ["Three herons."]


async def test_limits_are_told_clearly_and_what_is_there_counts(tmp_path: Path, serve: Any) -> None:
    limits = {
        "PARLEY_RETRIEVAL_JOB_WORKERS": "0",
        "PARLEY_RETRIEVAL_JOBS_PER_USER": "2",
        "PARLEY_RETRIEVAL_BYTES_PER_USER": "1000000",
        "PARLEY_RETRIEVAL_DOCUMENTS_PER_USER": "3",
    }
    async with serve(tmp_path, **limits) as retrieval:
        caller = retrieval.caller(USER)
        own = sender(caller)
        async with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED"):
            await own.send(b"a" * 1_000_001)
        await caller.create("b" * 600_000)
        async with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED"):
            await own.send(b"a" * 400_001)
        one = await own.send(b"a" * 300_000)
        async with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED"):
            await caller.create("c" * 200_000)
        two = await own.send(b"two")
        async with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED"):
            await own.send(b"three")
        assert (await own.send(b"two")).duplicate, "what is there already is no more"
        assert len(files_of(tmp_path)) == 2
        assert [one.job.queue_place, two.job.queue_place] == [1, 2]
        await own.cancel(one.job_id)
        async with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED"):
            # Two documents' places are taken by jobs that are to make them, and a third by what there is.
            await caller.create("d")
            await caller.create("e")
        assert (await sender(retrieval.caller()).send(b"three")).job.state == job_pb2.JOB_STATE_QUEUED


async def test_one_users_jobs_do_not_wait_for_all_of_anothers(tmp_path: Path, serve: Any) -> None:
    async with serve(tmp_path, PARLEY_RETRIEVAL_JOB_WORKERS="0") as retrieval:
        busy, other = sender(retrieval.caller(f"usr_{'a' * 32}")), sender(retrieval.caller(f"usr_{'b' * 32}"))
        first = [(await busy.send(f"busy {number}".encode())).job_id for number in range(4)]
        late = [(await other.send(f"late {number}".encode())).job_id for number in range(2)]
        places = {job.job_id: job.queue_place for one in (busy, other) for job in (await one.jobs()).jobs}
        assert sorted(places, key=places.__getitem__) == [first[0], late[0], first[1], late[1], first[2], first[3]]
    async with serve(tmp_path, PARLEY_RETRIEVAL_JOB_WORKERS="1") as retrieval:
        busy, other = sender(retrieval.caller(f"usr_{'a' * 32}")), sender(retrieval.caller(f"usr_{'b' * 32}"))
        ended = [(await one.watch(job_id))[-1] for one, ids in ((busy, first), (other, late)) for job_id in ids]
        ended.sort(key=lambda job: job.end_time.ToNanoseconds())
        assert [job.job_id for job in ended] == sorted(places, key=places.__getitem__)


def replace_with_pipe(home: Path, job_id: str) -> Path:
    """Lets whoever reads the job's file wait for ever, or until `restore`."""
    (file,) = [path for path in files_of(home) if path.parent.name == job_id]
    file.rename(file.with_name("file.kept"))
    os.mkfifo(file)
    return file


def restore(file: Path) -> None:
    file.unlink()
    file.with_name("file.kept").rename(file)


async def begun(own: Sender, job_id: str) -> job_pb2.Job:
    """The job once the text of its file is being read."""
    watching = own.stub.WatchJob(pb.WatchJobRequest(job_id=job_id), metadata=own.metadata, timeout=SECONDS)
    async for response in watching:
        if [stage.stage for stage in response.job.stages][-1] == job_pb2.JOB_STAGE_PARSED:
            watching.cancel()
            job: job_pb2.Job = response.job
            return job
    raise AssertionError("the job ended first")


async def test_a_job_is_cancelled_in_the_middle_of_its_file_and_begun_again(tmp_path: Path, serve: Any) -> None:
    async with serve(tmp_path, PARLEY_RETRIEVAL_JOB_WORKERS="0") as retrieval:
        own = sender(retrieval.caller(USER))
        sent = await own.send(b"The gadwall dabbles.")
        queued = await own.send(b"The pintail is slim.")
        assert (await own.cancel(queued.job_id)).cancelled
        assert (await own.job(queued.job_id)).state == job_pb2.JOB_STATE_CANCELLED
    file = await asyncio.to_thread(replace_with_pipe, tmp_path, sent.job_id)
    async with serve(tmp_path, PARLEY_RETRIEVAL_JOB_WORKERS="1") as retrieval:
        caller = retrieval.caller(USER)
        own = sender(caller)
        job = await begun(own, sent.job_id)
        assert (job.state, job.stage) == (job_pb2.JOB_STATE_RUNNING, job_pb2.JOB_STAGE_RECEIVED)
        async with refused(grpc.StatusCode.FAILED_PRECONDITION, "JOB_STATE"):
            await own.retry(sent.job_id)
        answer = await own.cancel(sent.job_id)
        assert (answer.cancelled, answer.job.state) == (True, job_pb2.JOB_STATE_CANCELLED)
        answer = await own.cancel(sent.job_id)
        assert (answer.cancelled, answer.job.state) == (False, job_pb2.JOB_STATE_CANCELLED)
        await asyncio.to_thread(restore, file)
        assert (await own.retry(sent.job_id)).state in {job_pb2.JOB_STATE_QUEUED, job_pb2.JOB_STATE_RUNNING}
        last = (await own.watch(sent.job_id))[-1]
        assert (last.state, last.attempt_count) == (job_pb2.JOB_STATE_DONE, 2)
        assert len(await caller.search("gadwall")) == 1
        assert not (await own.cancel(sent.job_id)).cancelled
        assert len(await caller.search("gadwall")) == 1


async def test_deleting_a_document_that_is_still_made_cancels_its_job(tmp_path: Path, serve: Any) -> None:
    async with serve(tmp_path, PARLEY_RETRIEVAL_JOB_WORKERS="0") as retrieval:
        sent = await sender(retrieval.caller(USER)).send(b"The garganey is rare.")
    await asyncio.to_thread(replace_with_pipe, tmp_path, sent.job_id)
    async with serve(tmp_path, PARLEY_RETRIEVAL_JOB_WORKERS="1") as retrieval:
        caller = retrieval.caller(USER)
        await begun(sender(caller), sent.job_id)
        await caller.delete(sent.document_id)
        assert (await sender(caller).job(sent.job_id)).state == job_pb2.JOB_STATE_CANCELLED
        assert files_of(tmp_path) == []


async def test_a_service_that_stops_gives_its_jobs_back(tmp_path: Path, serve: Any) -> None:
    async with serve(tmp_path, PARLEY_RETRIEVAL_JOB_WORKERS="0") as retrieval:
        sent = await sender(retrieval.caller(USER)).send(b"The smew is white.")
    file = await asyncio.to_thread(replace_with_pipe, tmp_path, sent.job_id)
    async with serve(tmp_path, PARLEY_RETRIEVAL_JOB_WORKERS="1") as retrieval:
        await begun(sender(retrieval.caller(USER)), sent.job_id)
    await asyncio.to_thread(restore, file)
    async with serve(tmp_path, PARLEY_RETRIEVAL_JOB_WORKERS="0") as retrieval:
        job = await sender(retrieval.caller(USER)).job(sent.job_id)
        assert (job.state, job.attempt_count, job.queue_place) == (job_pb2.JOB_STATE_QUEUED, 0, 1)
    async with serve(tmp_path) as retrieval:
        assert (await sender(retrieval.caller(USER)).watch(sent.job_id))[-1].state == job_pb2.JOB_STATE_DONE


async def test_what_may_pass_is_tried_again_and_told_meanwhile(tmp_path: Path, serve: Any) -> None:
    database = Database.open(await asyncio.to_thread(database_url, "retrieval", tmp_path))

    async def break_table(broken: bool) -> None:
        """Takes away, or gives back, the table that the chunks of a document are written to."""
        names = ("chunks", "elsewhere") if broken else ("elsewhere", "chunks")
        async with database.write() as connection:
            if database.dialect == "sqlite":
                await connection.execute(text("PRAGMA legacy_alter_table = ON"))
            await connection.execute(text(f"ALTER TABLE {names[0]} RENAME TO {names[1]}"))

    async with serve(tmp_path, PARLEY_RETRIEVAL_JOB_RETRY_SECONDS="0.05") as retrieval:
        caller = retrieval.caller(USER)
        own = sender(caller)
        await break_table(True)
        sent = await own.send(b"The scaup comes in winter.")
        watching = own.stub.WatchJob(pb.WatchJobRequest(job_id=sent.job_id), metadata=own.metadata, timeout=SECONDS)
        last = None
        async for response in watching:
            last = response.job
            if last.state == job_pb2.JOB_STATE_WAITING_FOR_RETRY and last.attempt_count == 2:
                assert last.HasField("next_attempt_time")
                assert (last.failure.reason, last.failure.retryable) == (job_pb2.JOB_FAILURE_REASON_INTERNAL, True)
                await break_table(False)
        assert last is not None
        assert last.state == job_pb2.JOB_STATE_DONE
        assert last.attempt_count > 2
        assert len(await caller.search("scaup")) == 1
    await database.close()


async def test_a_job_that_runs_elsewhere_is_cancelled_from_here(
    tmp_path: Path, serve: Any, postgres: PostgresServer
) -> None:
    shared = {
        "PARLEY_RETRIEVAL_DATABASE_URL": postgres.new_database_url(),
        "PARLEY_RETRIEVAL_FILES_FOLDER": str(tmp_path / "files"),
    }
    for name in ("one", "two"):
        await asyncio.to_thread((tmp_path / name).mkdir)
    async with serve(tmp_path / "one", PARLEY_RETRIEVAL_JOB_WORKERS="0", **shared) as here:
        own = sender(here.caller(USER))
        sent = await own.send(b"The eider nests.")
        await asyncio.to_thread(replace_with_pipe, tmp_path, sent.job_id)
        async with serve(tmp_path / "two", PARLEY_RETRIEVAL_JOB_WORKERS="1", **shared):
            await begun(own, sent.job_id)
            answer = await own.cancel(sent.job_id)
            assert (answer.cancelled, answer.job.state) == (True, job_pb2.JOB_STATE_CANCELLED)

"""Jobs outlive processes: kill -9 at every stage, and another process goes on at the stage where the job was.

The database holds a process where it is to die: a trigger waits for a lock of the test's before what comes after a stage is written.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from parley.retrieval.v1 import job_pb2, search_service_pb2, search_service_pb2_grpc
from parley_shared.sql import Database, default_database_url
from parley_testing.addresses import NOBODY
from parley_testing.ingestion import SECONDS, Sender, pdf, until
from parley_testing.postgres import PostgresServer
from parley_testing.tokens import TestKeys
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

USER = f"usr_{'4' * 32}"
FILE = pdf(*(f"Page {page} of the heron. " * 60 for page in range(6)), title="Herons")


@dataclass(frozen=True)
class Process:
    """A running service and its caller."""

    process: asyncio.subprocess.Process
    sender: Sender

    async def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def found(self, query: str) -> list[search_service_pb2.SearchHit]:
        stub = search_service_pb2_grpc.SearchServiceStub(self.sender.channel)
        request = search_service_pb2.SearchRequest(query=query, limit=50)
        response: search_service_pb2.SearchResponse = await stub.Search(request, metadata=self.sender.metadata)
        return list(response.hits)


@asynccontextmanager
async def started(home: Path, **variables: str) -> AsyncIterator[Process]:
    """`python -m parley_retrieval`, once it listens."""
    await asyncio.to_thread(home.mkdir, exist_ok=True)
    keys = TestKeys(home)
    log = home / f"log {os.urandom(4).hex()}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    environment = {
        **kept,
        "PARLEY_HOME": str(home),
        "PARLEY_RETRIEVAL_PORT": "0",
        "PARLEY_CHAT_ADDRESS": NOBODY,
        **variables,
    }
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "parley_retrieval", env=environment, stdout=stream, stderr=stream
        )
    try:
        async with asyncio.timeout(SECONDS):
            while not (said := re.search(r"listens on [^ ]*:(\d+)", log.read_text())):
                assert process.returncode is None, log.read_text()
                await asyncio.sleep(0.02)
        metadata = (("authorization", f"Bearer {keys.mint(USER, ('documents:read', 'documents:write'))}"),)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{said[1]}") as channel:
            yield Process(process, Sender(channel, metadata))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class Holder:
    """Stops whoever writes a job in the state that it is told."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def prepare(self) -> None:
        await self._run(
            "CREATE FUNCTION wait_for_test() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NEW; END $$"
        )

    async def hold(self, condition: str) -> None:
        await self._run("SELECT pg_advisory_lock(4711)")
        await self._run(
            f"CREATE TRIGGER held BEFORE UPDATE ON jobs FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION wait_for_test()"
        )

    async def wait(self) -> None:
        """Until somebody is held."""

        async def somebody_waits() -> bool:
            return bool(await self._one("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))

        await until(somebody_waits)

    async def let_go(self) -> None:
        """To be called when who was held is dead: what it was at is undone."""
        await self._run(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted",
        )
        # First the lock: others may wait for it by now, with locks of their own that the trigger's end needs.
        await self._run("SELECT pg_advisory_unlock(4711)")
        await self._run("DROP TRIGGER held ON jobs")

    async def _run(self, statement: str) -> None:
        await self._connection.execute(text(statement))
        await self._connection.commit()

    async def _one(self, statement: str) -> int:
        count = int((await self._connection.execute(text(statement))).scalar_one())
        await self._connection.commit()
        return count


@asynccontextmanager
async def holder(url: str) -> AsyncIterator[Holder]:
    database = Database.open(url)
    try:
        async with database._writer.connect() as connection:
            made = Holder(connection)
            await made.prepare()
            yield made
    finally:
        await database.close()


async def until_running(process: Process, job_id: str) -> None:
    async def runs() -> bool:
        return (await process.sender.job(job_id)).state == job_pb2.JOB_STATE_RUNNING

    await until(runs)


def times(job: job_pb2.Job, stages: int) -> list[tuple[int, int]]:
    return [(stage.stage, stage.end_time.ToNanoseconds()) for stage in job.stages[:stages]]


async def test_a_job_is_killed_at_every_stage_and_goes_on_where_it_was(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    url = postgres.new_database_url()
    variables = {
        "PARLEY_RETRIEVAL_DATABASE_URL": url,
        "PARLEY_RETRIEVAL_JOB_LEASE_SECONDS": "1",
        "PARLEY_RETRIEVAL_JOB_WORKERS": "1",
    }
    async with started(tmp_path / "home", **{**variables, "PARLEY_RETRIEVAL_JOB_WORKERS": "0"}) as process:
        sent = await process.sender.send(FILE, filename="herons.pdf")
        # Killed with nothing done but what was answered.
        await process.kill()
    before = sent.job
    async with holder(url) as held:
        for passed, condition in (
            (1, "OLD.stage = 'received' AND NEW.stage = 'parsed'"),  # the text is read, and nobody knows
            (2, "OLD.stage = 'parsed'"),
            (3, "OLD.stage = 'chunked'"),
            (4, "OLD.stage = 'embedded' AND NEW.stage = 'indexed'"),  # the index has the chunks, the database not
            (5, "OLD.stage = 'indexed'"),
        ):
            await held.hold(condition)
            async with started(tmp_path / "home", **variables) as process:
                await held.wait()
                job = await process.sender.job(sent.job_id)
                assert (job.state, job.stage) == (job_pb2.JOB_STATE_RUNNING, passed)
                assert times(job, before.stage) == times(before, before.stage), "a stage that was passed was done again"
                hits = await process.found("heron")
                assert bool(hits) == (passed == 5), "a document is there whole, or not at all"
                await process.kill()
                before = job
            await held.let_go()
    async with started(tmp_path / "home", **variables) as process:
        last = (await process.sender.watch(sent.job_id))[-1]
        assert last.state == job_pb2.JOB_STATE_DONE, last.failure
        assert times(last, 5)[:4] == times(before, 5)[:4]
        assert last.attempt_count == 6
        found = await process.found("heron")
        assert len({hit.chunk_id for hit in found}) == len(found) == last.stages[2].done > 1
        kept = [path.name for path in (tmp_path / "home" / "retrieval" / "files").rglob("*") if path.is_file()]
        assert kept == ["file"], "what the stages made is gone when the job is done"


async def test_another_process_finishes_what_a_killed_one_began_and_who_watches_there_sees_it(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    url = postgres.new_database_url()
    variables = {
        "PARLEY_RETRIEVAL_DATABASE_URL": url,
        "PARLEY_RETRIEVAL_FILES_FOLDER": str(tmp_path / "files"),
        "PARLEY_RETRIEVAL_JOB_LEASE_SECONDS": "1",
        "PARLEY_RETRIEVAL_JOB_WORKERS": "1",
    }
    async with started(tmp_path / "one", **variables) as one, holder(url) as held:
        await held.hold("OLD.stage = 'parsed'")
        sent = await one.sender.send(FILE)
        await held.wait()
        async with started(tmp_path / "two", **variables) as two:
            watching = asyncio.create_task(two.sender.watch(sent.job_id))
            assert (await two.sender.job(sent.job_id)).stage == job_pb2.JOB_STAGE_PARSED
            await one.kill()
            await held.let_go()
            seen = await watching
            assert seen[0].state == job_pb2.JOB_STATE_RUNNING
            assert (seen[-1].state, seen[-1].attempt_count) == (job_pb2.JOB_STATE_DONE, 2)
            assert times(seen[-1], 2) == times(seen[0], 2)
            assert len(await two.found("heron")) == seen[-1].stages[2].done


async def test_on_a_laptop_a_killed_process_takes_its_job_up_again_at_once(tmp_path: Path) -> None:
    laptop = {"PARLEY_RETRIEVAL_DATABASE_URL": default_database_url(tmp_path / "home", "retrieval")}
    async with started(tmp_path / "home", PARLEY_RETRIEVAL_JOB_WORKERS="0", **laptop) as process:
        sent = await process.sender.send(b"The bittern booms.")
        await process.kill()
    (file,) = [path for path in (tmp_path / "home" / "retrieval" / "files").rglob("file") if path.is_file()]
    file.rename(file.with_name("kept"))
    os.mkfifo(file)
    # The lease would last longer than the test.
    lease = {**laptop, "PARLEY_RETRIEVAL_JOB_LEASE_SECONDS": "300"}
    async with started(tmp_path / "home", **lease) as process:
        await until_running(process, sent.job_id)
        await process.kill()
    file.unlink()
    file.with_name("kept").rename(file)
    async with started(tmp_path / "home", **lease) as process:
        last = (await process.sender.watch(sent.job_id))[-1]
        assert (last.state, last.attempt_count) == (job_pb2.JOB_STATE_DONE, 2), last.failure
        assert len(await process.found("bittern")) == 1

"""Retrieval as a process of its own: how it starts, ends, dies and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from parley.retrieval.v1 import document_service_pb2_grpc, search_service_pb2_grpc
from parley_retrieval.adapters.sql_schema import metadata
from parley_shared.sql import default_database_url, missing_migrations
from parley_testing.addresses import NOBODY
from parley_testing.databases import database_variables
from parley_testing.postgres import PostgresServer
from parley_testing.tokens import TestKeys

USER = f"usr_{'2' * 32}"
SECONDS = 30


def environment(home: Path, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    kept |= database_variables("retrieval", home)
    return {
        **kept,
        "PARLEY_HOME": str(home),
        "PARLEY_RETRIEVAL_PORT": "0",
        "PARLEY_CHAT_ADDRESS": NOBODY,
        "PARLEY_LOG_FORMAT": "json",
        **variables,
    }


class Process:
    """A running service. Its log goes to a file."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, service: Any) -> None:
        self.process = process
        self.log = log
        self.service = service

    async def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), SECONDS)


@asynccontextmanager
async def started(home: Path, make_caller: type, service_type: type) -> AsyncIterator[Process]:
    """Starts `python -m parley_retrieval` and waits until it says that it listens."""
    keys = TestKeys(home)
    log = home / "log"
    variables = await asyncio.to_thread(environment, home)
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "parley_retrieval", env=variables, stdout=stream, stderr=stream
        )
    try:
        async with asyncio.timeout(SECONDS):
            while not (said := re.search(r"listens on [^ ]*:(\d+)", log.read_text())):
                assert process.returncode is None, log.read_text()
                await asyncio.sleep(0.02)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{said[1]}") as channel:
            service = service_type(
                None,
                keys,
                channel,
                document_service_pb2_grpc.DocumentServiceStub(channel),
                search_service_pb2_grpc.SearchServiceStub(channel),
            )
            yield Process(process, log, service)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.fixture
def start(retrieval: Any) -> Any:
    """Starts a process on a home folder."""
    return lambda home: started(home, type(retrieval.caller()), type(retrieval))


def text_of(name: str, parts: int = 12) -> str:
    return "\n\n".join(f"## Part {part}\n\n{name} {'and more of it ' * 20}" for part in range(parts))


async def assert_whole(caller: Any, document: Any) -> None:
    hits = await caller.search(document.title, limit=50)
    assert len({hit.chunk_id for hit in hits if hit.document_id == document.document_id}) == document.chunk_count


async def test_it_says_what_it_listens_on_and_uses_and_ends_with_0(tmp_path: Path, start: Any) -> None:
    async with start(tmp_path) as process:
        health: Any = health_pb2_grpc.HealthStub(process.service.channel)
        for name in ("", "parley.retrieval.v1.DocumentService", "parley.retrieval.v1.SearchService"):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        assert await process.end(signal.SIGTERM) == 0
        log = process.log.read_text()
    for words in ("index_folder", "sample_corpus", "database_url"):
        assert words in log
    assert "Traceback" not in log


async def test_what_was_answered_survives_kill_9_and_nothing_is_there_by_half(
    tmp_path: Path, start: Any, serve: Any
) -> None:
    enough = asyncio.Event()
    created: dict[str, Any] = {}
    deleted: set[str] = set()
    updated: dict[str, str] = {}

    async def work(caller: Any, worker: int) -> None:
        for number in range(1_000):
            name = f"name{worker}x{number}"
            document = (await caller.create(text_of(name), title=name)).document
            created[document.document_id] = document
            if len(created) >= 40:
                enough.set()
            if number % 3 == 1:
                change = f"changed{worker}x{number}"
                after = await caller.update(document_id=document.document_id, text=text_of(change, 5), title=change)
                created[document.document_id] = after.document
                updated[document.document_id] = name
            if number % 3 == 2:
                await caller.delete(document.document_id)
                deleted.add(document.document_id)

    async with start(tmp_path) as process:
        callers = [process.service.caller(f"usr_{worker:032x}") for worker in range(4)]
        async with asyncio.TaskGroup() as tasks:
            workers = [tasks.create_task(_until_it_dies(work(caller, at))) for at, caller in enumerate(callers)]
            async with asyncio.timeout(SECONDS):
                await enough.wait()
            await process.end(signal.SIGKILL)
            await asyncio.wait(workers)

    assert deleted
    assert updated
    async with serve(tmp_path) as retrieval:
        present: dict[str, Any] = {}
        for worker in range(4):
            caller = retrieval.caller(f"usr_{worker:032x}")
            documents = (await caller.page(page_size=100)).documents
            present |= {document.document_id: document for document in documents}
            for document in documents:
                await assert_whole(caller, document)
                if document.document_id in updated:
                    assert await caller.search(updated[document.document_id]) == []
        for document_id in deleted:
            assert document_id not in present
        # What was under way when it died may be there or not, so the last of each worker may differ.
        answered = {key: value for key, value in created.items() if key not in deleted}
        missing = [document for key, document in answered.items() if key not in present]
        assert len(missing) <= 4, "only a delete that was under way may have taken a document"
        assert all(document.title.startswith("name") for document in missing)
        changed = [key for key in answered if key in present and present[key] != answered[key]]
        assert len(changed) <= 4


async def _until_it_dies(work: Any) -> None:
    with contextlib.suppress(grpc.aio.AioRpcError):
        await work


async def test_an_index_that_a_loss_of_power_set_back_catches_up(tmp_path: Path, start: Any, serve: Any) -> None:
    index, old = tmp_path / "retrieval" / "index", tmp_path / "old"
    async with serve(tmp_path) as retrieval:
        caller = retrieval.caller(USER)
        titled = (await caller.create("about something", title="Before")).document
        gone = (await caller.create("about a vanished thing")).document
    shutil.copytree(index, old)
    async with start(tmp_path) as process:
        caller = process.service.caller(USER)
        await caller.create("about a novelty")
        await caller.update(document_id=titled.document_id, title="Afterwards")
        await caller.delete(gone.document_id)
        await process.end(signal.SIGKILL)
    shutil.rmtree(index)
    shutil.copytree(old, index)
    async with serve(tmp_path) as retrieval:
        caller = retrieval.caller(USER)
        found = {word: len(await caller.search(word)) for word in ("novelty", "afterwards", "before", "vanished")}
        assert found == {"novelty": 1, "afterwards": 1, "before": 0, "vanished": 0}


async def _store_some(tmp_path: Path, serve: Any) -> list[Any]:
    async with serve(tmp_path) as retrieval:
        caller = retrieval.caller(USER)
        return [(await caller.create(text_of(f"name{number}"), title=f"name{number}")).document for number in range(5)]


def _lose(index: Path) -> None:
    shutil.rmtree(index)


def _break_segments(index: Path) -> None:
    for path in (index / "generations" / "words" / "shard" / "segments").rglob("*"):
        if path.is_file():
            path.write_bytes(b"\x07" * 100)


def _break_log(index: Path) -> None:
    for path in (index / "generations" / "words" / "shard" / "wal").iterdir():
        path.write_bytes(b"\x07" * 100)


@pytest.mark.parametrize("harm", [_lose, _break_segments, _break_log])
async def test_a_lost_or_broken_index_is_made_anew(tmp_path: Path, serve: Any, harm: Any) -> None:
    documents = await _store_some(tmp_path, serve)
    harm(tmp_path / "retrieval" / "index")
    async with serve(tmp_path) as retrieval:
        for document in documents:
            await assert_whole(retrieval.caller(USER), document)


async def test_another_language_makes_the_index_anew(tmp_path: Path, serve: Any) -> None:
    async with serve(tmp_path) as retrieval:
        await retrieval.caller(USER).create("Die Häuser stehen am Fluss.")
    async with serve(tmp_path, PARLEY_RETRIEVAL_LANGUAGE="german") as retrieval:
        assert len(await retrieval.caller(USER).search("Haus")) == 1


async def _run(home: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        env=await asyncio.to_thread(lambda: environment(home, **variables)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(process.communicate(), SECONDS)
    assert process.returncode is not None
    return process.returncode, errors.decode()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PARLEY_RETRIEVAL_PORT", "many"),
        ("PARLEY_RETRIEVAL_LANGUAGE", "klingon"),
        ("PARLEY_RETRIEVAL_SAMPLE_CORPUS", "nowhere/at/all"),
        ("PARLEY_RETRIEVAL_DOCUMENTS_PER_USER", "0"),
        ("PARLEY_RETRIEVAL_FLUSH_SECONDS", "nan"),
        ("PARLEY_RETRIEVAL_DATABASE_URL", "mysql://localhost/parley"),
        ("PARLEY_RETRIEVAL_INDEX_FOLDER", "/dev/null/index"),
    ],
)
async def test_a_wrong_setting_is_one_line_and_exit_code_2(tmp_path: Path, variable: str, value: str) -> None:
    code, errors = await _run(tmp_path, "parley_retrieval", **{variable: value})
    assert code == 2, errors
    assert errors.count("\n") == 1, errors
    assert variable in errors


async def test_a_second_service_on_the_same_index_says_so_and_ends(tmp_path: Path, serve: Any) -> None:
    async with serve(tmp_path) as retrieval:
        code, errors = await _run(tmp_path, "parley_retrieval")
        assert code == 2
        assert "PARLEY_RETRIEVAL_INDEX_FOLDER" in errors.splitlines()[-1]
        caller = retrieval.caller()
        await caller.create("still here")
        assert len(await caller.search("still here")) == 1


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
async def test_migrate_makes_the_database_and_ends(tmp_path: Path, postgres: PostgresServer, dialect: str) -> None:
    url = postgres.new_database_url() if dialect == "postgresql" else default_database_url(tmp_path, "retrieval")
    for _ in range(2):
        code, errors = await _run(tmp_path, "parley_retrieval.migrate", PARLEY_RETRIEVAL_DATABASE_URL=url)
        assert code == 0, errors
    assert await missing_migrations(url, "parley_retrieval", metadata) == []

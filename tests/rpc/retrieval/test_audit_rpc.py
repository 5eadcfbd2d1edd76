"""AuditIndex: what was broken behind the service's back is told and mended, and what was deleted has left nothing."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from parley.retrieval.v1 import (
    index_service_pb2,
    index_service_pb2_grpc,
    ingest_service_pb2,
    ingest_service_pb2_grpc,
    job_pb2,
)
from parley_retrieval.adapters.murmur_term_hash import MurmurTermHash
from parley_retrieval.adapters.qdrant_index_shelf import QdrantIndexShelf, open_qdrant_client
from parley_retrieval.adapters.snowball_stemmer import SnowballStemmer
from parley_retrieval.adapters.sql_schema import chunks, item_chunks
from parley_retrieval.domain.bm25 import SparseVector
from parley_retrieval.operations.terms import TermEncoder
from parley_retrieval.ports.vector_index import Index, IndexPoint
from parley_testing.loopback_qdrant import API_KEY, LoopbackQdrant
from sqlalchemy import delete, select

SCOPES = ("documents:read", "documents:write", "index:read", "index:write")
HELD_SECONDS = 60


class User:
    """A user, and a service that owns things of theirs."""

    def __init__(self, retrieval: Any) -> None:
        self.retrieval = retrieval
        self.caller = retrieval.caller(scopes=SCOPES)
        self.user_id: str = self.caller.user_id
        self.index = index_service_pb2_grpc.IndexServiceStub(retrieval.channel)
        self.files: Path = retrieval.app.settings.ingestion.files_folder / self.user_id

    async def audit(self, *, repair: bool = False) -> index_service_pb2.AuditIndexResponse:
        request = index_service_pb2.AuditIndexRequest(repair=repair)
        response: index_service_pb2.AuditIndexResponse = await self.index.AuditIndex(
            request, metadata=self.caller.metadata, timeout=120
        )
        return response

    async def counts(self, *, repair: bool = False) -> tuple[int, int, int, int, int, bool]:
        """Chunks, points, orphaned points, missing points, orphaned files, and whether it was mended."""
        told = await self.audit(repair=repair)
        return (
            told.chunk_count,
            told.point_count,
            told.orphaned_point_count,
            told.missing_point_count,
            told.orphaned_file_count,
            told.repaired,
        )

    async def put(self, item_id: str, text: str, version: int = 1) -> None:
        item = index_service_pb2.IndexItem(item_type="task", item_id=item_id, version=version, title="Task", text=text)
        item.update_time.FromDatetime(datetime.now(UTC))
        await self.index.PutItems(index_service_pb2.PutItemsRequest(items=[item]), metadata=self.caller.metadata)

    async def delete_item(self, item_id: str) -> None:
        named = index_service_pb2.DeletedItem(item_type="task", item_id=item_id, version=1 << 40)
        await self.index.DeleteItems(index_service_pb2.DeleteItemsRequest(items=[named]), metadata=self.caller.metadata)

    async def upload(self, text: str) -> str:
        """Uploads a file, waits for its document, and gives its id."""
        stub = ingest_service_pb2_grpc.IngestServiceStub(self.retrieval.channel)

        async def requests() -> AsyncIterator[ingest_service_pb2.IngestRequest]:
            yield ingest_service_pb2.IngestRequest(metadata=ingest_service_pb2.IngestMetadata(filename="file.txt"))
            yield ingest_service_pb2.IngestRequest(chunk=text.encode())

        sent = await stub.Ingest(requests(), metadata=self.caller.metadata)
        request = ingest_service_pb2.WatchJobRequest(job_id=sent.job_id)
        async for change in stub.WatchJob(request, metadata=self.caller.metadata, timeout=HELD_SECONDS):
            job = change.job
        assert job.state == job_pb2.JOB_STATE_DONE
        return str(job.document_id)

    async def texts(self, query: str) -> set[str]:
        return {hit.text for hit in await self.caller.search(query, include_items=True, exclude_shared=True)}


@pytest.fixture
def user(retrieval: Any) -> User:
    return User(retrieval)


@asynccontextmanager
async def on_qdrant(tmp_path: Path, serve: Any) -> AsyncIterator[tuple[User, Index]]:
    """A user of a service whose index is in a server, and a hand in that server."""
    async with LoopbackQdrant(api_key=API_KEY) as server:
        variables = {"PARLEY_RETRIEVAL_QDRANT_URL": server.url, "PARLEY_RETRIEVAL_QDRANT_API_KEY": API_KEY}
        async with serve(tmp_path, **variables) as retrieval:
            collection = retrieval.app.settings.qdrant_collection
            encoding = TermEncoder(SnowballStemmer("english"), MurmurTermHash()).encoding
            shelf = QdrantIndexShelf(open_qdrant_client(server.url, API_KEY), collection, encoding)
            await shelf.open()
            try:
                yield User(retrieval), shelf.current
            finally:
                await shelf.close()


def point(owner_id: str, document_id: str = "doc_nothing") -> IndexPoint:
    return IndexPoint(uuid.uuid4(), owner_id, document_id, "", 0, "0" * 64, SparseVector((1,), (1.0,)))


async def test_who_has_nothing_is_told_zeros(user: User) -> None:
    assert await user.counts() == (0, 0, 0, 0, 0, False)
    assert await user.counts(repair=True) == (0, 0, 0, 0, 0, False)


async def test_what_was_deleted_is_found_no_more_and_has_left_nothing(user: User) -> None:
    document = (await user.caller.create("# One\n\nthe heron\n\n# Two\n\nthe heron again")).document
    uploaded = await user.upload("the heron of a file")
    await user.put("tsk_1", "the heron of a task")
    assert await user.counts() == (4, 4, 0, 0, 0, False)
    assert len(await user.texts("heron")) == 4
    await user.caller.update(document_id=document.document_id, text="the heron, changed")
    await user.put("tsk_1", "the heron of a changed task", version=2)
    assert await user.counts() == (3, 3, 0, 0, 0, False), "what was replaced has left nothing, either"
    assert len(list(user.files.iterdir())) == 1
    await user.caller.delete(document.document_id)
    await user.caller.delete(uploaded)
    await user.delete_item("tsk_1")
    assert await user.texts("heron") == set()
    assert await user.counts() == (0, 0, 0, 0, 0, False)
    assert not user.files.exists()


async def test_points_that_were_lost_and_points_of_nothing_are_told_and_mended(tmp_path: Path, serve: Any) -> None:
    async with on_qdrant(tmp_path, serve) as (user, index):
        document = (await user.caller.create("the heron of a document")).document
        await user.put("tsk_1", "the heron of a task")
        other = User(user.retrieval)
        await other.caller.create("the heron of somebody else")
        own = await index.chunks_of_owners([user.user_id, f"{user.user_id}/items"])
        assert len(own) == 2
        await index.remove(own)
        orphans = [
            point(user.user_id),
            point(user.user_id, document.document_id),
            point(f"{user.user_id}/items", "itm_nothing"),
        ]
        await index.upsert([*orphans, point(other.user_id)])
        assert await user.texts("heron") == set()

        told = await user.audit()
        assert (told.chunk_count, told.point_count) == (2, 3)
        assert (told.orphaned_point_count, told.missing_point_count, told.repaired) == (3, 2, False)
        assert set(told.examples) == {str(one) for one in [*own, *(orphan.chunk_id for orphan in orphans)]}
        assert await user.counts() == (2, 3, 3, 2, 0, False), "to tell is not to mend"

        assert await user.counts(repair=True) == (2, 3, 3, 2, 0, True)
        assert await user.counts() == (2, 2, 0, 0, 0, False)
        assert await user.texts("heron") == {"the heron of a document", "the heron of a task"}
        assert await index.chunks_of_owners([user.user_id, f"{user.user_id}/items"]) == own
        assert await other.counts() == (1, 2, 1, 0, 0, False), "nobody mends what is another's"


async def test_chunks_that_were_lost_from_the_database_are_orphans_of_the_index(user: User) -> None:
    document = (await user.caller.create("# One\n\nthe heron\n\n# Two\n\nthe heron again")).document
    await user.put("tsk_1", "the heron of a task")
    async with user.retrieval.app.database.write() as connection:
        lost = (
            await connection.execute(
                delete(chunks)
                .where(chunks.c.document_id == document.document_id, chunks.c.number == 1)
                .returning(chunks.c.chunk_id)
            )
        ).scalar_one()
        items_of = select(item_chunks.c.chunk_id).where(item_chunks.c.text == "the heron of a task")
        found = [row.chunk_id for row in await connection.execute(items_of)]
        await connection.execute(delete(item_chunks).where(item_chunks.c.chunk_id.in_(found)))
    assert await user.counts() == (1, 3, 2, 0, 0, False)
    told = await user.audit(repair=True)
    assert set(told.examples) == {str(lost), *map(str, found)}
    assert told.repaired
    assert await user.counts() == (1, 1, 0, 0, 0, False)


async def test_at_most_a_hundred_examples_are_named(tmp_path: Path, serve: Any) -> None:
    async with on_qdrant(tmp_path, serve) as (user, index):
        await index.upsert([point(user.user_id) for _ in range(120)])
        told = await user.audit(repair=True)
        assert (told.orphaned_point_count, len(told.examples), told.repaired) == (120, 100, True)
        assert await user.counts() == (0, 0, 0, 0, 0, False)


def leave_file(user: User, content: bytes, *, age_seconds: float) -> Path:
    folder = user.files / f"job_{uuid.uuid4().hex}"
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(content)
    then = time.time() - age_seconds
    os.utime(folder, (then, then))
    return folder


async def test_a_file_that_was_left_is_told_by_its_digest_and_removed(user: User) -> None:
    kept = await user.upload("the heron of a file")
    left = leave_file(user, b"what was left", age_seconds=3600)
    told = await user.audit()
    assert told.orphaned_file_count == 1
    assert list(told.examples) == [f"file:{hashlib.sha256(b'what was left').hexdigest()}"]
    assert left.exists()
    assert (await user.audit(repair=True)).repaired
    assert not left.exists()
    assert await user.counts() == (1, 1, 0, 0, 0, False)
    assert (await user.caller.get(kept)).document.text == "the heron of a file"


async def test_a_file_that_has_just_come_is_told_and_left(user: User) -> None:
    left = leave_file(user, b"it may be an upload's", age_seconds=0)
    told = await user.audit(repair=True)
    assert (told.orphaned_file_count, told.repaired) == (1, False)
    assert left.exists()


async def test_shared_documents_are_not_the_users(user: User) -> None:
    assert await user.caller.search("quokka"), "which everybody finds"
    assert await user.counts() == (0, 0, 0, 0, 0, False)


async def test_what_is_being_written_is_no_difference(user: User) -> None:
    async def write(name: str) -> None:
        for version in range(1, 6):
            await user.put(name, f"the heron {name} {version}", version)
            document = (await user.caller.create(f"the heron {name} {version}")).document
            await user.caller.update(document_id=document.document_id, text=f"the stork {name} {version}")
            await user.caller.delete(document.document_id)

    writers = [asyncio.create_task(write(f"tsk_{number}")) for number in range(3)]
    rounds = 0
    while not all(writer.done() for writer in writers):
        rounds += 1
        told = await user.audit(repair=bool(rounds % 2))
        assert (told.orphaned_point_count, told.missing_point_count) == (0, 0), told
    await asyncio.gather(*writers)
    assert await user.counts() == (3, 3, 0, 0, 0, False)
    assert await user.texts("heron") == {f"the heron tsk_{number} 5" for number in range(3)}

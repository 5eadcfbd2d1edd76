"""The vector index in this process: Qdrant's engine as a library, one shard in a folder.

The engine holds the interpreter's lock in every call, so calls are small and go through one thread of their own; its
long ones (optimize) are never made here. It writes ahead without syncing: what it took survives the process, and the
machine after `flush`. It checks little, so that what comes in is checked by the port's types.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import qdrant_edge as edge

from parley_retrieval.domain.bm25 import SparseVector
from parley_retrieval.domain.errors import IndexFailedError, IndexInUseError
from parley_retrieval.ports.vector_index import IndexPoint, IndexQuery, ScoredPoint

logger = logging.getLogger(__name__)

T = TypeVar("T")

_TERMS = "terms"
_BATCH_POINTS = 64
"""About a millisecond of the engine."""
_SCROLL_POINTS = 1_000
_FITTING_POINTS = 100
_LAYOUT = 1
"""Goes up when the shard is built in another way than before: an index of another layout is made anew."""


class EdgeVectorIndex:
    """`VectorIndex` and `IndexUpkeep` on a folder of its own."""

    def __init__(self, folder: Path, encoding: str) -> None:
        """`encoding` says what the vectors depend on: an index of another encoding is emptied when it is opened."""
        self._folder = folder
        self._about = {"layout": _LAYOUT, "encoding": encoding}
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vector-index")
        self._shard: edge.EdgeShard | None = None
        self._lock: int | None = None

    async def open(self) -> None:
        """Opens what the folder holds; an index that is missing, of another encoding, or broken starts empty.

        Raises IndexInUseError when another process has it, OSError when the folder cannot be used.
        """
        await asyncio.get_running_loop().run_in_executor(self._executor, self._open)

    async def close(self) -> None:
        """Lets go of the folder. Does not flush."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._close)
        self._executor.shutdown()

    async def search(self, query: IndexQuery) -> list[ScoredPoint]:
        """See `VectorIndex`."""
        visible = edge.FieldCondition("user_id", match=edge.MatchAny(list(query.visibility.owners)))
        conditions: list[edge.ConditionType] = [visible]
        if query.project:
            conditions.append(edge.FieldCondition("project", match=edge.MatchValue(query.project)))
        fits = edge.Filter(must=conditions)
        # Counted over everybody's chunks, rarity would tell one user what others write about, and mislead.
        params = edge.SearchParams(idf=edge.IdfParams(corpus=edge.Filter(must=[visible])))
        nearest = edge.Query.Nearest(_vector(query.terms), using=_TERMS)
        if query.nuances is None:
            request = edge.QueryRequest(limit=query.limit, query=nearest, filter=fits, params=params)
        else:
            # First what fits by the terms, then the order among it by all that was said.
            wanted = max(_FITTING_POINTS, 2 * query.limit)
            request = edge.QueryRequest(
                limit=query.limit,
                prefetches=[edge.Prefetch(limit=wanted, query=nearest, filter=fits, params=params)],
                query=edge.Query.Nearest(_vector(query.terms, query.nuances), using=_TERMS),
                filter=fits,
                params=params,
            )
        found = await self._call(lambda shard: shard.query(request))
        return [ScoredPoint(_uuid(point.id), point.score) for point in found if point.score > 0]

    async def upsert(self, points: Sequence[IndexPoint]) -> None:
        """See `VectorIndex`."""
        for start in range(0, len(points), _BATCH_POINTS):
            batch = [_point(point) for point in points[start : start + _BATCH_POINTS]]
            await self._update(edge.UpdateOperation.upsert_points(batch))

    async def remove(self, chunk_ids: AbstractSet[UUID]) -> None:
        """See `VectorIndex`."""
        rest = iter(chunk_ids)
        while batch := list(islice(rest, _BATCH_POINTS)):
            ids: list[edge.PointId] = list(batch)
            await self._update(edge.UpdateOperation.delete_points(ids))

    async def chunks_of_document(self, document_id: str) -> set[UUID]:
        """See `VectorIndex`."""
        return await self._ids(
            edge.Filter(must=[edge.FieldCondition("document_id", match=edge.MatchValue(document_id))])
        )

    async def chunk_ids(self) -> set[UUID]:
        """See `IndexUpkeep`."""
        return await self._ids(None)

    async def flush(self) -> None:
        """See `IndexUpkeep`. Takes tens of milliseconds, in which nothing else in the process runs."""
        await self._call(lambda shard: shard.flush())

    async def reset(self) -> None:
        """See `IndexUpkeep`."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._reset)

    async def _ids(self, wanted: edge.Filter | None) -> set[UUID]:
        ids: set[UUID] = set()
        offset: edge.PointId | None = None
        while True:
            request = edge.ScrollRequest(
                offset=offset, limit=_SCROLL_POINTS, filter=wanted, with_payload=False, with_vector=False
            )
            records, offset = await self._call(partial(_scroll, request))
            ids.update(_uuid(record.id) for record in records)
            if offset is None:
                return ids

    async def _update(self, operation: edge.UpdateOperation) -> None:
        await self._call(lambda shard: shard.update(operation))

    async def _call(self, work: Callable[[edge.EdgeShard], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._work, work)

    # From here on everything runs in the index's own thread.

    def _work(self, work: Callable[[edge.EdgeShard], T]) -> T:
        if self._shard is None:
            raise IndexFailedError("the index is not open")
        return _translated(lambda: work(self._shard))  # type: ignore[arg-type]  # checked above

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._take_lock()
        if self._written_about() != self._about:
            self._reset()
            return
        shard_folder = self._folder / "shard"
        # Left behind for ever by an optimizer that was killed.
        shutil.rmtree(shard_folder / "temp_segments", ignore_errors=True)
        try:
            self._shard = _translated(lambda: edge.EdgeShard.load(str(shard_folder), _config()))
        except IndexFailedError:
            logger.warning("the index cannot be opened and starts empty", exc_info=True)
            self._reset()

    def _reset(self) -> None:
        if self._shard is not None:
            self._shard.close()
            self._shard = None
        about_file = self._folder / "about.json"
        about_file.unlink(missing_ok=True)
        shard_folder = self._folder / "shard"
        if shard_folder.exists():
            shutil.rmtree(shard_folder)
        shard_folder.mkdir(mode=0o700)
        self._shard = _translated(lambda: _new_shard(shard_folder))
        # Last, so that a shard that was made by halves is made again.
        about_file.write_text(json.dumps(self._about), encoding="utf-8")

    def _close(self) -> None:
        if self._shard is not None:
            self._shard.close()
            self._shard = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take_lock(self) -> None:
        # The engine locks its log, too, but tells that like any failure, and a failure makes us empty the folder.
        self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            self._lock = None
            raise IndexInUseError from error

    def _written_about(self) -> object:
        try:
            return json.loads((self._folder / "about.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:
            logger.warning("the index's own description cannot be read", exc_info=True)
            return None


def _config() -> edge.EdgeConfig:
    return edge.EdgeConfig(
        sparse_vectors={_TERMS: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        # One thread asks, one thread searches.
        max_search_threads=1,
        wal_enabled=True,
    )


def _new_shard(folder: Path) -> edge.EdgeShard:
    shard = edge.EdgeShard.create(str(folder), _config())
    keyword = edge.PayloadSchemaType.Keyword
    shard.update(edge.UpdateOperation.create_field_index("user_id", edge.KeywordIndexParams(is_tenant=True)))
    shard.update(edge.UpdateOperation.create_field_index("document_id", keyword))
    shard.update(edge.UpdateOperation.create_field_index("project", keyword))
    shard.flush()
    return shard


def _point(point: IndexPoint) -> edge.Point:
    vector: dict[str, edge.NamedVector] = {_TERMS: _vector(point.terms)}
    payload = {
        "user_id": point.owner_id,
        "document_id": point.document_id,
        "project": point.project,
        "number": point.number,
        "content_sha256": point.content_sha256,
    }
    return edge.Point(point.chunk_id, vector, payload)


def _scroll(request: edge.ScrollRequest, shard: edge.EdgeShard) -> tuple[list[edge.Record], edge.PointId | None]:
    return shard.scroll(request)


def _vector(*vectors: SparseVector) -> edge.SparseVector:
    """Vectors without a common index as one."""
    indices = [index for vector in vectors for index in vector.indices]
    return edge.SparseVector(indices, [value for vector in vectors for value in vector.values])


def _uuid(point_id: edge.PointId) -> UUID:
    return point_id if isinstance(point_id, UUID) else UUID(str(point_id))


def _translated(work: Callable[[], T]) -> T:
    """Runs a call of the engine and turns its failures, panics among them, into IndexFailedError."""
    try:
        return work()
    except Exception as error:
        raise IndexFailedError(str(error)) from error
    except BaseException as error:
        if type(error).__name__ == "PanicException":
            raise IndexFailedError(str(error)) from error
        raise

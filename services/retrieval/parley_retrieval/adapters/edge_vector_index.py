"""The vector index in this process: Qdrant's engine as a library, one shard in a folder.

The engine holds the interpreter's lock in every call, so calls are small and go through one thread of their own; its
long ones (optimize) are never made here. It writes ahead without syncing: what it took survives the process, and the
machine after `flush`. It checks little, so that what comes in is checked by the port's types.

One folder is one generation, of one space; which of several answers is `edge_index_shelf.py`'s business.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import qdrant_edge as edge

from parley_retrieval.adapters.index_payload import (
    DOCUMENT,
    KEYWORDS,
    LABELS,
    MEDIA_TYPE,
    NUMBER,
    PROJECT,
    UPDATE_TIME,
    USER,
    label,
    microseconds,
    payload_of,
)
from parley_retrieval.domain.bm25 import SparseVector
from parley_retrieval.domain.errors import IndexFailedError, IndexInUseError, SpaceChangedError
from parley_retrieval.domain.fusion import FUSION_DEPTH
from parley_retrieval.domain.meaning import DenseVector, Space
from parley_retrieval.domain.narrowing import Narrowing
from parley_retrieval.ports.vector_index import IndexPoint, IndexQuery, ScoredPoint, one_order

logger = logging.getLogger(__name__)

T = TypeVar("T")

_TERMS = "terms"
_MEANING = "meaning"
_BATCH_POINTS = 64
"""About a millisecond of the engine."""
_SCROLL_POINTS = 1_000
_FITTING_POINTS = 256
"""How many points that fit by their terms are put in order by nuances. The same for every page of an answer."""
_LAYOUT = 2
"""Goes up when the shard is built in another way than before: an index of another layout is made anew."""


class EdgeVectorIndex:
    """`VectorIndex` and `IndexUpkeep` on a folder of its own."""

    def __init__(self, folder: Path, encoding: str, space: Space | None = None) -> None:
        """`encoding` says what the sparse vectors depend on: an index of another encoding, or of another space, is emptied when it is
        opened."""
        self._folder = folder
        self._space = space
        self._about = {
            "layout": _LAYOUT,
            "encoding": encoding,
            "model": space.model if space else "",
            "dimensions": space.dimensions if space else 0,
        }
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

    @property
    def space(self) -> Space | None:
        """See `VectorIndex`."""
        return self._space

    async def search(self, query: IndexQuery) -> list[ScoredPoint]:
        """See `VectorIndex`."""
        if query.meaning is not None and query.meaning.space != self._space:
            raise SpaceChangedError
        requests = _requests(query)
        # One after the other in the index's thread, as the engine would do it.
        legs = await self._call(lambda shard: [shard.query(request) for request in requests])
        return one_order([[_scored(point) for point in leg if point.score > 0] for leg in legs], query.limit)

    async def upsert(self, points: Sequence[IndexPoint]) -> None:
        """See `VectorIndex`."""
        for start in range(0, len(points), _BATCH_POINTS):
            batch = [_point(point, self._space) for point in points[start : start + _BATCH_POINTS]]
            await self._update(edge.UpdateOperation.upsert_points(batch))

    async def remove(self, chunk_ids: AbstractSet[UUID]) -> None:
        """See `VectorIndex`."""
        rest = iter(chunk_ids)
        while batch := list(islice(rest, _BATCH_POINTS)):
            ids: list[edge.PointId] = list(batch)
            await self._update(edge.UpdateOperation.delete_points(ids))

    async def weigh(self, document_id: str, terms: Mapping[UUID, SparseVector]) -> None:
        """See `VectorIndex`."""
        rest = iter(await self.chunks_of_document(document_id) & terms.keys())
        while batch := list(islice(rest, _BATCH_POINTS)):
            points = [edge.PointVectors(chunk_id, {_TERMS: _vector(terms[chunk_id])}) for chunk_id in batch]
            await self._update(edge.UpdateOperation.update_vectors(points))

    async def chunks_of_document(self, document_id: str) -> set[UUID]:
        """See `VectorIndex`."""
        return await self._ids(edge.Filter(must=[edge.FieldCondition(DOCUMENT, match=edge.MatchValue(document_id))]))

    async def chunks_of_owners(self, owner_ids: Collection[str]) -> set[UUID]:
        """See `VectorIndex`."""
        return await self._ids(edge.Filter(must=[edge.FieldCondition(USER, match=edge.MatchAny(list(owner_ids)))]))

    async def chunk_ids(self) -> set[UUID]:
        """See `IndexUpkeep`."""
        return await self._ids(None)

    async def chunk_ids_without_meaning(self) -> set[UUID]:
        """See `IndexUpkeep`."""
        if self._space is None:
            return await self._ids(None)
        return await self._ids(edge.Filter(must_not=[edge.HasVectorCondition(_MEANING)]))

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
        self._lock = take_folder(self._folder)
        if read_about(self._folder) != self._about:
            self._reset()
            return
        shard_folder = self._folder / "shard"
        # Left behind for ever by an optimizer that was killed.
        shutil.rmtree(shard_folder / "temp_segments", ignore_errors=True)
        try:
            self._shard = _translated(lambda: edge.EdgeShard.load(str(shard_folder), _config(self._space)))
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
        self._shard = _translated(lambda: _new_shard(shard_folder, self._space))
        # Last, so that a shard that was made by halves is made again.
        about_file.write_text(json.dumps(self._about), encoding="utf-8")

    def _close(self) -> None:
        if self._shard is not None:
            self._shard.close()
            self._shard = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def read_about(folder: Path) -> dict[str, Any] | None:
    """What an index says of itself; None when it says nothing that can be read."""
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        logger.warning("the index's own description cannot be read", exc_info=True)
        return None
    return about if isinstance(about, dict) else None


def take_folder(folder: Path) -> int:
    """Takes a folder for this process until the descriptor is closed. Raises IndexInUseError when another one has it."""
    # The engine locks its log, too, but tells that like any failure, and a failure makes us empty the folder.
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise IndexInUseError from error
    return lock


def _config(space: Space | None) -> edge.EdgeConfig:
    dense = {_MEANING: edge.EdgeVectorParams(space.dimensions, edge.Distance.Cosine)} if space else {}
    return edge.EdgeConfig(
        vectors=dense,
        sparse_vectors={_TERMS: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        # One thread asks, one thread searches.
        max_search_threads=1,
        wal_enabled=True,
    )


def _new_shard(folder: Path, space: Space | None) -> edge.EdgeShard:
    shard = edge.EdgeShard.create(str(folder), _config(space))
    shard.update(edge.UpdateOperation.create_field_index(USER, edge.KeywordIndexParams(is_tenant=True)))
    for field in KEYWORDS:
        shard.update(edge.UpdateOperation.create_field_index(field, edge.PayloadSchemaType.Keyword))
    shard.update(edge.UpdateOperation.create_field_index(UPDATE_TIME, edge.PayloadSchemaType.Integer))
    shard.flush()
    return shard


def _point(point: IndexPoint, space: Space | None) -> edge.Point:
    vector: dict[str, edge.NamedVector] = {_TERMS: _vector(point.terms)}
    if point.meaning is not None and point.meaning.space == space:
        vector[_MEANING] = point.meaning.values.tolist()
    return edge.Point(point.chunk_id, vector, payload_of(point))


def _requests(query: IndexQuery) -> list[edge.QueryRequest]:
    """What is asked: by words, by meaning, or both in this order."""
    visible = edge.FieldCondition(USER, match=edge.MatchAny(list(query.visibility.owners)))
    fits = edge.Filter(must=[visible, *_conditions(query.narrowing)])
    # Counted over everybody's chunks, rarity would tell one user what others write about, and mislead.
    params = edge.SearchParams(idf=edge.IdfParams(corpus=edge.Filter(must=[visible])))
    both = query.terms is not None and query.meaning is not None
    limit = FUSION_DEPTH if both else query.limit
    by_meaning = []
    if query.meaning is not None:
        by_meaning = [_answer(limit, query=_nearest(query.meaning), filter=fits)]
    if query.terms is None:
        return by_meaning
    by_terms = edge.Query.Nearest(_vector(query.terms), using=_TERMS)
    first: list[edge.Prefetch] = []
    if query.nuances is not None:
        # First what fits by the terms, then the order among it by all that was said.
        first = [edge.Prefetch(limit=max(_FITTING_POINTS, limit), query=by_terms, filter=fits, params=params)]
        by_terms = edge.Query.Nearest(_vector(query.terms, query.nuances), using=_TERMS)
    return [_answer(limit, prefetches=first, query=by_terms, filter=fits, params=params), *by_meaning]


def _answer(limit: int, **asked: Any) -> edge.QueryRequest:
    return edge.QueryRequest(limit=limit, with_payload=True, **asked)


def _nearest(meaning: DenseVector) -> edge.Query:
    return edge.Query.Nearest(meaning.values.tolist(), using=_MEANING)


def _conditions(narrowing: Narrowing) -> list[edge.ConditionType]:
    conditions: list[edge.ConditionType] = []
    if narrowing.project:
        conditions.append(edge.FieldCondition(PROJECT, match=edge.MatchValue(narrowing.project)))
    if narrowing.document_ids:
        conditions.append(edge.FieldCondition(DOCUMENT, match=edge.MatchAny(list(narrowing.document_ids))))
    if narrowing.media_types:
        kinds = [media_type.value for media_type in narrowing.media_types]
        conditions.append(edge.FieldCondition(MEDIA_TYPE, match=edge.MatchAny(kinds)))
    conditions += [
        edge.FieldCondition(LABELS, match=edge.MatchValue(label(name, value)))
        for name, value in narrowing.labels.items()
    ]
    if narrowing.update_time_from is not None:
        least = edge.RangeFloat(gte=microseconds(narrowing.update_time_from))
        conditions.append(edge.FieldCondition(UPDATE_TIME, range=least))
    if narrowing.update_time_until is not None:
        most = edge.RangeFloat(lt=microseconds(narrowing.update_time_until))
        conditions.append(edge.FieldCondition(UPDATE_TIME, range=most))
    return conditions


def _scored(point: edge.ScoredPoint) -> ScoredPoint:
    payload = point.payload or {}
    return ScoredPoint(_uuid(point.id), point.score, str(payload.get(DOCUMENT, "")), int(payload.get(NUMBER, 0)))


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

"""The vector index in a Qdrant server, or in the client's own local mode. One collection is one generation, of one space; which of several
answers is `qdrant_index_shelf.py`'s business.

A server keeps what it has acknowledged, so that `flush` has nothing to do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from qdrant_client import AsyncQdrantClient, models

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
from parley_retrieval.domain.errors import IndexFailedError, SpaceChangedError
from parley_retrieval.domain.fusion import FUSION_DEPTH
from parley_retrieval.domain.meaning import DenseVector, Space
from parley_retrieval.domain.narrowing import Narrowing
from parley_retrieval.ports.vector_index import IndexPoint, IndexQuery, ScoredPoint, one_order

logger = logging.getLogger(__name__)

T = TypeVar("T")

_TERMS = "terms"
_MEANING = "meaning"
_BATCH_POINTS = 64
_BATCH_IDS = 1_000
_SCROLL_POINTS = 1_000
_FITTING_POINTS = 256
"""As in the embedded index: how many points that fit by their terms are put in order by nuances."""


class QdrantVectorIndex:
    """`VectorIndex` and `IndexUpkeep` on a collection of its own."""

    def __init__(
        self, client: AsyncQdrantClient, collection: str, space: Space | None, *, counts_rarity_per_user: bool
    ) -> None:
        """`counts_rarity_per_user` is False for a server that cannot: it counts how rare a term is over everybody's chunks."""
        self._client = client
        self._collection = collection
        self._space = space
        self._counts_rarity_per_user = counts_rarity_per_user

    @property
    def collection(self) -> str:
        """The name of its collection."""
        return self._collection

    @property
    def space(self) -> Space | None:
        """See `VectorIndex`."""
        return self._space

    async def make(self, about: dict[str, Any]) -> None:
        """Makes the collection, which is not there yet; `about` is written beside it. Another process may have been faster."""
        space = self._space
        dense = {_MEANING: models.VectorParams(size=space.dimensions, distance=models.Distance.COSINE)} if space else {}
        try:
            await called(
                self._client.create_collection(
                    self._collection,
                    vectors_config=dense,
                    sparse_vectors_config={_TERMS: models.SparseVectorParams(modifier=models.Modifier.IDF)},
                    metadata=about,
                )
            )
        except IndexFailedError:
            if not await called(self._client.collection_exists(self._collection)):
                raise
        await self.make_payload_indexes()

    async def make_payload_indexes(self) -> None:
        """Sees to it that what is filtered by is looked up. One that is there already is no error."""
        tenant = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
        fields: dict[str, Any] = {USER: tenant, UPDATE_TIME: models.PayloadSchemaType.INTEGER}
        for field, schema in (fields | dict.fromkeys(KEYWORDS, models.PayloadSchemaType.KEYWORD)).items():
            await called(self._client.create_payload_index(self._collection, field, field_schema=schema, wait=True))

    async def search(self, query: IndexQuery) -> list[ScoredPoint]:
        """See `VectorIndex`."""
        if query.meaning is not None and query.meaning.space != self._space:
            raise SpaceChangedError
        legs = await asyncio.gather(
            *(
                called(self._client.query_points(self._collection, with_payload=[DOCUMENT, NUMBER], **asked))
                for asked in self._asked(query)
            )
        )
        return one_order([[_scored(point) for point in leg.points if point.score > 0] for leg in legs], query.limit)

    async def upsert(self, points: Sequence[IndexPoint]) -> None:
        """See `VectorIndex`."""
        for start in range(0, len(points), _BATCH_POINTS):
            batch = [_point(point, self._space) for point in points[start : start + _BATCH_POINTS]]
            await called(self._client.upsert(self._collection, batch, wait=True))

    async def remove(self, chunk_ids: AbstractSet[UUID]) -> None:
        """See `VectorIndex`."""
        rest = iter(chunk_ids)
        while batch := [str(chunk_id) for chunk_id in islice(rest, _BATCH_IDS)]:
            selector = models.PointIdsList(points=list(batch))
            await called(self._client.delete(self._collection, selector, wait=True))

    async def weigh(self, document_id: str, terms: Mapping[UUID, SparseVector]) -> None:
        """See `VectorIndex`."""
        rest = iter(await self.chunks_of_document(document_id) & terms.keys())
        while batch := list(islice(rest, _BATCH_POINTS)):
            points = [
                models.PointVectors(id=str(chunk_id), vector={_TERMS: _vector(terms[chunk_id])}) for chunk_id in batch
            ]
            await called(self._client.update_vectors(self._collection, points, wait=True))

    async def chunks_of_document(self, document_id: str) -> set[UUID]:
        """See `VectorIndex`."""
        return await self._ids(models.Filter(must=[_equal(DOCUMENT, document_id)]))

    async def chunks_of_owners(self, owner_ids: Collection[str]) -> set[UUID]:
        """See `VectorIndex`."""
        return await self._ids(models.Filter(must=[_among(USER, list(owner_ids))])) if owner_ids else set()

    async def chunk_ids(self) -> set[UUID]:
        """See `IndexUpkeep`."""
        return await self._ids(None)

    async def chunk_ids_without_meaning(self) -> set[UUID]:
        """See `IndexUpkeep`."""
        if self._space is None:
            return await self._ids(None)
        return await self._ids(models.Filter(must_not=[models.HasVectorCondition(has_vector=_MEANING)]))

    async def flush(self) -> None:
        """See `IndexUpkeep`."""

    async def reset(self) -> None:
        """See `IndexUpkeep`."""
        await self.remove(await self.chunk_ids())

    def _asked(self, query: IndexQuery) -> list[dict[str, Any]]:
        """What is asked, as arguments of the client: by words, by meaning, or both in this order."""
        visible = models.FieldCondition(key=USER, match=models.MatchAny(any=list(query.visibility.owners)))
        fits = models.Filter(must=[visible, *_conditions(query.narrowing)])
        both = query.terms is not None and query.meaning is not None
        limit = FUSION_DEPTH if both else query.limit
        by_meaning: list[dict[str, Any]] = []
        if query.meaning is not None:
            nearest = _nearest(query.meaning)
            by_meaning = [{"query": nearest, "using": _MEANING, "query_filter": fits, "limit": limit}]
        if query.terms is None:
            return by_meaning
        params = None
        if self._counts_rarity_per_user:
            # Counted over everybody's chunks, rarity would tell one user what others write about, and mislead.
            params = models.SearchParams(idf=models.IdfCorpusParams(corpus=models.Filter(must=[visible])))
        terms: dict[str, Any] = {"query": _vector(query.terms), "using": _TERMS}
        first: list[models.Prefetch] = []
        if query.nuances is not None:
            # First what fits by the terms, then the order among it by all that was said.
            first = [models.Prefetch(limit=max(_FITTING_POINTS, limit), filter=fits, params=params, **terms)]
            terms = {"query": _vector(query.terms, query.nuances), "using": _TERMS}
        more = {"prefetch": first or None, "query_filter": fits, "search_params": params, "limit": limit}
        return [{**terms, **more}, *by_meaning]

    async def _ids(self, wanted: models.Filter | None) -> set[UUID]:
        ids: set[UUID] = set()
        offset: Any = None
        while True:
            records, offset = await called(
                self._client.scroll(
                    self._collection,
                    scroll_filter=wanted,
                    limit=_SCROLL_POINTS,
                    offset=offset,
                    with_payload=False,
                    with_vectors=False,
                )
            )
            ids.update(UUID(str(record.id)) for record in records)
            if offset is None:
                return ids


async def called(work: Awaitable[T]) -> T:
    """Waits for a call of the client and turns its failures, which are of many kinds, into IndexFailedError."""
    try:
        return await work
    except Exception as error:
        raise IndexFailedError(f"{type(error).__name__}: {error}") from error


def _point(point: IndexPoint, space: Space | None) -> models.PointStruct:
    vector: dict[str, Any] = {_TERMS: _vector(point.terms)}
    if point.meaning is not None and point.meaning.space == space:
        vector[_MEANING] = point.meaning.values.tolist()
    return models.PointStruct(id=str(point.chunk_id), vector=vector, payload=payload_of(point))


def _conditions(narrowing: Narrowing) -> list[models.Condition]:
    conditions: list[models.Condition] = []
    if narrowing.project:
        conditions.append(_equal(PROJECT, narrowing.project))
    if narrowing.document_ids:
        conditions.append(_among(DOCUMENT, narrowing.document_ids))
    if narrowing.media_types:
        conditions.append(_among(MEDIA_TYPE, [media_type.value for media_type in narrowing.media_types]))
    conditions += [_equal(LABELS, label(name, value)) for name, value in narrowing.labels.items()]
    times = models.Range(
        gte=None if narrowing.update_time_from is None else microseconds(narrowing.update_time_from),
        lt=None if narrowing.update_time_until is None else microseconds(narrowing.update_time_until),
    )
    if times.gte is not None or times.lt is not None:
        conditions.append(models.FieldCondition(key=UPDATE_TIME, range=times))
    return conditions


def _equal(field: str, value: str) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchValue(value=value))


def _among(field: str, values: Sequence[str]) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchAny(any=list(values)))


def _nearest(meaning: DenseVector) -> list[float]:
    return meaning.values.tolist()


def _vector(*vectors: SparseVector) -> models.SparseVector:
    """Vectors without a common index as one."""
    indices = [index for vector in vectors for index in vector.indices]
    return models.SparseVector(indices=indices, values=[value for vector in vectors for value in vector.values])


def _scored(point: models.ScoredPoint) -> ScoredPoint:
    payload = point.payload or {}
    return ScoredPoint(UUID(str(point.id)), point.score, str(payload.get(DOCUMENT, "")), int(payload.get(NUMBER, 0)))

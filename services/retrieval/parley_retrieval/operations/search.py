"""Finds the passages that fit a question."""

from __future__ import annotations

from collections.abc import Sequence

from parley_retrieval.domain.chunks import Hit
from parley_retrieval.domain.visibility import Visibility
from parley_retrieval.operations.terms import TermEncoder
from parley_retrieval.ports.document_store import DocumentStore
from parley_retrieval.ports.tracing import Tracing
from parley_retrieval.ports.vector_index import IndexQuery, VectorIndex

# A few more than asked for, so that equal scores at the edge are put in order by us.
_SPARE_POINTS = 8
_TRIES = 4


class Search:
    """The use case."""

    def __init__(self, store: DocumentStore, index: VectorIndex, encoder: TermEncoder, tracing: Tracing) -> None:
        """The index says which chunks fit, the store what they are and, once more, whether the user may see them."""
        self._store = store
        self._index = index
        self._encoder = encoder
        self._tracing = tracing

    async def find(self, visibility: Visibility, question: str, *, project: str, limit: int) -> Sequence[Hit]:
        """At most `limit` passages, best first; of every project when `project` is empty."""
        asked = self._encoder.query(question)
        if asked is None:
            return []
        points_wanted = limit + _SPARE_POINTS
        for _ in range(_TRIES):
            with self._tracing.stage(
                "retrieval.index.search", {"parley.retrieval.terms": len(asked.terms.indices)}
            ) as stage:
                points = await self._index.search(
                    IndexQuery(visibility, asked.terms, points_wanted, project, asked.nuances)
                )
                stage.record({"parley.retrieval.points": len(points)})
            with self._tracing.stage("retrieval.store.passages") as stage:
                passages = await self._store.passages(visibility, [point.chunk_id for point in points])
                stage.record({"parley.retrieval.passages": len(passages)})
            if len(passages) == len(points):
                break
            # A document is being changed: the index has points that the database does not know yet, or no more. They
            # have taken the places of others, or of the same document's new ones, so more is asked for.
            points_wanted *= 4
        by_id = {passage.chunk.chunk_id: passage for passage in passages}
        hits = [Hit(by_id[point.chunk_id], point.score) for point in points if point.chunk_id in by_id]
        # Equal scores come in the order of the documents, so that the same question has the same answer.
        hits.sort(key=lambda hit: (-hit.score, hit.passage.document_id, hit.passage.chunk.number))
        return hits[:limit]

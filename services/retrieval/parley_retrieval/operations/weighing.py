"""Weighs an owner's points anew, in the background, when the owner's passages are of another length than they were weighed by.

Only the order of what is found depends on it, and nothing waits for it: points of the old and of the new weights are searched together
meanwhile.
"""

from __future__ import annotations

import asyncio
import logging

from parley_retrieval.domain.errors import IndexFailedError
from parley_retrieval.operations.indexing import Indexing
from parley_retrieval.operations.learned_lengths import LearnedLengths
from parley_retrieval.ports.document_store import IndexJournal
from parley_retrieval.ports.passage_length_store import PassageLengthStore

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 60.0
"""How often what was counted is saved when nothing gives cause to. Also the pause after a failure."""


class Weighing:
    """The use case. What a process leaves undone the next one does."""

    def __init__(
        self, store: PassageLengthStore, lengths: LearnedLengths, journal: IndexJournal, indexing: Indexing
    ) -> None:
        """`indexing` weighs by the same `lengths`."""
        self._store = store
        self._lengths = lengths
        self._journal = journal
        self._indexing = indexing

    async def run(self) -> None:
        """Keeps the weights up with the passages until it is cancelled."""
        while True:
            self._lengths.drifted.clear()
            try:
                await self.round()
            except IndexFailedError as error:
                logger.warning("points could not be weighed anew: %s", error)
                await asyncio.sleep(_LOOK_SECONDS)
            except Exception:
                # Whatever it was: a task that ended would never weigh again, and nobody would know.
                logger.exception("points could not be weighed anew")
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                await self._cause()

    async def round(self) -> None:
        """Weighs anew what is to be weighed anew. Raises IndexFailedError; what was done by then stays, and the rest stays noted."""
        for owner_id in await self._store.unknown():
            # Their documents are older than what is known of lengths: all of them were weighed by the usual one.
            passages = words = 0
            for document in await self._journal.owned(owner_id):
                more_passages, more_words = await self._indexing.measure(document.document_id)
                passages, words = passages + more_passages, words + more_words
            self._lengths.measured(owner_id, passages, words)
        for owner_id in await self._lengths.save():
            lengths = await self._store.find(owner_id)
            if lengths is not None and lengths.drifted:
                await self._store.begin_weighing(owner_id, lengths.mean)
        for owner_id in await self._store.begun():
            await self._weigh(owner_id)

    async def _weigh(self, owner_id: str) -> None:
        self._lengths.forget(owner_id)
        expected = await self._lengths.expected(owner_id)
        passages = words = 0
        for document in await self._journal.owned(owner_id):
            more_passages, more_words = await self._indexing.weigh(document.document_id)
            passages, words = passages + more_passages, words + more_words
        # Before it is noted as done: after a loss of power it would not be.
        await self._indexing.flush_weights()
        await self._store.end_weighing(owner_id, passages, words)
        self._lengths.forget(owner_id)
        logger.info(
            "an owner's points were weighed anew", extra={"passages": passages, "expected_words": round(expected)}
        )

    async def _cause(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._lengths.drifted.wait()
        except TimeoutError:
            pass

"""Makes the index follow its embedding model, in the background: adds the meaning that points lack, and makes the next generation when
the model, or the length of its vectors, is another one than the index was made for.

The old generation answers until the new one is whole. Whatever moment the process ends in, the next start goes on where it was: what is
there is looked up in the index, not remembered here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from uuid import UUID

from parley_retrieval.domain.errors import EmbeddingRefusedError, EmbeddingUnavailableError, IndexFailedError
from parley_retrieval.operations.indexing import Indexing
from parley_retrieval.operations.meanings import Meanings
from parley_retrieval.ports.document_store import IndexJournal
from parley_retrieval.ports.vector_index import Index, IndexShelf

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 60.0
"""How often is looked whether the model is another one, when nothing gives cause to."""
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 60.0
_TELL_SECONDS = 10.0
"""How often the log tells how far it is."""


class Reindexing:
    """The use case. One runs at a time."""

    def __init__(
        self,
        shelf: IndexShelf,
        journal: IndexJournal,
        indexing: Indexing,
        meanings: Meanings,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`indexing` writes through the same shelf and embeds with the same `meanings`."""
        self._shelf = shelf
        self._journal = journal
        self._indexing = indexing
        self._meanings = meanings
        self._clock = clock
        self.done = 0
        """How many chunks of the round have their meaning."""
        self.wanted = 0
        """How many chunks the round is for."""

    async def run(self) -> None:
        """Keeps the index up with its model until it is cancelled."""
        if not self._meanings.enabled:
            # What an earlier process was making is of no use any more.
            await self._shelf.abandon()
            return
        pause = _FIRST_PAUSE_SECONDS
        while True:
            self._meanings.behind.clear()
            try:
                await self.round()
            except (EmbeddingUnavailableError, EmbeddingRefusedError, IndexFailedError) as error:
                logger.warning("the index is behind its embedding model; trying again in %g s: %s", pause, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            except Exception:
                # Whatever it was: a task that ended would leave the index behind for ever, and nobody would know.
                logger.exception("the index could not be brought up with its embedding model")
                await asyncio.sleep(_LONGEST_PAUSE_SECONDS)
            else:
                pause = _FIRST_PAUSE_SECONDS
                await self._cause()

    async def round(self) -> None:
        """Brings the index up with its model once. Raises what embedding and the index raise; what was done by then stays."""
        space = await self._meanings.space()
        if self._shelf.current.space == space:
            if self._shelf.next is not None:
                await self._shelf.abandon()
            await self._fill(self._shelf.current)
            return
        await self._shelf.begin(space)
        following = self._shelf.next
        assert following is not None  # noqa: S101 - for the type checker: see IndexShelf.begin
        logger.info("the next index is being made", extra={"model": space.model, "dimensions": space.dimensions})
        # From here on writes go into both. What is missing is what was there before, so one round that finds nothing is proof.
        while await self._fill(following):
            pass
        await self._shelf.promote()
        logger.info("the next index answers now", extra={"model": space.model, "dimensions": space.dimensions})

    async def _fill(self, index: Index) -> int:
        """Writes what the index lacks, and tells how many chunks that were."""
        known = await self._journal.chunk_documents()
        lacking = await index.chunk_ids_without_meaning() & known.keys() | known.keys() - await index.chunk_ids()
        of_document: dict[str, set[UUID]] = defaultdict(set)
        for chunk_id in lacking:
            of_document[known[chunk_id]].add(chunk_id)
        self.done, self.wanted = len(known) - len(lacking), len(known)
        told = self._clock()
        for document_id, chunk_ids in sorted(of_document.items()):
            # A document that changed meanwhile is written anew, by its own change or in the next round.
            if await self._indexing.complete(document_id, chunk_ids, index):
                self.done += len(chunk_ids)
            if self._clock() - told >= _TELL_SECONDS:
                told = self._clock()
                logger.info("the index is being embedded", extra={"done": self.done, "wanted": self.wanted})
        if lacking:
            await index.flush()
            logger.info("passages were embedded", extra={"passages": len(lacking)})
        return len(lacking)

    async def _cause(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._meanings.behind.wait()
        except TimeoutError:
            pass

"""Keeps the shared documents equal to the files of the sample corpus."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from parley_retrieval.domain.documents import Document, MediaType, sha256, shared_document_id, title_of
from parley_retrieval.domain.visibility import SHARED_OWNER
from parley_retrieval.operations.indexing import Indexing
from parley_retrieval.ports.corpus import Corpus
from parley_retrieval.ports.document_store import IndexJournal

logger = logging.getLogger(__name__)


class SampleCorpus:
    """The use case."""

    def __init__(self, corpus: Corpus, journal: IndexJournal, indexing: Indexing) -> None:
        """Reads `corpus`, compares with `journal`, writes through `indexing`."""
        self._corpus = corpus
        self._journal = journal
        self._indexing = indexing

    async def load(self) -> None:
        """Takes in new and changed files, drops the documents of vanished ones, leaves the others alone."""
        known = {document.source_uri: document for document in await self._journal.owned(SHARED_OWNER)}
        kept = written = 0
        async for file in self._corpus.files():
            before = known.pop(file.path, None)
            after = _document(file.path, file.text, before)
            if before and (before.content_sha256, before.title) == (after.content_sha256, after.title):
                kept += 1
            else:
                await self._indexing.put(after)
                written += 1
        for document in known.values():
            await self._indexing.remove(document.document_id)
        if kept or written or known:
            counts = {"unchanged": kept, "written": written, "removed": len(known)}
            logger.info("the sample corpus is loaded", extra=counts)


def _document(path: str, text: str, before: Document | None) -> Document:
    now = datetime.now(UTC)
    return Document(
        document_id=shared_document_id(path),
        owner_id=SHARED_OWNER,
        title=title_of(text, MediaType.MARKDOWN),
        text=text,
        media_type=MediaType.MARKDOWN,
        project="",
        source_uri=path,
        content_sha256=sha256(text),
        size_bytes=len(text.encode()),
        chunk_count=0,
        create_time=before.create_time if before else now,
        update_time=now,
    )

"""The suite of the port `PassageLengthStore`, on every database that retrieval runs on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from parley_retrieval.adapters.sql_document_store import SqlDocumentStore
from parley_retrieval.adapters.sql_passage_lengths import SqlPassageLengths
from parley_retrieval.domain.bm25 import AVERAGE_LENGTH
from parley_retrieval.domain.documents import Document, MediaType, sha256
from parley_retrieval.domain.passage_lengths import PassageLengths
from parley_shared.sql import Database


@pytest.fixture
def store(retrieval_database: Database) -> SqlPassageLengths:
    return SqlPassageLengths(retrieval_database)


async def test_what_is_counted_adds_up_for_each_owner(store: SqlPassageLengths) -> None:
    assert await store.find("usr_a") is None
    assert await store.add("usr_a", 2, 30) == PassageLengths(2, 30, AVERAGE_LENGTH)
    await store.add("usr_b", 1, 1)
    assert await store.add("usr_a", 3, 20) == PassageLengths(5, 50, AVERAGE_LENGTH)
    assert await store.find("usr_a") == PassageLengths(5, 50, AVERAGE_LENGTH)


async def test_a_weighing_stays_begun_until_it_ends(store: SqlPassageLengths) -> None:
    await store.add("usr_a", 5, 60)
    await store.add("usr_b", 5, 200)
    assert await store.begun() == []
    await store.begin_weighing("usr_a", 12.5)
    await store.add("usr_a", 1, 12)
    assert await store.begun() == ["usr_a"]
    await store.end_weighing("usr_a", 4, 50)
    assert await store.begun() == []
    assert await store.find("usr_a") == PassageLengths(4, 50, 12.5)


async def test_owners_of_documents_of_whom_nothing_is_known_are_told(
    retrieval_database: Database, store: SqlPassageLengths
) -> None:
    documents, now = SqlDocumentStore(retrieval_database), datetime.now(UTC)
    for owner_id, title in (("usr_a", "one"), ("usr_a", "two"), ("usr_b", "one")):
        facts = (title, "text", MediaType.MARKDOWN, "", "", sha256(title), 4, 0, now, now)
        await documents.put(Document(f"doc_{owner_id}_{title}", owner_id, *facts), [])
    assert sorted(await store.unknown()) == ["usr_a", "usr_b"]
    await store.add("usr_b", 1, 1)
    assert await store.unknown() == ["usr_a"]

"""The lengths of passages in the SQL database."""

from __future__ import annotations

from typing import Any

from parley_shared.sql import Database
from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from parley_retrieval.adapters.sql_schema import documents, passage_lengths
from parley_retrieval.domain.bm25 import AVERAGE_LENGTH
from parley_retrieval.domain.passage_lengths import PassageLengths

_LENGTHS = (passage_lengths.c.passages, passage_lengths.c.words, passage_lengths.c.expected)


class SqlPassageLengths:
    """The port `PassageLengthStore`, on SQLite and on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        """The database has the newest schema."""
        self._database = database

    async def find(self, owner_id: str) -> PassageLengths | None:
        """See `PassageLengthStore`."""
        async with self._database.read() as connection:
            row = (
                await connection.execute(select(*_LENGTHS).where(passage_lengths.c.owner_id == owner_id))
            ).one_or_none()
        return None if row is None else PassageLengths(*row)

    async def add(self, owner_id: str, passages: int, words: int) -> PassageLengths:
        """See `PassageLengthStore`."""
        values = {
            "owner_id": owner_id,
            "passages": passages,
            "words": words,
            "expected": AVERAGE_LENGTH,
            "weighing": False,
        }
        more = {
            "passages": passage_lengths.c.passages + passages,
            "words": passage_lengths.c.words + words,
        }
        async with self._database.write() as connection:
            insert: Any = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
            added = (
                insert(passage_lengths)
                .values(values)
                .on_conflict_do_update(index_elements=["owner_id"], set_=more)
                .returning(*_LENGTHS)
            )
            return PassageLengths(*(await connection.execute(added)).one())

    async def begin_weighing(self, owner_id: str, expected: float) -> None:
        """See `PassageLengthStore`."""
        await self._update(owner_id, expected=expected, weighing=True)

    async def end_weighing(self, owner_id: str, passages: int, words: int) -> None:
        """See `PassageLengthStore`."""
        await self._update(owner_id, passages=passages, words=words, weighing=False)

    async def begun(self) -> list[str]:
        """See `PassageLengthStore`."""
        statement = select(passage_lengths.c.owner_id).where(passage_lengths.c.weighing)
        async with self._database.read() as connection:
            return list((await connection.execute(statement)).scalars())

    async def unknown(self) -> list[str]:
        """See `PassageLengthStore`."""
        known = select(passage_lengths.c.owner_id)
        statement = select(documents.c.owner_id).where(documents.c.owner_id.not_in(known)).distinct()
        async with self._database.read() as connection:
            return list((await connection.execute(statement)).scalars())

    async def _update(self, owner_id: str, **values: Any) -> None:
        async with self._database.write() as connection:
            await connection.execute(
                update(passage_lengths).where(passage_lengths.c.owner_id == owner_id).values(values)
            )

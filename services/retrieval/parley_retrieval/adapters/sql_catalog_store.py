"""Catalogs and interactions in the SQL database."""

from __future__ import annotations

import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any

from parley_shared.sql import Database
from sqlalchemy import (
    ColumnElement,
    Double,
    Integer,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_retrieval.adapters.sql_schema import catalog_items, catalog_labels, catalogs, interactions
from parley_retrieval.domain.bm25 import SparseVector
from parley_retrieval.domain.catalog import (
    CatalogItem,
    EncodedItem,
    Interaction,
    InteractionKind,
    ItemFacts,
    label_digest,
)
from parley_retrieval.domain.errors import CatalogItemNotFoundError, TooManyItemsError
from parley_retrieval.ports.catalog_store import CatalogState, Choice

# Databases bound the parameters of a statement, at 32,766 and up.
_MOST_PARAMETERS = 5_000
_PAIRS_AT_ONCE = 200


class SqlCatalogStore:
    """The port `CatalogStore`, on SQLite and on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        """The database has the newest schema."""
        self._database = database

    async def put_items(self, owner_id: str, items: Sequence[EncodedItem], most: int) -> None:
        """See `CatalogStore`."""
        ids = [encoded.item.item_id for encoded in items]
        named = _named(catalog_items, owner_id, ids)
        now = datetime.now(UTC)
        async with self._database.write() as connection:
            state = await self._enter(connection, owner_id)
            known = set((await connection.scalars(select(catalog_items.c.item_id).where(named))).all())
            count = state.item_count + len(ids) - len(known)
            if count > most:
                raise TooManyItemsError(most)
            await connection.execute(
                update(catalogs)
                .where(catalogs.c.owner_id == owner_id)
                .values(version=state.version + len(ids), item_count=count)
            )
            await connection.execute(delete(catalog_labels).where(_named(catalog_labels, owner_id, ids)))
            fresh = []
            for version, encoded in enumerate(items, start=state.version + 1):
                row = {**_content(encoded), "version": version, "update_time": now}
                item_id = encoded.item.item_id
                if item_id in known:
                    await connection.execute(
                        update(catalog_items).where(_named(catalog_items, owner_id, [item_id])).values(row)
                    )
                else:
                    fresh.append(
                        {**row, "owner_id": owner_id, "item_id": item_id, "popularity": 0.0, "person_count": 0}
                    )
            if fresh:
                await connection.execute(insert(catalog_items), fresh)
            labels = [
                {"owner_id": owner_id, "item_id": encoded.item.item_id, "label": label_digest(name, value)}
                for encoded in items
                for name, value in encoded.item.labels.items()
            ]
            if labels:
                await connection.execute(insert(catalog_labels), labels)

    async def delete_items(self, owner_id: str, item_ids: Sequence[str]) -> int:
        """See `CatalogStore`."""
        async with self._database.write() as connection:
            state = await self._enter(connection, owner_id)
            done = await connection.execute(delete(catalog_items).where(_named(catalog_items, owner_id, item_ids)))
            if done.rowcount:
                await connection.execute(
                    update(catalogs)
                    .where(catalogs.c.owner_id == owner_id)
                    .values(version=state.version + 1, item_count=state.item_count - done.rowcount)
                )
            return done.rowcount

    async def record(self, owner_id: str, interactions: Sequence[Interaction]) -> int:
        """See `CatalogStore`."""
        async with self._database.write() as connection:
            await self._enter(connection, owner_id)
            fresh = await self._fresh(connection, owner_id, interactions)
            ids = list(dict.fromkeys(each.item_id for each in fresh))
            known = set(
                (
                    await connection.scalars(
                        select(catalog_items.c.item_id).where(_named(catalog_items, owner_id, ids))
                    )
                ).all()
            )
            for item_id in ids:
                if item_id not in known:
                    raise CatalogItemNotFoundError(item_id)
            if not fresh:
                return 0
            liked = {(each.person_id, each.item_id) for each in fresh if each.weight > 0}
            newly = liked - await self._liked(connection, owner_id, sorted(liked))
            people = Counter(item_id for _, item_id in newly)
            pulls: defaultdict[str, float] = defaultdict(float)
            for each in fresh:
                pulls[each.item_id] += each.pull
            await _write(connection, [_row(owner_id, each) for each in fresh])
            if liked:
                await connection.execute(
                    update(catalog_items)
                    .where(catalog_items.c.owner_id == owner_id, catalog_items.c.item_id == bindparam("liked_id"))
                    .values(
                        popularity=catalog_items.c.popularity + bindparam("added_pull", type_=Double),
                        person_count=catalog_items.c.person_count + bindparam("added_people", type_=Integer),
                    ),
                    [
                        {"liked_id": item_id, "added_pull": pulls[item_id], "added_people": people[item_id]}
                        for item_id in sorted({item_id for _, item_id in liked})
                    ],
                )
            return len(fresh)

    async def delete_person(self, owner_id: str, person_id: str) -> int:
        """See `CatalogStore`."""
        mine = and_(interactions.c.owner_id == owner_id, interactions.c.person_id == person_id)
        by_item = (
            select(interactions.c.item_id, func.sum(interactions.c.pull).label("pull"))
            .where(mine, interactions.c.weight > 0)
            .group_by(interactions.c.item_id)
        )
        async with self._database.write() as connection:
            await self._enter(connection, owner_id)
            for row in (await connection.execute(by_item)).all():
                item = _named(catalog_items, owner_id, [row.item_id])
                left = catalog_items.c.person_count - 1
                await connection.execute(
                    update(catalog_items)
                    .where(item)
                    .values(popularity=catalog_items.c.popularity - row.pull, person_count=left)
                )
                # Sums of floats leave a speck behind; where nobody is left, there is nothing.
                nobody = catalog_items.c.person_count == 0
                await connection.execute(update(catalog_items).where(item, nobody).values(popularity=0.0))
            done = await connection.execute(delete(interactions).where(mine))
            return done.rowcount

    async def state(self, owner_id: str) -> CatalogState:
        """See `CatalogStore`."""
        statement = select(catalogs.c.version, catalogs.c.item_count).where(catalogs.c.owner_id == owner_id)
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return CatalogState() if row is None else CatalogState(row.version, row.item_count)

    async def terms_after(self, owner_id: str, version: int, limit: int) -> list[tuple[int, str, SparseVector]]:
        """See `CatalogStore`."""
        statement = (
            select(catalog_items.c.version, catalog_items.c.item_id, catalog_items.c.terms)
            .where(catalog_items.c.owner_id == owner_id, catalog_items.c.version > version)
            .order_by(catalog_items.c.version)
            .limit(limit)
        )
        async with self._database.read() as connection:
            rows = await connection.execute(statement)
            return [(row.version, row.item_id, _vector(row.terms)) for row in rows]

    async def item_ids(self, owner_id: str) -> set[str]:
        """See `CatalogStore`."""
        return await self._ids(select(catalog_items.c.item_id).where(catalog_items.c.owner_id == owner_id))

    async def labelled(self, owner_id: str, labels: Mapping[str, str]) -> set[str]:
        """See `CatalogStore`."""
        return await self._ids(_with_labels(owner_id, labels))

    async def facts(self, owner_id: str, item_ids: Sequence[str]) -> dict[str, ItemFacts]:
        """See `CatalogStore`."""
        columns = (
            catalog_items.c.item_id,
            catalog_items.c.title,
            catalog_items.c.category,
            catalog_items.c.terms,
            catalog_items.c.popularity,
            catalog_items.c.person_count,
        )
        found: dict[str, ItemFacts] = {}
        async with self._database.read() as connection:
            for some in _parts(item_ids):
                rows = await connection.execute(select(*columns).where(_named(catalog_items, owner_id, some)))
                for row in rows:
                    found[row.item_id] = ItemFacts(
                        row.item_id, row.title, row.category, _vector(row.terms), row.popularity, row.person_count
                    )
        return found

    async def person_counts(self, owner_id: str, item_ids: Sequence[str]) -> dict[str, int]:
        """See `CatalogStore`."""
        columns = (catalog_items.c.item_id, catalog_items.c.person_count)
        async with self._database.read() as connection:
            rows = await connection.execute(select(*columns).where(_named(catalog_items, owner_id, item_ids)))
            return {row.item_id: row.person_count for row in rows}

    async def items(self, owner_id: str, item_ids: Sequence[str]) -> dict[str, CatalogItem]:
        """See `CatalogStore`."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(catalog_items).where(_named(catalog_items, owner_id, item_ids)))
            return {row.item_id: _item(row) for row in rows}

    async def history(self, owner_id: str, person_id: str, limit: int) -> list[Interaction]:
        """See `CatalogStore`."""
        statement = (
            select(interactions)
            .where(interactions.c.owner_id == owner_id, interactions.c.person_id == person_id)
            .order_by(interactions.c.time.desc(), interactions.c.record_id)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return [
                Interaction(
                    row.person_id,
                    row.item_id,
                    InteractionKind(row.kind),
                    row.weight,
                    row.time,
                    row.interaction_id or "",
                )
                for row in await connection.execute(statement)
            ]

    async def seen(self, owner_id: str, person_id: str) -> set[str]:
        """See `CatalogStore`."""
        return await self._ids(_seen(owner_id, person_id))

    async def companions(
        self, owner_id: str, person_id: str, item_ids: Sequence[str], *, people: int, limit: int
    ) -> list[tuple[str, str]]:
        """See `CatalogStore`."""
        chosen = and_(interactions.c.owner_id == owner_id, interactions.c.weight > 0)
        last = func.max(interactions.c.time)
        # The last ones of each item, so that an item that everybody chose costs no more than another.
        of_items = [
            select(interactions.c.person_id, interactions.c.time)
            .where(chosen, interactions.c.item_id == item_id, interactions.c.person_id != person_id)
            .order_by(interactions.c.time.desc())
            .limit(people)
            .subquery()
            for item_id in item_ids
        ]
        others = union_all(*(select(of_item) for of_item in of_items)).subquery()
        async with self._database.read() as connection:
            found = await connection.execute(select(others).order_by(others.c.time.desc(), others.c.person_id))
            others_ids = list(dict.fromkeys(row.person_id for row in found))[:people]
            theirs = (
                select(interactions.c.person_id, interactions.c.item_id)
                .where(chosen, interactions.c.person_id.in_(others_ids))
                .group_by(interactions.c.person_id, interactions.c.item_id)
                .order_by(last.desc(), interactions.c.person_id, interactions.c.item_id)
                .limit(limit)
            )
            return [(row.person_id, row.item_id) for row in await connection.execute(theirs)]

    async def popular(self, owner_id: str, choice: Choice, limit: int) -> list[str]:
        """See `CatalogStore`."""
        statement = (
            select(catalog_items.c.item_id)
            .where(*_chosen(owner_id, choice), catalog_items.c.person_count > 0)
            .order_by(catalog_items.c.popularity.desc(), catalog_items.c.item_id)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return list((await connection.scalars(statement)).all())

    async def newest(self, owner_id: str, choice: Choice, without: AbstractSet[str], limit: int) -> list[str]:
        """See `CatalogStore`."""
        statement = (
            select(catalog_items.c.item_id)
            .where(*_chosen(owner_id, choice), catalog_items.c.item_id.not_in(sorted(without)))
            .order_by(catalog_items.c.version.desc())
            .limit(limit)
        )
        async with self._database.read() as connection:
            return list((await connection.scalars(statement)).all())

    async def encoded_otherwise(self, encoding: str, limit: int) -> list[tuple[str, CatalogItem]]:
        """See `CatalogStore`."""
        statement = select(catalog_items).where(catalog_items.c.encoding != encoding).limit(limit)
        async with self._database.read() as connection:
            return [(row.owner_id, _item(row)) for row in await connection.execute(statement)]

    async def encode(self, owner_id: str, before: CatalogItem, encoded: EncodedItem) -> None:
        """See `CatalogStore`."""
        same = and_(
            _named(catalog_items, owner_id, [before.item_id]),
            catalog_items.c.title == before.title,
            catalog_items.c.text == before.text,
        )
        async with self._database.write() as connection:
            state = await self._enter(connection, owner_id)
            await connection.execute(
                update(catalog_items)
                .where(same)
                .values(
                    terms=_terms(encoded.terms),
                    encoding=encoded.encoding,
                    version=state.version + 1,
                )
            )
            await connection.execute(
                update(catalogs).where(catalogs.c.owner_id == owner_id).values(version=state.version + 1)
            )

    async def _enter(self, connection: AsyncConnection, owner_id: str) -> CatalogState:
        """Lets the writes to one catalog follow each other, and tells how it is."""
        row = {"owner_id": owner_id, "version": 0, "item_count": 0}
        if self._database.dialect == "sqlite":
            await connection.execute(sqlite.insert(catalogs).values(row).on_conflict_do_nothing())
        else:
            await connection.execute(postgresql.insert(catalogs).values(row).on_conflict_do_nothing())
        statement = select(catalogs.c.version, catalogs.c.item_count).where(catalogs.c.owner_id == owner_id)
        state = (await connection.execute(statement.with_for_update())).one()
        return CatalogState(state.version, state.item_count)

    async def _fresh(
        self, connection: AsyncConnection, owner_id: str, all_of_them: Sequence[Interaction]
    ) -> list[Interaction]:
        """Those that have no id, or one that is new; of several with the same id the first."""
        named = sorted({each.interaction_id for each in all_of_them if each.interaction_id})
        statement = select(interactions.c.interaction_id).where(
            interactions.c.owner_id == owner_id, interactions.c.interaction_id.in_(named)
        )
        known = set((await connection.scalars(statement)).all())
        fresh = []
        for each in all_of_them:
            if each.interaction_id not in known:
                fresh.append(each)
                if each.interaction_id:
                    known.add(each.interaction_id)
        return fresh

    async def _liked(
        self, connection: AsyncConnection, owner_id: str, pairs: Sequence[tuple[str, str]]
    ) -> set[tuple[str, str]]:
        """Those pairs of person and item of which something with a weight above 0 is recorded."""
        found: set[tuple[str, str]] = set()
        for start in range(0, len(pairs), _PAIRS_AT_ONCE):
            some = tuple_(interactions.c.person_id, interactions.c.item_id).in_(pairs[start : start + _PAIRS_AT_ONCE])
            statement = (
                select(interactions.c.person_id, interactions.c.item_id)
                .where(interactions.c.owner_id == owner_id, interactions.c.weight > 0, some)
                .distinct()
            )
            found.update((row.person_id, row.item_id) for row in await connection.execute(statement))
        return found

    async def _ids(self, statement: Select[Any]) -> set[str]:
        async with self._database.read() as connection:
            return set((await connection.scalars(statement)).all())


def _named(table: Any, owner_id: str, item_ids: Sequence[str]) -> ColumnElement[bool]:
    return and_(table.c.owner_id == owner_id, table.c.item_id.in_(item_ids))


def _seen(owner_id: str, person_id: str) -> Select[Any]:
    return select(interactions.c.item_id).where(
        interactions.c.owner_id == owner_id, interactions.c.person_id == person_id
    )


def _with_labels(owner_id: str, labels: Mapping[str, str]) -> Select[Any]:
    digests = [label_digest(name, value) for name, value in labels.items()]
    return (
        select(catalog_labels.c.item_id)
        .where(catalog_labels.c.owner_id == owner_id, catalog_labels.c.label.in_(digests))
        .group_by(catalog_labels.c.item_id)
        .having(func.count() == len(digests))
    )


def _chosen(owner_id: str, choice: Choice) -> Iterable[ColumnElement[bool]]:
    yield catalog_items.c.owner_id == owner_id
    if choice.labels:
        yield catalog_items.c.item_id.in_(_with_labels(owner_id, choice.labels))
    if choice.unseen_by:
        yield catalog_items.c.item_id.not_in(_seen(owner_id, choice.unseen_by))


def _parts(values: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(values), _MOST_PARAMETERS):
        yield values[start : start + _MOST_PARAMETERS]


def _content(encoded: EncodedItem) -> dict[str, object]:
    item = encoded.item
    return {
        "title": item.title,
        "category": item.category,
        "labels": json.dumps(dict(item.labels), ensure_ascii=False),
        "terms": _terms(encoded.terms),
        "encoding": encoded.encoding,
        "text": item.text,
    }


async def _write(connection: AsyncConnection, rows: Sequence[Mapping[str, object]]) -> None:
    await connection.execute(insert(interactions), rows)


def _row(owner_id: str, interaction: Interaction) -> dict[str, object]:
    return {
        "record_id": uuid.uuid4(),
        "owner_id": owner_id,
        "person_id": interaction.person_id,
        "item_id": interaction.item_id,
        "kind": interaction.kind.value,
        "weight": interaction.weight,
        "pull": interaction.pull,
        "time": interaction.time,
        "interaction_id": interaction.interaction_id or None,
    }


def _item(row: Any) -> CatalogItem:
    return CatalogItem(row.item_id, row.title, row.text, row.category, json.loads(row.labels))


def _terms(vector: SparseVector) -> str:
    return json.dumps([vector.indices, vector.values], separators=(",", ":"))


def _vector(terms: str) -> SparseVector:
    indices, values = json.loads(terms)
    return SparseVector(tuple(indices), tuple(values))

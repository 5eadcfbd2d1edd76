"""The database of catalogs and of what people did with their items. Every call names whose catalog it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Protocol

from parley_retrieval.domain.bm25 import SparseVector
from parley_retrieval.domain.catalog import CatalogItem, EncodedItem, Interaction, ItemFacts


@dataclass(frozen=True, slots=True)
class CatalogState:
    """What tells whether a catalog has changed."""

    version: int = 0
    """Higher after each change of its items."""
    item_count: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """Which items are asked for."""

    labels: Mapping[str, str] = field(default_factory=dict)
    """They have all these."""
    unseen_by: str = ""
    """A person who did nothing with them; anybody when empty."""


class CatalogStore(Protocol):
    """Keeps catalogs. Each call that writes does all that it is asked or nothing."""

    async def put_items(self, owner_id: str, items: Sequence[EncodedItem], most: int) -> None:
        """Writes items of different ids in place of what there is. Raises TooManyItemsError when there would be more than `most`."""
        ...

    async def delete_items(self, owner_id: str, item_ids: Sequence[str]) -> int:
        """Deletes items and the interactions with them. Tells how many items there were."""
        ...

    async def record(self, owner_id: str, interactions: Sequence[Interaction]) -> int:
        """Writes those interactions whose `interaction_id` is new. Tells how many.

        Raises CatalogItemNotFoundError when one of them is with an item that is not there.
        """
        ...

    async def delete_person(self, owner_id: str, person_id: str) -> int:
        """Deletes the interactions of a person, and what they added to the popularity of items. Tells how many there were."""
        ...

    async def state(self, owner_id: str) -> CatalogState:
        """Whether there is something new."""
        ...

    async def terms_after(self, owner_id: str, version: int, limit: int) -> Sequence[tuple[int, str, SparseVector]]:
        """The items that were written after a version: version, id and terms, the oldest first. No two have the same version."""
        ...

    async def item_ids(self, owner_id: str) -> set[str]:
        """All ids."""
        ...

    async def labelled(self, owner_id: str, labels: Mapping[str, str]) -> set[str]:
        """The ids of the items that have all these labels, of which there is at least one."""
        ...

    async def facts(self, owner_id: str, item_ids: Sequence[str]) -> dict[str, ItemFacts]:
        """What is known of those items that are there, by id."""
        ...

    async def person_counts(self, owner_id: str, item_ids: Sequence[str]) -> dict[str, int]:
        """How many people chose each of those items that are there, by id."""
        ...

    async def items(self, owner_id: str, item_ids: Sequence[str]) -> dict[str, CatalogItem]:
        """Those items that are there, whole, by id."""
        ...

    async def history(self, owner_id: str, person_id: str, limit: int) -> Sequence[Interaction]:
        """What a person did, the newest first."""
        ...

    async def seen(self, owner_id: str, person_id: str) -> set[str]:
        """The ids of all items with which a person did something."""
        ...

    async def companions(
        self, owner_id: str, person_id: str, item_ids: Sequence[str], *, people: int, limit: int
    ) -> Sequence[tuple[str, str]]:
        """What others did who also did something with one of these items: person and item, once each, the newest first.

        Only what weighs more than 0 counts. At most `people` others, the last ones, and `limit` pairs.
        """
        ...

    async def popular(self, owner_id: str, choice: Choice, limit: int) -> Sequence[str]:
        """The ids of the items with which people did something that weighs more than 0, the most popular first."""
        ...

    async def newest(self, owner_id: str, choice: Choice, without: AbstractSet[str], limit: int) -> Sequence[str]:
        """The ids of further items, last changed first."""
        ...

    async def encoded_otherwise(self, encoding: str, limit: int) -> Sequence[tuple[str, CatalogItem]]:
        """Items of any owner whose terms are of another encoding, with their owners."""
        ...

    async def encode(self, owner_id: str, before: CatalogItem, encoded: EncodedItem) -> None:
        """Writes the terms of an item, unless its title or text is another one than before."""
        ...

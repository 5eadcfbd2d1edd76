"""Where it is kept how long the passages of each owner are, and by what their points are weighed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from parley_retrieval.domain.passage_lengths import PassageLengths


class PassageLengthStore(Protocol):
    """Keeps the lengths of documents' passages. Those of items are not among them."""

    async def find(self, owner_id: str) -> PassageLengths | None:
        """What is known of an owner; None when nothing is."""
        ...

    async def add(self, owner_id: str, passages: int, words: int) -> PassageLengths:
        """Counts passages that were written, and gives what is known with them."""
        ...

    async def begin_weighing(self, owner_id: str, expected: float) -> None:
        """Notes that the owner's points are weighed anew, by another length. It stays noted until it is done."""
        ...

    async def end_weighing(self, owner_id: str, passages: int, words: int) -> None:
        """Notes that all points of the owner are weighed by the length that is noted, and how many passages and words they were."""
        ...

    async def begun(self) -> Sequence[str]:
        """The owners whose weighing was begun and has not ended."""
        ...

    async def unknown(self) -> Sequence[str]:
        """The owners who have documents and of whom nothing is known."""
        ...

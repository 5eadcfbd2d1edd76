"""What is learned of how long each owner's passages are. Not the weighing that follows from it (`weighing.py`).

Counts are kept in memory and saved now and then: a process that is killed forgets the last of them, and learns a little later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from parley_retrieval.domain.passage_lengths import PassageLengths
from parley_retrieval.ports.passage_length_store import PassageLengthStore

_FRESH_SECONDS = 60.0
"""How old what is known of an owner may be: another process may have learned more."""
_MOST_OWNERS = 10_000
"""Of how many owners it is remembered what is known of them."""


class LearnedLengths:
    """What is known of the passages of documents, as far as this process wrote them or looked."""

    def __init__(self, store: PassageLengthStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.drifted = asyncio.Event()
        """Set when an owner's points are to be weighed anew."""
        self._store = store
        self._clock = clock
        self._known: dict[str, tuple[PassageLengths, float]] = {}
        self._unsaved: dict[str, tuple[int, int]] = {}

    async def expected(self, owner_id: str) -> float:
        """By what a passage of the owner is weighed, words."""
        known, since = self._known.get(owner_id, (None, 0.0))
        if known is None or self._clock() - since > _FRESH_SECONDS:
            known = (await self._store.find(owner_id) or PassageLengths()).more(*self._unsaved.get(owner_id, (0, 0)))
            self._remember(owner_id, known)
        return known.expected

    def wrote(self, owner_id: str, passages: int, words: int) -> None:
        """Counts passages that were written. `expected` was asked for before."""
        before = self._unsaved.get(owner_id, (0, 0))
        self._unsaved[owner_id] = before[0] + passages, before[1] + words
        if owner_id in self._known:
            known, since = self._known[owner_id]
            self._known[owner_id] = known.more(passages, words), since
            if self._known[owner_id][0].drifted:
                self.drifted.set()

    def measured(self, owner_id: str, passages: int, words: int) -> None:
        """Counts all passages of an owner of whom nothing is saved yet, those among them that were counted before."""
        self._unsaved[owner_id] = passages, words

    async def save(self) -> list[str]:
        """Saves what was counted, and gives the owners whose points are to be weighed anew."""
        unsaved, self._unsaved = self._unsaved, {}
        drifted: list[str] = []
        try:
            while unsaved:
                owner_id, (passages, words) = next(iter(unsaved.items()))
                lengths = await self._store.add(owner_id, passages, words)
                del unsaved[owner_id]
                self._remember(owner_id, lengths.more(*self._unsaved.get(owner_id, (0, 0))))
                if lengths.drifted:
                    drifted.append(owner_id)
        finally:
            for owner_id, (passages, words) in unsaved.items():
                later = self._unsaved.get(owner_id, (0, 0))
                self._unsaved[owner_id] = passages + later[0], words + later[1]
        return drifted

    def forget(self, owner_id: str) -> None:
        """What is known of an owner is looked up again."""
        self._known.pop(owner_id, None)

    def _remember(self, owner_id: str, lengths: PassageLengths) -> None:
        if len(self._known) >= _MOST_OWNERS:
            self._known.clear()
        self._known[owner_id] = lengths, self._clock()

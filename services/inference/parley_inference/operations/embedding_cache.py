"""Keeps vectors by what they are of, so that the same text is not sent to a provider twice. In memory, and no longer than the process."""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict

_ENTRY_BYTES = 200
"""What an entry takes beside its components: two objects, a key, its place in the order."""


class EmbeddingCache:
    """The vectors that were used last, up to a number of bytes. Keys are hashes: no text is kept."""

    def __init__(self, most_bytes: int) -> None:
        """Keeps nothing when `most_bytes` is 0."""
        self.found = 0
        """How often it had what was asked for."""
        self.missed = 0
        """How often it had not."""
        self._most_bytes = most_bytes
        self._bytes = 0
        self._vectors: OrderedDict[bytes, array[float]] = OrderedDict()

    @property
    def used_bytes(self) -> int:
        """What it takes now, about: never more than it may."""
        return self._bytes

    @staticmethod
    def key(provider: str, model: str, text: str) -> bytes:
        """The key of a text's vector: the same for the same text and model only."""
        head = f"{len(provider)}:{provider}{len(model)}:{model}"
        return hashlib.sha256(f"{head}{text}".encode()).digest()

    def get(self, key: bytes) -> array[float] | None:
        """The vector; None when it is not kept."""
        vector = self._vectors.get(key)
        self.found += vector is not None
        self.missed += vector is None
        if vector is not None:
            self._vectors.move_to_end(key)
        return vector

    def put(self, key: bytes, vector: array[float]) -> None:
        """Keeps a vector, and lets go of those that were used longest ago. One larger than the whole is not kept."""
        size = _size(vector)
        if size > self._most_bytes:
            return
        before = self._vectors.pop(key, None)
        if before is not None:
            self._bytes -= _size(before)
        self._vectors[key] = vector
        self._bytes += size
        while self._bytes > self._most_bytes:
            _, dropped = self._vectors.popitem(last=False)
            self._bytes -= _size(dropped)


def _size(vector: array[float]) -> int:
    return len(vector) * vector.itemsize + _ENTRY_BYTES

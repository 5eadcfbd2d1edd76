"""`TermHash` with MurmurHash3, as Qdrant numbers the terms of its own BM25: vectors made here fit a Qdrant server."""

from __future__ import annotations

import mmh3


class MurmurTermHash:
    """Numbers terms."""

    def __call__(self, term: str, /) -> int:
        """See `TermHash`."""
        return abs(mmh3.hash(term))

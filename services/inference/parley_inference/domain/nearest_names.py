"""Names that somebody may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MOST = 3
_MOST_OTHERS = 8
_LEAST_LIKENESS = 0.5


def nearest_names(wanted: str, names: Iterable[str]) -> tuple[str, ...]:
    """Those that look like the one wanted, the nearest first; when none does, the first of them by the alphabet."""
    known = sorted(names)
    # As names are written: case and the kind of dash are what people get wrong first.
    near = get_close_matches(wanted.lower().replace(" ", "_").replace("-", "_"), known, MOST, _LEAST_LIKENESS)
    return tuple(near) if near else tuple(known[:_MOST_OTHERS])

"""Money as people read it."""

from __future__ import annotations


def dollars(micros: int) -> str:
    """Millionths of a US dollar as dollars; of less than a dollar, two digits that tell something."""
    digits = min(6, max(2, 8 - len(str(micros))))
    return f"${micros / 1_000_000:.{digits}f}" if micros else "$0"

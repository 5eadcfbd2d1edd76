"""Money and times as people read them."""

from __future__ import annotations


def dollars(micros: int) -> str:
    """Millionths of a US dollar as dollars; of less than a dollar, two digits that tell something."""
    digits = min(6, max(2, 8 - len(str(micros))))
    return f"${micros / 1_000_000:.{digits}f}" if micros else "$0"


def seconds(milliseconds: int) -> str:
    """Milliseconds; from a second on, seconds."""
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"

"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's."""

    check: str
    """What was looked at, in a word or two."""
    state: Literal["ok", "warn", "fail"]
    """`fail`: Parley will not run, or not safely. `warn`: something that is probably not meant."""
    words: str
    """What was found."""
    mending: str = ""
    """What to do about it. Empty when it is ok."""

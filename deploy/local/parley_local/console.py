"""What is shown: the lines of the children, each with its name before it, and our own words.

Colours only on a terminal, and not when NO_COLOR is set.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO

_COLOURS = {"up": 36, "edge": 35, "chat": 32, "inference": 34, "retrieval": 33}
_WIDTH = max(len(name) for name in _COLOURS)


class Console:
    """Writes whole lines to one stream. A stream that nobody reads any more is no reason to stop."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._coloured = self._stream.isatty() and not os.environ.get("NO_COLOR")

    @property
    def is_terminal(self) -> bool:
        """Whether a person is reading."""
        return self._stream.isatty()

    def line(self, name: str, text: str) -> None:
        """One line of a child, or of `up` itself."""
        self._write(f"{self._paint(name.ljust(_WIDTH), _COLOURS.get(name.partition('-')[0], 0))} | {text}")

    def plain(self, text: str) -> None:
        """One line with nothing before it."""
        self._write(text)

    def strong(self, text: str) -> str:
        """The text, in bold where there are colours."""
        return self._paint(text, 1)

    def _paint(self, text: str, colour: int) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._coloured and colour else text

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except (BrokenPipeError, ValueError):
            self._stream = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for the rest of the process
            self._coloured = False

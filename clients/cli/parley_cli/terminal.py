"""The terminal: what may be printed on it, and keeping it quiet while an answer is drawn."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

# Control characters but tab and newline, in both ranges: a model or a document must not drive the terminal.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


# How the contract joins headings.
_BELOW = " › "
_NO_EDGE = 10_000


def printable(text: str) -> str:
    """The text without characters that a terminal obeys rather than shows."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


def place_in_document(title: str, heading: str) -> str:
    """A document's title and the headings above a passage. A title that is the first heading too is said once."""
    if heading == title:
        heading = ""
    heading = heading.removeprefix(f"{title}{_BELOW}")
    return printable(f"{title}{_BELOW}{heading}" if heading else title)


def new_console(*, stderr: bool = False) -> Console:
    """A console that takes text as it is: square brackets, colons and numbers in it mean nothing."""
    from rich.console import Console  # noqa: PLC0415 - `parley --help` and pipes do not wait for it

    console = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        # A pipe has no edge to wrap at: one thing a line, however long.
        console.width = _NO_EDGE
    return console


@contextmanager
def quiet_keyboard() -> Iterator[None]:
    """Keys are not echoed into what is drawn, `^C` neither. What was typed waits for the next prompt."""
    try:
        import termios  # noqa: PLC0415 - there is none on Windows
    except ImportError:
        yield
        return
    if not sys.stdin.isatty():
        yield
        return
    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    quiet = list(before)
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(handle, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(handle, termios.TCSANOW, before)

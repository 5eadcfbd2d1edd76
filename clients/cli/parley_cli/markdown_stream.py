"""Markdown that grows on a terminal.

What is finished is printed once and scrolls away like any other output; only the block that is still being written is drawn again
as it grows. So a long answer neither flickers nor fills the memory of the terminal with copies, and drawing costs the same at its end
as at its beginning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from rich.live import Live
from rich.markdown import Markdown
from rich.segment import Segment
from rich.spinner import Spinner
from rich.text import Text

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

_DRAWINGS_PER_SECOND = 15
# The cursor's line, and one to see that something went by.
_LINES_KEPT_FREE = 2


class MarkdownStream:
    """One answer on a terminal. Use as `async with`, `feed` it, and it draws itself."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._parser = _parser()
        self._rest = ""
        self._status = ""
        self._printed_any = False
        self._changed = False
        self._spinner = Spinner("dots", style="dim")
        self._live = Live(
            self._spinner,
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._drawing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._live.start()
        self._drawing = asyncio.create_task(self._draw())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.finish()

    def feed(self, text: str) -> None:
        """Appends text to the answer."""
        self._rest += text
        self._changed = True

    def drop(self) -> None:
        """Takes back what is not yet printed for good."""
        self._rest = ""
        self._changed = True

    def status(self, words: str) -> None:
        """Shows a line below the answer, until it gets other words or none."""
        self._status = words
        self._changed = True

    def say(self, renderable: RenderableType) -> None:
        """Prints something above what is being drawn."""
        self._live.console.print(renderable)

    async def finish(self) -> None:
        """Prints what is left and ends the drawing. Harmless a second time."""
        if self._drawing is None:
            return
        drawing, self._drawing = self._drawing, None
        drawing.cancel()
        with suppress(asyncio.CancelledError):
            await drawing
        self._live.stop()
        rest, self._rest = self._rest, ""
        if rest.strip():
            self._print(rest)

    async def _draw(self) -> None:
        waiting = True
        while True:
            if self._changed:
                self._changed = False
                self._print_finished_blocks()
                waiting = not self._rest.strip() or self._status != ""
                self._live.update(self._drawn(), refresh=True)
            elif waiting:
                # Nothing new: only the spinner moves.
                self._live.refresh()
            await asyncio.sleep(1 / _DRAWINGS_PER_SECOND)

    def _drawn(self) -> RenderableType:
        self._spinner.text = Text(self._status, style="dim")
        if not self._rest.strip():
            return self._spinner
        return _Tail(self._rest, gap=self._printed_any, below=self._spinner if self._status else None)

    def _print_finished_blocks(self) -> None:
        finished, self._rest = split_finished(self._parser, self._rest)
        if finished.strip():
            # What is drawn below must not show the same text once more while it is printed above.
            self._live.update(_Tail(self._rest, gap=True))
            self._print(finished)

    def _print(self, markdown: str) -> None:
        if self._printed_any:
            self._console.print()
        self._printed_any = True
        self._console.print(MarkdownText(markdown))


class MarkdownText:
    """Markdown without the empty lines that some blocks have around them: whoever prints blocks one by one sets them apart."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from _joined(self.lines(console, options))
        yield Segment.line()

    def lines(self, console: Console, options: ConsoleOptions) -> list[list[Segment]]:
        """The lines, as wide as the console."""
        document = Markdown(self._text, code_theme="ansi_dark", hyperlinks=False)
        lines = console.render_lines(document, options.update(height=None), pad=False)
        full = [number for number, line in enumerate(lines) if any(segment.text.strip() for segment in line)]
        return lines[full[0] : full[-1] + 1] if full else []


class _Tail:
    """As much of the end of a text as there are lines on the terminal, and perhaps a line below it."""

    def __init__(self, text: str, *, gap: bool, below: Spinner | None = None) -> None:
        self._text = text
        self._gap = gap
        self._below = below

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = MarkdownText(self._text).lines(console, options)
        if self._gap:
            lines.insert(0, [])
        if self._below is not None:
            lines += console.render_lines(self._below, options.update(height=None), pad=False)
        yield from _joined(lines[-max(console.height - _LINES_KEPT_FREE, 1) :])


def split_finished(parser: MarkdownIt, text: str) -> tuple[str, str]:
    """Cuts a text before its last block: what comes before can no longer change, whatever follows."""
    if "\n" not in text:
        return "", text
    starts = [token.map[0] for token in parser.parse(text) if token.level == 0 and token.map and token.nesting >= 0]
    if len(starts) < 2:
        return "", text
    lines = text.splitlines(keepends=True)
    return "".join(lines[: starts[-1]]), "".join(lines[starts[-1] :])


def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # noqa: PLC0415 - comes with rich, whose Markdown it parses

    # As rich sets it up, so that both see the same blocks.
    return MarkdownIt().enable("strikethrough").enable("table")


def _joined(lines: list[list[Segment]]) -> Iterator[Segment]:
    for number, line in enumerate(lines):
        if number:
            yield Segment.line()
        yield from line

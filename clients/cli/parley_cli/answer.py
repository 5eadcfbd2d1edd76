"""One answer as it comes: on a terminal as Markdown, in a pipe as plain text, or not at all. And Ctrl-C, which stops the turn."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from parley_client import (
    ApprovalDecided,
    ApprovalRequested,
    NoticeGiven,
    ParleyError,
    ProviderSwitched,
    RouteChosen,
    TextDelta,
    ToolReturned,
    Turn,
    TurnCompleted,
    TurnFailed,
    TurnFailedError,
    TurnRestarted,
    TurnStopped,
    route_name,
)
from rich.text import Text

from parley_cli.figures import dollars, seconds
from parley_cli.markdown_stream import MarkdownStream
from parley_cli.place import CommandError
from parley_cli.terminal import place_in_document, printable, quiet_keyboard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley.chat.v1 import message_pb2
    from rich.console import Console

_ANEW = "The answer begins anew; what was written until now no longer counts."

STOPPED = 130
"""The exit code of a command that Ctrl-C ended."""


class View(Protocol):
    """Shows one answer."""

    def text(self, text: str) -> None:
        """A piece of the answer."""
        ...

    def notice(self, words: str) -> None:
        """Something that the reader should know."""
        ...

    def tool(self, tool: str, *, failed: bool) -> None:
        """The model used a tool."""
        ...

    def asked(self, words: str) -> None:
        """A tool waits for the user, who is not asked here; the words say how to decide."""
        ...

    def wait(self, place: int | None) -> None:
        """The turn waits for a model in this place of the queue; None when it no longer waits."""
        ...

    def begin_anew(self) -> None:
        """The text until now no longer counts."""
        ...

    async def end(self, message: message_pb2.Message | None, *, stopped: bool) -> None:
        """The answer has ended; None when nobody knows how."""
        ...


class TerminalView:
    """Markdown that grows, then its sources, then a line of figures."""

    def __init__(self, console: Console, stream: MarkdownStream) -> None:
        self._console = console
        self._stream = stream

    def text(self, text: str) -> None:
        """Draws the piece."""
        self._stream.feed(printable(text))

    def notice(self, words: str) -> None:
        """Prints the notice above the answer."""
        self._stream.say(Text(f"! {printable(words)}", style="yellow"))

    def tool(self, tool: str, *, failed: bool) -> None:
        """Prints the tool where it was used."""
        self._stream.say(Text(_used(tool, failed=failed), style="red" if failed else "green"))

    def asked(self, words: str) -> None:
        """Prints it like a notice."""
        self.notice(words)

    def wait(self, place: int | None) -> None:
        """Shows the place below the answer."""
        self._stream.status("" if place is None else _waiting(place))

    def begin_anew(self) -> None:
        """Takes away what is still being drawn. What has scrolled away cannot be taken back."""
        self._stream.drop()
        self.notice(_ANEW)

    async def end(self, message: message_pb2.Message | None, *, stopped: bool) -> None:
        """Prints sources, receipt and figures."""
        await self._stream.finish()
        if message is None:
            return
        if message.citations:
            self._console.print()
        for line in source_lines(message.citations):
            self._console.print(Text(line, style="cyan"))
        self._console.print()
        if stopped:
            self._console.print(Text(receipt(message), style="yellow"))
        if words := figures(message):
            self._console.print(Text(words, style="dim"))


class PlainView:
    """The text as it comes on standard output; everything else on standard error, so that a script gets the answer alone."""

    def __init__(self) -> None:
        self._ends_with_newline = True
        self._waiting = WaitingLine()

    def text(self, text: str) -> None:
        """Writes the piece at once."""
        sys.stdout.write(text)
        sys.stdout.flush()
        self._ends_with_newline = text.endswith("\n")

    def notice(self, words: str) -> None:
        """Tells the notice beside the answer."""
        self._waiting.say(f"! {printable(words)}")

    def tool(self, tool: str, *, failed: bool) -> None:
        """Tells the tool beside the answer."""
        self._waiting.say(_used(tool, failed=failed))

    def asked(self, words: str) -> None:
        """Tells it beside the answer."""
        self.notice(words)

    def wait(self, place: int | None) -> None:
        """Tells the place beside the answer."""
        self._waiting.show(place)

    def begin_anew(self) -> None:
        """Begins a new line; what was written is out of the house. `--json` prints the final answer alone."""
        if not self._ends_with_newline:
            print(flush=True)
        self._ends_with_newline = True
        self.notice(_ANEW)

    async def end(self, message: message_pb2.Message | None, *, stopped: bool) -> None:
        """Ends the last line; tells sources and receipt beside the answer."""
        self._waiting.clear()
        if not self._ends_with_newline:
            print(flush=True)
        if message is None:
            return
        for line in source_lines(message.citations):
            print(line, file=sys.stderr)
        if stopped:
            print(receipt(message), file=sys.stderr)


class SilentView:
    """Shows nothing of the answer, which whoever asked prints; only that it waits, beside it."""

    def __init__(self) -> None:
        self._waiting = WaitingLine()

    def text(self, text: str) -> None:
        """Nothing."""

    def notice(self, words: str) -> None:
        """Nothing."""

    def tool(self, tool: str, *, failed: bool) -> None:
        """Nothing."""

    def asked(self, words: str) -> None:
        """Tells it on standard error: nobody waits a day for nothing."""
        self._waiting.say(f"! {printable(words)}")

    def wait(self, place: int | None) -> None:
        """Tells the place on standard error."""
        self._waiting.show(place)

    def begin_anew(self) -> None:
        """Nothing."""

    async def end(self, message: message_pb2.Message | None, *, stopped: bool) -> None:
        """Takes the place away."""
        self._waiting.clear()


class WaitingLine:
    """The place in the queue on standard error: one line that changes on a terminal, a line for each place in a pipe."""

    def __init__(self) -> None:
        self._in_place = sys.stderr.isatty()
        self._drawn = ""

    def show(self, place: int | None) -> None:
        """Shows a place; None takes it away."""
        self.clear()
        if place is None:
            return
        if self._in_place:
            self._drawn = _waiting(place)
            print(self._drawn, end="", file=sys.stderr, flush=True)
        else:
            print(_waiting(place), file=sys.stderr)

    def say(self, words: str) -> None:
        """Prints something above the line."""
        drawn = self._drawn
        self.clear()
        print(words, file=sys.stderr)
        if drawn:
            self._drawn = drawn
            print(drawn, end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Takes away what is drawn. What is in a pipe stays."""
        if self._drawn:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._drawn = ""


@asynccontextmanager
async def view_for(console: Console | None) -> AsyncIterator[View]:
    """Markdown on a console, plain text without one."""
    if console is None:
        yield PlainView()
        return
    with quiet_keyboard():
        async with MarkdownStream(console) as stream:
            yield TerminalView(console, stream)


async def show(turn: Turn, view: View, *, until_asked: bool = False) -> TurnCompleted | TurnFailed | TurnStopped | None:
    """Shows a turn to its end. The first Ctrl-C stops the turn, and its receipt is shown; the second leaves at once.

    With `until_asked`, gives None where the user is asked about a tool; shown again after the decision, the turn goes on. A failed turn
    is returned like the others. Raises ParleyError when the turn cannot be read or stopped.
    """
    stopping: asyncio.Task[object] | None = None
    reading = asyncio.create_task(_read(turn, view, until_asked=until_asked))

    def interrupted() -> None:
        nonlocal stopping
        if stopping is not None:
            reading.cancel()
            return
        stopping = asyncio.create_task(turn.stop())
        stopping.add_done_callback(lambda task: reading.cancel() if task.cancelled() or task.exception() else None)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, interrupted)
    try:
        await reading
    except asyncio.CancelledError:
        if stopping is None:
            raise
        if stopping.done() and not stopping.cancelled() and isinstance(error := stopping.exception(), ParleyError):
            raise error from None
        stopping.cancel()
        raise CommandError("Left before the turn was stopped: it goes on in Parley.", exit_code=STOPPED) from None
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        last = turn.last
        await view.end(last.message if last is not None else None, stopped=isinstance(last, TurnStopped))
    if stopping is not None:
        # Its answer is on the way: the turn has ended.
        await asyncio.wait({stopping}, timeout=1.0)
    if last is None and not (until_asked and turn.pending_approvals):
        raise RuntimeError("a turn that was read to its end has a last event")
    return last


async def _read(turn: Turn, view: View, *, until_asked: bool) -> None:
    place: int | None = None
    try:
        async for event in turn:
            if turn.queue_place != place:
                place = turn.queue_place
                view.wait(place)
            match event:
                case TextDelta(text=text):
                    view.text(text)
                case ToolReturned(tool=tool, failed=failed):
                    view.tool(tool, failed=failed)
                case ApprovalRequested() as asked if until_asked:
                    if asked in turn.pending_approvals:
                        return
                case ApprovalRequested() as asked:
                    where = f"{asked.turn_id} {asked.tool_call_id}"
                    view.asked(f"{asked.tool} waits for you: parley approve {where}, or parley deny {where}")
                case ApprovalDecided(tool=tool, state=state):
                    view.notice(f"{tool} was {state}" if state != "expired" else f"nobody decided about {tool} in time")
                case NoticeGiven(message=words) | ProviderSwitched(message=words):
                    view.notice(words)
                case TurnRestarted():
                    view.begin_anew()
                case RouteChosen():
                    pass
    except TurnFailedError:
        # The caller has it as the turn's last event.
        pass


def _used(tool: str, *, failed: bool) -> str:
    return f"✗ {printable(tool)} did not work" if failed else f"✓ {printable(tool)}"


def _waiting(place: int) -> str:
    return f"waiting for a model: place {place}"


def source_lines(citations: Sequence[message_pb2.Citation]) -> list[str]:
    """The sources that an answer cites, one a line, by number."""
    return [f"[{each.number}] {place_in_document(each.document_title, each.heading)}" for each in citations]


def receipt(message: message_pb2.Message) -> str:
    """What a stopped turn took, in words."""
    words = f"Stopped. {len(message.text)} characters were written and are kept"
    if message.HasField("usage"):
        words += f"; {_tokens(message)} were used"
        if cost := _cost(message):
            words += f", which cost {cost}"
    return words + "."


def figures(message: message_pb2.Message) -> str:
    """Route, model, time to the first token, tokens, cost and duration, as far as they are known."""
    parts = [route_name(message.route), printable(message.model)]
    if message.HasField("usage"):
        usage = message.usage
        if usage.time_to_first_token_ms:
            parts.append(f"first token {seconds(usage.time_to_first_token_ms)}")
        parts += [_tokens(message), _cost(message), seconds(usage.duration_ms)]
    return " · ".join(part for part in parts if part)


def _tokens(message: message_pb2.Message) -> str:
    usage = message.usage
    return f"{'~' if usage.estimated else ''}{usage.input_tokens} + {usage.output_tokens} tokens"


def _cost(message: message_pb2.Message) -> str:
    """What the tokens cost; empty when it is not known."""
    usage = message.usage
    if not usage.HasField("cost_usd_micros"):
        return ""
    about = "~" if usage.estimated and usage.cost_usd_micros else ""
    return f"{about}{dollars(usage.cost_usd_micros)}"

"""A generated text as it comes: on a terminal as Markdown, in a pipe as plain text.

Answers of turns, which can be stopped and resumed, are answer.py's.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from parley.ai.v1 import text_generation_pb2
from rich.text import Text

from parley_cli.answer import view_for
from parley_cli.figures import dollars, seconds
from parley_cli.terminal import new_console, place_in_document, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parley.ai.v1 import agent_service_pb2, content_service_pb2, generation_service_pb2
    from rich.console import Console

    from parley_cli.answer import View

    Event = (
        generation_service_pb2.StreamGenerateTextResponse
        | agent_service_pb2.StreamProcessResponse
        | content_service_pb2.StreamContentResponse
    )

_OFFLINE = "No model is configured: Parley's built-in offline model answers."
_END_NOTICES = {
    text_generation_pb2.FINISH_REASON_LENGTH: "The text reached the model's output limit and ends early.",
    text_generation_pb2.FINISH_REASON_CONTENT_FILTER: "The provider's content filter ended the text early.",
}


async def show_text(events: AsyncGenerator[Event, None]) -> None:
    """Shows a text to its end, with what a reader should know beside it. Raises ParleyError; leaving early ends the generation."""
    console = new_console() if sys.stdout.isatty() else None
    async with view_for(console) as view:
        told = _Told(view)
        try:
            async with aclosing(events):
                async for event in events:
                    told.take(event)
        finally:
            await view.end(None, stopped=False)
    if console is None:
        for line in told.source_lines():
            print(line, file=sys.stderr)
    else:
        _print_below(console, told)


class _Told:
    """What a text's events told beside it. Its pieces and its notices go to the view at once."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._sources: Sequence[agent_service_pb2.AgentSource] = ()
        self.model = ""
        self.finished: text_generation_pb2.GenerationFinished | None = None

    def take(self, event: Event) -> None:
        """Takes the next event. A failure is told by the error that follows it."""
        match event.WhichOneof("event"):
            case "text_delta":
                self._view.text(event.text_delta)
            case "started":
                self.model = event.started.model
                if event.started.offline:
                    self._view.notice(_OFFLINE)
            case "model_switched":
                switched = event.model_switched
                self.model = switched.to_model
                failed = f"The model {switched.from_model}" if switched.from_model else "The model"
                self._view.notice(f"{failed} failed; {switched.to_model} goes on.")
            case "notice":
                self._view.notice(event.notice)  # type: ignore[union-attr] # only agents give one
            case "tool_returned":
                returned = event.tool_returned  # type: ignore[union-attr] # only agents use tools
                self._view.tool(returned.tool, failed=returned.failed)
            case "sources":
                self._sources = event.sources.sources  # type: ignore[union-attr] # only agents have some
            case "finished":
                self.finished = event.finished
                if words := _END_NOTICES.get(event.finished.reason):
                    self._view.notice(words)

    def source_lines(self) -> list[str]:
        """The passages that an agent was given, one a line, by number."""
        return [f"[{each.number}] {place_in_document(each.document_title, each.heading)}" for each in self._sources]


def _print_below(console: Console, told: _Told) -> None:
    lines = told.source_lines()
    if lines:
        console.print()
    for line in lines:
        console.print(Text(line, style="cyan"))
    if told.finished is not None:
        console.print()
        console.print(Text(figures(told.model, told.finished.usage), style="dim"))


def figures(model: str, usage: text_generation_pb2.GenerationUsage) -> str:
    """Model, time to the first token, tokens, speed, cost and duration, as far as they are known."""
    about = "~" if usage.estimated else ""
    parts = [printable(model)]
    if usage.time_to_first_token_ms:
        parts.append(f"first token {seconds(usage.time_to_first_token_ms)}")
    parts.append(f"{about}{usage.input_tokens} + {usage.output_tokens} tokens")
    if usage.output_tokens_per_second:
        parts.append(f"{about}{usage.output_tokens_per_second:.0f} tokens/s")
    if usage.HasField("cost_usd_micros"):
        parts.append(f"{about if usage.cost_usd_micros else ''}{dollars(usage.cost_usd_micros)}")
    parts.append(seconds(usage.duration_ms))
    return " · ".join(part for part in parts if part)


def price(micros: int) -> str:
    """What a million tokens cost, in dollars."""
    return f"${micros / 1_000_000:.2f}" if micros else "$0"

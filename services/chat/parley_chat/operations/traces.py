"""Gathers a trace from the processes that did its work, for the user that it was done for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.traces import Span, of_user
from parley_chat.ports.span_source import SpanSource, SpansUnavailableError


@dataclass(frozen=True, slots=True)
class Trace:
    """What is known of a trace."""

    spans: tuple[Span, ...]
    missing: tuple[str, ...]
    """The services that did not answer, in alphabetical order."""


class Traces:
    """The use case. `sources` by the name of the service."""

    def __init__(self, sources: Mapping[str, SpanSource], seconds: float = 2.0) -> None:
        self._sources = sources
        self._seconds = seconds

    async def get(self, trace_id: str, user_id: str) -> Trace:
        """Asks all at once and waits for none longer than the patience. Raises NotFoundError."""
        told = await asyncio.gather(*(self._ask(source, trace_id, user_id) for source in self._sources.values()))
        answers = dict(zip(self._sources, told, strict=True))
        spans = of_user((span for answer in answers.values() for span in answer or ()), user_id)
        if not spans:
            raise NotFoundError("trace")
        return Trace(tuple(spans), tuple(sorted(name for name, answer in answers.items() if answer is None)))

    async def _ask(self, source: SpanSource, trace_id: str, user_id: str) -> Sequence[Span] | None:
        try:
            async with asyncio.timeout(self._seconds):
                return await source.spans_of(trace_id, user_id)
        except (SpansUnavailableError, TimeoutError):
            return None

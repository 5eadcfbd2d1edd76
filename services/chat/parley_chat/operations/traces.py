"""Gathers a trace from the processes that did its work, for the user that it was done for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
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
    """The use case. `sources` with the name of their service; one service may have several."""

    def __init__(self, sources: Sequence[tuple[str, SpanSource]], seconds: float = 2.0) -> None:
        self._sources = sources
        self._seconds = seconds

    async def get(self, trace_id: str, user_id: str) -> Trace:
        """Asks all at once and waits for none longer than the patience. Raises NotFoundError."""
        told = await asyncio.gather(*(self._ask(source, trace_id, user_id) for _, source in self._sources))
        spans = of_user((span for answer, _ in told for span in answer), user_id)
        if not spans:
            raise NotFoundError("trace")
        missing = {name for (name, _), (_, whole) in zip(self._sources, told, strict=True) if not whole}
        return Trace(tuple(spans), tuple(sorted(missing)))

    async def _ask(self, source: SpanSource, trace_id: str, user_id: str) -> tuple[Sequence[Span], bool]:
        """What it tells, and whether that is everything."""
        try:
            async with asyncio.timeout(self._seconds):
                return await source.spans_of(trace_id, user_id), True
        except SpansUnavailableError as error:
            return error.spans, False
        except TimeoutError:
            return (), False

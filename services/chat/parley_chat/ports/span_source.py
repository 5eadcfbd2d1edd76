"""Where the spans of a trace are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from parley_chat.domain.traces import Span


class SpansUnavailableError(Exception):
    """A process that keeps them does not answer. `spans` are those that others have told."""

    def __init__(self, spans: Sequence[Span] = ()) -> None:
        super().__init__("spans are not told")
        self.spans = spans


class SpanSource(Protocol):
    """The memory of one process, or of several."""

    async def spans_of(self, trace_id: str, user_id: str) -> Sequence[Span]:
        """The spans of the trace, whomever they were for; the user is who asks. Raises SpansUnavailableError."""
        ...

"""The spans of this very process."""

from __future__ import annotations

from collections.abc import Sequence

from parley_shared.spans import kept_spans

from parley_chat.adapters.span_packing import unpack_span
from parley_chat.domain.traces import Span


class KeptSpans:
    """Reads the memory of the process."""

    async def spans_of(self, trace_id: str, user_id: str) -> Sequence[Span]:
        """Those of a trace."""
        del user_id
        return [unpack_span(span) for span in kept_spans(trace_id, "chat")]

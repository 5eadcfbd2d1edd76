"""What was done for one trace, and what of it a user may see. Not how it is gathered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

USER_ATTRIBUTE = "user.id"
"""On the spans of calls: for whom the call was."""

SPANS_MOST = 1000
"""Of a trace that is shown."""


class SpanKind(StrEnum):
    """On which side of a call a span stands."""

    UNKNOWN = "unknown"
    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work within a trace."""

    span_id: str
    parent_span_id: str
    """Empty for the first of a trace."""
    service: str
    name: str
    kind: SpanKind
    start: datetime
    end: datetime
    failed: bool
    attributes: Mapping[str, str]


def of_user(spans: Iterable[Span], user_id: str) -> list[Span]:
    """What was done for the user, by when it began, parents first; each span once.

    Anybody may begin a trace with the id of another's. So what counts is the call that a span is a part of: the nearest one above it, or
    itself, that names its user. What stands above all such calls, as the edge does, is shown with the calls that it led to.
    """
    by_id = {span.span_id: span for span in spans}
    owners: dict[str, str] = {}

    def owner(span: Span) -> str:
        """The user of the nearest call; "" above all calls. Walks a path once, and none in circles."""
        path = []
        at: Span | None = span
        found = ""
        seen: set[str] = set()
        while at is not None and at.span_id not in seen:
            if at.span_id in owners:
                found = owners[at.span_id]
                break
            seen.add(at.span_id)
            path.append(at.span_id)
            if USER_ATTRIBUTE in at.attributes:
                found = at.attributes[USER_ATTRIBUTE]
                break
            at = by_id.get(at.parent_span_id)
        owners.update(dict.fromkeys(path, found))
        return found

    shown = {span.span_id for span in by_id.values() if owner(span) == user_id}
    for span_id in list(shown):
        above = by_id.get(by_id[span_id].parent_span_id)
        while above is not None and above.span_id not in shown and owner(above) == "":
            shown.add(above.span_id)
            above = by_id.get(above.parent_span_id)
    return _in_order([by_id[span_id] for span_id in shown])[:SPANS_MOST]


def _in_order(spans: list[Span]) -> list[Span]:
    """By when they began. Clocks of two machines differ: a part that seems to begin before its whole still comes after it."""
    by_id = {span.span_id: span for span in spans}
    children: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda span: (span.start, span.span_id)):
        parent = span.parent_span_id if span.parent_span_id in by_id else ""
        children.setdefault(parent, []).append(span)
    ordered: list[Span] = []
    waiting = list(reversed(children.get("", [])))
    while waiting:
        span = waiting.pop()
        ordered.append(span)
        waiting += reversed(children.pop(span.span_id, []))
    return ordered

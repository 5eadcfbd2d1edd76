"""What one reader saw of one turn, and whether it is what the log holds. Reads nothing itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import parley_client
from parley.chat.v1 import turn_event_pb2
from parley_client.events import event_from

OUTCOMES = frozenset({"completed", "failed", "stopped"})


@dataclass(frozen=True, slots=True)
class Stretch:
    """One event, or all neighbouring deltas of one kind as one: however a reader's deltas were merged, it comes out the same."""

    last: int
    """The place of its last event."""
    kind: str
    content: Any
    """The joined text of deltas; of other events the whole event."""


@dataclass(slots=True)
class Transcript:
    """The events of one turn in the order in which they arrived, and what was wrong with their places."""

    reader: str
    """Who read it, for messages."""
    turn_id: str = ""
    last: int = 0
    """The place to resume after."""
    events: list[turn_event_pb2.TurnEvent] = field(default_factory=list)
    lost: int = 0
    """Places that were passed over."""
    repeated: int = 0
    """Places that came twice."""
    out_of_order: int = 0
    """Places that had been passed over and came later."""
    complaints: list[str] = field(default_factory=list)
    _missing: set[int] = field(default_factory=set)

    @property
    def outcome(self) -> str:
        """The kind of the last event; empty while there is none."""
        kind = kind_of(self.events[-1]) if self.events else ""
        return kind if kind in OUTCOMES else ""

    def take(self, event: turn_event_pb2.TurnEvent) -> None:
        """Adds an event, and counts what is wrong with it."""
        first, last, told = (
            event.first_sequence,
            event.sequence,
            f"{kind_of(event)} {event.first_sequence}..{event.sequence}",
        )
        if self.turn_id and event.turn_id != self.turn_id:
            self.complaints.append(f"an event of the turn {event.turn_id}: {told}")
        if not 1 <= first <= last or (first != last and kind_of(event) not in {"delta", "reasoning_delta"}):
            self.complaints.append(f"an event with impossible places: {told}")
        if self.outcome:
            self.complaints.append(f"an event behind the outcome: {told}")
        known = {place for place in range(first, last + 1) if place <= self.last}
        late = known & self._missing
        self._missing -= late
        self.out_of_order += len(late)
        self.repeated += len(known) - len(late)
        self.lost -= len(late)
        skipped = range(self.last + 1, first)
        self._missing |= set(skipped)
        self.lost += len(skipped)
        if known or skipped:
            self.complaints.append(f"{told} came after {self.last}")
        self.turn_id = event.turn_id
        self.last = max(self.last, last)
        self.events.append(event)


def kind_of(event: turn_event_pb2.TurnEvent) -> str:
    """The name of what happened."""
    return str(event.WhichOneof("event"))


def text_of(events: Iterable[turn_event_pb2.TurnEvent]) -> str:
    """The joined deltas behind the last `restarted`."""
    parts: list[str] = []
    for event in events:
        if event.HasField("restarted"):
            parts.clear()
        parts.append(event.delta.text)
    return "".join(parts)


def stretches(events: Iterable[turn_event_pb2.TurnEvent]) -> list[Stretch]:
    """The events with merged deltas."""
    found: list[Stretch] = []
    for event in events:
        kind = kind_of(event)
        text = event.delta.text if kind == "delta" else event.reasoning_delta.text
        content = text if kind in {"delta", "reasoning_delta"} else event.SerializeToString(deterministic=True)
        _add(found, Stretch(event.sequence, kind, content))
    return found


def client_stretches(events: Iterable[parley_client.TurnEvent]) -> list[Stretch]:
    """The same of what the client library gives."""
    found: list[Stretch] = []
    for event in events:
        content = event.text if isinstance(event, parley_client.TextDelta | parley_client.ReasoningDelta) else event
        _add(found, Stretch(event.sequence, type(event).__name__, content))
    return found


def as_the_client_gives(events: Iterable[turn_event_pb2.TurnEvent]) -> list[Stretch]:
    """What the client library makes of events: it passes over those that it does not know."""
    return client_stretches(known for event in events if (known := event_from(event)) is not None)


def first_difference(seen: Sequence[Stretch], held: Sequence[Stretch]) -> str:
    """Says where a reader's transcript leaves the log; empty when it does not."""
    for number, (mine, logged) in enumerate(zip(seen, held, strict=False)):
        if mine != logged:
            return f"at stretch {number}: seen {_shown(mine)}, in the log {_shown(logged)}"
    if len(seen) != len(held):
        more = (seen if len(seen) > len(held) else held)[min(len(seen), len(held))]
        return f"{'seen' if len(seen) > len(held) else 'in the log'} only: {_shown(more)}"
    return ""


def _add(found: list[Stretch], new: Stretch) -> None:
    if found and isinstance(new.content, str) and found[-1].kind == new.kind:
        new = Stretch(new.last, new.kind, found.pop().content + new.content)
    found.append(new)


def _shown(stretch: Stretch) -> str:
    content = str(stretch.content)
    return (
        f"{stretch.kind} to {stretch.last}: {content if len(content) < 300 else f'{content[:140]} … {content[-140:]}'}"
    )

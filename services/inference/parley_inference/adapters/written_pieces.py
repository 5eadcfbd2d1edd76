"""What a model has written of an answer while it still writes: text that was not yet told, and tool calls that are not yet whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from parley_inference.domain.generation import GenerationEvent, ReasoningDelta, TextDelta
from parley_inference.domain.prompt import ToolCall
from parley_inference.ports.language_model import MOST_CHARACTERS_OF_A_DELTA

MOST_TOOL_CALLS = 128
MOST_CHARACTERS_OF_ARGUMENTS = 1_000_000
"""Of all calls of an answer together."""


class WrittenText:
    """Text and reasoning in the order in which they came; what is of one kind leaves as one event."""

    def __init__(self) -> None:
        self._events: list[GenerationEvent] = []
        self._kind: type[TextDelta | ReasoningDelta] = TextDelta
        self._pieces: list[str] = []

    def add(self, kind: type[TextDelta | ReasoningDelta], text: str) -> None:
        """Takes a piece that is not empty."""
        if kind is not self._kind:
            self._join()
            self._kind = kind
        self._pieces.append(text)

    def take(self) -> list[GenerationEvent]:
        """The events since it was last asked."""
        self._join()
        events, self._events = self._events, []
        return events

    def _join(self) -> None:
        if not self._pieces:
            return
        text = "".join(self._pieces)
        self._pieces.clear()
        for start in range(0, len(text), MOST_CHARACTERS_OF_A_DELTA):
            self._events.append(self._kind(text[start : start + MOST_CHARACTERS_OF_A_DELTA]))


@dataclass(slots=True)
class GrowingToolCall:
    """A tool call whose fragments are still arriving."""

    index: Any
    call_id: str
    name: str
    fragments: list[str]

    def add(self, arguments: Any) -> int:
        """Adds a fragment, and gives its length in characters."""
        if arguments is None:
            return 0
        # Some servers send the object itself instead of its text.
        text = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
        self.fragments.append(text)
        return len(text)

    def whole(self, number: int) -> ToolCall:
        """The call; `number` names it when nobody gave it an id."""
        arguments = "".join(self.fragments).strip()
        return ToolCall(self.call_id or f"call_{number}", self.name, "{}" if arguments in {"", "null"} else arguments)

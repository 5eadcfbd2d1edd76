"""The work of an agent while it goes on: its text, the tools that it used, and what it took, round by round. Not how a round is run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from uuid import uuid4

from parley_chat.domain.generation import Meter, usage_of
from parley_chat.domain.tool_uses import ToolRound, ToolUse, begins_paragraph, next_round, rounds_of
from parley_chat.operations.text_generations import RoundEvent, TextEvent, TextFinished
from parley_chat.ports.text_model import TextPiece, TextStarted, TextSwitched, TextToolCall
from parley_chat.ports.toolbox import ToolOutcome


@dataclass(frozen=True, slots=True)
class ToolUseCalled:
    """The agent calls a tool, which runs next."""

    use: ToolUse


@dataclass(frozen=True, slots=True)
class ToolUseReturned:
    """A tool has run."""

    use: ToolUse


class AgentWork:
    """What there is of the work. The meter is that of its first round, from when the user asked."""

    def __init__(self, meter: Meter) -> None:
        self._work_id = uuid4().hex
        self._meters = [meter]
        self._begun = 0
        self._text = ""
        self._uses: list[ToolUse] = []
        self._model: str | None = None
        self.calls: list[TextToolCall] = []
        """What the round that runs has called."""

    def rounds(self) -> tuple[ToolRound, ...]:
        """What it did with tools until now."""
        return rounds_of(self._text, self._uses)[0]

    def seconds(self) -> float:
        """How long it had taken when its round began, from when the first did."""
        return self._meters[-1].started - self._meters[0].started

    def next_meter(self) -> Meter:
        """The meter of the round that begins."""
        if self._begun:
            self._meters.append(Meter())
        self._begun += 1
        return self._meters[-1]

    def take(self, event: RoundEvent, *, may_call: bool) -> Iterator[TextEvent]:
        """Takes the next event of a round and gives what a reader is told of it."""
        match event:
            case TextToolCall():
                # A call of what was not offered is not run: the text is the answer then.
                if may_call:
                    self.calls.append(event)
            case TextStarted(model):
                if model != self._model:
                    self._model = model
                    yield event
            case TextPiece(text):
                text = f"\n\n{text}" if begins_paragraph(self._text, self._uses) else text
                self._text += text
                yield TextPiece(text)
            case TextFinished():
                if not self.calls:
                    yield replace(event, usage=usage_of(self._meters))
            case TextSwitched():
                self._model = event.to_model
                yield event
            case _:
                yield event

    def begin_tools(self) -> tuple[ToolUse, ...]:
        """Makes uses of what was called."""
        made = [(call.tool, call.arguments_json) for call in self.calls]
        uses = next_round(self._work_id, made, self._uses, len(self._text))
        self._uses += uses
        self.calls = []
        return uses

    def unreturned(self) -> list[ToolUse]:
        """The uses whose results are not known."""
        return [use for use in self._uses if not use.has_returned]

    def return_tool(self, use: ToolUse, outcome: ToolOutcome) -> ToolUse:
        """Notes what came of a use."""
        returned = use.returned(outcome.result_json, failed=outcome.failed)
        self._uses[self._uses.index(use)] = returned
        return returned

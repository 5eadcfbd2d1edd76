"""The tools that a model used while it wrote an answer. Not what the tools do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from parley_chat.domain.tool_approvals import ApprovalState

MOST_TOOL_CHARACTERS = 100_000
"""Of the arguments, and of the result, of one call."""

MOST_TOOL_NAME = 64
"""Characters. A model may call what was never offered, by any name."""

LOST_RESULT = json.dumps(
    {"error": {"message": "The answer ended before this returned. It is not known whether it took effect."}}
)
"""What a model is told of a call whose result was never logged."""

NOT_RUN_RESULT = json.dumps(
    {"error": {"message": "The answer ended before the user had approved this. It did not run."}}
)
"""What a model is told of a call that waited for the user until the answer ended."""

_CUT = "…"


@dataclass(frozen=True, slots=True)
class ToolUse:
    """One call of a tool, and what came of it."""

    tool_call_id: str
    tool: str
    arguments_json: str
    """As the model wrote it."""
    round: int
    """From 0: calls of the same round were made together, and their results read together."""
    text_offset: int
    """How much of the answer's text stood before it, Unicode code points."""
    result_json: str = ""
    """Empty until it has returned."""
    failed: bool = False
    approval: ApprovalState | None = None
    """How far the user's consent is; None when nobody was asked."""
    edited_arguments_json: str = ""
    """What the user lets it run with instead; empty when they changed nothing."""
    denial: str = ""
    """Why the user denied, in their words; empty when they gave no reason."""

    @property
    def arguments_to_run(self) -> str:
        """What it runs with, or ran."""
        return self.edited_arguments_json or self.arguments_json

    @property
    def has_returned(self) -> bool:
        """Whether its result is known."""
        return bool(self.result_json)

    def decided(self, state: ApprovalState, edited_arguments_json: str, denial: str) -> ToolUse:
        """The use with what the user decided, or did not decide in time."""
        return replace(self, approval=state, edited_arguments_json=edited_arguments_json, denial=denial)

    def closed(self) -> ToolUse:
        """The use when its answer has ended: nobody is asked any more."""
        return replace(self, approval=ApprovalState.CLOSED) if self.approval is ApprovalState.PENDING else self

    def returned(self, result_json: str, *, failed: bool) -> ToolUse:
        """The use with its result, cut to what is kept."""
        return replace(self, result_json=cut_to(result_json, MOST_TOOL_CHARACTERS), failed=failed)


@dataclass(frozen=True, slots=True)
class ToolRound:
    """What a model wrote before it called tools, the calls, and their results."""

    text: str
    uses: tuple[ToolUse, ...]

    def characters(self) -> int:
        """How much there is to read."""
        return len(self.text) + sum(len(use.arguments_to_run) + len(use.result_json) for use in self.uses)


def rounds_of(text: str, uses: Sequence[ToolUse]) -> tuple[tuple[ToolRound, ...], str]:
    """Cuts an answer into the rounds that ended with tools, and the text after the last of them."""
    rounds: list[ToolRound] = []
    start = 0
    for number in sorted({use.round for use in uses}):
        of_round = tuple(use for use in uses if use.round == number)
        end = of_round[0].text_offset
        rounds.append(ToolRound(text[start:end].strip("\n"), of_round))
        start = end
    return tuple(rounds), text[start:].lstrip("\n") if rounds else text


def next_round(
    owner_id: str, calls: Sequence[tuple[str, str]], before: Sequence[ToolUse], text_length: int
) -> tuple[ToolUse, ...]:
    """The uses that a model's calls (tool and arguments) become, made together behind those before and so much text."""
    number_of_round = 1 + max((use.round for use in before), default=-1)
    return tuple(
        ToolUse(
            tool_call_id(owner_id, len(before) + place),
            cut_to(tool, MOST_TOOL_NAME),
            cut_to(arguments_json, MOST_TOOL_CHARACTERS),
            number_of_round,
            text_length,
        )
        for place, (tool, arguments_json) in enumerate(calls, start=1)
    )


def place_in_round(use: ToolUse, uses: Sequence[ToolUse]) -> int:
    """How many calls of its round were made before it."""
    return sum(other.round == use.round for other in uses[: uses.index(use)])


def begins_paragraph(text: str, uses: Sequence[ToolUse]) -> bool:
    """Whether the next text comes after tools and stands apart from the text before them."""
    if not uses or not text or rounds_of(text, uses)[1]:
        return False
    return not text.endswith("\n\n")


def tool_call_id(owner_id: str, number: int) -> str:
    """Names a call, in its turn or its work of an agent and all others: `number` counts the calls there from 1."""
    return f"call_{owner_id.removeprefix('trn_')}_{number}"


def cut_to(text: str, most: int) -> str:
    """The text, and of a longer one its beginning with an ellipsis."""
    return text if len(text) <= most else text[: most - len(_CUT)] + _CUT

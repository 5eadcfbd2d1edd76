"""The tools that a model may use in an answer. Each source of tools is an adapter or a servicer of its own; the toolbox has all of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from parley_chat.domain.tool_approvals import ToolEffect


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """What is known of a tool."""

    name: str
    """1 to 64 characters of `A-Z a-z 0-9 _ -`. Of two tools of one name, the one of the earlier source is there."""
    description: str
    """What a model is told of it."""
    parameters_schema: Mapping[str, Any]
    """JSON Schema of its arguments, an object."""
    scope: str = ""
    """What a token needs for it; empty when any token will do."""
    effect: ToolEffect = ToolEffect.WRITE
    """What it does."""
    needs_approval: bool | None = None
    """Whether its calls wait for the user. A source says None to leave it to the operator's settings, which go by name and effect; what the
    toolbox gives out never is None."""
    seconds: float | None = None
    """How long a call of it may run; None for as long as the operator's settings say of all tools."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that is to be run, for a user."""

    user_id: str
    scopes: Collection[str]
    """What the token that asked for the answer allows."""
    tool_call_id: str
    tool: str
    arguments_json: str
    """As the model wrote it, or the user who approved it: nobody has checked it."""
    time_zone: str
    """The user's, an IANA name: what times without an offset mean."""
    turn_id: str = ""
    """The turn whose model calls. Empty when there is none: then nothing notes that the call ran, and each run takes effect."""
    project: str = ""
    """Documents are searched in this project only; in all when empty."""


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What came of a call."""

    result_json: str
    """A JSON object."""
    failed: bool = False
    """True when nothing was changed because it could not be."""


class ToolSource(Protocol):
    """Some of the tools."""

    async def tools(self, user_id: str) -> Sequence[ToolDefinition]:
        """All that the user has of it, whatever their token allows, in a fixed order.

        Is asked for before each round of a generation: what takes time is kept, and what cannot be reached is left out.
        """
        ...

    async def run(self, call: ToolCall) -> ToolOutcome:
        """Runs a call of one of its tools, which the token allows. See `Toolbox.run`."""
        ...


class Toolbox(Protocol):
    """Offers tools and runs them."""

    async def offered(self, user_id: str, scopes: Collection[str]) -> tuple[ToolDefinition, ...]:
        """The tools that a token of the user with these scopes may use, in a fixed order."""
        ...

    async def find(self, user_id: str, tool: str) -> ToolDefinition | None:
        """A tool of the user, whatever their token allows; None when there is none of this name."""
        ...

    async def run(self, call: ToolCall) -> ToolOutcome:
        """Runs a call, whole or not at all, and in a turn once: the same turn and call id gives the first outcome again.

        What the user or the model did wrong is an outcome that failed. Raises what nobody expected. Asks nobody: consent is the caller's.
        """
        ...

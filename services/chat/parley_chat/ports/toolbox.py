"""The tools that a model may use in an answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """What a model is told of a tool."""

    name: str
    description: str
    parameters_schema: Mapping[str, Any]
    """JSON Schema of its arguments, an object."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that is to be run, for a user."""

    user_id: str
    scopes: Collection[str]
    """What the token that asked for the answer allows."""
    tool_call_id: str
    tool: str
    arguments_json: str
    """As the model wrote it: nobody has checked it."""
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


class Toolbox(Protocol):
    """Offers tools and runs them."""

    def offered(self, scopes: Collection[str]) -> tuple[ToolDefinition, ...]:
        """The tools that a token with these scopes may use, in a fixed order."""
        ...

    async def run(self, call: ToolCall) -> ToolOutcome:
        """Runs a call, whole or not at all, and in a turn once: the same turn and call id gives the first outcome again.

        What the user or the model did wrong is an outcome that failed. Raises what nobody expected.
        """
        ...

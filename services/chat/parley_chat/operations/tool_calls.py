"""Runs the calls of tools that models make, in turns and without one: bounded, measured, and never breaking what calls them.

What tools do is the toolbox's; who may use which, and what becomes of the results, is the caller's.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from parley_chat.domain.json_fit import misfits_of
from parley_chat.ports.toolbox import Toolbox, ToolCall, ToolDefinition, ToolOutcome
from parley_chat.ports.tracing import Tracing

logger = logging.getLogger(__name__)

MOST_CALLS_OF_A_ROUND = 16
"""More at once are told to the model as failed."""
NOBODY_TO_ASK = (
    "This tool runs only when the user has approved it, and nobody can be asked here. Say so: in a session the user would be asked "
    "about it."
)


@dataclass(frozen=True, slots=True)
class ToolLimits:
    """How much tools may be used in one answer."""

    rounds: int
    """After how many rounds of calls the model has to answer."""
    seconds: float
    """How long one call may run."""


class ToolCalls:
    """Runs calls. Holds nothing of any of them."""

    def __init__(
        self,
        toolbox: Toolbox,
        tracing: Tracing,
        limits: ToolLimits,
        *,
        on_run: Callable[[str, bool], None] = lambda tool, failed: None,
    ) -> None:
        """`on_run` is told of each call that ended: the tool, and whether it failed. It must neither wait nor fail."""
        self._on_run = on_run
        self._toolbox = toolbox
        self._tracing = tracing
        self._limits = limits

    @property
    def rounds(self) -> int:
        """After how many rounds of calls the model has to answer."""
        return self._limits.rounds

    async def offered(self, user_id: str, scopes: Collection[str]) -> tuple[ToolDefinition, ...]:
        """The tools that a token of the user with these scopes may use, in a fixed order."""
        return await self._toolbox.offered(user_id, scopes)

    async def find(self, user_id: str, tool: str) -> ToolDefinition | None:
        """A tool of the user, whatever their token allows; None when there is none of this name."""
        return await self._toolbox.find(user_id, tool)

    async def run(
        self, call: ToolCall, stage_name: str, *, place: int, allowed: bool = True, approved: bool = False
    ) -> ToolOutcome:
        """Runs a call, whatever it does: what goes wrong is an outcome that failed.

        `place` is the call's among those of its round, from 0. One that is not `allowed` is told so and not run, and so is one that needs
        the user's approval unless it is `approved`.
        """
        attributes = {"gen_ai.tool.name": call.tool, "gen_ai.tool.call.id": call.tool_call_id}
        with self._tracing.stage(stage_name, attributes) as stage:
            outcome = await self._outcome(call, place, allowed=allowed, approved=approved)
            stage.record({"parley.tool.failed": outcome.failed})
            self._on_run(call.tool, outcome.failed)
            return outcome

    async def _outcome(self, call: ToolCall, place: int, *, allowed: bool, approved: bool) -> ToolOutcome:
        if not allowed:
            return _failed("This tool was not offered and may not be used here.")
        if place >= MOST_CALLS_OF_A_ROUND:
            return _failed(f"At most {MOST_CALLS_OF_A_ROUND} tools run at a time. Call it again.")
        seconds = self._limits.seconds
        try:
            tool = await self._toolbox.find(call.user_id, call.tool)
            seconds = seconds if tool is None else tool.seconds or seconds
            async with asyncio.timeout(seconds):
                if not approved and (why_not := _why_not(tool, call)):
                    return _failed(why_not)
                return await self._toolbox.run(call)
        except TimeoutError:
            return _failed(f"It took longer than {seconds:g} seconds.")
        except Exception:
            # Whatever it was, the model can say that it did not work; the cause is in the log.
            logger.exception("a tool failed", extra={"turn_id": call.turn_id, "tool": call.tool})
            return _failed("It failed inside Parley.")


def _why_not(tool: ToolDefinition | None, call: ToolCall) -> str:
    """Why a call that nobody approved does not run; empty when it does, or when the toolbox refuses it."""
    if tool is None:
        # Also when it is there in a moment: nobody has looked whether it asks.
        return "There is no tool of this name."
    if not tool.needs_approval or (tool.scope and tool.scope not in call.scopes):
        return ""
    # What nobody could approve is told as what it is.
    misfits = misfits_of(tool.parameters_schema, call.arguments_json)
    return f"The arguments do not fit: {told(misfits)}" if misfits else NOBODY_TO_ASK


def told(misfits: Sequence[tuple[str, str]]) -> str:
    """What does not fit, in words."""
    return "; ".join(f"{path or 'they'} {words}" for path, words in misfits) + "."


def _failed(words: str) -> ToolOutcome:
    return ToolOutcome(json.dumps({"error": {"message": words}}), failed=True)

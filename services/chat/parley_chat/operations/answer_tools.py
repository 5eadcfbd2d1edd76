"""The tools of an answer: which are offered to its model, and what happens when it calls them. What they do is the toolbox's."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass, replace

from parley_chat.domain.conversation import Route
from parley_chat.domain.tool_uses import ToolUse
from parley_chat.domain.turn import NoticeKind
from parley_chat.operations.answer import Answer
from parley_chat.ports.language_model import GenerationRequest
from parley_chat.ports.toolbox import Toolbox, ToolCall, ToolOutcome
from parley_chat.ports.tracing import Tracing

logger = logging.getLogger(__name__)

MOST_CALLS_OF_A_ROUND = 16
"""More at once are told to the model as failed."""


@dataclass(frozen=True, slots=True)
class ToolLimits:
    """How much tools may be used in one answer."""

    rounds: int
    """After how many rounds of calls the model has to answer."""
    seconds: float
    """How long one call may run."""


class AnswerTools:
    """Offers tools to the models of answers, and runs what they call."""

    def __init__(self, toolbox: Toolbox, tracing: Tracing, limits: ToolLimits) -> None:
        self._toolbox = toolbox
        self._tracing = tracing
        self._limits = limits

    async def with_tools(self, answer: Answer, request: GenerationRequest) -> GenerationRequest:
        """The request with the tools that the model may use from here on: those of the enhanced route, until it used them often enough."""
        if answer.route is not Route.ENHANCED:
            return request
        offered = self._toolbox.offered(answer.turn.scopes)
        if offered and len(answer.rounds) >= self._limits.rounds:
            words = "The model has used tools as often as it may for one answer, and answers with what it has."
            await answer.notice(NoticeKind.TOOL_LIMIT, words)
            return replace(request, tools=())
        return replace(request, tools=offered)

    async def run(self, answer: Answer) -> None:
        """Runs the calls that have no result yet, one after the other, in the order in which the model made them."""
        for use in answer.unreturned():
            with self._tracing.stage(
                "chat.turn.tool", {"gen_ai.tool.name": use.tool, "gen_ai.tool.call.id": use.tool_call_id}
            ) as stage:
                outcome = await self._outcome(answer, use)
                stage.record({"parley.tool.failed": outcome.failed})
            await answer.return_tool(use, outcome)

    async def _outcome(self, answer: Answer, use: ToolUse) -> ToolOutcome:
        turn = answer.turn
        if sum(other.round == use.round for other in answer.tool_uses[: answer.tool_uses.index(use)]) >= (
            MOST_CALLS_OF_A_ROUND
        ):
            return _failed(f"At most {MOST_CALLS_OF_A_ROUND} tools run at a time. Call it again.")
        call = ToolCall(
            turn.user_id, turn.scopes, turn.turn_id, use.tool_call_id, use.tool, use.arguments_json, turn.time_zone
        )
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await self._toolbox.run(call)
        except TimeoutError:
            return _failed(f"It took longer than {self._limits.seconds:g} seconds.")
        except Exception:
            # Whatever it was, the model can say that it did not work; the cause is in the log.
            logger.exception("a tool failed", extra={"turn_id": turn.turn_id, "tool": use.tool})
            return _failed("It failed inside Parley.")


def _failed(words: str) -> ToolOutcome:
    return ToolOutcome(json.dumps({"error": {"message": words}}), failed=True)

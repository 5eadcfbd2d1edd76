"""The tools of a turn's answer: which are offered to its model, and when what it calls is run. How it is run is tool_calls.py's."""

from __future__ import annotations

from dataclasses import replace

from parley_chat.domain.conversation import Route
from parley_chat.domain.tool_uses import place_in_round
from parley_chat.domain.turn import NoticeKind
from parley_chat.operations.answer import Answer
from parley_chat.operations.tool_calls import ToolCalls
from parley_chat.ports.language_model import GenerationRequest
from parley_chat.ports.toolbox import ToolCall


class AnswerTools:
    """Offers tools to the models of answers, and has run what they call."""

    def __init__(self, calls: ToolCalls) -> None:
        self._calls = calls

    async def with_tools(self, answer: Answer, request: GenerationRequest) -> GenerationRequest:
        """The request with the tools that the model may use from here on: those of the enhanced route, until it used them often enough."""
        if answer.route is not Route.ENHANCED:
            return request
        offered = await self._calls.offered(answer.turn.user_id, answer.turn.scopes)
        if offered and len(answer.rounds) >= self._calls.rounds:
            words = "The model has used tools as often as it may for one answer, and answers with what it has."
            await answer.notice(NoticeKind.TOOL_LIMIT, words)
            return replace(request, tools=())
        return replace(request, tools=offered)

    async def run(self, answer: Answer) -> None:
        """Runs the calls that have no result yet, one after the other, in the order in which the model made them."""
        turn = answer.turn
        for use in answer.unreturned():
            call = ToolCall(
                user_id=turn.user_id,
                scopes=turn.scopes,
                tool_call_id=use.tool_call_id,
                tool=use.tool,
                arguments_json=use.arguments_json,
                time_zone=turn.time_zone,
                turn_id=turn.turn_id,
            )
            outcome = await self._calls.run(
                call, "chat.turn.tool", place=place_in_round(use, answer.tool_uses), approved=True
            )
            await answer.return_tool(use, outcome)

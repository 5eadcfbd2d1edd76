"""The tools of a turn's answer: which are offered to its model, and when what it calls is run. How it is run is tool_calls.py's, and how
users are asked before is tool_consent.py's.
"""

from __future__ import annotations

from dataclasses import replace

from parley_chat.domain.conversation import Route
from parley_chat.domain.tool_approvals import ApprovalState, ToolEffect
from parley_chat.domain.tool_uses import LOST_RESULT, ToolUse, place_in_round
from parley_chat.domain.turn import NoticeKind
from parley_chat.operations.answer import Answer
from parley_chat.operations.tool_calls import ToolCalls
from parley_chat.operations.tool_consent import ToolConsent, refusal
from parley_chat.ports.language_model import GenerationRequest
from parley_chat.ports.toolbox import ToolCall, ToolOutcome


class AnswerTools:
    """Offers tools to the models of answers, and has run what they call."""

    def __init__(self, calls: ToolCalls, consent: ToolConsent) -> None:
        self._calls = calls
        self._consent = consent

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

    async def run(self, answer: Answer) -> bool:
        """Runs the calls that have no result yet, one after the other, in the order in which the model made them, and waits where the user
        is asked first. True when it has waited.
        """
        await self._consent.ask(answer)
        waited = False
        while unreturned := answer.unreturned():
            use = unreturned[0]
            if use.approval is ApprovalState.PENDING:
                waited = True
                await self._consent.wait(answer)
            else:
                await answer.return_tool(use, await self._outcome(answer, use))
        return waited

    async def _outcome(self, answer: Answer, use: ToolUse) -> ToolOutcome:
        if use.approval in (ApprovalState.DENIED, ApprovalState.EXPIRED):
            return refusal(use.approval, use.denial)
        turn = answer.turn
        call = ToolCall(
            user_id=turn.user_id,
            scopes=turn.scopes,
            tool_call_id=use.tool_call_id,
            tool=use.tool,
            arguments_json=use.arguments_to_run,
            time_zone=turn.time_zone,
            turn_id=turn.turn_id,
            project=turn.project_id,
        )
        tool = await self._calls.find(turn.user_id, use.tool)
        # What is not there now may be a tool of a server that is away.
        is_external = tool is None or tool.effect is ToolEffect.EXTERNAL
        if is_external and not await self._consent.start(answer, use):
            # A process before this one began it, and nobody knows how far it came.
            return ToolOutcome(LOST_RESULT, failed=True)
        approved = use.approval is ApprovalState.APPROVED
        place = place_in_round(use, answer.tool_uses)
        return await self._calls.run(call, "chat.turn.tool", place=place, approved=approved)

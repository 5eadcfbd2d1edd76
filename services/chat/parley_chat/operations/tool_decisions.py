"""Tools and their calls as users see them: what there is, what waits for them, and what they decide."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from itertools import accumulate

from parley_chat.domain.errors import ApprovalClosedError, ToolArgumentsError, ToolScopeMissingError
from parley_chat.domain.json_fit import misfits_of
from parley_chat.domain.tool_approvals import ApprovalState, Decision, ToolApproval
from parley_chat.operations.tool_consent import ToolConsent
from parley_chat.ports.tool_approvals import ApprovalCursor, ToolApprovals
from parley_chat.ports.toolbox import Toolbox, ToolDefinition

MOST_PAGE_CHARACTERS = 500_000
"""Of the arguments of a page, which ends earlier otherwise; one call has at most a fifth of them."""


class ToolDecisions:
    """Gives users access to the tools of their models, and to what they are asked."""

    def __init__(
        self, toolbox: Toolbox, approvals: ToolApprovals, consent: ToolConsent, now: Callable[[], datetime]
    ) -> None:
        self._toolbox = toolbox
        self._approvals = approvals
        self._consent = consent
        self._now = now

    async def tools(self, user_id: str, scopes: Collection[str]) -> Sequence[ToolDefinition]:
        """Lists the tools that a token lets models use."""
        return await self._toolbox.offered(user_id, scopes)

    async def pending(
        self, user_id: str, turn_id: str, size: int, after: ApprovalCursor | None
    ) -> tuple[Sequence[ToolApproval], ApprovalCursor | None]:
        """Lists a page of what waits for the user, of one turn or of all, and where the next page begins."""
        found = await self._approvals.pending(user_id, turn_id, size + 1, after, self._now())
        characters = accumulate(len(each.arguments_json) for each in found[:size])
        page = [each for each, so_far in zip(found, characters, strict=False) if so_far <= MOST_PAGE_CHARACTERS]
        return page, ApprovalCursor(page[-1].create_time, page[-1].tool_call_id) if len(found) > len(page) else None

    async def decide(
        self, user_id: str, scopes: Collection[str], turn_id: str, tool_call_id: str, decision: Decision
    ) -> ToolApproval:
        """Takes a decision, once. The same again changes nothing.

        Raises NotFoundError, ToolScopeMissingError, ToolArgumentsError, and ApprovalClosedError when it was decided otherwise, or is too
        late.
        """
        approval = await self._approvals.get(user_id, turn_id, tool_call_id)
        if decision.approves:
            await self._check(user_id, scopes, approval, decision)
        stored = await self._approvals.decide(user_id, turn_id, tool_call_id, decision, self._now())
        # Also of one that expired just now, and of one that was decided before: the turn may have missed it.
        self._consent.tell(turn_id)
        if not stored.was_answered(decision):
            raise ApprovalClosedError(stored.state)
        return stored

    async def _check(self, user_id: str, scopes: Collection[str], approval: ToolApproval, decision: Decision) -> None:
        tool = await self._toolbox.find(user_id, approval.tool)
        if tool is not None and tool.scope and tool.scope not in scopes:
            raise ToolScopeMissingError(tool.scope)
        if not decision.arguments_json or approval.state is not ApprovalState.PENDING:
            return
        if tool is None:
            words = "cannot be checked now: the tool is not there. Approve without them, or deny"
            raise ToolArgumentsError([("arguments_json", words)])
        misfits = misfits_of(tool.parameters_schema, decision.arguments_json)
        if misfits:
            raise ToolArgumentsError(
                [(f"arguments_json.{path}" if path else "arguments_json", words) for path, words in misfits]
            )

"""Asks users about calls of tools, and lets turns wait for their decisions.

A decision is in the database before anybody acts on it, and may come through any replica: the one that writes the turn is told of what is
decided here, and looks for the rest. A turn that waits holds nothing but its log.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from parley_chat.domain.json_fit import misfits_of
from parley_chat.domain.tool_approvals import ApprovalState, ToolApproval
from parley_chat.domain.tool_uses import ToolUse, place_in_round
from parley_chat.operations.answer import Answer
from parley_chat.operations.tool_calls import MOST_CALLS_OF_A_ROUND, ToolCalls
from parley_chat.ports.tool_approvals import ToolApprovals
from parley_chat.ports.toolbox import ToolDefinition, ToolOutcome

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Between two looks for decisions that were taken elsewhere."""
LONGEST_PAUSE_SECONDS = 3600.0
"""Between two looks at the clock."""


@dataclass(slots=True, eq=False)
class _Waiting:
    answer: Answer
    until: datetime
    """When the first of its approvals expires."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class ToolConsent:
    """Asks for the answers that this process writes."""

    def __init__(
        self,
        approvals: ToolApprovals,
        calls: ToolCalls,
        longest: timedelta,
        now: Callable[[], datetime],
        *,
        has_replicas: bool,
    ) -> None:
        self._approvals = approvals
        self._calls = calls
        self._longest = longest
        self._now = now
        self._has_replicas = has_replicas
        self._waiting: dict[str, _Waiting] = {}
        self._looking: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many answers wait here."""
        return len(self._waiting)

    async def ask(self, answer: Answer) -> None:
        """Asks about the calls of the last round that need it, all together, unless a process before this one did."""
        asked = [use for use in answer.unreturned() if use.approval is None]
        tools = [(use, await self._needs(answer, use)) for use in asked]
        now = self._now()
        new = [self._approval(answer, use, tool, now) for use, tool in tools if tool is not None]
        if new:
            # What was asked before the log could say so may be decided by now: it is told in this order all the same.
            await answer.request_approvals(await self._approvals.ask(answer.turn, new))

    async def _needs(self, answer: Answer, use: ToolUse) -> ToolDefinition | None:
        """The tool of a call that the user is asked about; None when the call runs, or fails, without."""
        turn = answer.turn
        if place_in_round(use, answer.tool_uses) >= MOST_CALLS_OF_A_ROUND:
            return None
        tool = await self._calls.find(turn.user_id, use.tool)
        if tool is None or not tool.needs_approval or (tool.scope and tool.scope not in turn.scopes):
            return None
        # Nobody is asked about what cannot be run.
        return None if misfits_of(tool.parameters_schema, use.arguments_json) else tool

    def _approval(self, answer: Answer, use: ToolUse, tool: ToolDefinition, now: datetime) -> ToolApproval:
        turn = answer.turn
        return ToolApproval(
            tool_call_id=use.tool_call_id,
            turn_id=turn.turn_id,
            session_id=turn.session_id,
            tool=use.tool,
            effect=tool.effect,
            arguments_json=use.arguments_json,
            state=ApprovalState.PENDING,
            create_time=now,
            expire_time=now + self._longest,
        )

    async def wait(self, answer: Answer) -> None:
        """Waits until at least one more of the answer's calls is decided, or expired, and tells its readers."""
        turn_id = answer.turn.turn_id
        waiting = self._waiting[turn_id] = _Waiting(answer, self._now())
        if self._has_replicas and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._look(), name="look for decisions about tools")
        answer.begin_consent()
        try:
            while True:
                # Before the look: what is decided between the look and the waiting is not lost.
                waiting.changed.clear()
                if await self._take_decisions(waiting):
                    return
                seconds = (waiting.until - self._now()).total_seconds()
                try:
                    async with asyncio.timeout(min(max(0.01, seconds), LONGEST_PAUSE_SECONDS)):
                        await waiting.changed.wait()
                except TimeoutError:
                    continue
        finally:
            answer.end_consent()
            del self._waiting[turn_id]

    async def _take_decisions(self, waiting: _Waiting) -> bool:
        """Tells the readers what was decided since the last look. True when there was something."""
        answer = waiting.answer
        turn_id = answer.turn.turn_id
        try:
            known = await self._approvals.state_of([turn_id])
            if any(each.state is ApprovalState.PENDING and not each.is_open(self._now()) for each in known):
                known = await self._approvals.expire(turn_id, self._now())
        except Exception:
            # A turn that waits for a day is not lost because the database is away for a moment.
            logger.warning("decisions about tools could not be read", exc_info=True, extra={"turn_id": turn_id})
            await asyncio.sleep(LOOK_SECONDS)
            return False
        pending = {use.tool_call_id for use in answer.tool_uses if use.approval is ApprovalState.PENDING}
        decided = [each for each in known if each.tool_call_id in pending and each.state in _DECIDED]
        # Nothing is pending when the turn was ended elsewhere: whoever did that ends this, too.
        waiting.until = min(
            (each.expire_time for each in known if each.state is ApprovalState.PENDING),
            default=self._now() + timedelta(seconds=LOOK_SECONDS),
        )
        decided.sort(key=lambda each: (each.decide_time or each.create_time, each.tool_call_id))
        await answer.note_decisions(decided)
        return bool(decided)

    def tell(self, turn_id: str) -> None:
        """A decision about a call of this turn was stored."""
        if waiting := self._waiting.get(turn_id):
            waiting.changed.set()

    async def _look(self) -> None:
        """Looks for decisions that were taken through other replicas, while anybody waits."""
        while self._waiting:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                found = await self._approvals.state_of(list(self._waiting))
            except Exception:
                logger.warning("decisions about tools could not be looked for", exc_info=True)
                continue
            for each in found:
                if each.state in _DECIDED and (waiting := self._waiting.get(each.turn_id)):
                    pending = {use.tool_call_id for use in waiting.answer.tool_uses if use.approval is _PENDING}
                    if each.tool_call_id in pending:
                        waiting.changed.set()

    async def start(self, answer: Answer, use: ToolUse) -> bool:
        """Notes that a call begins whose effect nobody can take back. False when it was begun before: it must not run again."""
        return await self._approvals.start(answer.turn.turn_id, use.tool_call_id, self._now())

    async def close(self) -> None:
        """Looks no more. Nobody may wait any more."""
        if self._looking:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)


_PENDING = ApprovalState.PENDING
_DECIDED = (ApprovalState.APPROVED, ApprovalState.DENIED, ApprovalState.EXPIRED)


def refusal(state: ApprovalState, reason: str) -> ToolOutcome:
    """What a model is told of a call that does not run."""
    if state is ApprovalState.EXPIRED:
        words = "The user did not decide in time whether this may run, so it did not. Do not call it again unless the user asks for it."
    else:
        words = "The user refused this, so it did not run. Do not call it again unless the user asks for it."
        if reason:
            words = f"{words} Their reason: {reason}"
    return ToolOutcome(json.dumps({"error": {"message": words}}, ensure_ascii=False), failed=True)

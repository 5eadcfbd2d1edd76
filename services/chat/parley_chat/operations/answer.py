"""An answer while it is written: what there is of it, and what it took. How it is written is answer_writer.py's."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from parley_chat.domain.account import Account, TokenPrice, TokensUsed
from parley_chat.domain.citing import cited
from parley_chat.domain.conversation import Citation, Failure, Message, MessageState, Role, Route, Usage
from parley_chat.domain.prompt import tokens_of_characters
from parley_chat.domain.tool_approvals import ApprovalState, ToolApproval
from parley_chat.domain.tool_uses import ToolRound, ToolUse, begins_paragraph, next_round, rounds_of
from parley_chat.domain.turn import (
    ApprovalDecided,
    ApprovalRequested,
    Notice,
    NoticeKind,
    ProviderSwitched,
    RouteChosen,
    SourcesFound,
    ToolCalled,
    ToolReturned,
    Turn,
    TurnEvent,
    TurnQueued,
    TurnRestarted,
    TurnStarted,
    text_of,
    tool_uses_of,
)
from parley_chat.operations.spending import TextSpending
from parley_chat.ports.language_model import GeneratedToolCall
from parley_chat.ports.toolbox import ToolOutcome
from parley_chat.ports.turn_log import TurnLogWriter


@dataclass(slots=True)
class Answer:
    """An answer and its log. Its one writer is the turn's task."""

    turn: Turn
    message: str
    """What the user said."""
    parent_message_id: str
    """What the user's message follows; empty for the first of a session."""
    trace_id: str
    log: TurnLogWriter
    started: float = field(default_factory=time.monotonic)
    first_text: float | None = None
    route: Route | None = None
    route_reason: str = ""
    model: str = ""
    """The model that answers; empty until one has begun."""
    sources: tuple[Citation, ...] = ()
    parts: list[str] = field(default_factory=list)
    tool_uses: list[ToolUse] = field(default_factory=list)
    """The tools that were called until now, in their order."""
    prompt_tokens: int = 0
    """The estimate of what a model reads."""
    noticed: set[NoticeKind] = field(default_factory=set)
    queued_since: datetime | None = None
    """Since when the answer waits for a model; None when it does not."""
    in_consent: bool = False
    """Whether it waits for its user just now."""
    _waited: float = 0.0
    """Seconds that it waited for a model or its user, apart from a wait that goes on."""
    _waits_since: float | None = None
    account: Account = field(default_factory=Account)
    has_budgets: bool = True
    """Whether the user may have budgets: False when there are certainly none."""
    spending: TextSpending | None = None
    """What is held for it in budgets; None when there are none, and before it is written."""

    @classmethod
    def restored(
        cls,
        turn: Turn,
        question: Message,
        trace_id: str,
        log: TurnLogWriter,
        events: Sequence[TurnEvent],
        now: datetime,
    ) -> Answer:
        """Makes the answer that a process before this one had begun, of the events that it logged."""
        text = text_of(events)
        answer = cls(
            turn=turn,
            message=question.text,
            parent_message_id=question.parent_message_id,
            trace_id=trace_id,
            log=log,
            started=time.monotonic() - max(0.0, (now - turn.create_time).total_seconds()),
            route=next((event.body.route for event in events if isinstance(event.body, RouteChosen)), None),
            route_reason=next((event.body.reason for event in events if isinstance(event.body, RouteChosen)), ""),
            sources=next((event.body.citations for event in events if isinstance(event.body, SourcesFound)), ()),
            parts=[text] if text else [],
            tool_uses=list(tool_uses_of(events)),
            noticed={event.body.kind for event in events if isinstance(event.body, Notice)},
        )
        if any(isinstance(event.body, TurnQueued | ApprovalRequested) for event in events):
            # How much of its time it waited is not logged: it gets a turn's whole time again.
            answer._waited = time.monotonic() - answer.started
        if turn.queue_time:
            answer.begin_wait(turn.queue_time)
        if text:
            # When it came is not logged; 0 ms says so.
            answer.first_text = answer.started
            of_one_model = not any(isinstance(event.body, ProviderSwitched) for event in events)
            answer.account.inherit(len(text), of_one_model=of_one_model)
        return answer

    def begin_wait(self, since: datetime) -> None:
        """Notes that the answer waits for a model; `since` also when an earlier process let it wait already."""
        self.queued_since = since
        self._waits_since = self._waits_since or time.monotonic()

    def end_wait(self) -> None:
        """Notes that it does not wait any more."""
        self.queued_since = None
        if self._waits_since is not None:
            self._waited += time.monotonic() - self._waits_since
            self._waits_since = None

    def begin_consent(self) -> None:
        """Notes that the answer waits for its user."""
        self.in_consent = True
        self._waits_since = self._waits_since or time.monotonic()

    def end_consent(self) -> None:
        """Notes that it does not wait for its user any more."""
        self.in_consent = False
        if self.queued_since is None:
            self.end_wait()

    @property
    def waits_for_consent(self) -> bool:
        """Whether the user is asked about one of its calls."""
        return any(use.approval is ApprovalState.PENDING for use in self.unreturned())

    def seconds_working(self) -> float:
        """How long the answer has taken, without the time that it waited for a model or its user."""
        now = time.monotonic()
        waiting = 0.0 if self._waits_since is None else now - self._waits_since
        return now - self.started - self._waited - waiting

    @property
    def text(self) -> str:
        """What is written until now."""
        return "".join(self.parts)

    @property
    def rounds(self) -> tuple[ToolRound, ...]:
        """What it did with tools until now."""
        return rounds_of(self.text, self.tool_uses)[0]

    @property
    def text_of_round(self) -> str:
        """What is written since the last tools returned."""
        return rounds_of(self.text, self.tool_uses)[1]

    @property
    def begins_paragraph(self) -> bool:
        """Whether the next text comes after tools and stands apart from the text before them."""
        return bool(self.tool_uses) and begins_paragraph(self.text, self.tool_uses)

    def unreturned(self) -> list[ToolUse]:
        """The calls of tools whose results are not known."""
        return [use for use in self.tool_uses if not use.has_returned]

    async def call_tools(self, calls: Sequence[GeneratedToolCall]) -> None:
        """Notes the calls of a new round, and tells the readers before any of them runs."""
        made = [(call.tool, call.arguments_json) for call in calls]
        uses = next_round(self.turn.turn_id, made, self.tool_uses, len(self.text))
        await self.log.append([ToolCalled(use.tool_call_id, use.tool, use.arguments_json) for use in uses])
        self.tool_uses += uses

    async def request_approvals(self, approvals: Sequence[ToolApproval]) -> None:
        """Notes that the user is asked about calls, and tells the readers."""
        await self.log.append(
            [
                ApprovalRequested(each.tool_call_id, each.tool, each.arguments_json, each.effect, each.expire_time)
                for each in approvals
            ]
        )
        asked = {each.tool_call_id for each in approvals}
        self.tool_uses = [
            replace(use, approval=ApprovalState.PENDING) if use.tool_call_id in asked else use for use in self.tool_uses
        ]

    async def note_decisions(self, approvals: Sequence[ToolApproval]) -> None:
        """Notes what became of requests for approval, and tells the readers."""
        if not approvals:
            return
        await self.log.append(
            [
                ApprovalDecided(each.tool_call_id, each.tool, each.state, each.edited_arguments_json, each.reason)
                for each in approvals
            ]
        )
        by_call = {each.tool_call_id: each for each in approvals}
        self.tool_uses = [
            use.decided(found.state, found.edited_arguments_json, found.reason)
            if (found := by_call.get(use.tool_call_id))
            else use
            for use in self.tool_uses
        ]

    async def return_tool(self, use: ToolUse, outcome: ToolOutcome) -> None:
        """Notes what came of a call, and tells the readers."""
        returned = use.returned(outcome.result_json, failed=outcome.failed)
        await self.log.append([ToolReturned(use.tool_call_id, use.tool, returned.result_json, returned.failed)])
        self.tool_uses[self.tool_uses.index(use)] = returned

    def add(self, text: str) -> None:
        """Adds text."""
        if self.first_text is None:
            self.first_text = time.monotonic()
        self.parts.append(text)
        self.account.wrote(len(text))

    def begin_model(self, model: str, price: TokenPrice | None) -> None:
        """A model has taken the request."""
        self.model = model
        self.account.begin(price, prompt_tokens=self._reads(), characters_before=sum(map(len, self.parts)))

    def switch_model(self, model: str, price: TokenPrice | None) -> None:
        """Another model goes on from the text until now."""
        self.model = model
        self.account.switch(price, prompt_tokens=self._reads(), characters_before=sum(map(len, self.parts)))

    def _reads(self) -> int:
        """The estimate of what a model reads before the answer's text."""
        of_tools = sum(len(use.arguments_to_run) + len(use.result_json) for use in self.tool_uses)
        return self.prompt_tokens + tokens_of_characters(of_tools)

    def use(self, tokens: TokensUsed) -> None:
        """Takes the provider's figures of the attempt that runs."""
        self.account.use(tokens)

    def end_attempt(self) -> None:
        """Puts what the attempt took to the account, before another one; what the provider did not say is estimated."""
        self.account.end_attempt()

    def opening(self) -> tuple[TurnStarted, ...]:
        """What has to be logged before anything else: `started`, unless it is there already."""
        if self.log.last_sequence:
            return ()
        turn = self.turn
        return (
            TurnStarted(turn.session_id, turn.user_message_id, turn.message_id, turn.client_message_id, self.trace_id),
        )

    async def begin_anew(self) -> None:
        """Drops the text, and tells the readers."""
        self.parts.clear()
        self.tool_uses = [replace(use, text_offset=0) for use in self.tool_uses]
        await self.log.append([TurnRestarted()])

    async def notice(self, kind: NoticeKind, words: str) -> None:
        """Tells the readers something once."""
        if kind not in self.noticed:
            self.noticed.add(kind)
            await self.log.append([Notice(kind, words)])

    def usage(self) -> Usage:
        """Tells what the answer took until now, all attempts together."""
        total = self.account.total()
        return Usage(
            input_tokens=total.input_tokens,
            output_tokens=total.output_tokens,
            estimated=total.estimated,
            time_to_first_token_ms=0 if self.first_text is None else _milliseconds(self.first_text - self.started),
            duration_ms=_milliseconds(time.monotonic() - self.started),
            cost_usd_micros=self.account.cost_usd_micros(),
        )

    def as_message(self, state: MessageState, failure: Failure | None = None) -> Message:
        """Makes the message that is stored when the turn has ended."""
        text = self.text
        return Message(
            message_id=self.turn.message_id,
            session_id=self.turn.session_id,
            parent_message_id=self.turn.user_message_id,
            role=Role.ASSISTANT,
            text=text,
            state=state,
            create_time=self.turn.create_time,
            turn_id=self.turn.turn_id,
            citations=cited(text, self.sources),
            usage=self.usage(),
            route=self.route,
            model=self.model,
            failure=failure,
            trace_id=self.trace_id,
            tool_uses=tuple(use.closed() for use in self.tool_uses),
            route_reason=self.route_reason,
        )


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))

"""The consent of users as its port promises it, on SQLite and on PostgreSQL, and calls that must not begin twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from parley_chat.adapters.otel_tracing import OtelTracing
from parley_chat.adapters.sql_accounts import SqlAccounts
from parley_chat.adapters.sql_conversations import SqlConversations
from parley_chat.adapters.sql_events import SqlEventLog
from parley_chat.adapters.sql_tool_approvals import SqlToolApprovals
from parley_chat.domain.accounts import Account, User
from parley_chat.domain.conversation import MessageState, Session, new_session_id
from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.events import Action, ResourceType
from parley_chat.domain.tool_approvals import ApprovalState, ConsentPolicy, Decision, ToolApproval, ToolEffect
from parley_chat.domain.tool_uses import LOST_RESULT
from parley_chat.domain.turn import ToolCalled, Turn, TurnEvent, TurnEventBody, TurnState
from parley_chat.operations.answer import Answer
from parley_chat.operations.answer_tools import AnswerTools
from parley_chat.operations.tool_calls import ToolCalls, ToolLimits
from parley_chat.operations.tool_consent import ToolConsent
from parley_chat.operations.tool_decisions import ToolDecisions
from parley_chat.operations.tool_sources import ToolSources
from parley_chat.ports.tool_approvals import ApprovalCursor
from parley_chat.ports.toolbox import ToolCall, ToolDefinition, ToolOutcome
from parley_chat.ports.turn_log import TurnLogFencedError
from parley_shared.sql import Database
from parley_testing.new_turns import new_turn

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
USER, OTHER = "usr_" + 32 * "a", "usr_" + 32 * "b"
YES, NO = Decision(approves=True), Decision(approves=False, reason="No")


@pytest.fixture
async def turn(chat_database: Database) -> Turn:
    user = User(USER, "ada@example.org", "Ada", NOW)
    await SqlAccounts(chat_database).add(Account(user, "$argon2id$hash"))
    conversations = SqlConversations(chat_database)
    session = Session(new_session_id(), USER, "", NOW, NOW, "", "")
    await conversations.create_session(session)
    return (await conversations.begin_turn(new_turn(USER, session.session_id))).turn


@pytest.fixture
def approvals(chat_database: Database) -> SqlToolApprovals:
    return SqlToolApprovals(chat_database)


def an_approval(turn: Turn, number: int = 1, expire_time: datetime = LATER) -> ToolApproval:
    return ToolApproval(
        tool_call_id=f"call_{number}",
        turn_id=turn.turn_id,
        session_id=turn.session_id,
        tool="delete_task",
        effect=ToolEffect.DELETE,
        arguments_json='{"task_id": "tsk_1"}',
        state=ApprovalState.PENDING,
        create_time=NOW,
        expire_time=expire_time,
    )


async def told_of(database: Database) -> list[tuple[Action, str, ApprovalState]]:
    page = await SqlEventLog(database).page(USER, 0, 100, [ResourceType.TOOL_APPROVAL])
    found = []
    for event in page.events:
        assert isinstance(event.change.resource, ToolApproval)
        found.append((event.change.action, event.change.resource_id, event.change.resource.state))
    return found


async def test_what_was_asked_before_is_given_as_it_is_by_now_and_told_once(
    chat_database: Database, approvals: SqlToolApprovals, turn: Turn
) -> None:
    first, second = an_approval(turn, 1), an_approval(turn, 2)
    assert await approvals.ask(turn, [first]) == [first]
    decided = await approvals.decide(USER, turn.turn_id, "call_1", NO, NOW)
    assert await approvals.ask(turn, [first, second]) == [decided, second]
    assert set(await approvals.state_of([turn.turn_id])) == {decided, second}
    assert await told_of(chat_database) == [
        (Action.CREATED, "call_1", ApprovalState.PENDING),
        (Action.UPDATED, "call_1", ApprovalState.DENIED),
        (Action.CREATED, "call_2", ApprovalState.PENDING),
    ]


async def test_a_decision_is_stored_once_whoever_else_decides_at_the_same_time(
    chat_database: Database, approvals: SqlToolApprovals, turn: Turn
) -> None:
    await approvals.ask(turn, [an_approval(turn)])
    found = await asyncio.gather(
        *(approvals.decide(USER, turn.turn_id, "call_1", decision, NOW) for decision in (YES, NO) * 5)
    )
    assert len(set(found)) == 1
    assert found[0].decide_time == NOW
    assert len(await told_of(chat_database)) == 2


async def test_a_decision_that_is_too_late_expires_the_call_instead(approvals: SqlToolApprovals, turn: Turn) -> None:
    await approvals.ask(
        turn, [an_approval(turn, 1), an_approval(turn, 2), an_approval(turn, 3, LATER + timedelta(days=1))]
    )
    assert (await approvals.decide(USER, turn.turn_id, "call_1", YES, LATER)).state is ApprovalState.EXPIRED
    states = {each.tool_call_id: each.state for each in await approvals.expire(turn.turn_id, LATER)}
    assert states == {
        "call_1": ApprovalState.EXPIRED,
        "call_2": ApprovalState.EXPIRED,
        "call_3": ApprovalState.PENDING,
    }


async def test_nobody_elses_calls_are_found_or_decided(approvals: SqlToolApprovals, turn: Turn) -> None:
    await approvals.ask(turn, [an_approval(turn)])
    with pytest.raises(NotFoundError):
        await approvals.get(OTHER, turn.turn_id, "call_1")
    with pytest.raises(NotFoundError):
        await approvals.decide(OTHER, turn.turn_id, "call_1", YES, NOW)
    assert await approvals.pending(OTHER, "", 10, None, NOW) == []
    assert (await approvals.get(USER, turn.turn_id, "call_1")).state is ApprovalState.PENDING


async def test_what_waits_is_listed_oldest_first_in_pages_without_what_is_late(
    approvals: SqlToolApprovals, turn: Turn
) -> None:
    asked = [
        replace(an_approval(turn, number), create_time=NOW + timedelta(seconds=number // 2)) for number in range(5)
    ]
    late = an_approval(turn, 9, NOW)
    await approvals.ask(turn, [*asked, late])
    first = await approvals.pending(USER, "", 3, None, NOW)
    cursor = ApprovalCursor(first[-1].create_time, first[-1].tool_call_id)
    second = await approvals.pending(USER, turn.turn_id, 3, cursor, NOW)
    assert [*first, *second] == asked


async def test_a_turn_that_has_ended_asks_nobody_any_more(
    chat_database: Database, approvals: SqlToolApprovals, turn: Turn
) -> None:
    await approvals.ask(turn, [an_approval(turn, 1), an_approval(turn, 2)])
    await approvals.decide(USER, turn.turn_id, "call_1", YES, NOW)
    conversations = SqlConversations(chat_database)
    message = replace(await conversations.get_message(turn.message_id), state=MessageState.STOPPED)
    assert await conversations.finish_turn(turn.turn_id, turn.fence, TurnState.STOPPED, message)
    states = {each.tool_call_id: each.state for each in await approvals.state_of([turn.turn_id])}
    assert states == {"call_1": ApprovalState.APPROVED, "call_2": ApprovalState.CLOSED}
    assert (await told_of(chat_database))[-1] == (Action.UPDATED, "call_2", ApprovalState.CLOSED)
    with pytest.raises(TurnLogFencedError):
        await approvals.ask(turn, [an_approval(turn, 3)])
    with pytest.raises(TurnLogFencedError):
        await approvals.ask(replace(turn, fence=turn.fence + 1), [an_approval(turn, 3)])


async def test_a_session_takes_what_its_turns_asked_with_it(
    chat_database: Database, approvals: SqlToolApprovals, turn: Turn
) -> None:
    await approvals.ask(turn, [an_approval(turn)])
    await SqlConversations(chat_database).delete_session(USER, turn.session_id)
    assert await approvals.state_of([turn.turn_id]) == []


class Log:
    """The log of a turn, in memory."""

    def __init__(self) -> None:
        self.bodies: list[TurnEventBody] = []

    @property
    def last_sequence(self) -> int:
        return len(self.bodies)

    async def append(self, bodies: Sequence[TurnEventBody]) -> None:
        self.bodies += bodies

    async def close(self) -> None:
        pass

    def events(self) -> list[TurnEvent]:
        return [TurnEvent(place, place, body) for place, body in enumerate(self.bodies, start=1)]


class Outside:
    """A source of one tool that acts outside of Parley, and dies in the middle when it is told to."""

    def __init__(self) -> None:
        self.runs = 0
        self.dies = False

    async def tools(self, user_id: str) -> Sequence[ToolDefinition]:
        return [ToolDefinition("send_mail", "Sends.", {"type": "object"}, effect=ToolEffect.EXTERNAL)]

    async def run(self, call: ToolCall) -> ToolOutcome:
        self.runs += 1
        if self.dies:
            raise asyncio.CancelledError
        return ToolOutcome(json.dumps({"sent": json.loads(call.arguments_json)}))


def answer_tools(approvals: SqlToolApprovals, source: Outside, *asks: str) -> tuple[AnswerTools, ToolConsent]:
    calls = ToolCalls(ToolSources([source], ConsentPolicy(asks)), OtelTracing(), ToolLimits(rounds=8, seconds=30))
    consent = ToolConsent(approvals, calls, timedelta(hours=1), lambda: NOW, has_replicas=False)
    return AnswerTools(calls, consent), consent


async def test_a_call_that_acts_outside_begins_once_even_when_its_process_dies_meanwhile(
    chat_database: Database, approvals: SqlToolApprovals, turn: Turn
) -> None:
    source, log = Outside(), Log()
    question = await SqlConversations(chat_database).get_message(turn.user_message_id)
    log.bodies.append(ToolCalled("call_1", "send_mail", '{"to": "bob"}'))
    tools, consent = answer_tools(approvals, source, "external")
    answer = Answer.restored(turn, question, "", log, log.events(), NOW)
    source.dies = True
    running = asyncio.ensure_future(tools.run(answer))
    async with asyncio.timeout(60):
        while not len(consent):
            await approvals.pending(USER, "", 1, None, NOW)
    assert source.runs == 0
    await approvals.decide(USER, turn.turn_id, "call_1", Decision(True, '{"to": "eve"}'), NOW)
    consent.tell(turn.turn_id)
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (source.runs, len(consent)) == (1, 0)

    source.dies = False
    tools, _ = answer_tools(approvals, source, "external")
    answer = Answer.restored(turn, question, "", log, log.events(), NOW)
    assert answer.tool_uses[0].arguments_to_run == '{"to": "eve"}'
    assert not await tools.run(answer)
    [use] = answer.tool_uses
    assert (use.result_json, use.failed, use.approval) == (LOST_RESULT, True, ApprovalState.APPROVED)
    assert source.runs == 1


async def test_what_the_operator_does_not_ask_about_runs_with_the_arguments_of_the_model(
    chat_database: Database, approvals: SqlToolApprovals, turn: Turn
) -> None:
    source, log = Outside(), Log()
    question = await SqlConversations(chat_database).get_message(turn.user_message_id)
    log.bodies.append(ToolCalled("call_1", "send_mail", '{"to": "bob"}'))
    tools, _ = answer_tools(approvals, source)
    answer = Answer.restored(turn, question, "", log, log.events(), NOW)
    assert not await tools.run(answer)
    assert answer.tool_uses[0].result_json == '{"sent": {"to": "bob"}}'
    assert await approvals.state_of([turn.turn_id]) == []


async def test_a_page_of_long_arguments_ends_earlier_and_the_next_one_goes_on(
    approvals: SqlToolApprovals, turn: Turn
) -> None:
    long = json.dumps({"text": "x" * 90_000})
    asked = [replace(an_approval(turn, number), arguments_json=long) for number in range(1, 9)]
    await approvals.ask(turn, asked)
    _, consent = answer_tools(approvals, Outside())
    decisions = ToolDecisions(ToolSources([], ConsentPolicy(())), approvals, consent, lambda: NOW)
    first, cursor = await decisions.pending(USER, "", 100, None)
    rest, end = await decisions.pending(USER, "", 100, cursor)
    assert (len(first), end) == (5, None)
    assert [*first, *rest] == asked

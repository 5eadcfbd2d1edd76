"""The port `Conversations`: one suite, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from parley_chat.adapters.sql_conversations import SqlConversations
from parley_chat.domain.conversation import (
    Citation,
    Failure,
    Message,
    MessageState,
    OnFailure,
    Quote,
    Role,
    Route,
    Session,
    Usage,
    new_message_id,
    new_session_id,
    new_turn_id,
)
from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.tool_uses import ToolUse
from parley_chat.domain.turn import TurnState
from parley_chat.ports.conversations import BegunTurn, NewTurn, PageCursor, SessionChanges
from parley_shared.sql import Database
from parley_testing.accounts import new_user

NOW = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)


@pytest.fixture
def conversations(chat_database: Database) -> SqlConversations:
    return SqlConversations(chat_database)


@pytest.fixture
async def alice(chat_database: Database) -> str:
    return await new_user(chat_database)


@pytest.fixture
async def bob(chat_database: Database) -> str:
    return await new_user(chat_database)


def session_of(user_id: str, title: str = "", at: datetime = NOW) -> Session:
    return Session(new_session_id(), user_id, title, at, at, "", "")


def new_turn(
    user_id: str, text: str = "Hello", *, session_id: str = "", parent: str | None = None, name: str = ""
) -> NewTurn:
    turn_id = new_turn_id()
    return NewTurn(
        turn_id=turn_id,
        user_id=user_id,
        session_id=session_id,
        new_session_id=new_session_id(),
        parent_message_id=parent,
        client_message_id=name or turn_id,
        request_digest="digest",
        user_message_id=new_message_id(),
        message_id=new_message_id(),
        text=text,
        title=f"About {text}",
        time=NOW,
        trace_id="ab" * 16,
        wished_route=Route.AUTOMATIC,
        model="strong",
        on_failure=OnFailure.RESTART,
        queue_when_unavailable=False,
        scopes=("chat:write", "tasks:write"),
        time_zone="Europe/Berlin",
        owner_id="rpl_1",
        most_running=1000,
    )


async def end(conversations: SqlConversations, begun: BegunTurn, text: str = "Answer") -> Message:
    message = replace(await conversations.get_message(begun.turn.message_id), state=MessageState.COMPLETED, text=text)
    assert await conversations.finish_turn(begun.turn.turn_id, 1, TurnState.COMPLETED, message)
    return message


async def test_a_turn_begins_with_a_session_a_question_and_an_empty_answer(
    conversations: SqlConversations, alice: str
) -> None:
    new = new_turn(alice, "What is rye?")
    begun = await conversations.begin_turn(new)
    assert begun.created
    assert begun.parent_message_id == ""
    session = await conversations.get_session(alice, new.new_session_id)
    assert session == Session(new.new_session_id, alice, "About What is rye?", NOW, NOW, new.message_id, new.turn_id)
    (_, answer), (_, question) = await conversations.list_messages(alice, session.session_id, 10, None)
    assert (question.role, question.text, question.state) == (Role.USER, "What is rye?", MessageState.COMPLETED)
    assert (question.parent_message_id, question.client_message_id) == ("", new.client_message_id)
    assert (answer.role, answer.text, answer.state) == (Role.ASSISTANT, "", MessageState.STREAMING)
    assert (answer.parent_message_id, answer.trace_id) == (question.message_id, "ab" * 16)
    assert [turn.turn_id for turn in await conversations.running_turns()] == [new.turn_id]
    assert await conversations.get_turn(alice, new.turn_id) == begun.turn
    assert (begun.turn.wished_route, begun.turn.model) == (Route.AUTOMATIC, "strong")
    assert begun.turn.on_failure is OnFailure.RESTART
    assert (begun.turn.scopes, begun.turn.time_zone) == (("chat:write", "tasks:write"), "Europe/Berlin")


async def test_an_outcome_is_stored_whole_and_only_once(conversations: SqlConversations, alice: str) -> None:
    begun = await conversations.begin_turn(new_turn(alice))
    whole = replace(
        await conversations.get_message(begun.turn.message_id),
        text="Rye 🌾 is [1].",
        state=MessageState.FAILED,
        citations=(Citation(1, "c", "d", "t", "h", "p", 0, 3, "aa", 2, (Quote(0, 3, verified=True),)),),
        usage=Usage(1, 2, True, 3, 4),
        route=Route.ENHANCED,
        model="m",
        failure=Failure(14, "R", "words", retryable=True),
        tool_uses=(ToolUse("call_1", "create_task", "{}", 0, 3, '{"task": {}}'),),
    )
    assert await conversations.finish_turn(begun.turn.turn_id, 1, TurnState.FAILED, whole)
    assert await conversations.get_message(whole.message_id) == whole
    assert not await conversations.finish_turn(
        begun.turn.turn_id, 1, TurnState.COMPLETED, replace(whole, text="other", state=MessageState.COMPLETED)
    )
    assert await conversations.get_message(whole.message_id) == whole
    assert await conversations.running_turns() == []


async def test_of_many_sends_at_once_under_one_name_one_begins_a_turn(
    conversations: SqlConversations, alice: str, bob: str
) -> None:
    begun = await asyncio.gather(*(conversations.begin_turn(new_turn(alice, name="mine")) for _ in range(25)))
    assert [one.created for one in begun].count(True) == 1
    assert len({one.turn.turn_id for one in begun}) == 1
    assert len(await conversations.list_sessions(alice, 100, None)) == 1
    assert await conversations.find_turn(alice, "mine") == begun[0].turn
    assert await conversations.find_turn(bob, "mine") is None
    assert (await conversations.begin_turn(new_turn(bob, name="mine"))).created


async def test_turns_that_begin_at_once_in_one_session_all_have_a_place_of_their_own(
    conversations: SqlConversations, alice: str
) -> None:
    session = session_of(alice)
    await conversations.create_session(session)
    await asyncio.gather(
        *(conversations.begin_turn(new_turn(alice, f"{n}", session_id=session.session_id)) for n in range(20))
    )
    listed = await conversations.list_messages(alice, session.session_id, 100, None)
    assert [position for position, _ in listed] == list(range(40, 0, -1))


async def test_a_turn_that_cannot_begin_leaves_nothing(conversations: SqlConversations, alice: str, bob: str) -> None:
    session = session_of(bob)
    await conversations.create_session(session)
    mine = session_of(alice)
    await conversations.create_session(mine)
    theirs = await conversations.begin_turn(new_turn(bob, session_id=session.session_id))
    for refused in (
        new_turn(alice, session_id=session.session_id),
        new_turn(alice, session_id=new_session_id()),
        new_turn(alice, session_id=mine.session_id, parent=theirs.turn.message_id),
        new_turn(alice, session_id=mine.session_id, parent=new_message_id()),
    ):
        with pytest.raises(NotFoundError):
            await conversations.begin_turn(refused)
    assert await conversations.list_messages(alice, mine.session_id, 10, None) == []
    assert await conversations.running_turns(user_id=alice) == []


async def test_ancestors_are_one_branch_from_a_message_up(conversations: SqlConversations, alice: str) -> None:
    first = await conversations.begin_turn(new_turn(alice, "1"))
    await end(conversations, first, "A1")
    session_id = first.turn.session_id
    second = await conversations.begin_turn(new_turn(alice, "2", session_id=session_id))
    assert second.parent_message_id == first.turn.message_id
    await end(conversations, second, "A2")
    branch = await conversations.begin_turn(new_turn(alice, "2b", session_id=session_id, parent=first.turn.message_id))
    await end(conversations, branch, "A2b")

    async def texts(message_id: str, limit: int = 10) -> list[str]:
        return [message.text for message in await conversations.ancestors(session_id, message_id, limit)]

    assert await texts(branch.turn.message_id) == ["A2b", "2b", "A1", "1"]
    assert await texts(second.turn.message_id) == ["A2", "2", "A1", "1"]
    assert await texts(second.turn.message_id, 3) == ["A2", "2", "A1"]
    assert await texts("") == []
    assert await conversations.ancestors(new_session_id(), branch.turn.message_id, 10) == []
    whole = await conversations.ancestors(session_id, branch.turn.message_id, 10)
    told = await conversations.told(session_id, branch.turn.message_id, 10)
    assert [_told(message) for message in told] == [_told(message) for message in whole]
    assert await conversations.told(session_id, "", 10) == []


def _told(message: Message) -> tuple[object, ...]:
    """What a model is told of a message, and its place."""
    return (
        message.message_id,
        message.parent_message_id,
        message.role,
        message.text,
        message.state,
        message.route,
        message.tool_uses,
    )


async def test_sessions_with_the_same_time_are_paged_without_loss(conversations: SqlConversations, alice: str) -> None:
    for number in range(7):
        await conversations.create_session(session_of(alice, f"{number}", NOW + timedelta(microseconds=number // 3)))
    whole = await conversations.list_sessions(alice, 100, None)
    assert len(whole) == 7
    assert whole == sorted(whole, key=lambda session: (session.update_time, session.session_id), reverse=True)
    paged: list[Session] = []
    while page := await conversations.list_sessions(
        alice, 2, PageCursor(paged[-1].update_time, paged[-1].session_id) if paged else None
    ):
        paged += page
    assert paged == whole


async def test_words_are_found_in_any_case_and_signs_are_only_signs(
    conversations: SqlConversations, alice: str, bob: str
) -> None:
    begun = await conversations.begin_turn(new_turn(alice, "Ein GRÜNER Apfel, 100% Bio_Ware"))
    await conversations.begin_turn(new_turn(bob, "Ein grüner Apfel"))
    for words in (["grüner"], ["apfel", "BIO"], ["100%"], ["o_w"], ["GRÜNER"]):
        found = await conversations.search_sessions(alice, words, 10, None)
        assert [match.session.session_id for match in found] == [begun.turn.session_id], words
    for words in (["birne"], ["apfel", "birne"], ["1%0"], ["B_o"]):
        assert await conversations.search_sessions(alice, words, 10, None) == [], words


async def test_deleting_a_session_leaves_nothing_of_it(conversations: SqlConversations, alice: str, bob: str) -> None:
    begun = await conversations.begin_turn(new_turn(alice))
    with pytest.raises(NotFoundError):
        await conversations.delete_session(bob, begun.turn.session_id)
    assert await conversations.delete_session(alice, begun.turn.session_id) == [begun.turn.turn_id]
    for attempt in (
        conversations.get_session(alice, begun.turn.session_id),
        conversations.get_message(begun.turn.message_id),
        conversations.get_turn(alice, begun.turn.turn_id),
        conversations.delete_session(alice, begun.turn.session_id),
    ):
        with pytest.raises(NotFoundError):
            await attempt
    assert await conversations.running_turns() == []


async def test_a_name_that_was_given_stays(conversations: SqlConversations, alice: str, bob: str) -> None:
    session = session_of(alice, "Mine")
    await conversations.create_session(session)
    await conversations.begin_turn(new_turn(alice, session_id=session.session_id))
    assert (await conversations.get_session(alice, session.session_id)).title == "Mine"
    empty = session_of(alice)
    await conversations.create_session(empty)
    await conversations.update_session(alice, empty.session_id, SessionChanges(title=""), NOW)
    await conversations.begin_turn(new_turn(alice, session_id=empty.session_id))
    assert (await conversations.get_session(alice, empty.session_id)).title == ""
    with pytest.raises(NotFoundError):
        await conversations.update_session(bob, session.session_id, SessionChanges(title="Theirs"), NOW)
    assert (await conversations.get_session(alice, session.session_id)).title == "Mine"

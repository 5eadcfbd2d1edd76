"""What a turn begins with in SQL: its place in the session, the question, the answer that will be written, and the turn itself."""

from __future__ import annotations

from sqlalchemy import and_, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_chat.adapters.sql_budget_books import SqlBudgetBooks, budgeted
from parley_chat.adapters.sql_events import claim_sequences, claiming, write
from parley_chat.adapters.sql_message_rows import message_row, to_turn
from parley_chat.adapters.sql_projects import check_project
from parley_chat.adapters.sql_schema import messages, sessions, turns
from parley_chat.adapters.sql_session_rows import session_row
from parley_chat.domain.budgets import refusal_at_the_door
from parley_chat.domain.conversation import Message, MessageState, Role, Session
from parley_chat.domain.errors import NotFoundError, TooManyTurnsError
from parley_chat.domain.events import Action, changed_message, changed_session
from parley_chat.domain.turn import TurnState
from parley_chat.ports.conversations import BegunTurn, NewTurn

# What every turn begins with is written once: writing a statement takes longer than executing it.
_running_count = (
    select(func.count())
    .where(turns.c.user_id == bindparam("claiming_user"), turns.c.state == TurnState.RUNNING.value)
    .scalar_subquery()
    .label("running")
)
_CLAIMING_OF_A_TURN = claiming(_running_count, budgeted)
_NEW_SESSION = insert(sessions)
_NEW_MESSAGES = insert(messages)
_NEW_TURN = insert(turns).returning(turns)


async def begin_turn(connection: AsyncConnection, new: NewTurn, books: SqlBudgetBooks) -> BegunTurn:
    """Writes it all in the caller's transaction.

    Raises NotFoundError, TooManyTurnsError, BudgetExceededError, and IntegrityError when the client used the name before.
    """
    # The user's counter first: whoever writes for the user waits here, so that places are never given twice and limits are exact.
    claimed = await claim_sequences(connection, new.user_id, 3, _CLAIMING_OF_A_TURN)
    if claimed.running >= new.most_running:
        raise TooManyTurnsError(new.most_running)
    has_budgets = bool(claimed.budgeted) or books.has_operators
    if has_budgets and (error := refusal_at_the_door(await books.states(connection, new.user_id, new.time), new.time)):
        raise error
    parent, position, session = await (_extend_session if new.session_id else _begin_session)(connection, new)
    question, answer = _question_and_answer(new, session.session_id, parent)
    rows = [
        {**message_row(question), "user_id": new.user_id, "position": position - 1},
        {**message_row(answer), "user_id": new.user_id, "position": position},
    ]
    await connection.execute(_NEW_MESSAGES, rows)
    row = {
        "turn_id": new.turn_id,
        "session_id": session.session_id,
        "user_id": new.user_id,
        "client_message_id": new.client_message_id,
        "request_digest": new.request_digest,
        "user_message_id": new.user_message_id,
        "message_id": new.message_id,
        "state": TurnState.RUNNING.value,
        "create_time": new.time,
        "wished_route": new.wished_route.value,
        "model": new.model,
        "on_failure": new.on_failure.value,
        "queue_when_unavailable": new.queue_when_unavailable,
        "scopes": list(new.scopes),
        "time_zone": new.time_zone,
        "owner_id": new.owner_id,
        "fence": 1,
        "project_id": session.project_id,
    }
    begun = (await connection.execute(_NEW_TURN, row)).one()
    changes = [
        changed_session(Action.UPDATED if new.session_id else Action.CREATED, session),
        changed_message(Action.CREATED, question),
        changed_message(Action.CREATED, answer),
    ]
    await write(connection, new.user_id, changes, new.time, last_sequence=claimed.event_counter)
    return BegunTurn(to_turn(begun), parent, created=True, has_budgets=has_budgets)


async def _begin_session(connection: AsyncConnection, new: NewTurn) -> tuple[str, int, Session]:
    """A session that begins with the turn: what the question follows, the place of the answer, and the session."""
    await check_project(connection, new.user_id, new.project_id)
    session = Session(
        new.new_session_id, new.user_id, new.title, new.time, new.time, new.message_id, new.turn_id, new.project_id
    )
    row = {**session_row(session, title_is_set=False), "message_counter": 2}
    await connection.execute(_NEW_SESSION, row)
    return "", 2, session


async def _extend_session(connection: AsyncConnection, new: NewTurn) -> tuple[str, int, Session]:
    """A session that goes on with the turn: what the question follows, the place of the answer, and the session as it is then."""
    owned = and_(sessions.c.session_id == new.session_id, sessions.c.user_id == new.user_id)
    before = (await connection.execute(select(sessions).where(owned))).first()
    if before is None:
        raise NotFoundError("session")
    parent = await _parent(connection, new.session_id, new.parent_message_id, before.tip_message_id)
    title = new.title if not before.title and not before.title_is_set else before.title
    changed = {
        "message_counter": before.message_counter + 2,
        "update_time": new.time,
        "tip_message_id": new.message_id,
        "title": title,
    }
    await connection.execute(update(sessions).where(owned).values(changed))
    session = Session(
        new.session_id,
        new.user_id,
        title,
        before.create_time,
        new.time,
        new.message_id,
        new.turn_id,
        before.project_id,
    )
    return parent, before.message_counter + 2, session


def _question_and_answer(new: NewTurn, session_id: str, parent: str) -> tuple[Message, Message]:
    question = Message(
        message_id=new.user_message_id,
        session_id=session_id,
        parent_message_id=parent,
        role=Role.USER,
        text=new.text,
        state=MessageState.COMPLETED,
        create_time=new.time,
        turn_id=new.turn_id,
        client_message_id=new.client_message_id,
    )
    answer = Message(
        message_id=new.message_id,
        session_id=session_id,
        parent_message_id=new.user_message_id,
        role=Role.ASSISTANT,
        text="",
        state=MessageState.STREAMING,
        create_time=new.time,
        turn_id=new.turn_id,
        trace_id=new.trace_id,
    )
    return question, answer


async def _parent(connection: AsyncConnection, session_id: str, wished: str | None, tip: str | None) -> str:
    if not wished:
        return (tip or "") if wished is None else ""
    query = select(messages.c.message_id).where(messages.c.message_id == wished, messages.c.session_id == session_id)
    if (await connection.execute(query)).first() is None:
        raise NotFoundError("message")
    return wished

"""Conversations in SQL: SQLite or PostgreSQL, whichever the database is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from parley_shared.sql import Database
from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, delete, func, insert, literal, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_chat.adapters.sql_budget_books import SqlBudgetBooks, budgeted
from parley_chat.adapters.sql_events import NO_NEWS, claim_sequences, claiming, hold_user, record, write
from parley_chat.adapters.sql_message_rows import to_message, to_turn
from parley_chat.adapters.sql_projects import check_project
from parley_chat.adapters.sql_schema import in_project, messages, sessions, turns
from parley_chat.adapters.sql_session_rows import running_turn_id, select_session, session_row, to_session
from parley_chat.adapters.sql_tool_approvals import close_approvals
from parley_chat.adapters.sql_turn_beginning import begin_turn
from parley_chat.adapters.sql_usage_records import write_usage
from parley_chat.adapters.turn_event_lines import decode_tool_uses
from parley_chat.domain.budgets import BudgetExceededError
from parley_chat.domain.conversation import (
    Message,
    MessageState,
    Role,
    Route,
    Session,
    SessionMatch,
    snippet_of,
)
from parley_chat.domain.errors import NotFoundError, TooManyTurnsError
from parley_chat.domain.events import Action, Change, ResourceType, changed_message, changed_session
from parley_chat.domain.turn import Turn, TurnState
from parley_chat.domain.usage import usage_of_answer
from parley_chat.ports.conversations import BegunTurn, NewTurn, PageCursor, SessionChanges
from parley_chat.ports.event_log import EventNews

_RUNNING = TurnState.RUNNING.value
_CLAIMING_OF_AN_END = claiming(budgeted)


def _walking_up(*wanted: ColumnElement[Any]) -> Select[Any]:
    """What a message and those before it have, the message first. Written once: writing it takes longer than walking a few steps."""
    start = (
        select(messages.c.message_id, messages.c.parent_message_id, literal(1).label("depth"))
        .where(messages.c.message_id == bindparam("tip"), messages.c.session_id == bindparam("session"))
        .cte("chain", recursive=True)
    )
    chain = start.union_all(
        select(messages.c.message_id, messages.c.parent_message_id, start.c.depth + 1).where(
            messages.c.message_id == start.c.parent_message_id, start.c.depth < bindparam("most")
        )
    )
    return select(*wanted).join(chain, chain.c.message_id == messages.c.message_id).order_by(chain.c.depth)


_ANCESTORS = _walking_up(*messages.c)
_TOLD = _walking_up(
    messages.c.message_id,
    messages.c.parent_message_id,
    messages.c.role,
    messages.c.text,
    messages.c.state,
    messages.c.create_time,
    messages.c.turn_id,
    messages.c.route,
    messages.c.tool_uses,
)


class SqlConversations:
    """Keeps conversations in the tables of `sql_schema`."""

    def __init__(self, database: Database, news: EventNews = NO_NEWS, books: SqlBudgetBooks | None = None) -> None:
        self._database = database
        self._news = news
        self._books = books or SqlBudgetBooks()

    async def create_session(self, session: Session) -> None:
        """Stores an empty session."""
        async with self._database.write() as connection:
            change = changed_session(Action.CREATED, session)
            await record(connection, session.user_id, [change], session.create_time)
            await check_project(connection, session.user_id, session.project_id)
            await connection.execute(insert(sessions).values(session_row(session, title_is_set=bool(session.title))))
        self._news.tell(session.user_id)

    async def get_session(self, user_id: str, session_id: str) -> Session:
        """Gets a session of the user."""
        async with self._database.read() as connection:
            return await _session(connection, user_id, session_id)

    async def list_sessions(
        self, user_id: str, limit: int, after: PageCursor | None, project_id: str = ""
    ) -> list[Session]:
        """Lists sessions, the last used first."""
        query = _newest_sessions(_of_project(select_session, user_id, project_id), limit, after)
        async with self._database.read() as connection:
            return [to_session(row) for row in await connection.execute(query)]

    async def search_sessions(
        self, user_id: str, words: Sequence[str], limit: int, after: PageCursor | None, project_id: str = ""
    ) -> list[SessionMatch]:
        """Finds sessions by words in their titles, or in one of their messages."""
        newest_match = (
            select(messages.c.message_id)
            .where(messages.c.session_id == sessions.c.session_id, _holds_all(messages.c.text, words))
            .order_by(messages.c.position.desc())
            .limit(1)
            .correlate(sessions)
            .scalar_subquery()
        )
        columns = select(sessions, running_turn_id, newest_match.label("match_id"))
        found = _of_project(columns, user_id, project_id).where(
            or_(_holds_all(sessions.c.title, words), newest_match.is_not(None))
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(_newest_sessions(found, limit, after))).all()
            texts = {
                row.message_id: row.text
                for row in await connection.execute(
                    select(messages.c.message_id, messages.c.text).where(
                        messages.c.message_id.in_([row.match_id for row in rows if row.match_id])
                    )
                )
            }
        return [
            SessionMatch(
                to_session(row),
                snippet_of(texts[row.match_id], list(words)) if row.match_id else "",
                row.match_id or "",
            )
            for row in rows
        ]

    async def update_session(self, user_id: str, session_id: str, changes: SessionChanges, time: datetime) -> Session:
        """Sets the title, which no message changes from then on, and the project."""
        columns: dict[str, Any] = {}
        if changes.title is not None:
            columns |= {"title": changes.title, "title_is_set": True, "update_time": time}
        if changes.project_id is not None:
            columns |= {"project_id": changes.project_id}
        async with self._database.write() as connection:
            await hold_user(connection, user_id)
            await check_project(connection, user_id, changes.project_id or "")
            if columns:
                owned = and_(sessions.c.session_id == session_id, sessions.c.user_id == user_id)
                await connection.execute(update(sessions).where(owned).values(columns))
            session = await _session(connection, user_id, session_id)
            await record(connection, user_id, [changed_session(Action.UPDATED, session)], time)
        self._news.tell(user_id)
        return session

    async def delete_session(self, user_id: str, session_id: str) -> list[str]:
        """Deletes a session; its messages and turns go with it."""
        async with self._database.write() as connection:
            await hold_user(connection, user_id)
            await _session(connection, user_id, session_id)
            turn_ids = (await connection.scalars(select(turns.c.turn_id).where(turns.c.session_id == session_id))).all()
            await connection.execute(delete(sessions).where(sessions.c.session_id == session_id))
            deleted = Change(Action.DELETED, ResourceType.SESSION, session_id, None)
            await record(connection, user_id, [deleted], datetime.now(UTC))
        self._news.tell(user_id)
        return list(turn_ids)

    async def list_messages(
        self, user_id: str, session_id: str, limit: int, before: int | None
    ) -> list[tuple[int, Message]]:
        """Lists messages with their positions, newest first."""
        query = (
            select(messages)
            .where(messages.c.session_id == session_id)
            .order_by(messages.c.position.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(messages.c.position < before)
        async with self._database.read() as connection:
            await _session(connection, user_id, session_id)
            return [(row.position, to_message(row)) for row in await connection.execute(query)]

    async def ancestors(self, session_id: str, message_id: str, limit: int) -> list[Message]:
        """Walks up the tree in the database; the length of the session does not matter."""
        return [to_message(row) for row in await self._walk(_ANCESTORS, session_id, message_id, limit)]

    async def told(self, session_id: str, message_id: str, limit: int) -> list[Message]:
        """The same of the columns that it needs: of 200 messages, the others cost more than all the rest of a turn's beginning."""
        return [
            Message(
                message_id=row.message_id,
                session_id=session_id,
                parent_message_id=row.parent_message_id or "",
                role=Role(row.role),
                text=row.text,
                state=MessageState(row.state),
                create_time=row.create_time,
                turn_id=row.turn_id,
                route=Route(row.route) if row.route else None,
                tool_uses=decode_tool_uses(row.tool_uses) if row.tool_uses else (),
            )
            for row in await self._walk(_TOLD, session_id, message_id, limit)
        ]

    async def _walk(self, query: Select[Any], session_id: str, message_id: str, limit: int) -> Sequence[Row[Any]]:
        if not message_id:
            return []
        async with self._database.read() as connection:
            walked = await connection.execute(query, {"tip": message_id, "session": session_id, "most": limit})
            rows: Sequence[Row[Any]] = walked.all()
            return rows

    async def get_message(self, message_id: str) -> Message:
        """Gets a message by its id alone."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(messages).where(messages.c.message_id == message_id))).first()
        if row is None:
            raise NotFoundError("message")
        return to_message(row)

    async def begin_turn(self, new: NewTurn) -> BegunTurn:
        """Stores everything that a turn begins with in one transaction, or finds the turn that is there."""
        try:
            async with self._database.write() as connection:
                begun = await begin_turn(connection, new, self._books)
        except (IntegrityError, NotFoundError, TooManyTurnsError, BudgetExceededError):
            # Most sends are the first of their name, so that nobody looks before; a repeat fails at the name at the latest.
            existing = await self.find_turn(new.user_id, new.client_message_id)
            if existing is None:
                raise
            return BegunTurn(existing, "", created=False)
        self._news.tell(new.user_id)
        return begun

    async def find_turn(self, user_id: str, client_message_id: str) -> Turn | None:
        """Finds a turn by the client's name for its message."""
        async with self._database.read() as connection:
            return await _find_turn(connection, user_id, client_message_id)

    async def get_turn(self, user_id: str, turn_id: str) -> Turn:
        """Gets a turn of the user."""
        query = select(turns).where(turns.c.turn_id == turn_id, turns.c.user_id == user_id)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFoundError("turn")
        return to_turn(row)

    async def finish_turn(self, turn_id: str, fence: int, state: TurnState, message: Message) -> bool:
        """Stores an outcome where there is none yet."""
        now = datetime.now(UTC)
        async with self._database.write() as connection:
            owner = select(turns.c.user_id).where(turns.c.turn_id == turn_id).scalar_subquery()
            await hold_user(connection, owner)
            ended = await connection.execute(
                update(turns)
                .where(turns.c.turn_id == turn_id, turns.c.fence == fence, turns.c.state == _RUNNING)
                .values(state=state.value, end_time=now, queue_time=None)
                .returning(turns.c.user_id)
            )
            user_id: str | None = ended.scalar_one_or_none()
            if user_id is None:
                return False
            await connection.execute(
                update(messages)
                .where(messages.c.message_id == message.message_id)
                .values(
                    text=message.text,
                    state=message.state.value,
                    citations=[asdict(citation) for citation in message.citations],
                    usage=asdict(message.usage) if message.usage else None,
                    route=message.route.value if message.route else "",
                    model=message.model,
                    failure=asdict(message.failure) if message.failure else None,
                    tool_uses=[asdict(use) for use in message.tool_uses],
                    route_reason=message.route_reason,
                )
            )
            session = await _session(connection, user_id, message.session_id)
            changes = [changed_message(Action.UPDATED, message), changed_session(Action.UPDATED, session)]
            # Nobody is asked any more about what a turn that has ended wanted to do.
            changes += await close_approvals(connection, turn_id, now)
            claimed = await claim_sequences(connection, user_id, len(changes), _CLAIMING_OF_AN_END)
            await write(connection, user_id, changes, now, last_sequence=claimed.event_counter)
            usage = usage_of_answer(user_id, message, now, session.project_id)
            if claimed.budgeted or self._books.has_operators:
                await self._books.settle(connection, usage, turn_id)
            else:
                await write_usage(connection, usage)
        self._news.tell(user_id)
        return True

    async def queue_turn(self, turn_id: str, fence: int, time: datetime | None) -> None:
        """Stores since when a turn waits."""
        async with self._database.write() as connection:
            await connection.execute(
                update(turns)
                .where(turns.c.turn_id == turn_id, turns.c.fence == fence, turns.c.state == _RUNNING)
                .values(queue_time=time)
            )

    async def queued_turns(self) -> list[str]:
        """Lists turns that wait, in the order in which they are answered."""
        query = (
            select(turns.c.turn_id)
            .where(turns.c.state == _RUNNING, turns.c.queue_time.is_not(None))
            .order_by(turns.c.queue_time, turns.c.turn_id)
        )
        async with self._database.read() as connection:
            return list((await connection.scalars(query)).all())

    async def running_turns(self, user_id: str = "", session_id: str = "") -> list[Turn]:
        """Lists turns without an outcome, oldest first."""
        query = select(turns).where(turns.c.state == _RUNNING).order_by(turns.c.create_time)
        if user_id:
            query = query.where(turns.c.user_id == user_id)
        if session_id:
            query = query.where(turns.c.session_id == session_id)
        async with self._database.read() as connection:
            return [to_turn(row) for row in await connection.execute(query)]


async def _session(connection: AsyncConnection, user_id: str, session_id: str) -> Session:
    query = select_session.where(sessions.c.session_id == session_id, sessions.c.user_id == user_id)
    row = (await connection.execute(query)).first()
    if row is None:
        raise NotFoundError("session")
    return to_session(row)


async def _find_turn(connection: AsyncConnection, user_id: str, client_message_id: str) -> Turn | None:
    query = select(turns).where(turns.c.user_id == user_id, turns.c.client_message_id == client_message_id)
    row = (await connection.execute(query)).first()
    return to_turn(row) if row else None


def _of_project(query: Select[Any], user_id: str, project_id: str) -> Select[Any]:
    """The user's sessions; those of the project when one is named."""
    query = query.where(sessions.c.user_id == user_id)
    return query.where(sessions.c.project_id == project_id, in_project) if project_id else query


def _newest_sessions(query: Select[Any], limit: int, after: PageCursor | None) -> Select[Any]:
    if after:
        older = sessions.c.update_time < after.time
        same_time = and_(sessions.c.update_time == after.time, sessions.c.session_id < after.identifier)
        query = query.where(or_(older, same_time))
    return query.order_by(sessions.c.update_time.desc(), sessions.c.session_id.desc()).limit(limit)


def _holds_all(column: ColumnElement[str], words: Sequence[str]) -> ColumnElement[bool]:
    return and_(*(func.lower(column).contains(word.lower(), autoescape=True) for word in words))

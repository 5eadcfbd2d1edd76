"""Titles that models make, in SQL."""

from __future__ import annotations

from datetime import UTC, datetime

from parley_shared.sql import Database
from sqlalchemy import and_, update

from parley_chat.adapters.sql_events import NO_NEWS, hold_user, record
from parley_chat.adapters.sql_schema import sessions
from parley_chat.adapters.sql_session_rows import select_session, to_session
from parley_chat.domain.events import Action, changed_session
from parley_chat.ports.event_log import EventNews


class SqlTitles:
    """The port `TitleStore`."""

    def __init__(self, database: Database, news: EventNews = NO_NEWS) -> None:
        self._database = database
        self._news = news

    async def claim(self, user_id: str, session_id: str) -> bool:
        """Sets a column where it is not set."""
        unnamed = and_(
            sessions.c.session_id == session_id,
            sessions.c.user_id == user_id,
            sessions.c.title_is_set.is_(False),
            sessions.c.title_was_asked.is_(False),
        )
        async with self._database.write() as connection:
            claimed = await connection.execute(update(sessions).where(unnamed).values(title_was_asked=True))
            return bool(claimed.rowcount)

    async def give(self, user_id: str, session_id: str, title: str) -> bool:
        """Writes the title where no user did, with its event. The session keeps its place in lists: nobody used it."""
        unnamed = and_(
            sessions.c.session_id == session_id,
            sessions.c.user_id == user_id,
            sessions.c.title_is_set.is_(False),
            sessions.c.title != title,
        )
        async with self._database.write() as connection:
            await hold_user(connection, user_id)
            changed = await connection.execute(update(sessions).where(unnamed).values(title=title))
            if not changed.rowcount:
                return False
            row = (await connection.execute(select_session.where(sessions.c.session_id == session_id))).one()
            change = changed_session(Action.UPDATED, to_session(row))
            await record(connection, user_id, [change], datetime.now(UTC))
        self._news.tell(user_id)
        return True

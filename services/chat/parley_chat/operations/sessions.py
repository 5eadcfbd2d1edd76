"""What users do with their sessions, apart from talking in them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import accumulate

from parley_chat.domain.conversation import Message, Session, SessionMatch, new_session_id
from parley_chat.operations.turns import Turns
from parley_chat.ports.conversations import Conversations, PageCursor, SessionChanges

PAGE_BYTES = 2 * 1024 * 1024
"""Half of what a response may hold unless it is set otherwise."""


class Sessions:
    """Sessions and their messages. Everything is the user's own; the rest is NotFoundError."""

    def __init__(self, conversations: Conversations, turns: Turns, now: Callable[[], datetime]) -> None:
        self._conversations = conversations
        self._turns = turns
        self._now = now

    async def create(self, user_id: str, title: str, project_id: str = "") -> Session:
        """Makes an empty session, in a project when one is named."""
        now = self._now()
        session = Session(new_session_id(), user_id, title, now, now, "", "", project_id)
        await self._conversations.create_session(session)
        return session

    async def get(self, user_id: str, session_id: str) -> Session:
        """Gets one session."""
        return await self._conversations.get_session(user_id, session_id)

    async def list_page(
        self, user_id: str, page_size: int, after: PageCursor | None, project_id: str = ""
    ) -> tuple[list[Session], PageCursor | None]:
        """Lists a page, the last used first, and where the next one goes on; of a project when one is named."""
        found = await self._conversations.list_sessions(user_id, page_size + 1, after, project_id)
        page = found[:page_size]
        return page, _cursor(page[-1]) if len(found) > page_size else None

    async def search_page(
        self, user_id: str, query: str, page_size: int, after: PageCursor | None, project_id: str = ""
    ) -> tuple[list[SessionMatch], PageCursor | None]:
        """Finds a page of sessions by words, the last used first, and where the next one goes on; of a project when one is named."""
        found = await self._conversations.search_sessions(user_id, query.split(), page_size + 1, after, project_id)
        page = found[:page_size]
        return page, _cursor(page[-1].session) if len(found) > page_size else None

    async def update(self, user_id: str, session_id: str, changes: SessionChanges) -> Session:
        """Changes a session."""
        return await self._conversations.update_session(user_id, session_id, changes, self._now())

    async def delete(self, user_id: str, session_id: str) -> None:
        """Stops what runs in the session and deletes it with all that belongs to it."""
        await self._conversations.get_session(user_id, session_id)
        await self._turns.stop_session(user_id, session_id)
        turn_ids = await self._conversations.delete_session(user_id, session_id)
        # A message may have come in between; from here on none can.
        await self._turns.stop_session(user_id, session_id)
        await self._turns.forget(turn_ids)

    async def messages_page(
        self, user_id: str, session_id: str, page_size: int, before: int | None
    ) -> tuple[list[Message], int | None]:
        """Lists a page of messages, newest first, and the position before which the next one goes on.

        A page of long messages ends early, after at least one of them, so that every page can be sent.
        """
        found = await self._conversations.list_messages(user_id, session_id, page_size + 1, before)
        sizes = accumulate(_size(message) for _, message in found[:page_size])
        page = found[: max(1, sum(size <= PAGE_BYTES for size in sizes))]
        return [message for _, message in page], page[-1][0] if len(found) > len(page) else None


def _size(message: Message) -> int:
    """Bounds the bytes of a message from above, roughly: what is not text is small."""
    texts = (message.text, *(citation.text for citation in message.citations))
    return sum(len(text.encode(errors="replace")) + 1000 for text in texts)


def _cursor(session: Session) -> PageCursor:
    return PageCursor(session.update_time, session.session_id)

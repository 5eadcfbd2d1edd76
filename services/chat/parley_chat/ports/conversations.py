"""Where sessions, messages and turns are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from parley_chat.domain.conversation import Message, OnFailure, Route, Session, SessionMatch
from parley_chat.domain.turn import Turn, TurnState


@dataclass(frozen=True, slots=True)
class PageCursor:
    """The last item of a page: where the next one goes on."""

    time: datetime
    identifier: str


@dataclass(frozen=True, slots=True)
class NewTurn:
    """What it takes to begin a turn."""

    turn_id: str
    user_id: str
    session_id: str
    """Empty to make a new session, named `new_session_id`."""
    new_session_id: str
    parent_message_id: str | None
    """None for the session's tip; empty for none."""
    client_message_id: str
    request_digest: str
    user_message_id: str
    message_id: str
    text: str
    title: str
    """The title of a session that has none yet."""
    time: datetime
    trace_id: str
    wished_route: Route
    model: str
    on_failure: OnFailure
    queue_when_unavailable: bool
    scopes: tuple[str, ...]
    """What the caller's token allows."""
    time_zone: str
    owner_id: str
    """The replica that will write the answer."""
    most_running: int
    """How many turns of the user may run, this one included."""
    project_id: str = ""
    """The project of a new session; empty for none."""


@dataclass(frozen=True, slots=True)
class SessionChanges:
    """What of a session its user changes; None for what stays."""

    title: str | None = None
    project_id: str | None = None
    """Empty for none."""


@dataclass(frozen=True, slots=True)
class BegunTurn:
    """A turn that was begun, or that was there already."""

    turn: Turn
    parent_message_id: str
    """What the user's message follows; empty for the first of a session."""
    created: bool
    """False when the user had a turn under this client_message_id, and nothing was changed."""
    has_budgets: bool = True
    """Whether the user has budgets."""


class Conversations(Protocol):
    """Keeps conversations. Each method is one transaction. Nothing of one user is ever returned to, or changed by, another."""

    async def create_session(self, session: Session) -> None:
        """Stores an empty session; a title that is not empty counts as set by the user. Raises NotFoundError for its project."""
        ...

    async def get_session(self, user_id: str, session_id: str) -> Session:
        """Gets a session, or raises NotFoundError."""
        ...

    async def list_sessions(
        self, user_id: str, limit: int, after: PageCursor | None, project_id: str = ""
    ) -> list[Session]:
        """Lists sessions by update time, newest first: all, or those of a project."""
        ...

    async def search_sessions(
        self, user_id: str, words: Sequence[str], limit: int, after: PageCursor | None, project_id: str = ""
    ) -> list[SessionMatch]:
        """Lists sessions whose title, or one of whose messages, holds all the words in any case; in the order of `list_sessions`."""
        ...

    async def update_session(self, user_id: str, session_id: str, changes: SessionChanges, time: datetime) -> Session:
        """Changes a session; a title is set for good. Raises NotFoundError for the session and for the project."""
        ...

    async def delete_session(self, user_id: str, session_id: str) -> list[str]:
        """Deletes a session with its messages and turns, or raises NotFoundError. Returns the ids of its turns."""
        ...

    async def list_messages(
        self, user_id: str, session_id: str, limit: int, before: int | None
    ) -> list[tuple[int, Message]]:
        """Lists messages with their positions, newest first, those before a position. Raises NotFoundError."""
        ...

    async def ancestors(self, session_id: str, message_id: str, limit: int) -> list[Message]:
        """Walks from a message to the root: the message first. At most `limit`; none for an empty id."""
        ...

    async def told(self, session_id: str, message_id: str, limit: int) -> list[Message]:
        """The same with what a model is told of them: who said what, what tools did, and the routes. Nothing else is filled in."""
        ...

    async def get_message(self, message_id: str) -> Message:
        """Gets a message that the caller has the right to, or raises NotFoundError."""
        ...

    async def begin_turn(self, new: NewTurn) -> BegunTurn:
        """Stores the user's message, the empty answer and the turn, all or none, unless the user has a turn under this client_message_id.

        Raises NotFoundError for a session, a project or a parent that is not the user's, TooManyTurnsError, and BudgetExceededError when
        nothing is left of a budget.
        """
        ...

    async def find_turn(self, user_id: str, client_message_id: str) -> Turn | None:
        """Finds the user's turn under this name."""
        ...

    async def get_turn(self, user_id: str, turn_id: str) -> Turn:
        """Gets a turn, or raises NotFoundError."""
        ...

    async def finish_turn(self, turn_id: str, fence: int, state: TurnState, message: Message) -> bool:
        """Stores the outcome and the answer, once.

        False, and nothing changed, when the turn had ended before, is gone, or has another fence: somebody else writes it.
        """
        ...

    async def queue_turn(self, turn_id: str, fence: int, time: datetime | None) -> None:
        """Stores since when a turn waits for a model, or with None that it does not any more. Nothing when it has another fence."""
        ...

    async def queued_turns(self) -> list[str]:
        """Lists the ids of all turns that wait for a model, the longest first."""
        ...

    async def running_turns(self, user_id: str = "", session_id: str = "") -> list[Turn]:
        """Lists turns that have not ended, oldest first: all, a user's, or a session's."""
        ...

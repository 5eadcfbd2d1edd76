"""Bots that prepare briefs for meetings: what they are, when they write, and what they ask a model. Not the writing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import uuid4
from zoneinfo import ZoneInfo

from parley_chat.domain.calendar import Meeting, Person
from parley_chat.domain.conversation import SessionMatch
from parley_chat.domain.errors import ChatError

MOST_BOTS = 100
"""Of one user, of those that are not done."""
MOST_ATTEMPTS = 3
PAUSE_SECONDS = (30.0, 120.0)
"""After attempts that failed."""
SESSION_TITLE = "Meeting briefs"
WRITE_SCOPE = "chat:write"
"""What a token needs beside its own scope to have briefs written: they are posted to a session."""
READ_SCOPES = frozenset({"calendar:read", "chat:read", "documents:read", "projects:read", "tasks:read"})
"""All that a brief may rest on, as far as the token that made its bot allowed it. None of them changes anything."""

_MOST_DESCRIPTION = 1000
_MOST_PEOPLE = 20
MOST_BRIEFED = 50
"""Meetings that a bot remembers to be done with. Those are briefed about in the order in which they begin, so that few are ahead."""
_MOST_WORDS, _LEAST_WORD = 4, 4


class BotState(StrEnum):
    """How far a bot is."""

    WAITING = "waiting"
    PREPARING = "preparing"
    DONE = "done"


class BriefState(StrEnum):
    """How a brief is."""

    PREPARING = "preparing"
    READY = "ready"
    FAILED = "failed"
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class Brief:
    """A brief for one meeting."""

    meeting_id: str
    state: BriefState
    time: datetime
    session_id: str = ""
    turn_id: str = ""
    """Empty when none was begun, and between two attempts."""
    attempts: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class MeetingBot:
    """A bot of a meeting, or of a series."""

    bot_id: str
    meeting_id: str
    """The one that it was asked for."""
    event_id: str
    every_occurrence: bool
    minutes_before: int
    session_id: str
    instructions: str
    time_zone: str
    scopes: tuple[str, ...]
    """What its briefs may rest on."""
    state: BotState
    create_time: datetime
    update_time: datetime
    next_meeting_id: str = ""
    next_brief_time: datetime | None = None
    brief: Brief | None = None
    """The last one, or the one that is being written."""
    briefed: tuple[str, ...] = ()
    """The meetings that it is done with, the last of them."""

    def brief_time(self, begin: datetime) -> datetime:
        """When to prepare for a meeting that begins then."""
        return begin - timedelta(minutes=self.minutes_before)


class TooManyBotsError(ChatError):
    """The user has as many as a user may have."""

    def __init__(self, limit: int) -> None:
        super().__init__("too many meeting bots")
        self.limit = limit


def new_bot_id() -> str:
    """Names a bot."""
    return f"bot_{uuid4().hex}"


def attempt_name(bot_id: str, meeting_id: str, attempt: int) -> str:
    """The client_message_id of an attempt: whoever begins it again finds what there is."""
    return f"{bot_id}-{hashlib.sha256(meeting_id.encode()).hexdigest()[:16]}-{attempt}"


def words_of(title: str) -> list[str]:
    """The words of a title that are worth looking for."""
    found = dict.fromkeys(word.casefold() for word in re.findall(r"\w+", title) if len(word) >= _LEAST_WORD)
    return sorted(found, key=len, reverse=True)[:_MOST_WORDS]


def question(bot: MeetingBot, meeting: Meeting, begin: datetime, past: Sequence[SessionMatch]) -> str:
    """What a model is asked, in the user's name. It is also what documents and tasks are searched for: every word that is not the
    meeting's own would find something else, so there are few."""
    zone = ZoneInfo(bot.time_zone)
    details = meeting.details
    local = begin.astimezone(zone)
    when = f"on {_day(local)}" if meeting.span.all_day else f"on {_day(local)} at {local:%H:%M}"
    asked = f"What should I know before “{_line(details.title)}” {when}, what is mine to do, and what is still open?"
    lines = [asked]
    if bot.instructions:
        lines += ["", bot.instructions]
    said = [_line(details.location)] if details.location else []
    people = [_name(person) for person in (*([details.organizer] if details.organizer else []), *details.attendees)]
    if people:
        more = len(people) - _MOST_PEOPLE
        said.append(f"With {', '.join(people[:_MOST_PEOPLE])}{f' and {more} others' if more > 0 else ''}")
    said += [line for line in details.description[:_MOST_DESCRIPTION].splitlines() if line.strip()]
    if said:
        # Told as what others wrote, because it may be made to be obeyed.
        lines += ["", "Others wrote, and I did not:", "", *(f"> {line}" for line in said)]
    if past:
        lines += ["", "Said before:", ""]
        lines += [
            f"> “{_line(match.session.title)}”, {_day(match.session.update_time.astimezone(zone))}: {_line(match.snippet)}"
            for match in past
        ]
    return "\n".join(lines)


def _day(time: datetime) -> str:
    # Written out: numbers like 2026-11-22 stand in every example of a guide.
    return f"{time:%A} {time.day} {time:%B}"


def _name(person: Person) -> str:
    return _line(f"{person.name} <{person.email}>" if person.name and person.email else person.name or person.email)


def _line(text: str) -> str:
    return " ".join(text.split())

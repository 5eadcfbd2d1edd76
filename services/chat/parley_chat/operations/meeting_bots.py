"""What a user can do with bots of meetings. The preparing is meeting_preparing.py's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from parley_chat.domain.calendar import Meeting
from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.meeting_bots import (
    MOST_BOTS,
    SESSION_TITLE,
    BotState,
    MeetingBot,
    TooManyBotsError,
    new_bot_id,
)
from parley_chat.operations.calendar import event_and_key, get_meeting
from parley_chat.operations.sessions import Sessions
from parley_chat.ports.rule_days import RuleDays
from parley_chat.ports.workspace import Workspaces

_LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class NewBot:
    """What a bot is asked to be. Checked at the door."""

    meeting_id: str
    minutes_before: int
    every_occurrence: bool
    session_id: str
    instructions: str
    time_zone: str
    """Empty for that of the meeting."""
    scopes: tuple[str, ...]


class MeetingBots:
    """The bots of users."""

    def __init__(
        self,
        workspaces: Workspaces,
        sessions: Sessions,
        days: RuleDays,
        news: Callable[[str], None],
        now: Callable[[], datetime],
    ) -> None:
        self._workspaces = workspaces
        self._sessions = sessions
        self._days = days
        self._news = news
        self._now = now

    async def create(self, user_id: str, new: NewBot) -> MeetingBot:
        """Makes a bot, or changes the one that there is. Raises NotFoundError, for the session too, and TooManyBotsError."""
        if new.session_id:
            await self._sessions.get(user_id, new.session_id)
        async with self._workspaces.read(user_id) as workspace:
            meeting = await get_meeting(workspace, self._days, new.meeting_id)
            others = await workspace.meeting_bots.list(_LOOKED_AT)
        session_id = new.session_id or await self._usual_session(user_id, others)
        async with self._workspaces.change(user_id) as workspace:
            before = await workspace.meeting_bots.find(new.meeting_id, meeting.event.event_id)
            if before is not None and before.every_occurrence is not new.every_occurrence:
                # The one of a series and that of one of its meetings are two.
                before = None
            if before is not None and before.state is BotState.DONE:
                # Whoever asks again wants another brief.
                await workspace.meeting_bots.remove(before.bot_id)
                before = None
            if before is None and await workspace.meeting_bots.count() >= MOST_BOTS:
                raise TooManyBotsError(MOST_BOTS)
            bot = _made(new, meeting, session_id, before, self._now())
            if before is None:
                await workspace.meeting_bots.add(bot)
            else:
                await workspace.meeting_bots.put(bot)
        self._news(user_id)
        return bot

    async def get(self, user_id: str, meeting_id: str) -> MeetingBot:
        """The bot of a meeting. Raises NotFoundError."""
        event_id, _ = event_and_key(meeting_id)
        async with self._workspaces.read(user_id) as workspace:
            bot = await workspace.meeting_bots.find(meeting_id, event_id)
        if bot is None:
            raise NotFoundError("meeting_bot")
        return bot

    async def list(self, user_id: str, limit: int) -> Sequence[MeetingBot]:
        """The newest first."""
        async with self._workspaces.read(user_id) as workspace:
            return await workspace.meeting_bots.list(limit)

    async def delete(self, user_id: str, meeting_id: str) -> None:
        """Deletes the bot of a meeting. Raises NotFoundError."""
        event_id, _ = event_and_key(meeting_id)
        async with self._workspaces.change(user_id) as workspace:
            bot = await workspace.meeting_bots.find(meeting_id, event_id)
            if bot is None:
                raise NotFoundError("meeting_bot")
            await workspace.meeting_bots.remove(bot.bot_id)

    async def _usual_session(self, user_id: str, others: Sequence[MeetingBot]) -> str:
        """Where the user's other bots post to; a new one when there is none."""
        for session_id in dict.fromkeys(bot.session_id for bot in others):
            try:
                return (await self._sessions.get(user_id, session_id)).session_id
            except NotFoundError:
                # It was deleted since.
                continue
        return (await self._sessions.create(user_id, SESSION_TITLE)).session_id


def _made(new: NewBot, meeting: Meeting, session_id: str, before: MeetingBot | None, now: datetime) -> MeetingBot:
    bot = MeetingBot(
        bot_id=new_bot_id() if before is None else before.bot_id,
        meeting_id=new.meeting_id,
        event_id=meeting.event.event_id,
        every_occurrence=new.every_occurrence,
        minutes_before=new.minutes_before,
        session_id=session_id,
        instructions=new.instructions,
        time_zone=new.time_zone or _zone_of(meeting),
        scopes=new.scopes,
        state=BotState.WAITING,
        create_time=now if before is None else before.create_time,
        update_time=now,
    )
    if before is None:
        return bot
    # A brief that is being written is not begun anew.
    return replace(bot, state=before.state, brief=before.brief, briefed=before.briefed)


def _zone_of(meeting: Meeting) -> str:
    """The zone that a meeting is in; UTC when it has none, or one that its calendar made up."""
    name = "" if meeting.span.all_day else meeting.span.zone.name
    try:
        return ZoneInfo(name).key if name else "UTC"
    except (KeyError, ValueError, OSError):
        return "UTC"

"""Prepares briefs for meetings: each once, whichever replicas run and whenever they do, as a turn in a session of the user's.

A brief is begun under a name that its meeting and its attempt give: whoever begins it again, because the process before died, finds the
turn that there is. The turn may read what the token that made the bot could read, and change nothing: there is no token when it runs, and
nobody at hand to ask.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

from parley_chat.domain.budgets import BudgetExceededError
from parley_chat.domain.calendar import EventStatus, Meeting
from parley_chat.domain.conversation import OnFailure, Route, SessionMatch
from parley_chat.domain.errors import ClientMessageIdReusedError, DrainingError, NotFoundError, TooManyTurnsError
from parley_chat.domain.events import ResourceType
from parley_chat.domain.meeting_bots import (
    MOST_ATTEMPTS,
    MOST_BRIEFED,
    PAUSE_SECONDS,
    SESSION_TITLE,
    BotState,
    Brief,
    BriefState,
    MeetingBot,
    attempt_name,
    question,
    words_of,
)
from parley_chat.domain.turn import Turn, TurnState
from parley_chat.operations.calendar import event_and_key
from parley_chat.operations.meetings import begins, ends, meeting_of, meetings_between, reach_of
from parley_chat.operations.sessions import Sessions
from parley_chat.operations.turns import ReplyRequest, Turns
from parley_chat.ports.conversations import Conversations
from parley_chat.ports.event_log import EventLog
from parley_chat.ports.meeting_bots import BotClaim, BotQueue
from parley_chat.ports.rule_days import RuleDays
from parley_chat.ports.workspace import Workspaces

logger = logging.getLogger(__name__)

USERS, BOTS, PAGE = 100, 20, 200
SWEEP_SECONDS = 10.0
REST_SECONDS = 0.2
LOOK_SECONDS = 2.0
"""Between two looks at a brief that is being written."""
CROWDED_SECONDS = 10.0
"""After how long it tries again when as many turns run as may."""
_AHEAD = timedelta(days=400)
_PAST_SESSIONS, _PAST_EACH = 5, 2
_CHANGED = (ResourceType.CALENDAR_EVENT,)


@dataclass(frozen=True, slots=True)
class _Found:
    """A meeting that takes place, and when."""

    meeting: Meeting
    begin: datetime
    end: datetime


class _Nothing(Enum):
    """Why there is no meeting."""

    NONE = "none"
    OVER = "over"


_NONE, _OVER = _Nothing.NONE, _Nothing.OVER


class MeetingPreparing:
    """Tends the bots, in one task of its own."""

    def __init__(
        self,
        log: EventLog,
        queue: BotQueue,
        workspaces: Workspaces,
        conversations: Conversations,
        sessions: Sessions,
        turns: Turns,
        days: RuleDays,
        now: Callable[[], datetime],
    ) -> None:
        self._log = log
        self._queue = queue
        self._workspaces = workspaces
        self._conversations = conversations
        self._sessions = sessions
        self._turns = turns
        self._days = days
        self._now = now
        self._news = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to prepare."""
        self._running = asyncio.create_task(self._run(), name="meeting bots")

    async def close(self) -> None:
        """Stops. What is left is prepared by another replica, or by the next process."""
        if self._running:
            self._running.cancel()
            await asyncio.wait([self._running])

    def tell(self, user_id: str) -> None:
        """There may be new events of a user."""
        del user_id
        self._news.set()

    async def _run(self) -> None:
        while True:
            # Before the look: what is told during it is looked at again.
            self._news.clear()
            try:
                pause = await self.look()
            except Exception:
                # Whatever it was, nothing is lost: the next round finds the same bots.
                logger.exception("meeting bots could not be looked for")
                pause = SWEEP_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._news.wait()
            # Not at once: what follows is then seen by the same look, and a turn that has just begun is not held up by it.
            await asyncio.sleep(REST_SECONDS)

    async def look(self) -> float:
        """Tends the bots whose turn it is; gives the seconds until the next look at the latest."""
        for user_id, known in await self._queue.behind(USERS):
            await self._follow(user_id, known)
        for user_id, bot_id in await self._queue.due(BOTS):
            claim = await self._queue.claim(user_id, bot_id)
            if claim is None:
                continue
            try:
                await self._tend(claim)
            except Exception:
                # The end of its lease is the pause before the next try; after the meeting there is none.
                logger.exception("a meeting bot failed")
            except asyncio.CancelledError:
                with suppress(Exception):
                    await self._queue.release(claim)
                raise
        seconds = await self._queue.seconds_to_next()
        return SWEEP_SECONDS if seconds is None else min(seconds, SWEEP_SECONDS)

    async def _follow(self, user_id: str, known: int) -> None:
        """Wakes the bots of the calendar events that have changed."""
        while True:
            page = await self._log.page(user_id, known, PAGE, _CHANGED)
            is_last = len(page.events) < PAGE
            reached = page.newest if is_last else page.events[-1].sequence
            await self._queue.wake(user_id, {event.change.resource_id for event in page.events}, reached)
            known = reached
            if is_last:
                return

    async def _tend(self, claim: BotClaim) -> None:
        async with self._workspaces.read(claim.user_id) as workspace:
            bot = await workspace.meeting_bots.get(claim.bot_id)
        if bot.brief is None or bot.brief.state is not BriefState.PREPARING:
            await self._wait_or_begin(claim, bot)
        elif bot.brief.turn_id:
            await self._look_at_turn(claim, bot, bot.brief)
        else:
            await self._begin(claim, bot, bot.brief)

    # Between briefs --------------------------------------------------------------------------------------------------

    async def _wait_or_begin(self, claim: BotClaim, bot: MeetingBot) -> None:
        if not bot.every_occurrence and bot.meeting_id in bot.briefed:
            await self._queue.save(claim, _done(bot), None)
            return
        now, found = self._now(), await self._next_meeting(claim.user_id, bot)
        if found is _OVER:
            await self._queue.save(claim, _done(bot), None)
        elif not isinstance(found, _Found):
            # Cancelled, or gone, or at no time that is known: an event tells when that changes.
            waiting = replace(bot, state=BotState.WAITING, next_meeting_id="", next_brief_time=None)
            await self._queue.save(claim, waiting, None)
        elif found.end <= now and found.begin < now:
            brief = Brief(found.meeting.meeting_id, BriefState.MISSED, now)
            await self._end(claim, bot, brief)
        else:
            time = bot.brief_time(found.begin)
            bot = replace(bot, state=BotState.WAITING, next_meeting_id=found.meeting.meeting_id, next_brief_time=time)
            if time > now:
                await self._queue.save(claim, bot, time)
            else:
                brief = Brief(found.meeting.meeting_id, BriefState.PREPARING, now, bot.session_id)
                await self._begin(claim, replace(bot, brief=brief), brief)

    async def _next_meeting(self, user_id: str, bot: MeetingBot) -> _Found | _Nothing:
        """The meeting that it prepares for next."""
        async with self._workspaces.read(user_id) as workspace:
            try:
                event = await workspace.calendar.event(bot.event_id)
            except NotFoundError:
                return _NONE
        zone = ZoneInfo(bot.time_zone)
        if not bot.every_occurrence:
            # What does not recur has one meeting, which has another name when it is moved.
            key = event_and_key(bot.meeting_id)[1] if event.body.recurs else event.body.span.key
            meeting = await asyncio.to_thread(meeting_of, event, self._days, key)
            if meeting is None or meeting.details.status is EventStatus.CANCELLED:
                return _NONE
            return _Found(meeting, begins(meeting.span, zone), ends(meeting.span, zone))
        now = self._now()
        # Many series take a while to expand, and the loop has others to serve.
        meetings = await asyncio.to_thread(lambda: list(meetings_between(event, self._days, now, now + _AHEAD, zone)))
        coming = [
            _Found(meeting, begins(meeting.span, zone), ends(meeting.span, zone))
            for meeting in meetings
            if meeting.details.status is not EventStatus.CANCELLED and meeting.meeting_id not in bot.briefed
        ]
        # Of the one that runs just now there is a brief when there is one of any; else it comes late.
        coming = [each for each in coming if each.begin > now or not bot.briefed]
        if coming:
            return min(coming, key=lambda each: each.begin)
        last = reach_of(event.body, self._days).last
        return _OVER if last is not None and last <= now else _NONE

    # A brief -----------------------------------------------------------------------------------------------------------

    async def _begin(self, claim: BotClaim, bot: MeetingBot, brief: Brief) -> None:
        """Makes an attempt."""
        found = await self._meeting(claim.user_id, bot, brief.meeting_id)
        if not isinstance(found, _Found):
            # It was cancelled: nobody needs a brief any more, unless it takes place after all.
            await self._queue.save(claim, replace(bot, state=BotState.WAITING, brief=None), self._now())
            return
        if found.end <= self._now() and found.begin < self._now():
            state = BriefState.FAILED if brief.attempts else BriefState.MISSED
            await self._end(claim, bot, replace(brief, state=state))
            return
        attempt = brief.attempts + 1
        try:
            turn_id, session_id = await self._begin_turn(claim.user_id, bot, found, attempt)
        except (TooManyTurnsError, DrainingError):
            waiting = replace(bot, state=BotState.PREPARING, brief=brief)
            await self._queue.save(claim, waiting, self._now() + timedelta(seconds=CROWDED_SECONDS))
            return
        except BudgetExceededError:
            brief = replace(brief, attempts=attempt, error="A budget is used up.")
            await self._end(claim, bot, replace(brief, state=BriefState.FAILED))
            return
        brief = replace(brief, turn_id=turn_id, session_id=session_id, attempts=attempt, time=self._now())
        bot = replace(bot, state=BotState.PREPARING, session_id=session_id, brief=brief)
        await self._queue.save(claim, bot, self._now() + timedelta(seconds=LOOK_SECONDS))

    async def _begin_turn(self, user_id: str, bot: MeetingBot, found: _Found, attempt: int) -> tuple[str, str]:
        """Begins the turn, or finds the one of a process before; gives it and its session."""
        meeting, past = found.meeting, await self._past(user_id, bot, found.meeting)
        request = ReplyRequest(
            user_id=user_id,
            message=question(bot, meeting, found.begin, past),
            session_id=bot.session_id,
            client_message_id=attempt_name(bot.bot_id, meeting.meeting_id, attempt),
            route=Route.ENHANCED,
            model="",
            parent_message_id=None,
            on_failure=OnFailure.CONTINUE,
            scopes=bot.scopes,
            time_zone=bot.time_zone,
        )
        for _ in range(2):
            try:
                turn = await self._turns.begin(request)
            except ClientMessageIdReusedError as error:
                # What it is asked can be other words than before; the brief is the same one.
                turn = await self._conversations.get_turn(user_id, error.turn_id)
            except NotFoundError:
                # Its session was deleted.
                session = await self._sessions.create(user_id, SESSION_TITLE)
                request = replace(request, session_id=session.session_id)
                continue
            return turn.turn_id, turn.session_id
        raise NotFoundError("session")

    async def _look_at_turn(self, claim: BotClaim, bot: MeetingBot, brief: Brief) -> None:
        try:
            turn = await self._conversations.get_turn(claim.user_id, brief.turn_id)
        except NotFoundError:
            gone = replace(brief, state=BriefState.FAILED, error="The session was deleted.")
            await self._end(claim, bot, gone)
            return
        if turn.state is TurnState.RUNNING:
            await self._queue.save(claim, bot, self._now() + timedelta(seconds=LOOK_SECONDS))
        elif turn.state is TurnState.COMPLETED:
            await self._end(claim, bot, replace(brief, state=BriefState.READY, error=""))
        elif turn.state is TurnState.STOPPED:
            await self._end(claim, bot, replace(brief, state=BriefState.FAILED, error="It was stopped."))
        else:
            await self._fail(claim, bot, replace(brief, error=await self._words_of(turn)))

    async def _fail(self, claim: BotClaim, bot: MeetingBot, brief: Brief) -> None:
        if brief.attempts >= MOST_ATTEMPTS:
            await self._end(claim, bot, replace(brief, state=BriefState.FAILED))
            return
        again = replace(bot, brief=replace(brief, turn_id=""))
        pause = PAUSE_SECONDS[min(brief.attempts, len(PAUSE_SECONDS)) - 1]
        await self._queue.save(claim, again, self._now() + timedelta(seconds=pause))

    async def _end(self, claim: BotClaim, bot: MeetingBot, brief: Brief) -> None:
        briefed = (*bot.briefed, brief.meeting_id)[-MOST_BRIEFED:]
        ended = replace(bot, brief=replace(brief, time=self._now()), briefed=briefed)
        if not bot.every_occurrence:
            await self._queue.save(claim, _done(ended), None)
            return
        # It looks for the next one at once.
        waiting = replace(ended, state=BotState.WAITING, next_meeting_id="", next_brief_time=None)
        await self._queue.save(claim, waiting, self._now())

    async def _meeting(self, user_id: str, bot: MeetingBot, meeting_id: str) -> _Found | _Nothing:
        return await self._next_meeting(user_id, replace(bot, meeting_id=meeting_id, every_occurrence=False))

    async def _past(self, user_id: str, bot: MeetingBot, meeting: Meeting) -> Sequence[SessionMatch]:
        """What was said in other sessions with the words of the title."""
        if "chat:read" not in bot.scopes:
            return ()
        found: dict[str, SessionMatch] = {}
        for word in words_of(meeting.details.title):
            for match in await self._conversations.search_sessions(user_id, [word], _PAST_EACH + 1, None):
                if match.snippet and match.session.session_id != bot.session_id:
                    found.setdefault(match.session.session_id, match)
        return list(found.values())[:_PAST_SESSIONS]

    async def _words_of(self, turn: Turn) -> str:
        try:
            message = await self._conversations.get_message(turn.message_id)
        except NotFoundError:
            return ""
        return message.failure.message if message.failure else ""


def _done(bot: MeetingBot) -> MeetingBot:
    return replace(bot, state=BotState.DONE, next_meeting_id="", next_brief_time=None)

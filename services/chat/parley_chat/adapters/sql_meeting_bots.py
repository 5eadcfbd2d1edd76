"""Bots of meetings in SQL: those of one user within a transaction that somebody else opened, and whose turn it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from parley_shared.sql import Database, UtcDateTime
from sqlalchemy import ColumnElement, Interval, Row, and_, delete, func, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_chat.adapters.sql_clock import SqlClock
from parley_chat.adapters.sql_meeting_bot_schema import meeting_bots
from parley_chat.adapters.sql_schema import users
from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.meeting_bots import BotState, Brief, BriefState, MeetingBot
from parley_chat.ports.meeting_bots import BotClaim

_DONE = BotState.DONE.value
_UNCLAIMED = {"lease_id": "", "lease_expire_time": None}


class SqlMeetingBots:
    """The port `BotStore`."""

    def __init__(self, connection: AsyncConnection, user_id: str, clock: SqlClock) -> None:
        self._connection = connection
        self._user_id = user_id
        self._clock = clock

    async def add(self, bot: MeetingBot) -> None:
        """Inserts a row."""
        query = select(users.c.event_counter).where(users.c.user_id == self._user_id)
        known = (await self._connection.execute(query)).scalar_one()
        values = {**_row(bot), "user_id": self._user_id, "wake_time": self._clock.now(), "known_sequence": known}
        await self._connection.execute(insert(meeting_bots).values(values))

    async def get(self, bot_id: str) -> MeetingBot:
        """Reads a row."""
        row = (await self._connection.execute(select(meeting_bots).where(self._is(bot_id)))).first()
        if row is None:
            raise NotFoundError("meeting_bot")
        return _bot(row)

    async def find(self, meeting_id: str, event_id: str) -> MeetingBot | None:
        """Reads along the index; that of the meeting itself comes first."""
        # What does not recur has another name when it is moved: the bot knows the one that it was asked for, and the one of now.
        named = or_(meeting_bots.c.meeting_id == meeting_id, meeting_bots.c.next_meeting_id == meeting_id)
        of_meeting = and_(named, meeting_bots.c.every_occurrence.is_(False))
        query = (
            select(meeting_bots)
            .where(
                meeting_bots.c.user_id == self._user_id,
                meeting_bots.c.event_id == event_id,
                or_(of_meeting, meeting_bots.c.every_occurrence),
            )
            .order_by(meeting_bots.c.every_occurrence)
            .limit(1)
        )
        row = (await self._connection.execute(query)).first()
        return None if row is None else _bot(row)

    async def list(self, limit: int) -> Sequence[MeetingBot]:
        """Reads the rows of a user."""
        query = (
            select(meeting_bots)
            .where(meeting_bots.c.user_id == self._user_id)
            .order_by(meeting_bots.c.create_time.desc(), meeting_bots.c.bot_id)
            .limit(limit)
        )
        return [_bot(row) for row in await self._connection.execute(query)]

    async def count(self) -> int:
        """Counts rows of a user."""
        query = select(func.count()).where(meeting_bots.c.user_id == self._user_id, meeting_bots.c.state != _DONE)
        return (await self._connection.execute(query)).scalar_one()

    async def put(self, bot: MeetingBot) -> None:
        """Writes a row anew; who tends it finds that the lease is not theirs any more."""
        values = {**_row(bot), **_UNCLAIMED, "wake_time": self._clock.now()}
        await self._connection.execute(update(meeting_bots).where(self._is(bot.bot_id)).values(values))

    async def remove(self, bot_id: str) -> None:
        """Deletes a row."""
        await self._connection.execute(delete(meeting_bots).where(self._is(bot_id)))

    def _is(self, bot_id: str) -> ColumnElement[bool]:
        return and_(meeting_bots.c.bot_id == bot_id, meeting_bots.c.user_id == self._user_id)


class SqlBotQueue:
    """The port `BotQueue`. Time is the database's, unless `now` is another."""

    def __init__(self, database: Database, lease_seconds: float, now: Callable[[], datetime] | None = None) -> None:
        self._database = database
        self._lease = timedelta(seconds=lease_seconds)
        self._clock = SqlClock(database, now)

    async def behind(self, limit: int) -> Sequence[tuple[str, int]]:
        """Compares the counters of users with what their bots know."""
        known = func.min(meeting_bots.c.known_sequence)
        query = (
            select(meeting_bots.c.user_id, known.label("known"))
            .join(users, users.c.user_id == meeting_bots.c.user_id)
            .where(meeting_bots.c.state != _DONE, users.c.event_counter > meeting_bots.c.known_sequence)
            .group_by(meeting_bots.c.user_id)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return [(row.user_id, row.known) for row in await connection.execute(query)]

    async def wake(self, user_id: str, event_ids: Collection[str], sequence: int) -> None:
        """Writes the rows of a user."""
        of_user = and_(meeting_bots.c.user_id == user_id, meeting_bots.c.state != _DONE)
        async with self._database.write() as connection:
            if event_ids:
                # What is being written goes on: it is looked at when that has ended.
                waits = and_(of_user, meeting_bots.c.event_id.in_(event_ids))
                await connection.execute(update(meeting_bots).where(waits).values(wake_time=self._clock.now()))
            await connection.execute(
                update(meeting_bots)
                .where(of_user, meeting_bots.c.known_sequence < sequence)
                .values(known_sequence=sequence)
            )

    async def due(self, limit: int) -> Sequence[tuple[str, str]]:
        """Reads along the index of times."""
        query = (
            select(meeting_bots.c.user_id, meeting_bots.c.bot_id)
            .where(self._is_due())
            .order_by(meeting_bots.c.wake_time)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return [(row.user_id, row.bot_id) for row in await connection.execute(query)]

    async def seconds_to_next(self) -> float | None:
        """Reads the earliest of the times."""
        waits = and_(meeting_bots.c.wake_time.is_not(None), meeting_bots.c.state != _DONE, self._is_free())
        first = select(func.min(meeting_bots.c.wake_time)).where(waits).scalar_subquery()
        async with self._database.read() as connection:
            row = (await connection.execute(select(first.label("first"), self._clock.now().label("now")))).one()
        return None if row.first is None else max(0.0, (row.first - row.now).total_seconds())

    async def claim(self, user_id: str, bot_id: str) -> BotClaim | None:
        """Writes a lease into the row, when none holds."""
        claim = BotClaim(user_id, bot_id, uuid4().hex)
        values = {"lease_id": claim.lease_id, "lease_expire_time": self._after(self._lease)}
        async with self._database.write() as connection:
            taken = await connection.execute(
                update(meeting_bots).where(meeting_bots.c.bot_id == bot_id, self._is_due()).values(values)
            )
        return claim if taken.rowcount else None

    async def save(self, claim: BotClaim, bot: MeetingBot, wake_time: datetime | None) -> bool:
        """Writes the row of the lease, and takes the lease away."""
        return await self._write(claim, {**_row(bot), **_UNCLAIMED, "wake_time": wake_time})

    async def release(self, claim: BotClaim) -> None:
        """Takes the lease away."""
        await self._write(claim, _UNCLAIMED)

    async def release_all(self) -> None:
        """Takes all leases away."""
        async with self._database.write() as connection:
            await connection.execute(update(meeting_bots).where(meeting_bots.c.lease_id != "").values(_UNCLAIMED))

    async def _write(self, claim: BotClaim, values: dict[str, Any]) -> bool:
        holds = and_(meeting_bots.c.bot_id == claim.bot_id, meeting_bots.c.lease_id == claim.lease_id)
        async with self._database.write() as connection:
            return bool((await connection.execute(update(meeting_bots).where(holds).values(values))).rowcount)

    def _is_due(self) -> ColumnElement[bool]:
        return and_(meeting_bots.c.wake_time <= self._clock.now(), meeting_bots.c.state != _DONE, self._is_free())

    def _is_free(self) -> ColumnElement[bool]:
        return or_(meeting_bots.c.lease_expire_time.is_(None), meeting_bots.c.lease_expire_time <= self._clock.now())

    def _after(self, time: timedelta) -> ColumnElement[datetime]:
        if (now := self._clock.process_now()) is not None:
            return literal(now + time, UtcDateTime)
        return self._clock.now() + literal(time, Interval)


def _row(bot: MeetingBot) -> dict[str, Any]:
    row = asdict(bot)
    brief = bot.brief
    row["scopes"], row["briefed"] = list(bot.scopes), list(bot.briefed)
    row["state"] = bot.state.value
    row["brief"] = (
        None if brief is None else {**asdict(brief), "state": brief.state.value, "time": brief.time.isoformat()}
    )
    return row


def _bot(row: Row[Any]) -> MeetingBot:
    brief = None
    if row.brief is not None:
        time = datetime.fromisoformat(row.brief["time"])
        brief = Brief(**{**row.brief, "state": BriefState(row.brief["state"]), "time": time})
    return MeetingBot(
        bot_id=row.bot_id,
        meeting_id=row.meeting_id,
        event_id=row.event_id,
        every_occurrence=row.every_occurrence,
        minutes_before=row.minutes_before,
        session_id=row.session_id,
        instructions=row.instructions,
        time_zone=row.time_zone,
        scopes=tuple(row.scopes),
        state=BotState(row.state),
        create_time=row.create_time,
        update_time=row.update_time,
        next_meeting_id=row.next_meeting_id,
        next_brief_time=row.next_brief_time,
        brief=brief,
        briefed=tuple(row.briefed),
    )

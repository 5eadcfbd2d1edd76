"""The consent of users in SQL. What changes is told in the log of the user's events, in the same transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from parley_shared.sql import Database
from sqlalchemy import Row, and_, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_chat.adapters.sql_approval_schema import is_pending, tool_approvals, tool_starts
from parley_chat.adapters.sql_events import NO_NEWS, hold_user, record
from parley_chat.adapters.sql_schema import turns
from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.events import Action, Change, changed_approval
from parley_chat.domain.tool_approvals import ApprovalState, Decision, ToolApproval, ToolEffect
from parley_chat.domain.turn import Turn, TurnState
from parley_chat.ports.event_log import EventNews
from parley_chat.ports.tool_approvals import ApprovalCursor
from parley_chat.ports.turn_log import TurnLogFencedError


class SqlToolApprovals:
    """The port `ToolApprovals`."""

    def __init__(self, database: Database, news: EventNews = NO_NEWS) -> None:
        self._database = database
        self._news = news

    async def ask(self, turn: Turn, approvals: Sequence[ToolApproval]) -> Sequence[ToolApproval]:
        """Inserts the rows that are not there."""
        mine = select(turns.c.turn_id).where(
            turns.c.turn_id == turn.turn_id,
            turns.c.fence == turn.fence,
            turns.c.state == TurnState.RUNNING.value,
        )
        async with self._database.write() as connection:
            await hold_user(connection, turn.user_id)
            if (await connection.execute(mine)).first() is None:
                raise TurnLogFencedError(turn.turn_id)
            known = {each.tool_call_id: each for each in await _of_turns(connection, [turn.turn_id])}
            new = [each for each in approvals if each.tool_call_id not in known]
            if new:
                await connection.execute(
                    insert(tool_approvals), [{"user_id": turn.user_id, **asdict(each)} for each in new]
                )
                changes = [changed_approval(Action.CREATED, each) for each in new]
                await record(connection, turn.user_id, changes, new[0].create_time)
        if new:
            self._news.tell(turn.user_id)
        return [known.get(each.tool_call_id, each) for each in approvals]

    async def state_of(self, turn_ids: Collection[str]) -> Sequence[ToolApproval]:
        """Reads along the primary key."""
        async with self._database.read() as connection:
            return await _of_turns(connection, turn_ids)

    async def get(self, user_id: str, turn_id: str, tool_call_id: str) -> ToolApproval:
        """Reads a row."""
        async with self._database.read() as connection:
            return await _one(connection, user_id, turn_id, tool_call_id)

    async def decide(
        self, user_id: str, turn_id: str, tool_call_id: str, decision: Decision, now: datetime
    ) -> ToolApproval:
        """Updates a row that is pending."""
        async with self._database.write() as connection:
            await hold_user(connection, user_id)
            approval = await _one(connection, user_id, turn_id, tool_call_id)
            if approval.state is not ApprovalState.PENDING:
                return approval
            late = not approval.is_open(now)
            approval = approval.ended(ApprovalState.EXPIRED, now) if late else approval.answered(decision, now)
            await _put(connection, user_id, [approval], now)
        self._news.tell(user_id)
        return approval

    async def expire(self, turn_id: str, now: datetime) -> Sequence[ToolApproval]:
        """Updates the rows that are pending and late."""
        owner = select(turns.c.user_id).where(turns.c.turn_id == turn_id)
        async with self._database.write() as connection:
            user_id: str = (await connection.execute(owner)).scalar_one_or_none() or ""
            await hold_user(connection, user_id)
            found = list(await _of_turns(connection, [turn_id]))
            late = [each for each in found if each.state is ApprovalState.PENDING and not each.is_open(now)]
            ended = {each.tool_call_id: each.ended(ApprovalState.EXPIRED, now) for each in late}
            await _put(connection, user_id, list(ended.values()), now)
        if ended:
            self._news.tell(user_id)
        return [ended.get(each.tool_call_id, each) for each in found]

    async def pending(
        self, user_id: str, turn_id: str, limit: int, after: ApprovalCursor | None, now: datetime
    ) -> Sequence[ToolApproval]:
        """Reads along the index of those that wait."""
        table = tool_approvals.c
        query = select(tool_approvals).where(table.user_id == user_id, is_pending, table.expire_time > now)
        if turn_id:
            query = query.where(table.turn_id == turn_id)
        if after:
            same_time = and_(table.create_time == after.create_time, table.tool_call_id > after.tool_call_id)
            query = query.where(or_(table.create_time > after.create_time, same_time))
        query = query.order_by(table.create_time, table.tool_call_id).limit(limit)
        async with self._database.read() as connection:
            return [_approval(row) for row in await connection.execute(query)]

    async def start(self, turn_id: str, tool_call_id: str, now: datetime) -> bool:
        """Inserts a row, which the primary key allows once."""
        try:
            async with self._database.write() as connection:
                row = {"turn_id": turn_id, "tool_call_id": tool_call_id, "create_time": now}
                await connection.execute(insert(tool_starts).values(row))
        except IntegrityError:
            return False
        return True


async def close_approvals(connection: AsyncConnection, turn_id: str, now: datetime) -> list[Change]:
    """Closes what an ended turn still asks, and gives what there is to tell of it."""
    query = select(tool_approvals).where(tool_approvals.c.turn_id == turn_id, is_pending)
    closed = [_approval(row).ended(ApprovalState.CLOSED, now) for row in await connection.execute(query)]
    for each in closed:
        await _write(connection, each)
    return [changed_approval(Action.UPDATED, each) for each in closed]


async def _put(connection: AsyncConnection, user_id: str, approvals: Sequence[ToolApproval], now: datetime) -> None:
    for each in approvals:
        await _write(connection, each)
    await record(connection, user_id, [changed_approval(Action.UPDATED, each) for each in approvals], now)


async def _write(connection: AsyncConnection, approval: ToolApproval) -> None:
    await connection.execute(
        update(tool_approvals)
        .where(tool_approvals.c.turn_id == approval.turn_id, tool_approvals.c.tool_call_id == approval.tool_call_id)
        .values(
            state=approval.state.value,
            decide_time=approval.decide_time,
            edited_arguments_json=approval.edited_arguments_json,
            reason=approval.reason,
        )
    )


async def _one(connection: AsyncConnection, user_id: str, turn_id: str, tool_call_id: str) -> ToolApproval:
    query = select(tool_approvals).where(
        tool_approvals.c.turn_id == turn_id,
        tool_approvals.c.tool_call_id == tool_call_id,
        tool_approvals.c.user_id == user_id,
    )
    row = (await connection.execute(query)).first()
    if row is None:
        raise NotFoundError("tool_call")
    return _approval(row)


async def _of_turns(connection: AsyncConnection, turn_ids: Collection[str]) -> Sequence[ToolApproval]:
    query = select(tool_approvals).where(tool_approvals.c.turn_id.in_(turn_ids))
    return [_approval(row) for row in await connection.execute(query)]


def _approval(row: Row[Any]) -> ToolApproval:
    return ToolApproval(
        tool_call_id=row.tool_call_id,
        turn_id=row.turn_id,
        session_id=row.session_id,
        tool=row.tool,
        effect=ToolEffect(row.effect),
        arguments_json=row.arguments_json,
        state=ApprovalState(row.state),
        create_time=row.create_time,
        expire_time=row.expire_time,
        decide_time=row.decide_time,
        edited_arguments_json=row.edited_arguments_json,
        reason=row.reason,
    )

"""Budgets in SQL: the user's own, kept and changed, and holds for texts that are being written.

How they are reckoned is sql_budget_books.py's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from parley_shared.sql import Database
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_chat.adapters.sql_budget_books import SqlBudgetBooks
from parley_chat.adapters.sql_budget_schema import budget_holds, budgets
from parley_chat.adapters.sql_events import NO_NEWS, hold_user, record
from parley_chat.adapters.sql_schema import usage_records as records
from parley_chat.domain.budgets import (
    MOST_BUDGETS,
    Budget,
    BudgetState,
    TooManyBudgetsError,
    Wish,
    refusal_at_the_door,
)
from parley_chat.domain.conversation import Route
from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.events import Action, Change, ResourceType, changed_budget
from parley_chat.domain.usage import UsageOutcome, UsagePurpose
from parley_chat.ports.budgets import Holder
from parley_chat.ports.event_log import EventNews

LAST_ANSWERS = 50


class SqlBudgets:
    """The ports `Budgets` and `BudgetBooks`."""

    def __init__(self, database: Database, books: SqlBudgetBooks, news: EventNews = NO_NEWS) -> None:
        self._database = database
        self._books = books
        self._news = news

    async def states(self, user_id: str, now: datetime) -> Sequence[BudgetState]:
        """Reads them, and what they are at this moment; writes nothing."""
        async with self._database.read() as connection:
            return await self._books.states(connection, user_id, now, keep=False)

    async def add(self, user_id: str, budget: Budget, now: datetime) -> BudgetState:
        """Writes a budget, with what was spent in its period before."""
        async with self._database.write() as connection:
            await hold_user(connection, user_id)
            own = await connection.scalar(
                select(func.count()).where(budgets.c.user_id == user_id, budgets.c.create_time.is_not(None))
            )
            if (own or 0) >= MOST_BUDGETS:
                raise TooManyBudgetsError(MOST_BUDGETS)
            state = await self._books.new_state(connection, user_id, budget, now)
            await record(connection, user_id, [changed_budget(Action.CREATED, budget)], now)
        self._news.tell(user_id)
        return state

    async def put(self, user_id: str, budget: Budget, now: datetime) -> BudgetState:
        """Writes the name and the limits anew."""
        async with self._database.write() as connection:
            await hold_user(connection, user_id)
            changed = await connection.execute(
                update(budgets)
                .where(budgets.c.user_id == user_id, budgets.c.budget_id == budget.budget_id)
                .values(
                    name=budget.name,
                    limit_cost_usd_micros=budget.limit_cost_usd_micros,
                    limit_tokens=budget.limit_tokens,
                    update_time=budget.update_time,
                )
            )
            if not changed.rowcount:
                raise NotFoundError("budget")
            await record(connection, user_id, [changed_budget(Action.UPDATED, budget)], now)
            states = await self._books.states(connection, user_id, now)
        self._news.tell(user_id)
        return next(state for state in states if state.budget.budget_id == budget.budget_id)

    async def remove(self, user_id: str, budget_id: str, now: datetime) -> None:
        """Deletes the row."""
        async with self._database.write() as connection:
            await hold_user(connection, user_id)
            deleted = await connection.execute(
                delete(budgets).where(budgets.c.user_id == user_id, budgets.c.budget_id == budget_id)
            )
            if not deleted.rowcount:
                raise NotFoundError("budget")
            change = Change(Action.DELETED, ResourceType.BUDGET, budget_id, None)
            await record(connection, user_id, [change], now)
        self._news.tell(user_id)

    async def usual_output_tokens(self, user_id: str, route: Route) -> Sequence[int]:
        """Reads the last records along their index."""
        query = (
            select(records.c.output_tokens)
            .where(
                records.c.user_id == user_id,
                records.c.purpose == UsagePurpose.ANSWER.value,
                records.c.outcome == UsageOutcome.COMPLETED.value,
                records.c.route == route.value,
            )
            .order_by(records.c.end_ms.desc())
            .limit(LAST_ANSWERS)
        )
        async with self._database.read() as connection:
            return [int(tokens) for tokens in await connection.scalars(query)]

    async def hold(self, holder: Holder, wish: Wish, now: datetime) -> int | None:
        """Holds, with the user's row held, so that nobody else holds or spends meanwhile."""
        async with self._database.write() as connection:
            await hold_user(connection, holder.user_id)
            return await self._books.hold(connection, holder, wish, now)

    async def check(self, user_id: str, now: datetime) -> bool:
        """Reads, and locks nothing: what is held next is held for certain."""
        async with self._database.read() as connection:
            if not self._books.has_operators and not await _has_own(connection, user_id):
                return False
            states = await self._books.states(connection, user_id, now, keep=False)
        if error := refusal_at_the_door(states, now):
            raise error
        return bool(states)

    async def release(self, holder: Holder) -> None:
        """Deletes the hold."""
        async with self._database.write() as connection:
            await connection.execute(delete(budget_holds).where(budget_holds.c.holder_id == holder.holder_id))


async def _has_own(connection: AsyncConnection, user_id: str) -> bool:
    query = select(budgets.c.budget_id).where(budgets.c.user_id == user_id, budgets.c.create_time.is_not(None)).limit(1)
    return (await connection.execute(query)).first() is not None

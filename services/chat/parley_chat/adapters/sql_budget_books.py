"""Budgets in SQL: what is spent and what is held of them, within a transaction that somebody else opened and that holds the user's row.

What is spent is kept as a sum, begun anew from the usage records whenever a day or a month begins: it is always what they add up to.
What is held is added up of the holds that count: those of turns that run, and of texts that have not expired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from parley_shared.sql import UtcDateTime
from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, delete, func, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_chat.adapters.sql_budget_schema import budget_holds, budgets
from parley_chat.adapters.sql_schema import turns
from parley_chat.adapters.sql_schema import usage_records as records
from parley_chat.adapters.sql_usage_records import milliseconds, write_usage
from parley_chat.domain.budgets import Amount, Budget, BudgetPeriod, BudgetState, Window, Wish, grant, window_of
from parley_chat.domain.turn import TurnState
from parley_chat.domain.usage import UsageRecord
from parley_chat.ports.budgets import Holder

budgeted: ColumnElement[bool] = (
    select(literal(1)).where(budgets.c.user_id == bindparam("claiming_user")).exists().label("budgeted")
)
"""Whether the user has budgets of their own: what `claiming` may ask for beside its numbers."""

_OWN = (
    select(budgets).where(budgets.c.user_id == bindparam("owner")).order_by(budgets.c.create_time, budgets.c.budget_id)
)
_holder_runs = (
    select(literal(1))
    .where(turns.c.turn_id == budget_holds.c.holder_id, turns.c.state == TurnState.RUNNING.value)
    .correlate(budget_holds)
    .exists()
)


def _counts(now: ColumnElement[datetime]) -> ColumnElement[bool]:
    """Whether a hold counts."""
    return or_(budget_holds.c.expire_time > now, and_(budget_holds.c.expire_time.is_(None), _holder_runs))


_HELD = select(
    func.coalesce(func.sum(budget_holds.c.tokens), 0), func.coalesce(func.sum(budget_holds.c.cost_usd_micros), 0)
).where(
    budget_holds.c.user_id == bindparam("owner"),
    budget_holds.c.holder_id != bindparam("holder"),
    _counts(bindparam("moment", type_=UtcDateTime())),
)
_CHANGED_HOLD = (
    update(budget_holds)
    .where(budget_holds.c.holder_id == bindparam("holder"))
    .values(tokens=bindparam("held_tokens"), cost_usd_micros=bindparam("held_cost"))
)
_NEW_HOLD = insert(budget_holds)


class SqlBudgetBooks:
    """The books of each user, with the operator's budgets in them."""

    def __init__(self, operators: Sequence[Budget] = ()) -> None:
        self._operators = {budget.budget_id: budget for budget in operators}

    @property
    def has_operators(self) -> bool:
        """Whether every user has budgets."""
        return bool(self._operators)

    async def states(
        self, connection: AsyncConnection, user_id: str, now: datetime, *, holder_id: str = "", keep: bool = True
    ) -> list[BudgetState]:
        """The user's budgets as they are now, the operator's first; held is what is held for others than the holder.

        With `keep`, a day or month that has begun is written down; without, nothing is.
        """
        rows: dict[str, Row[Any]] = {row.budget_id: row for row in await connection.execute(_OWN, {"owner": user_id})}
        known = [_budget(row) for row in rows.values()]
        for budget in known:
            if keep and budget.is_operators and budget.budget_id not in self._operators:
                # The operator took it back: nobody counts for it any more.
                await connection.execute(delete(budgets).where(*_named(user_id, budget.budget_id)))
        wanted = [*self._operators.values(), *(budget for budget in known if not budget.is_operators)]
        if not wanted:
            return []
        held = await self._held(connection, user_id, holder_id, now)
        states = []
        for budget in wanted:
            state, is_new = await self._state(connection, user_id, budget, rows.get(budget.budget_id), now, held)
            if is_new and keep:
                await self._keep(connection, user_id, state, is_there=budget.budget_id in rows)
            states.append(state)
        return states

    async def new_state(self, connection: AsyncConnection, user_id: str, budget: Budget, now: datetime) -> BudgetState:
        """Writes a budget that was not there."""
        held = await self._held(connection, user_id, "", now)
        state, _ = await self._state(connection, user_id, budget, None, now, held)
        await self._keep(connection, user_id, state, is_there=False)
        return state

    async def hold(self, connection: AsyncConnection, holder: Holder, wish: Wish, now: datetime) -> int | None:
        """Holds in place of what the holder held; None without budgets. Raises BudgetExceededError."""
        states = await self.states(connection, holder.user_id, now, holder_id=holder.holder_id)
        if not states:
            return None
        granted = grant(states, wish, now)
        amount = wish.amount(granted)
        values = {"holder": holder.holder_id, "held_tokens": amount.tokens, "held_cost": amount.cost}
        if not (await connection.execute(_CHANGED_HOLD, values)).rowcount:
            row = {
                "holder_id": holder.holder_id,
                "user_id": holder.user_id,
                "tokens": amount.tokens,
                "cost_usd_micros": amount.cost,
                "expire_time": holder.expire_time,
            }
            await connection.execute(_NEW_HOLD, row)
        return granted

    async def settle(self, connection: AsyncConnection, record: UsageRecord, holder_id: str) -> None:
        """Writes a record; what was held for it is free, and what it took is spent."""
        # Whatever else of the user's holds nothing any more goes too.
        ended = or_(
            budget_holds.c.holder_id == holder_id,
            budget_holds.c.expire_time <= record.end_time,
            and_(budget_holds.c.expire_time.is_(None), ~_holder_runs),
        )
        await connection.execute(delete(budget_holds).where(budget_holds.c.user_id == record.user_id, ended))
        # As it is stored: what is rounded up to midnight belongs to the day that begins.
        time = datetime.fromtimestamp(milliseconds(record.end_time) / 1000, UTC)
        # Before the record is there: a window that begins with it must not count it twice.
        states = await self.states(connection, record.user_id, time)
        await write_usage(connection, record)
        took = Amount(record.input_tokens + record.output_tokens, record.cost_usd_micros or 0)
        # Clocks differ a little: what ended just before a window that another process has begun is not in it.
        for state in states:
            if state.window.holds(time):
                await self._keep(connection, record.user_id, replace(state, spent=state.spent + took), is_there=True)

    async def _state(
        self,
        connection: AsyncConnection,
        user_id: str,
        budget: Budget,
        row: Row[Any] | None,
        now: datetime,
        held: Amount,
    ) -> tuple[BudgetState, bool]:
        """A budget as it is now, and whether its row does not say so."""
        if row is not None and (row.period, row.time_zone) == (budget.period.value, budget.time_zone):
            window = Window(row.window_start_time, row.window_end_time)
            if not window.is_over(now):
                spent = Amount(row.spent_tokens, row.spent_cost_usd_micros)
                return BudgetState(budget, window, spent, held), False
        window = window_of(budget.period, budget.time_zone, now)
        row_of_sums = (await connection.execute(_spent(user_id, window))).one()
        return BudgetState(budget, window, Amount(int(row_of_sums[0]), int(row_of_sums[1])), held), True

    async def _held(self, connection: AsyncConnection, user_id: str, holder_id: str, now: datetime) -> Amount:
        values = {"owner": user_id, "holder": holder_id, "moment": now}
        tokens, cost = (await connection.execute(_HELD, values)).one()
        return Amount(int(tokens), int(cost))

    async def _keep(self, connection: AsyncConnection, user_id: str, state: BudgetState, *, is_there: bool) -> None:
        budget = state.budget
        row = {
            "name": budget.name,
            "period": budget.period.value,
            "time_zone": budget.time_zone,
            "limit_cost_usd_micros": budget.limit_cost_usd_micros,
            "limit_tokens": budget.limit_tokens,
            "create_time": budget.create_time,
            "update_time": budget.update_time,
            "window_start_time": state.window.start,
            "window_end_time": state.window.end,
            "spent_tokens": state.spent.tokens,
            "spent_cost_usd_micros": state.spent.cost,
        }
        if is_there:
            await connection.execute(update(budgets).where(*_named(user_id, budget.budget_id)).values(row))
        else:
            await connection.execute(insert(budgets).values(user_id=user_id, budget_id=budget.budget_id, **row))


def _named(user_id: str, budget_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return budgets.c.user_id == user_id, budgets.c.budget_id == budget_id


def _spent(user_id: str, window: Window) -> Select[Any]:
    """What the usage records add up to."""
    sums = select(
        func.coalesce(func.sum(records.c.input_tokens + records.c.output_tokens), 0),
        func.coalesce(func.sum(records.c.cost_usd_micros), 0),
    ).where(records.c.user_id == user_id)
    if window.start is not None and window.end is not None:
        bounds = [milliseconds(time) for time in (window.start, window.end)]
        sums = sums.where(records.c.end_ms >= bounds[0], records.c.end_ms < bounds[1])
    return sums


def _budget(row: Row[Any]) -> Budget:
    return Budget(
        budget_id=row.budget_id,
        name=row.name,
        period=BudgetPeriod(row.period),
        time_zone=row.time_zone,
        limit_cost_usd_micros=row.limit_cost_usd_micros,
        limit_tokens=row.limit_tokens,
        create_time=row.create_time,
        update_time=row.update_time,
    )

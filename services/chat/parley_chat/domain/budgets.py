"""Budgets: how much a user's models may take in a period, what of it is spent and held, and how much more a text may take.

Not where they are kept, and not what a text takes: that is account.py's and metering.py's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import uuid4
from zoneinfo import ZoneInfo

from parley_chat.domain.conversation import Failure
from parley_chat.domain.errors import ChatError, GenerationError

MOST_BUDGETS = 20
"""Of a user's own."""
OPERATOR_PREFIX = "bud_operator_"
FINE = 1_000_000
"""How many of the units that `TokenPrice.of` counts in make a millionth of a US dollar."""
SOON = timedelta(minutes=1)
"""A budget that begins anew so soon is worth waiting for."""

_RESOURCE_EXHAUSTED = 8


class BudgetPeriod(StrEnum):
    """How long a budget lasts until it begins anew."""

    DAY = "day"
    MONTH = "month"
    TOTAL = "total"


class BudgetMeasure(StrEnum):
    """What a limit counts: millionths of a US dollar, or tokens."""

    COST = "cost"
    TOKENS = "tokens"


@dataclass(frozen=True, slots=True)
class Amount:
    """Tokens, and what they cost in millionths of a US dollar."""

    tokens: int = 0
    cost: int = 0

    def __add__(self, other: Amount) -> Amount:
        """Makes the sum."""
        return Amount(self.tokens + other.tokens, self.cost + other.cost)

    def of(self, measure: BudgetMeasure) -> int:
        """The one or the other."""
        return self.cost if measure is BudgetMeasure.COST else self.tokens


NO_AMOUNT = Amount()


@dataclass(frozen=True, slots=True)
class Budget:
    """What a user, or the operator for each user, allows."""

    budget_id: str
    name: str
    period: BudgetPeriod
    time_zone: str
    """Where days and months begin, an IANA name."""
    limit_cost_usd_micros: int | None
    """None for no limit."""
    limit_tokens: int | None
    """None for no limit."""
    create_time: datetime | None
    """None for the operator's."""
    update_time: datetime | None

    @property
    def is_operators(self) -> bool:
        """Whether its user can neither change nor delete it."""
        return self.budget_id.startswith(OPERATOR_PREFIX)

    def limits(self) -> dict[BudgetMeasure, int]:
        """Its limits, those that there are."""
        limits = {BudgetMeasure.COST: self.limit_cost_usd_micros, BudgetMeasure.TOKENS: self.limit_tokens}
        return {measure: limit for measure, limit in limits.items() if limit is not None}


@dataclass(frozen=True, slots=True)
class Window:
    """A day or a month, as it is in a time zone."""

    start: datetime | None
    """UTC, inclusive; None for a total, which has no beginning."""
    end: datetime | None
    """UTC, exclusive; None for a total."""

    def is_over(self, now: datetime) -> bool:
        """Whether the next one has begun."""
        return self.end is not None and now >= self.end

    def holds(self, time: datetime) -> bool:
        """Whether the time is in it."""
        return not self.is_over(time) and (self.start is None or time >= self.start)


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget as it is now."""

    budget: Budget
    window: Window
    spent: Amount
    """What texts that ended in the window took."""
    held: Amount
    """What is held for texts that are being written."""

    def left(self, measure: BudgetMeasure) -> int | None:
        """What can still be held; None without a limit."""
        limit = self.budget.limits().get(measure)
        return None if limit is None else max(0, limit - self.spent.of(measure) - self.held.of(measure))

    @property
    def reached(self) -> bool:
        """Whether a limit is spent."""
        return any(self.spent.of(measure) >= limit for measure, limit in self.budget.limits().items())


@dataclass(frozen=True, slots=True)
class BudgetReached:
    """A budget has no more room for a text."""

    budget_id: str
    name: str
    period: BudgetPeriod
    measure: BudgetMeasure
    limit: int
    spent: int
    """What is spent and held."""
    renew_time: datetime | None
    """None for a total."""
    message: str


class BudgetExceededError(GenerationError):
    """A text may not begin, or not go on: a budget is spent."""

    def __init__(self, reached: BudgetReached, *, retry_after_seconds: float | None = None) -> None:
        metadata = {
            "budget_id": reached.budget_id,
            "period": reached.period.value,
            "measure": reached.measure.value,
            "limit": str(reached.limit),
            "spent": str(reached.spent),
        }
        if reached.renew_time:
            metadata["renew_time"] = reached.renew_time.strftime("%Y-%m-%dT%H:%M:%SZ")
        super().__init__(failure_of(reached), metadata=metadata, retry_after_seconds=retry_after_seconds)
        self.reached = reached


class TooManyBudgetsError(ChatError):
    """The user has as many budgets as one may have."""

    def __init__(self, limit: int) -> None:
        super().__init__("too many budgets")
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Wish:
    """What a text asks to hold: all that it has used and reads next, and a piece of what it may write."""

    used_tokens: int
    used_cost: int
    """In the unit of `TokenPrice.of`."""
    price: int
    """Of one token that the model writes, in the same unit; 0 when it is not known or nothing."""
    wished: int
    """How many tokens of output would be good."""
    least: int
    """With fewer it is not worth going on. At least 1."""

    def amount(self, tokens: int) -> Amount:
        """What is held for so many tokens of output."""
        return Amount(self.used_tokens + tokens, -(-(self.used_cost + tokens * self.price) // FINE))


def new_budget_id() -> str:
    """Names a budget."""
    return f"bud_{uuid4().hex}"


def operators_budget_id(period: BudgetPeriod) -> str:
    """Names the operator's."""
    return f"{OPERATOR_PREFIX}{period.value}"


def window_of(period: BudgetPeriod, time_zone: str, now: datetime) -> Window:
    """The day or month that `now` is in."""
    if period is BudgetPeriod.TOTAL:
        return Window(None, None)
    zone = ZoneInfo(time_zone)
    local = now.astimezone(zone)
    start = datetime(local.year, local.month, 1 if period is BudgetPeriod.MONTH else local.day, tzinfo=zone)
    following = start + timedelta(days=32 if period is BudgetPeriod.MONTH else 1)
    end = datetime(following.year, following.month, 1 if period is BudgetPeriod.MONTH else following.day, tzinfo=zone)
    return Window(start.astimezone(UTC), end.astimezone(UTC))


def refusal_at_the_door(states: Sequence[BudgetState], now: datetime) -> BudgetExceededError | None:
    """Why nothing may begin now: a budget of which nothing is left. None when something may."""
    for state in states:
        for measure, limit in state.budget.limits().items():
            if state.spent.of(measure) >= limit:
                return BudgetExceededError(_reached(state, measure), retry_after_seconds=_soon(state, now))
    for state in states:
        for measure in state.budget.limits():
            if state.left(measure) == 0:
                # Texts that are being written hold the rest, and mostly do not use all of it.
                return BudgetExceededError(_reached(state, measure), retry_after_seconds=1.0)
    return None


def grant(states: Sequence[BudgetState], wish: Wish, now: datetime) -> int:
    """How many tokens of output a text may hold, `least` to `wished`. `held` of the states is what others hold.

    Raises BudgetExceededError, of the budget that leaves the least, when it is fewer than `least`.
    """
    granted, limiting = wish.wished, None
    for state in states:
        for measure, limit in state.budget.limits().items():
            room = limit - state.spent.of(measure) - state.held.of(measure)
            fits = _fits(wish, measure, room)
            if fits < granted:
                granted, limiting = fits, (state, measure)
    if granted < wish.least and limiting:
        state, measure = limiting
        own = wish.amount(max(0, granted)).of(measure)
        raise BudgetExceededError(_reached(state, measure, own), retry_after_seconds=_soon(state, now))
    return granted


def has_room_for(state: BudgetState, amount: Amount) -> bool:
    """Whether so much more fits."""
    return all((state.left(measure) or 0) >= max(1, amount.of(measure)) for measure in state.budget.limits())


def failure_of(reached: BudgetReached) -> Failure:
    """How a text ends whose budget is spent."""
    return Failure(_RESOURCE_EXHAUSTED, "ERROR_REASON_BUDGET_EXCEEDED", reached.message, retryable=False)


def _fits(wish: Wish, measure: BudgetMeasure, room: int) -> int:
    """How many tokens of output fit into the room; negative when not even what is used does."""
    if measure is BudgetMeasure.TOKENS:
        return room - wish.used_tokens
    left = room * FINE - wish.used_cost
    if left < 0:
        return -1
    return left // wish.price if wish.price else wish.wished


def _soon(state: BudgetState, now: datetime) -> float | None:
    end = state.window.end
    if end is None or end - now > SOON:
        return None
    return max(1.0, (end - now).total_seconds())


_WORDS = {BudgetPeriod.DAY: "today", BudgetPeriod.MONTH: "this month", BudgetPeriod.TOTAL: "in total"}


def _reached(state: BudgetState, measure: BudgetMeasure, own: int = 0) -> BudgetReached:
    """`own` is what the text itself has of it."""
    budget, renew_time = state.budget, state.window.end
    limit = budget.limits()[measure]
    name = f"The budget “{budget.name}”" if budget.name else "The budget"
    if budget.is_operators:
        name = "The operator's budget"
    what = f"{limit:,} tokens" if measure is BudgetMeasure.TOKENS else f"${limit / FINE:,.2f}"
    if measure is BudgetMeasure.COST and limit < FINE // 100:
        what = f"${limit / FINE:f}".rstrip("0")
    anew = f" It begins anew on {renew_time:%Y-%m-%d at %H:%M} UTC." if renew_time else ""
    return BudgetReached(
        budget_id=budget.budget_id,
        name=budget.name,
        period=budget.period,
        measure=measure,
        limit=limit,
        spent=state.spent.of(measure) + state.held.of(measure) + own,
        renew_time=renew_time,
        message=f"{name} of {what} {_WORDS[budget.period]} is spent.{anew}",
    )

"""How much more a text may take, where days and months begin, and what a call took so far."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from parley_chat.domain.account import TokenPrice, TokensUsed
from parley_chat.domain.budgets import (
    FINE,
    Amount,
    Budget,
    BudgetExceededError,
    BudgetMeasure,
    BudgetPeriod,
    BudgetState,
    Window,
    Wish,
    grant,
    refusal_at_the_door,
    window_of,
)
from parley_chat.domain.metering import CallMeter

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PRICE = TokenPrice(1_000_000, 2_000_000, 100_000, 1_000_000)


def state(
    *,
    tokens: int | None = None,
    cost: int | None = None,
    spent: tuple[int, int] = (0, 0),
    held: tuple[int, int] = (0, 0),
    **fields: Any,
) -> BudgetState:
    period = fields.pop("period", BudgetPeriod.DAY)
    budget = Budget("bud_0", fields.pop("name", ""), period, "UTC", cost, tokens, NOW, NOW)
    return BudgetState(budget, window_of(period, "UTC", NOW), Amount(*spent), Amount(*held))


def wish(used_tokens: int = 0, used_cost: int = 0, price: int = 0, *, wished: int = 64, least: int = 16) -> Wish:
    return Wish(used_tokens, used_cost, price, wished, least)


@pytest.mark.parametrize(
    ("zone", "period", "now", "start", "end"),
    [
        ("UTC", BudgetPeriod.DAY, "2026-11-21T12:00", "2026-11-21T00:00", "2026-11-22T00:00"),
        ("Europe/Berlin", BudgetPeriod.DAY, "2026-11-21T22:59", "2026-11-20T23:00", "2026-11-21T23:00"),
        ("Europe/Berlin", BudgetPeriod.DAY, "2026-11-21T23:00", "2026-11-21T23:00", "2026-11-22T23:00"),
        ("Europe/Berlin", BudgetPeriod.DAY, "2026-10-25T12:00", "2026-10-24T22:00", "2026-10-25T23:00"),
        ("America/Santiago", BudgetPeriod.DAY, "2026-09-06T12:00", "2026-09-06T04:00", "2026-09-07T03:00"),
        ("Asia/Kathmandu", BudgetPeriod.MONTH, "2026-12-31T18:14", "2026-11-30T18:15", "2026-12-31T18:15"),
        ("UTC", BudgetPeriod.MONTH, "2026-01-31T00:00", "2026-01-01T00:00", "2026-02-01T00:00"),
    ],
)
def test_days_and_months_begin_where_the_user_is(
    zone: str, period: BudgetPeriod, now: str, start: str, end: str
) -> None:
    found = window_of(period, zone, datetime.fromisoformat(f"{now}+00:00"))
    assert found == Window(datetime.fromisoformat(f"{start}+00:00"), datetime.fromisoformat(f"{end}+00:00"))
    assert found.start is not None
    assert found.holds(found.start)
    assert found.end is not None
    assert not found.holds(found.end)


def test_a_total_never_begins_anew() -> None:
    window = window_of(BudgetPeriod.TOTAL, "UTC", NOW)
    assert window == Window(None, None)
    assert window.holds(NOW.replace(year=1990))


def test_what_is_wished_is_granted_while_it_fits_and_the_rest_of_it_after_that() -> None:
    assert grant([state(tokens=1_000)], wish(100), NOW) == 64
    assert grant([state(tokens=1_000, spent=(800, 0), held=(60, 0))], wish(100), NOW) == 40
    assert grant([state(tokens=1_000, spent=(884, 0))], wish(100), NOW) == 16
    with pytest.raises(BudgetExceededError) as refused:
        grant([state(tokens=1_000, spent=(885, 0))], wish(100), NOW)
    assert refused.value.reached.measure is BudgetMeasure.TOKENS
    assert (refused.value.reached.limit, refused.value.reached.spent) == (1_000, 1_000)


def test_the_budget_with_the_least_room_decides_and_is_named() -> None:
    wide, narrow = state(tokens=10_000), state(cost=100, name="pocket money", period=BudgetPeriod.MONTH)
    # 50 tokens of 2 millionths each are all that a limit of 100 has room for.
    assert grant([wide, narrow], wish(10, 0, 2 * FINE), NOW) == 50
    with pytest.raises(BudgetExceededError) as refused:
        grant([wide, narrow], wish(10, 80 * FINE, 2 * FINE), NOW)
    assert refused.value.reached.measure is BudgetMeasure.COST
    assert refused.value.failure.message == (
        "The budget “pocket money” of $0.0001 this month is spent. It begins anew on 2026-12-01 at 00:00 UTC."
    )
    assert refused.value.metadata["renew_time"] == "2026-12-01T00:00:00Z"


def test_what_is_held_is_never_more_than_the_limit_however_costs_are_rounded() -> None:
    for used in (0, 1, 999_999, 1_000_001):
        for price in (1, 333_333, 1_500_000):
            asked = wish(0, used, price, wished=10_000, least=1)
            granted = grant([state(cost=7)], asked, NOW)
            assert asked.amount(granted).cost <= 7
            assert granted == 10_000 or asked.amount(granted + 1).cost > 7


def test_a_model_that_costs_nothing_fits_a_budget_of_cost_to_its_end() -> None:
    assert grant([state(cost=5, spent=(0, 5))], wish(100), NOW) == 64
    with pytest.raises(BudgetExceededError):
        grant([state(cost=5, spent=(0, 6))], wish(100), NOW)


def test_the_door_refuses_what_is_spent_and_says_when_it_begins_anew() -> None:
    assert refusal_at_the_door([state(tokens=10, spent=(9, 0))], NOW) is None
    error = refusal_at_the_door([state(tokens=10, spent=(10, 0))], NOW)
    assert error is not None
    assert error.retry_after_seconds is None
    late = datetime(2026, 11, 21, 23, 59, 30, tzinfo=UTC)
    error = refusal_at_the_door([state(tokens=10, spent=(10, 0))], late)
    assert error is not None
    assert error.retry_after_seconds == 30.0
    # What others hold may come back in a moment.
    error = refusal_at_the_door([state(tokens=10, spent=(5, 0), held=(5, 0))], NOW)
    assert error is not None
    assert error.retry_after_seconds == 1.0
    total = refusal_at_the_door([state(cost=10, spent=(0, 11), period=BudgetPeriod.TOTAL)], NOW)
    assert total is not None
    assert total.metadata == {
        "budget_id": "bud_0",
        "period": "total",
        "measure": "cost",
        "limit": "10",
        "spent": "11",
    }


def test_a_call_counts_what_it_reads_what_it_writes_and_the_providers_figures() -> None:
    meter = CallMeter(50, 7, 100, PRICE)
    assert (meter.tokens(), meter.cost()) == (150, 7 + 100 * 1_000_000)
    meter.wrote(40)
    meter.wrote(1)
    assert meter.tokens() == 150 + 11
    assert meter.largest_piece == 10
    # Three tokens of one letter each are three, not one.
    for _ in range(20):
        meter.wrote(1)
    assert meter.tokens() == 150 + 22
    meter.use(TokensUsed(130, 30, estimated=False))
    assert meter.tokens() == 50 + 130 + 30
    assert meter.cost() == 7 + 130 * 1_000_000 + 30 * 2_000_000


def test_another_model_reads_all_again_at_its_own_price() -> None:
    meter = CallMeter(0, 0, 100, PRICE)
    meter.wrote(40)
    assert meter.begin(PRICE) is False
    meter.switch(TokenPrice(10, 20, 0, 0))
    assert meter.tokens() == 110 + 110
    assert meter.cost() == 100 * 1_000_000 + 10 * 2_000_000 + 110 * 10
    assert meter.output_price == 20
    assert meter.begin(None) is True
    assert meter.output_price == 0

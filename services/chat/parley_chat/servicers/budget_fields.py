"""Budgets between the contract and the domain: bounds, packing and unpacking. The bounds are the contract's."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from parley.budget.v1 import budget_pb2
from parley.chat.v1 import turn_event_pb2
from parley.usage.v1 import usage_service_pb2 as pb
from parley_shared.validation import Violations

from parley_chat.domain.budgets import (
    Budget,
    BudgetMeasure,
    BudgetPeriod,
    BudgetReached,
    BudgetState,
    new_budget_id,
)
from parley_chat.servicers.times import check_time_zone

NAME_MOST = 100
LIMIT_MOST = 1_000_000_000_000

_CHANGEABLE = ("name", "limit_cost_usd_micros", "limit_tokens")
_ID = re.compile(r"bud_(?:[0-9a-f]{32}|operator_(?:day|month|total))")
_PERIODS = {
    budget_pb2.BUDGET_PERIOD_DAY: BudgetPeriod.DAY,
    budget_pb2.BUDGET_PERIOD_MONTH: BudgetPeriod.MONTH,
    budget_pb2.BUDGET_PERIOD_TOTAL: BudgetPeriod.TOTAL,
}
_PACKED_PERIODS = {each: packed for packed, each in _PERIODS.items()}
_MEASURES = {
    BudgetMeasure.COST: budget_pb2.BUDGET_MEASURE_COST,
    BudgetMeasure.TOKENS: budget_pb2.BUDGET_MEASURE_TOKENS,
}


def check_budget_id(budget_id: str) -> None:
    """Any budget's id."""
    violations = Violations()
    _identifier(violations, budget_id)
    violations.check()


def check_own_budget_id(budget_id: str) -> None:
    """The id of a budget that its user may delete."""
    violations = Violations()
    _own_identifier(violations, budget_id)
    violations.check()


def new_budget(request: pb.CreateBudgetRequest, now: datetime) -> Budget:
    """Checks and unpacks the request for a new budget."""
    violations = Violations()
    violations.line("name", request.name, most=NAME_MOST)
    violations.choice("period", request.period, _PERIODS)
    check_time_zone(violations, request.time_zone)
    _limits(violations, request, _CHANGEABLE)
    if not (request.HasField("limit_cost_usd_micros") or request.HasField("limit_tokens")):
        violations.add("limit_cost_usd_micros", "must be given, or limit_tokens, or both")
    violations.check()
    return Budget(
        budget_id=new_budget_id(),
        name=request.name.strip(),
        period=_PERIODS[request.period],
        time_zone=request.time_zone or "UTC",
        limit_cost_usd_micros=request.limit_cost_usd_micros if request.HasField("limit_cost_usd_micros") else None,
        limit_tokens=request.limit_tokens if request.HasField("limit_tokens") else None,
        create_time=now,
        update_time=now,
    )


def check_update(request: pb.UpdateBudgetRequest) -> frozenset[str]:
    """Checks the request to change a budget, and gives the names of the fields that it changes."""
    violations = Violations()
    _own_identifier(violations, request.budget_id)
    paths = violations.changed_fields(request, _CHANGEABLE)
    if "name" in paths:
        violations.line("name", request.name, most=NAME_MOST)
    _limits(violations, request, paths)
    violations.check()
    return paths


def changed(budget: Budget, request: pb.UpdateBudgetRequest, paths: frozenset[str], now: datetime) -> Budget:
    """The budget as the request wants it. Raises StatusError when no limit is left."""
    if "name" in paths:
        budget = replace(budget, name=request.name.strip())
    if "limit_cost_usd_micros" in paths:
        given = request.HasField("limit_cost_usd_micros")
        budget = replace(budget, limit_cost_usd_micros=request.limit_cost_usd_micros if given else None)
    if "limit_tokens" in paths:
        given = request.HasField("limit_tokens")
        budget = replace(budget, limit_tokens=request.limit_tokens if given else None)
    violations = Violations()
    if not budget.limits():
        violations.add("update_mask", "must leave one of the limits")
    violations.check()
    return replace(budget, update_time=now)


def pack_budget(budget: Budget) -> budget_pb2.Budget:
    """Packs a budget without its spending."""
    origin = budget_pb2.BUDGET_ORIGIN_OPERATOR if budget.is_operators else budget_pb2.BUDGET_ORIGIN_USER
    packed = budget_pb2.Budget(
        budget_id=budget.budget_id,
        name=budget.name,
        period=_PACKED_PERIODS[budget.period],
        time_zone=budget.time_zone,
        limit_cost_usd_micros=budget.limit_cost_usd_micros,
        limit_tokens=budget.limit_tokens,
        origin=origin,
    )
    if budget.create_time:
        packed.create_time.FromDatetime(budget.create_time)
    if budget.update_time:
        packed.update_time.FromDatetime(budget.update_time)
    return packed


def pack_state(state: BudgetState) -> budget_pb2.Budget:
    """Packs a budget with its spending."""
    packed = pack_budget(state.budget)
    packed.spending.CopyFrom(
        budget_pb2.BudgetSpending(
            spent_cost_usd_micros=state.spent.cost,
            spent_tokens=state.spent.tokens,
            reserved_cost_usd_micros=state.held.cost,
            reserved_tokens=state.held.tokens,
            left_cost_usd_micros=state.left(BudgetMeasure.COST),
            left_tokens=state.left(BudgetMeasure.TOKENS),
            reached=state.reached,
        )
    )
    if state.window.start:
        packed.spending.period_start_time.FromDatetime(state.window.start)
    if state.window.end:
        packed.spending.renew_time.FromDatetime(state.window.end)
    return packed


def pack_reached(reached: BudgetReached) -> turn_event_pb2.BudgetReached:
    """Packs why an answer ends."""
    packed = turn_event_pb2.BudgetReached(
        budget_id=reached.budget_id,
        name=reached.name,
        period=_PACKED_PERIODS[reached.period],
        measure=_MEASURES[reached.measure],
        limit=reached.limit,
        spent=reached.spent,
        message=reached.message,
    )
    if reached.renew_time:
        packed.renew_time.FromDatetime(reached.renew_time)
    return packed


def _identifier(violations: Violations, budget_id: str) -> None:
    violations.pattern("budget_id", budget_id, _ID, "bud_ and 32 hexadecimal digits in lower case, or bud_operator_day")


def _own_identifier(violations: Violations, budget_id: str) -> None:
    if budget_id.startswith("bud_operator_") and _ID.fullmatch(budget_id):
        violations.add("budget_id", "must be a budget of your own: this one is the operator's")
    else:
        violations.identifier("budget_id", budget_id, "bud_")


def _limits(
    violations: Violations,
    request: pb.CreateBudgetRequest | pb.UpdateBudgetRequest,
    paths: frozenset[str] | tuple[str, ...],
) -> None:
    if "limit_cost_usd_micros" in paths and request.HasField("limit_cost_usd_micros"):
        violations.integer("limit_cost_usd_micros", request.limit_cost_usd_micros, least=1, most=LIMIT_MOST)
    if "limit_tokens" in paths and request.HasField("limit_tokens"):
        violations.integer("limit_tokens", request.limit_tokens, least=1, most=LIMIT_MOST)

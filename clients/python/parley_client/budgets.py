"""How much a user's models may take: the budgets of `parley.usage.v1`, and what a message would cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from google.protobuf import field_mask_pb2
from parley.budget.v1 import budget_pb2
from parley.usage.v1 import usage_service_pb2 as pb

from parley_client.events import route_number
from parley_client.rpc import Rpc

if TYPE_CHECKING:
    from parley_client.connection import Connection

BudgetPeriodName: TypeAlias = Literal["day", "month", "total"]
"""How long a budget lasts until it begins anew; a total never does."""

_PERIODS: dict[str, budget_pb2.BudgetPeriod.ValueType] = {
    "day": budget_pb2.BUDGET_PERIOD_DAY,
    "month": budget_pb2.BUDGET_PERIOD_MONTH,
    "total": budget_pb2.BUDGET_PERIOD_TOTAL,
}

_SERVICE = pb.DESCRIPTOR.services_by_name["UsageService"]
LIST_BUDGETS = Rpc(_SERVICE, "ListBudgets", pb.ListBudgetsRequest, pb.ListBudgetsResponse)
GET_BUDGET = Rpc(_SERVICE, "GetBudget", pb.GetBudgetRequest, pb.GetBudgetResponse)
CREATE_BUDGET = Rpc(_SERVICE, "CreateBudget", pb.CreateBudgetRequest, pb.CreateBudgetResponse)
UPDATE_BUDGET = Rpc(_SERVICE, "UpdateBudget", pb.UpdateBudgetRequest, pb.UpdateBudgetResponse)
DELETE_BUDGET = Rpc(_SERVICE, "DeleteBudget", pb.DeleteBudgetRequest, pb.DeleteBudgetResponse)
ESTIMATE_COST = Rpc(_SERVICE, "EstimateCost", pb.EstimateCostRequest, pb.EstimateCostResponse)


class Budgets:
    """`client.budgets`: what the user's texts may take. Costs are millionths of a US dollar. Raises ParleyError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(self) -> Sequence[budget_pb2.Budget]:
        """The operator's budgets and the user's own, with what is spent, held and left of each."""
        return (await self._connection.call(LIST_BUDGETS, pb.ListBudgetsRequest())).budgets

    async def get(self, budget_id: str) -> budget_pb2.Budget:
        """One budget."""
        return (await self._connection.call(GET_BUDGET, pb.GetBudgetRequest(budget_id=budget_id))).budget

    async def create(
        self,
        period: BudgetPeriodName,
        *,
        cost_usd_micros: int | None = None,
        tokens: int | None = None,
        name: str = "",
        time_zone: str = "",
    ) -> budget_pb2.Budget:
        """Makes a budget of a cost, of tokens, or of both. Days and months are those of `time_zone`, UTC when empty."""
        request = pb.CreateBudgetRequest(
            name=name,
            period=_PERIODS[period],
            time_zone=time_zone,
            limit_cost_usd_micros=cost_usd_micros,
            limit_tokens=tokens,
        )
        return (await self._connection.call(CREATE_BUDGET, request)).budget

    async def update(
        self, budget_id: str, *, cost_usd_micros: int | None = None, tokens: int | None = None, name: str | None = None
    ) -> budget_pb2.Budget:
        """Sets both limits, where None is no limit, and the name unless that is None."""
        paths = ["limit_cost_usd_micros", "limit_tokens", *(["name"] if name is not None else [])]
        request = pb.UpdateBudgetRequest(
            budget_id=budget_id,
            name=name or "",
            limit_cost_usd_micros=cost_usd_micros,
            limit_tokens=tokens,
            update_mask=field_mask_pb2.FieldMask(paths=paths),
        )
        return (await self._connection.call(UPDATE_BUDGET, request)).budget

    async def delete(self, budget_id: str) -> None:
        """Deletes a budget of the user's own."""
        await self._connection.call(DELETE_BUDGET, pb.DeleteBudgetRequest(budget_id=budget_id))

    async def estimate(
        self, message: str, *, session_id: str = "", route: str = "automatic", model: str = ""
    ) -> pb.EstimateCostResponse:
        """What a message would cost, and how that fits the budgets. Nothing is sent to a model."""
        request = pb.EstimateCostRequest(message=message, session_id=session_id, route=route_number(route), model=model)
        return await self._connection.call(ESTIMATE_COST, request)

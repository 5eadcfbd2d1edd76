"""UsageService: unpacks, checks, calls, packs; and writes the table for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo

import grpc
from parley.chat.v1 import message_pb2
from parley.usage.v1 import usage_service_pb2 as pb
from parley.usage.v1 import usage_service_pb2_grpc
from parley_shared.status import not_found
from parley_shared.tokens import current_principal
from parley_shared.validation import Violations

from parley_chat.domain.budgets import BudgetState
from parley_chat.domain.conversation import Route
from parley_chat.domain.projects import PROJECT_PREFIX
from parley_chat.domain.usage import UsageDimension, UsagePurpose, UsageRow, UsageSpan
from parley_chat.operations.cost_estimates import CostEstimate, CostEstimates, PlannedMessage
from parley_chat.ports.budgets import Budgets
from parley_chat.ports.usage_ledger import UsageLedger
from parley_chat.servicers import budget_fields
from parley_chat.servicers.messages import ROUTES, wished_route
from parley_chat.servicers.times import check_time_zone, read_time
from parley_chat.servicers.validation import SESSION_PREFIX, check_estimate

DAYS_DEFAULT, DAYS_MOST = 30, 400
ROWS_MOST = 10_000

_DIMENSIONS = {
    pb.USAGE_DIMENSION_DAY: UsageDimension.DAY,
    pb.USAGE_DIMENSION_MODEL: UsageDimension.MODEL,
    pb.USAGE_DIMENSION_ROUTE: UsageDimension.ROUTE,
    pb.USAGE_DIMENSION_SESSION: UsageDimension.SESSION,
    pb.USAGE_DIMENSION_PURPOSE: UsageDimension.PURPOSE,
    pb.USAGE_DIMENSION_PROJECT: UsageDimension.PROJECT,
}
_PURPOSES = {
    UsagePurpose.ANSWER: pb.USAGE_PURPOSE_ANSWER,
    UsagePurpose.TEXT: pb.USAGE_PURPOSE_TEXT,
    UsagePurpose.CONTENT: pb.USAGE_PURPOSE_CONTENT,
    UsagePurpose.AGENT: pb.USAGE_PURPOSE_AGENT,
    UsagePurpose.SUGGESTION: pb.USAGE_PURPOSE_SUGGESTION,
    UsagePurpose.TITLE: pb.USAGE_PURPOSE_TITLE,
    UsagePurpose.BATCH: pb.USAGE_PURPOSE_BATCH,
}
_ROUTES = {Route.STANDARD: message_pb2.ROUTE_STANDARD, Route.ENHANCED: message_pb2.ROUTE_ENHANCED}
_FIGURES = (
    "request_count",
    "failed_count",
    "stopped_count",
    "input_tokens",
    "output_tokens",
    "estimated_count",
    "cost_usd_micros",
    "unpriced_count",
    "time_to_first_token_p50_ms",
    "time_to_first_token_p95_ms",
    "duration_p50_ms",
    "duration_p95_ms",
)

Context = grpc.aio.ServicerContext[object, object]
_Asked: TypeAlias = pb.GetUsageRequest | pb.GetUsageTableRequest


class UsageServicer(usage_service_pb2_grpc.UsageServiceServicer):
    """Serves usage to its user."""

    def __init__(
        self, ledger: UsageLedger, budgets: Budgets, estimates: CostEstimates, now: Callable[[], datetime]
    ) -> None:
        self._ledger = ledger
        self._budgets = budgets
        self._estimates = estimates
        self._now = now

    async def GetUsage(self, request: pb.GetUsageRequest, context: Context) -> pb.GetUsageResponse:
        """Adds usage up."""
        span = self._span(request)
        rows, total = await self._sums(span)
        response = pb.GetUsageResponse(rows=[_pack(row) for row in rows], total=_pack(total))
        response.start_time.FromDatetime(span.start)
        response.end_time.FromDatetime(span.end)
        return response

    async def GetUsageTable(self, request: pb.GetUsageTableRequest, context: Context) -> pb.GetUsageTableResponse:
        """Gives the same as CSV."""
        rows, _ = await self._sums(self._span(request))
        response = pb.GetUsageTableResponse()
        response.table.content_type = "text/csv; charset=utf-8"
        response.table.data = _table(rows)
        return response

    async def ListBudgets(self, request: pb.ListBudgetsRequest, context: Context) -> pb.ListBudgetsResponse:
        """Lists the user's budgets."""
        states = await self._budgets.states(current_principal().user_id, self._now())
        return pb.ListBudgetsResponse(budgets=[budget_fields.pack_state(state) for state in states])

    async def GetBudget(self, request: pb.GetBudgetRequest, context: Context) -> pb.GetBudgetResponse:
        """Gets one."""
        budget_fields.check_budget_id(request.budget_id)
        return pb.GetBudgetResponse(budget=budget_fields.pack_state(await self._state(request.budget_id)))

    async def CreateBudget(self, request: pb.CreateBudgetRequest, context: Context) -> pb.CreateBudgetResponse:
        """Makes one."""
        now = self._now()
        budget = budget_fields.new_budget(request, now)
        state = await self._budgets.add(current_principal().user_id, budget, now)
        return pb.CreateBudgetResponse(budget=budget_fields.pack_state(state))

    async def UpdateBudget(self, request: pb.UpdateBudgetRequest, context: Context) -> pb.UpdateBudgetResponse:
        """Changes one."""
        paths = budget_fields.check_update(request)
        state = await self._state(request.budget_id)
        budget = budget_fields.changed(state.budget, request, paths, self._now())
        if paths:
            state = await self._budgets.put(current_principal().user_id, budget, self._now())
        return pb.UpdateBudgetResponse(budget=budget_fields.pack_state(state))

    async def DeleteBudget(self, request: pb.DeleteBudgetRequest, context: Context) -> pb.DeleteBudgetResponse:
        """Deletes one."""
        budget_fields.check_own_budget_id(request.budget_id)
        await self._budgets.remove(current_principal().user_id, request.budget_id, self._now())
        return pb.DeleteBudgetResponse()

    async def EstimateCost(self, request: pb.EstimateCostRequest, context: Context) -> pb.EstimateCostResponse:
        """Estimates a message."""
        check_estimate(request)
        principal = current_principal()
        planned = PlannedMessage(
            user_id=principal.user_id,
            message=request.message,
            session_id=request.session_id,
            route=wished_route(request.route),
            model=request.model,
            scopes=tuple(sorted(principal.scopes)),
        )
        return _pack_estimate(await self._estimates.estimate(planned))

    async def _state(self, budget_id: str) -> BudgetState:
        for state in await self._budgets.states(current_principal().user_id, self._now()):
            if state.budget.budget_id == budget_id:
                return state
        raise not_found("budget")

    async def _sums(self, span: UsageSpan) -> tuple[Sequence[UsageRow], UsageRow]:
        rows, total = await self._ledger.sums(span, ROWS_MOST + 1)
        if len(rows) > ROWS_MOST:
            violations = Violations()
            violations.add(
                "group_by", f"makes more than {ROWS_MOST:,} rows: ask for a shorter span or fewer dimensions"
            )
            violations.check()
        return rows, total

    def _span(self, request: _Asked) -> UsageSpan:
        violations = Violations()
        end = read_time(violations, "end_time", request.end_time) if request.HasField("end_time") else self._now()
        start = read_time(violations, "start_time", request.start_time) if request.HasField("start_time") else None
        if end and start is None and not request.HasField("start_time"):
            start = end - timedelta(days=DAYS_DEFAULT)
        if start and end and not start < end <= start + timedelta(days=DAYS_MOST):
            violations.add("start_time", f"must be before end_time, by at most {DAYS_MOST} days")
        violations.count("group_by", request.group_by, most=len(_DIMENSIONS))
        for place, each in enumerate(request.group_by[: len(_DIMENSIONS)]):
            violations.choice(f"group_by[{place}]", each, _DIMENSIONS)
            if each in request.group_by[:place]:
                violations.add(f"group_by[{place}]", "is there already")
        check_time_zone(violations, request.time_zone)
        if request.session_id:
            violations.identifier("session_id", request.session_id, SESSION_PREFIX)
        if request.project_id:
            violations.identifier("project_id", request.project_id, PROJECT_PREFIX)
        violations.check()
        assert start is not None and end is not None  # noqa: S101, PT018 - for the type checker: else there was a violation
        return UsageSpan(
            user_id=current_principal().user_id,
            start=start,
            end=end,
            dimensions=[_DIMENSIONS[each] for each in request.group_by],
            zone=ZoneInfo(request.time_zone or "UTC"),
            session_id=request.session_id,
            project_id=request.project_id,
        )


def _pack(row: UsageRow) -> pb.UsageRow:
    return pb.UsageRow(
        day=row.day.isoformat() if row.day else "",
        model=row.model or "",
        route=_ROUTES.get(row.route, message_pb2.ROUTE_UNSPECIFIED) if row.route else message_pb2.ROUTE_UNSPECIFIED,
        session_id=row.session_id or "",
        project_id=row.project_id or "",
        purpose=_PURPOSES[row.purpose] if row.purpose else pb.USAGE_PURPOSE_UNSPECIFIED,
        **{name: getattr(row, name) for name in _FIGURES},
    )


def _pack_estimate(estimate: CostEstimate) -> pb.EstimateCostResponse:
    low, high = estimate.output_tokens_low, estimate.output_tokens_high
    return pb.EstimateCostResponse(
        route=ROUTES[estimate.route],
        model=estimate.model,
        input_tokens=estimate.input_tokens,
        output_tokens_low=low,
        output_tokens_high=high,
        cost_usd_micros_low=estimate.cost(low),
        cost_usd_micros_high=estimate.cost(high),
        fits=[
            pb.BudgetFit(
                budget=budget_fields.pack_state(state),
                low=estimate.fits(state, low),
                high=estimate.fits(state, high),
            )
            for state in estimate.states
        ],
    )


def _table(rows: Sequence[UsageRow]) -> bytes:
    written = io.StringIO()
    lines = csv.writer(written)
    lines.writerow(["day", "purpose", "route", "model", "session_id", *_FIGURES, "project_id"])
    for row in rows:
        by = [row.day or "", row.purpose or "", row.route or "", _harmless(row.model or ""), row.session_id or ""]
        figures = (getattr(row, name) for name in _FIGURES)
        # Last, so that the columns that were there before stay where they are.
        lines.writerow([*(str(each) for each in by), *figures, row.project_id or ""])
    return written.getvalue().encode()


def _harmless(text: str) -> str:
    """The text as no spreadsheet takes it for a formula (OWASP, CSV Injection): a provider may call its model anything."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text

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
from parley_shared.tokens import current_principal
from parley_shared.validation import Violations

from parley_chat.domain.conversation import Route
from parley_chat.domain.usage import UsageDimension, UsagePurpose, UsageRow, UsageSpan
from parley_chat.ports.usage_ledger import UsageLedger
from parley_chat.servicers.times import check_time_zone, read_time
from parley_chat.servicers.validation import SESSION_PREFIX

DAYS_DEFAULT, DAYS_MOST = 30, 400
ROWS_MOST = 10_000

_DIMENSIONS = {
    pb.USAGE_DIMENSION_DAY: UsageDimension.DAY,
    pb.USAGE_DIMENSION_MODEL: UsageDimension.MODEL,
    pb.USAGE_DIMENSION_ROUTE: UsageDimension.ROUTE,
    pb.USAGE_DIMENSION_SESSION: UsageDimension.SESSION,
    pb.USAGE_DIMENSION_PURPOSE: UsageDimension.PURPOSE,
}
_PURPOSES = {
    UsagePurpose.ANSWER: pb.USAGE_PURPOSE_ANSWER,
    UsagePurpose.TEXT: pb.USAGE_PURPOSE_TEXT,
    UsagePurpose.CONTENT: pb.USAGE_PURPOSE_CONTENT,
    UsagePurpose.AGENT: pb.USAGE_PURPOSE_AGENT,
    UsagePurpose.SUGGESTION: pb.USAGE_PURPOSE_SUGGESTION,
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

    def __init__(self, ledger: UsageLedger, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
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
        violations.check()
        assert start is not None and end is not None  # noqa: S101, PT018 - for the type checker: else there was a violation
        return UsageSpan(
            user_id=current_principal().user_id,
            start=start,
            end=end,
            dimensions=[_DIMENSIONS[each] for each in request.group_by],
            zone=ZoneInfo(request.time_zone or "UTC"),
            session_id=request.session_id,
        )


def _pack(row: UsageRow) -> pb.UsageRow:
    return pb.UsageRow(
        day=row.day.isoformat() if row.day else "",
        model=row.model or "",
        route=_ROUTES.get(row.route, message_pb2.ROUTE_UNSPECIFIED) if row.route else message_pb2.ROUTE_UNSPECIFIED,
        session_id=row.session_id or "",
        purpose=_PURPOSES[row.purpose] if row.purpose else pb.USAGE_PURPOSE_UNSPECIFIED,
        **{name: getattr(row, name) for name in _FIGURES},
    )


def _table(rows: Sequence[UsageRow]) -> bytes:
    written = io.StringIO()
    lines = csv.writer(written)
    lines.writerow(["day", "purpose", "route", "model", "session_id", *_FIGURES])
    for row in rows:
        by = [row.day or "", row.purpose or "", row.route or "", _harmless(row.model or ""), row.session_id or ""]
        lines.writerow([*(str(each) for each in by), *(getattr(row, name) for name in _FIGURES)])
    return written.getvalue().encode()


def _harmless(text: str) -> str:
    """The text as no spreadsheet takes it for a formula (OWASP, CSV Injection): a provider may call its model anything."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text

"""The ledger of usage in SQL: records are added, and added up.

Sums and percentiles are made by the database, along the index of a user's records: window functions number the records of each row by
their times, and the percentile is the time of the record with the right number (nearest rank).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from parley_shared.sql import Database
from sqlalchemy import ColumnElement, Row, Select, case, func, literal, select

from parley_chat.adapters.sql_budget_books import SqlBudgetBooks
from parley_chat.adapters.sql_events import hold_user
from parley_chat.adapters.sql_schema import usage_records as records
from parley_chat.adapters.sql_usage_records import milliseconds
from parley_chat.domain.conversation import Route
from parley_chat.domain.usage import (
    DAY_SECONDS,
    UsageDimension,
    UsageOutcome,
    UsagePurpose,
    UsageRecord,
    UsageRow,
    UsageSpan,
    day_of_number,
    offsets_from_utc,
)


class SqlUsageLedger:
    """The port `UsageLedger`."""

    def __init__(self, database: Database, books: SqlBudgetBooks | None = None) -> None:
        self._database = database
        self._books = books or SqlBudgetBooks()

    async def add(self, record: UsageRecord, holder_id: str = "") -> None:
        """Keeps a record."""
        async with self._database.write() as connection:
            await hold_user(connection, record.user_id)
            await self._books.settle(connection, record, holder_id)

    async def sums(self, span: UsageSpan, limit: int) -> tuple[Sequence[UsageRow], UsageRow]:
        """Adds up what is asked for, and all together, of one moment."""
        wanted = [dimension for dimension in UsageDimension if dimension in span.dimensions]
        async with self._database.read() as connection:
            rows = (await connection.execute(_sums(span, wanted).limit(limit))).all()
            total = (await connection.execute(_sums(span, []))).one()
        # Without dimensions there is a row of nothing, too.
        return [_row(row) for row in rows if row.request_count], _row(total)


def _sums(span: UsageSpan, wanted: Sequence[UsageDimension]) -> Select[Any]:
    columns: dict[UsageDimension, ColumnElement[Any]] = {
        UsageDimension.DAY: _day(span),
        UsageDimension.PURPOSE: records.c.purpose,
        UsageDimension.ROUTE: records.c.route,
        UsageDimension.MODEL: records.c.model,
        UsageDimension.SESSION: records.c.session_id,
        UsageDimension.PROJECT: records.c.project_id,
    }
    chosen = select(*(columns[each].label(_name(each)) for each in wanted), records).where(
        records.c.user_id == span.user_id,
        records.c.end_ms >= milliseconds(span.start),
        records.c.end_ms < milliseconds(span.end),
    )
    if span.session_id:
        chosen = chosen.where(records.c.session_id == span.session_id)
    if span.project_id:
        chosen = chosen.where(records.c.project_id == span.project_id)
    of = chosen.subquery()
    by = [of.c[_name(each)] for each in wanted]
    has_text = case((of.c.time_to_first_token_ms > 0, 1), else_=0)
    texts_first = (has_text.desc(), of.c.time_to_first_token_ms, of.c.usage_id)
    numbered = select(
        of,
        func.count().over(partition_by=by).label("count"),
        func.sum(has_text).over(partition_by=by).label("text_count"),
        func.row_number().over(partition_by=by, order_by=(of.c.duration_ms, of.c.usage_id)).label("duration_number"),
        func.row_number().over(partition_by=by, order_by=texts_first).label("text_number"),
    ).subquery()

    def percentile(value: str, number: str, count: str, percent: int) -> ColumnElement[Any]:
        # The smallest value that at least so many percent are not above.
        rank = (numbered.c[count] * percent + 99) // 100
        return func.coalesce(func.max(case((numbered.c[number] == rank, numbered.c[value]))), 0)

    def counted(condition: ColumnElement[bool]) -> ColumnElement[Any]:
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    grouped = [numbered.c[_name(each)] for each in wanted]
    return (
        select(
            *grouped,
            func.count().label("request_count"),
            counted(numbered.c.outcome == UsageOutcome.FAILED.value).label("failed_count"),
            counted(numbered.c.outcome == UsageOutcome.STOPPED.value).label("stopped_count"),
            func.coalesce(func.sum(numbered.c.input_tokens), 0).label("input_tokens"),
            func.coalesce(func.sum(numbered.c.output_tokens), 0).label("output_tokens"),
            counted(numbered.c.estimated).label("estimated_count"),
            func.coalesce(func.sum(numbered.c.cost_usd_micros), 0).label("cost_usd_micros"),
            counted(numbered.c.cost_usd_micros.is_(None)).label("unpriced_count"),
            percentile("time_to_first_token_ms", "text_number", "text_count", 50).label("time_to_first_token_p50_ms"),
            percentile("time_to_first_token_ms", "text_number", "text_count", 95).label("time_to_first_token_p95_ms"),
            percentile("duration_ms", "duration_number", "count", 50).label("duration_p50_ms"),
            percentile("duration_ms", "duration_number", "count", 95).label("duration_p95_ms"),
        )
        .group_by(*grouped)
        .order_by(*grouped)
    )


def _day(span: UsageSpan) -> ColumnElement[Any]:
    """The number of the day in the span's zone, from 1970-01-01: databases agree on whole numbers, and not on time zones."""
    offsets = offsets_from_utc(span.zone, span.start, span.end)
    offset: ColumnElement[Any] = literal(offsets[-1][1])
    if len(offsets) > 1:
        until = [
            (records.c.end_ms < milliseconds(following), seconds) for (_, seconds), (following, _) in pairwise(offsets)
        ]
        offset = case(*until, else_=offsets[-1][1])
    return (records.c.end_ms + offset * 1000) // (DAY_SECONDS * 1000)


def _name(dimension: UsageDimension) -> str:
    return f"by_{dimension.value}"


def _row(row: Row[Any]) -> UsageRow:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's name for it
    by = {dimension: values.pop(_name(dimension), None) for dimension in UsageDimension}
    day, purpose, route = by[UsageDimension.DAY], by[UsageDimension.PURPOSE], by[UsageDimension.ROUTE]
    return UsageRow(
        day=None if day is None else day_of_number(int(day)),
        purpose=UsagePurpose(purpose) if purpose else None,
        route=Route(route) if route else None,
        model=by[UsageDimension.MODEL],
        session_id=by[UsageDimension.SESSION],
        project_id=by[UsageDimension.PROJECT],
        **{name: int(value) for name, value in values.items()},
    )

"""The port `UsageLedger`: one suite, on SQLite and on PostgreSQL, held against sums made in Python."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from parley_chat.adapters.sql_usage import SqlUsageLedger
from parley_chat.domain.conversation import Route
from parley_chat.domain.usage import UsageDimension, UsageOutcome, UsagePurpose, UsageRecord, UsageRow, UsageSpan
from parley_shared.sql import Database
from parley_testing.accounts import new_user

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
BERLIN, KATHMANDU = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kathmandu")


@pytest.fixture
def ledger(chat_database: Database) -> SqlUsageLedger:
    return SqlUsageLedger(chat_database)


def record(user_id: str, **fields: Any) -> UsageRecord:
    given: dict[str, Any] = {
        "end_time": NOW,
        "purpose": UsagePurpose.TEXT,
        "outcome": UsageOutcome.COMPLETED,
        "model": "house",
        "input_tokens": 100,
        "output_tokens": 10,
        "estimated": False,
        "cost_usd_micros": 1_000,
        "time_to_first_token_ms": 300,
        "duration_ms": 900,
    }
    return UsageRecord(user_id, **(given | fields))


def span(user_id: str, *dimensions: UsageDimension, zone: ZoneInfo = BERLIN, **fields: Any) -> UsageSpan:
    given: dict[str, Any] = {"start": NOW - timedelta(days=300), "end": NOW + timedelta(seconds=1)}
    return UsageSpan(user_id=user_id, dimensions=dimensions, zone=zone, **(given | fields))


def percentile(values: Sequence[int], percent: int) -> int:
    ordered = sorted(values)
    return ordered[math.ceil(len(ordered) * percent / 100) - 1] if ordered else 0


def added_up(records: Sequence[UsageRecord], asked: UsageSpan) -> list[UsageRow]:
    """What the database has to say, made the slow way."""
    grouped: dict[tuple[Any, ...], list[UsageRecord]] = defaultdict(list)
    for each in records:
        if each.user_id != asked.user_id or not asked.start <= each.end_time < asked.end:
            continue
        by = asked.dimensions
        key = (
            each.end_time.astimezone(asked.zone).date() if UsageDimension.DAY in by else None,
            each.purpose if UsageDimension.PURPOSE in by else None,
            each.route if UsageDimension.ROUTE in by else None,
            each.model if UsageDimension.MODEL in by else None,
            each.session_id if UsageDimension.SESSION in by else None,
            each.project_id if UsageDimension.PROJECT in by else None,
        )
        grouped[key].append(each)
    return [
        UsageRow(
            day=key[0],
            purpose=key[1],
            route=key[2],
            model=key[3],
            session_id=key[4],
            project_id=key[5],
            request_count=len(of),
            failed_count=sum(each.outcome is UsageOutcome.FAILED for each in of),
            stopped_count=sum(each.outcome is UsageOutcome.STOPPED for each in of),
            input_tokens=sum(each.input_tokens for each in of),
            output_tokens=sum(each.output_tokens for each in of),
            estimated_count=sum(each.estimated for each in of),
            cost_usd_micros=sum(each.cost_usd_micros or 0 for each in of),
            unpriced_count=sum(each.cost_usd_micros is None for each in of),
            time_to_first_token_p50_ms=percentile(
                [each.time_to_first_token_ms for each in of if each.time_to_first_token_ms], 50
            ),
            time_to_first_token_p95_ms=percentile(
                [each.time_to_first_token_ms for each in of if each.time_to_first_token_ms], 95
            ),
            duration_p50_ms=percentile([each.duration_ms for each in of], 50),
            duration_p95_ms=percentile([each.duration_ms for each in of], 95),
        )
        for key, of in grouped.items()
    ]


def by_place(row: UsageRow) -> tuple[str, ...]:
    by = (row.day, row.purpose, row.route, row.model, row.session_id, row.project_id)
    return tuple(str(each or "") for each in by)


async def test_any_split_adds_up_to_what_adding_one_by_one_gives(
    ledger: SqlUsageLedger, chat_database: Database
) -> None:
    user, other = await new_user(chat_database), await new_user(chat_database)
    chance = random.Random(7)
    records = [
        record(
            chance.choice([user, user, user, other]),
            end_time=NOW - timedelta(milliseconds=chance.randrange(290 * 86_400_000)),
            purpose=chance.choice(list(UsagePurpose)),
            outcome=chance.choice(list(UsageOutcome)),
            model=chance.choice(["", "house", "grand"]),
            input_tokens=chance.randrange(10_000),
            output_tokens=chance.randrange(1_000),
            estimated=chance.random() < 0.2,
            cost_usd_micros=chance.choice([None, 0, 17, 2_000_000]),
            time_to_first_token_ms=chance.choice([0, 5, 80, 900]),
            duration_ms=chance.randrange(5_000),
            route=chance.choice([None, Route.STANDARD, Route.ENHANCED]),
            session_id=chance.choice(["", "ses_1", "ses_2"]),
            project_id=chance.choice(["", "prj_1", "prj_2"]),
        )
        for _ in range(400)
    ]
    for each in records:
        await ledger.add(each)
    splits: list[tuple[UsageDimension, ...]] = [
        (),
        *((each,) for each in UsageDimension),
        (UsageDimension.DAY, UsageDimension.MODEL),
        tuple(UsageDimension),
    ]
    for split in splits:
        for zone in (BERLIN, KATHMANDU):
            asked = span(user, *split, zone=zone)
            rows, total = await ledger.sums(asked, 10_000)
            expected = added_up(records, asked)
            assert sorted(rows, key=by_place) == sorted(expected, key=by_place), split
            assert [total] == added_up(records, span(user))
    rows, _ = await ledger.sums(span(user, *UsageDimension), 10_000)
    assert [row.day for row in rows] == sorted(row.day for row in rows if row.day)


async def test_a_user_without_usage_has_a_total_of_nothing(ledger: SqlUsageLedger, chat_database: Database) -> None:
    user = await new_user(chat_database)
    for split in ([], [UsageDimension.DAY]):
        rows, total = await ledger.sums(span(user, *split), 10)
        assert rows == []
    assert (total.request_count, total.cost_usd_micros, total.duration_p95_ms) == (0, 0, 0)


async def test_the_span_has_its_beginning_and_not_its_end(ledger: SqlUsageLedger, chat_database: Database) -> None:
    user = await new_user(chat_database)
    start, end = NOW - timedelta(hours=1), NOW
    for moment in (start - timedelta(milliseconds=1), start, end - timedelta(milliseconds=1), end):
        await ledger.add(record(user, end_time=moment))
    _, total = await ledger.sums(span(user, start=start, end=end), 10)
    assert total.request_count == 2


async def test_a_session_is_looked_at_alone(ledger: SqlUsageLedger, chat_database: Database) -> None:
    user = await new_user(chat_database)
    for session_id in ("ses_1", "ses_2", "ses_1"):
        await ledger.add(record(user, session_id=session_id, project_id="prj_1" if session_id == "ses_2" else ""))
    rows, total = await ledger.sums(span(user, UsageDimension.SESSION, session_id="ses_1"), 10)
    assert [(row.session_id, row.request_count) for row in rows] == [("ses_1", 2)]
    rows, _ = await ledger.sums(span(user, UsageDimension.PROJECT, project_id="prj_1"), 10)
    assert [(row.project_id, row.request_count) for row in rows] == [("prj_1", 1)]
    assert total.request_count == 2


async def test_at_most_as_many_rows_come_as_are_asked_for(ledger: SqlUsageLedger, chat_database: Database) -> None:
    user = await new_user(chat_database)
    for number in range(5):
        await ledger.add(record(user, model=f"model-{number}"))
    rows, total = await ledger.sums(span(user, UsageDimension.MODEL), 3)
    assert [row.model for row in rows] == ["model-0", "model-1", "model-2"]
    assert total.request_count == 5


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        # Summer time ends in Berlin on 2026-10-25 at 01:00 UTC.
        (datetime(2026, 10, 24, 21, 59, 59, tzinfo=UTC), date(2026, 10, 24)),
        (datetime(2026, 10, 24, 22, 0, tzinfo=UTC), date(2026, 10, 25)),
        (datetime(2026, 10, 25, 22, 59, 59, tzinfo=UTC), date(2026, 10, 25)),
        (datetime(2026, 10, 25, 23, 0, tzinfo=UTC), date(2026, 10, 26)),
        # And begins on 2026-03-29 at 01:00 UTC.
        (datetime(2026, 3, 28, 23, 0, tzinfo=UTC), date(2026, 3, 29)),
        (datetime(2026, 3, 29, 21, 59, 59, tzinfo=UTC), date(2026, 3, 29)),
        (datetime(2026, 3, 29, 22, 0, tzinfo=UTC), date(2026, 3, 30)),
    ],
)
async def test_a_day_is_as_long_as_the_clocks_of_its_zone_make_it(
    ledger: SqlUsageLedger, chat_database: Database, moment: datetime, day: date
) -> None:
    user = await new_user(chat_database)
    await ledger.add(record(user, end_time=moment))
    rows, _ = await ledger.sums(span(user, UsageDimension.DAY), 10)
    assert [row.day for row in rows] == [day]

"""The ports `Budgets` and `BudgetBooks`: one suite, on SQLite and on PostgreSQL; what is spent is always what the ledger adds up to."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from parley_chat.adapters.sql_budget_books import SqlBudgetBooks
from parley_chat.adapters.sql_budget_schema import budget_holds
from parley_chat.adapters.sql_budget_schema import budgets as budget_rows
from parley_chat.adapters.sql_budgets import SqlBudgets
from parley_chat.adapters.sql_conversations import SqlConversations
from parley_chat.adapters.sql_events import SqlEventLog
from parley_chat.adapters.sql_usage import SqlUsageLedger
from parley_chat.domain.budgets import (
    MOST_BUDGETS,
    Amount,
    Budget,
    BudgetExceededError,
    BudgetPeriod,
    BudgetState,
    TooManyBudgetsError,
    Wish,
    new_budget_id,
    operators_budget_id,
)
from parley_chat.domain.conversation import MessageState, Route, Usage
from parley_chat.domain.errors import NotFoundError
from parley_chat.domain.events import Action, ResourceType
from parley_chat.domain.turn import TurnState
from parley_chat.domain.usage import UsageOutcome, UsagePurpose, UsageRecord, UsageSpan
from parley_chat.ports.budgets import Holder
from parley_shared.sql import Database
from parley_testing.accounts import new_user
from parley_testing.new_turns import new_turn
from sqlalchemy import func, select

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")


class Books:
    """A process that keeps within budgets."""

    def __init__(self, database: Database, *operators: Budget) -> None:
        books = SqlBudgetBooks(operators)
        self.budgets = SqlBudgets(database, books)
        self.ledger = SqlUsageLedger(database, books)
        self.conversations = SqlConversations(database, books=books)


@pytest.fixture
def books(chat_database: Database) -> Books:
    return Books(chat_database)


@pytest.fixture
async def ada(chat_database: Database) -> str:
    return await new_user(chat_database)


@pytest.fixture
async def other_process(chat_database_url: str, chat_database: Database) -> AsyncIterator[Books]:
    """The same database through connections of its own; SQLite has one process."""
    if chat_database.dialect == "sqlite":
        yield Books(chat_database)
        return
    database = Database.open(chat_database_url)
    yield Books(database)
    await database.close()


def budget(**fields: Any) -> Budget:
    given: dict[str, Any] = {
        "budget_id": new_budget_id(),
        "name": "",
        "period": BudgetPeriod.DAY,
        "time_zone": "UTC",
        "limit_cost_usd_micros": None,
        "limit_tokens": 1_000,
        "create_time": NOW,
        "update_time": NOW,
    }
    return Budget(**(given | fields))


def operators(**fields: Any) -> Budget:
    period = fields.setdefault("period", BudgetPeriod.DAY)
    return budget(budget_id=operators_budget_id(period), create_time=None, update_time=None, **fields)


def record(user_id: str, tokens: int, cost: int | None = 0, time: datetime = NOW) -> UsageRecord:
    return UsageRecord(
        user_id=user_id,
        end_time=time,
        purpose=UsagePurpose.TEXT,
        outcome=UsageOutcome.COMPLETED,
        model="house",
        input_tokens=tokens // 2,
        output_tokens=tokens - tokens // 2,
        estimated=False,
        cost_usd_micros=cost,
        time_to_first_token_ms=1,
        duration_ms=2,
    )


def text(user_id: str, name: str = "txt_1", expire_time: datetime = NOW + timedelta(hours=1)) -> Holder:
    return Holder(user_id, name, expire_time)


def wish(used_tokens: int, *, wished: int = 100, least: int = 10, used_cost: int = 0, price: int = 0) -> Wish:
    return Wish(used_tokens, used_cost, price, wished, least)


async def only(books: Books, user_id: str, now: datetime = NOW) -> BudgetState:
    (state,) = await books.budgets.states(user_id, now)
    return state


async def ledger_tokens(books: Books, user_id: str, start: datetime, end: datetime) -> int:
    _, total = await books.ledger.sums(UsageSpan(user_id, start, end, (), UTC_ZONE), 1)
    return total.input_tokens + total.output_tokens


async def test_what_was_used_before_a_budget_was_made_counts(books: Books, ada: str) -> None:
    await books.ledger.add(record(ada, 70, 7, NOW - timedelta(hours=11)))
    await books.ledger.add(record(ada, 500, 50, NOW - timedelta(days=2)))
    day = await books.budgets.add(ada, budget(), NOW)
    assert day.spent == Amount(70, 7)
    later = NOW + timedelta(seconds=1)
    month = await books.budgets.add(ada, budget(period=BudgetPeriod.MONTH, create_time=later), NOW)
    assert month.spent == Amount(570, 57)
    assert [state.spent for state in await books.budgets.states(ada, NOW)] == [Amount(70, 7), Amount(570, 57)]


async def test_what_is_held_is_free_again_when_what_was_used_is_recorded(books: Books, ada: str) -> None:
    await books.budgets.add(ada, budget(limit_cost_usd_micros=10_000), NOW)
    assert await books.budgets.hold(text(ada), wish(50, used_cost=3_000_000, price=2_000_000), NOW) == 100
    state = await only(books, ada)
    assert (state.spent, state.held) == (Amount(), Amount(150, 203))
    # In place of what it held before, not beside it.
    assert await books.budgets.hold(text(ada), wish(90, wished=200), NOW) == 200
    assert (await only(books, ada)).held == Amount(290, 0)
    await books.ledger.add(record(ada, 120, 9), "txt_1")
    state = await only(books, ada)
    assert (state.spent, state.held) == (Amount(120, 9), Amount())


async def test_who_has_no_budgets_holds_nothing(books: Books, ada: str, chat_database: Database) -> None:
    assert await books.budgets.check(ada, NOW) is False
    assert await books.budgets.hold(text(ada), wish(1_000_000), NOW) is None
    await books.ledger.add(record(ada, 120, 9), "txt_1")
    async with chat_database.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(budget_holds))).scalar_one() == 0
        assert (await connection.execute(select(func.count()).select_from(budget_rows))).scalar_one() == 0


async def test_a_hold_that_does_not_fit_is_refused_and_the_one_before_it_stays(books: Books, ada: str) -> None:
    made = await books.budgets.add(ada, budget(limit_tokens=300), NOW)
    assert await books.budgets.hold(text(ada, "txt_1"), wish(100), NOW) == 100
    assert await books.budgets.hold(text(ada, "txt_2"), wish(70), NOW) == 30
    with pytest.raises(BudgetExceededError) as refused:
        await books.budgets.hold(text(ada, "txt_1"), wish(191), NOW)
    assert refused.value.reached.budget_id == made.budget.budget_id
    assert (await only(books, ada)).held == Amount(300, 0)
    with pytest.raises(BudgetExceededError):
        await books.budgets.check(ada, NOW)
    await books.budgets.release(text(ada, "txt_2"))
    assert await books.budgets.check(ada, NOW) is True
    assert await books.budgets.hold(text(ada, "txt_1"), wish(191), NOW) == 100


async def test_a_day_begins_anew_and_what_ends_in_it_belongs_to_it(books: Books, ada: str) -> None:
    await books.budgets.add(ada, budget(time_zone="Europe/Berlin"), NOW)
    midnight = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
    before, after = midnight - timedelta(seconds=10), midnight + timedelta(seconds=10)
    assert await books.budgets.hold(text(ada, expire_time=NOW + timedelta(days=1)), wish(50), before) == 100
    await books.ledger.add(record(ada, 600, time=before))
    assert (await only(books, ada, before)).spent == Amount(600, 0)
    # Nobody has written yet that the day is over.
    fresh = await only(books, ada, after)
    assert (fresh.spent, fresh.held, fresh.window.start) == (Amount(), Amount(150, 0), midnight)
    await books.ledger.add(record(ada, 120, time=after), "txt_1")
    state = await only(books, ada, after)
    assert (state.spent, state.held) == (Amount(120, 0), Amount())
    # A process whose clock is behind records what belongs to the day before.
    await books.ledger.add(record(ada, 33, time=before))
    assert (await only(books, ada, after)).spent == Amount(120, 0)
    assert await ledger_tokens(books, ada, midnight, midnight + timedelta(days=1)) == 120
    # What is stored as midnight is of the new day.
    await books.ledger.add(record(ada, 5, time=midnight - timedelta(microseconds=200)))
    assert (await only(books, ada, after)).spent == Amount(125, 0)
    assert await ledger_tokens(books, ada, midnight, midnight + timedelta(days=1)) == 125


async def test_an_unknown_cost_counts_in_tokens_only(books: Books, ada: str) -> None:
    await books.budgets.add(ada, budget(limit_cost_usd_micros=10), NOW)
    await books.ledger.add(record(ada, 100, None))
    assert (await only(books, ada)).spent == Amount(100, 0)


async def test_a_hold_of_a_process_that_died_ends_by_itself(books: Books, ada: str) -> None:
    await books.budgets.add(ada, budget(limit_tokens=200), NOW)
    soon = NOW + timedelta(minutes=5)
    assert await books.budgets.hold(text(ada, "txt_dead", soon), wish(100), NOW) == 100
    with pytest.raises(BudgetExceededError):
        await books.budgets.hold(text(ada, "txt_2"), wish(100), NOW)
    assert await books.budgets.hold(text(ada, "txt_2"), wish(50), soon) == 100


async def test_a_hold_of_a_turn_counts_while_the_turn_runs_and_not_when_its_session_is_deleted(
    books: Books, ada: str, chat_database: Database
) -> None:
    await books.budgets.add(ada, budget(), NOW)
    turn = replace(new_turn(ada, ""), new_session_id="ses_1", time=NOW)
    begun = await books.conversations.begin_turn(turn)
    assert begun.has_budgets
    holder = Holder(ada, turn.turn_id, None)
    assert await books.budgets.hold(holder, wish(50), NOW) == 100
    assert (await only(books, ada)).held == Amount(150, 0)
    await books.conversations.delete_session(ada, "ses_1")
    assert (await only(books, ada)).held == Amount()
    # What is left over is cleared away with the next record.
    await books.ledger.add(record(ada, 1))
    async with chat_database.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(budget_holds))).scalar_one() == 0


async def test_the_end_of_a_turn_settles_it_once_whoever_ends_it(books: Books, ada: str) -> None:
    await books.budgets.add(ada, budget(period=BudgetPeriod.TOTAL), NOW)
    turn = replace(new_turn(ada, ""), new_session_id="ses_1", time=NOW)
    await books.conversations.begin_turn(turn)
    await books.budgets.hold(Holder(ada, turn.turn_id, None), wish(50), NOW)
    stored = await books.conversations.get_message(turn.message_id)
    usage = Usage(60, 20, estimated=False, time_to_first_token_ms=1, duration_ms=2, cost_usd_micros=5)
    ended = replace(stored, state=MessageState.FAILED, usage=usage, route=Route.STANDARD)
    assert not await books.conversations.finish_turn(turn.turn_id, 7, TurnState.FAILED, ended)
    assert (await only(books, ada)).held == Amount(150, 0)
    assert await books.conversations.finish_turn(turn.turn_id, 1, TurnState.FAILED, ended)
    assert not await books.conversations.finish_turn(turn.turn_id, 1, TurnState.FAILED, ended)
    state = await only(books, ada)
    assert (state.spent, state.held) == (Amount(80, 5), Amount())


async def test_a_turn_whose_budget_is_spent_does_not_begin_and_stores_nothing(books: Books, ada: str) -> None:
    await books.ledger.add(record(ada, 1_000))
    await books.budgets.add(ada, budget(), NOW)
    turn = replace(new_turn(ada, ""), new_session_id="ses_1", time=NOW)
    with pytest.raises(BudgetExceededError):
        await books.conversations.begin_turn(turn)
    assert await books.conversations.list_sessions(ada, 10, None) == []
    tomorrow = replace(turn, time=NOW + timedelta(days=1))
    assert (await books.conversations.begin_turn(tomorrow)).created
    # A repeat of a send that had begun finds its turn, whatever is left.
    await books.ledger.add(record(ada, 1_000, time=NOW + timedelta(days=1)))
    assert not (await books.conversations.begin_turn(tomorrow)).created


async def test_the_operators_budgets_are_everybodys_and_are_counted_from_the_ledger(
    chat_database: Database, ada: str
) -> None:
    plain = Books(chat_database)
    await plain.ledger.add(record(ada, 40))
    limited = Books(chat_database, operators(limit_tokens=100))
    await limited.budgets.add(ada, budget(), NOW)
    first, second = await limited.budgets.states(ada, NOW)
    assert (first.budget.is_operators, second.budget.is_operators) == (True, False)
    assert await limited.budgets.hold(text(ada), wish(20), NOW) == 40
    await limited.ledger.add(record(ada, 60), "txt_1")
    assert (await limited.budgets.states(ada, NOW))[0].spent == Amount(100, 0)
    with pytest.raises(BudgetExceededError) as refused:
        await limited.budgets.check(ada, NOW)
    assert refused.value.reached.budget_id == "bud_operator_day"
    # Without it nobody counts for it; when it comes again, nothing is missing.
    await plain.ledger.add(record(ada, 7))
    assert [state.budget.is_operators for state in await plain.budgets.states(ada, NOW)] == [False]
    raised = Books(chat_database, operators(limit_tokens=1_000))
    assert (await raised.budgets.states(ada, NOW))[0].spent == Amount(107, 0)
    moved = Books(chat_database, operators(limit_tokens=1_000, time_zone="Asia/Tokyo"))
    assert (await moved.budgets.states(ada, NOW))[0].window.end == datetime(2026, 11, 21, 15, 0, tzinfo=UTC)


async def test_changes_of_budgets_are_events(books: Books, ada: str, chat_database: Database) -> None:
    made = budget(name="first")
    await books.budgets.add(ada, made, NOW)
    renamed = replace(made, name="second", limit_tokens=None, limit_cost_usd_micros=5)
    state = await books.budgets.put(ada, renamed, NOW)
    assert state.budget == renamed
    await books.budgets.remove(ada, made.budget_id, NOW)
    page = await SqlEventLog(chat_database).page(ada, 0, 10, (ResourceType.BUDGET,))
    told = [(event.change.action, event.change.resource) for event in page.events]
    assert told == [(Action.CREATED, made), (Action.UPDATED, renamed), (Action.DELETED, None)]


async def test_budgets_of_others_are_not_found(books: Books, ada: str, chat_database: Database) -> None:
    bob = await new_user(chat_database)
    made = budget()
    await books.budgets.add(ada, made, NOW)
    with pytest.raises(NotFoundError):
        await books.budgets.put(bob, made, NOW)
    with pytest.raises(NotFoundError):
        await books.budgets.remove(bob, made.budget_id, NOW)
    assert await books.budgets.states(bob, NOW) == []
    assert len(await books.budgets.states(ada, NOW)) == 1


async def test_a_user_has_a_bounded_number_of_budgets(books: Books, ada: str) -> None:
    for _ in range(MOST_BUDGETS):
        await books.budgets.add(ada, budget(), NOW)
    with pytest.raises(TooManyBudgetsError):
        await books.budgets.add(ada, budget(), NOW)


async def test_the_last_answers_tell_how_long_answers_are(books: Books, ada: str) -> None:
    answer = replace(record(ada, 30), purpose=UsagePurpose.ANSWER, route=Route.ENHANCED)
    for number in range(60):
        await books.ledger.add(replace(answer, output_tokens=number, end_time=NOW + timedelta(seconds=number)))
    await books.ledger.add(replace(answer, output_tokens=999, outcome=UsageOutcome.STOPPED))
    assert await books.budgets.usual_output_tokens(ada, Route.ENHANCED) == list(range(59, 9, -1))
    assert await books.budgets.usual_output_tokens(ada, Route.STANDARD) == []


async def test_many_texts_of_two_processes_never_hold_more_than_there_is_and_all_is_accounted_for(
    books: Books, other_process: Books, ada: str
) -> None:
    limit, writers = 5_000, 60
    await books.budgets.add(ada, budget(limit_tokens=limit), NOW)
    chance = random.Random(7)
    overdrawn: list[int] = []

    async def write(number: int) -> tuple[int, bool]:
        process = books if number % 2 else other_process
        holder, used, cut = text(ada, f"txt_{number}"), 20, False
        wanted = 20 + chance.randint(50, 400)
        try:
            while used < wanted:
                granted = await process.budgets.hold(holder, wish(used, wished=64, least=1), NOW)
                assert granted is not None
                state = await only(process, ada)
                overdrawn.append(state.spent.tokens + state.held.tokens - limit)
                used = min(used + granted, wanted)
        except BudgetExceededError:
            cut = True
            used = 0 if used == 20 else used
        await process.ledger.add(record(ada, used), holder.holder_id)
        return used, cut

    ended = await asyncio.gather(*(write(number) for number in range(writers)))
    assert max(overdrawn) <= 0
    state = await only(books, ada)
    assert state.held == Amount()
    assert state.spent.tokens == sum(used for used, _ in ended) <= limit
    assert any(cut for _, cut in ended)
    # Who was cut was cut because nothing was left, apart from what others held and did not use.
    assert state.spent.tokens > limit - writers * 64
    day = NOW.replace(hour=0)
    assert await ledger_tokens(books, ada, day, day + timedelta(days=1)) == state.spent.tokens

"""Puts budgets together: where they are kept, and what keeps texts within them. A part of bootstrap.py, which says where it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from parley_shared.sql import Database

from parley_chat.adapters.sql_budget_books import SqlBudgetBooks
from parley_chat.adapters.sql_budgets import SqlBudgets
from parley_chat.adapters.sql_usage import SqlUsageLedger
from parley_chat.domain.budgets import Budget, BudgetPeriod, operators_budget_id
from parley_chat.operations.model_prices import ModelPrices
from parley_chat.operations.spending import Spending
from parley_chat.ports.event_log import EventNews
from parley_chat.ports.model_catalog import ModelCatalog
from parley_chat.settings import BudgetSettings, ChatSettings


@dataclass(frozen=True)
class BudgetParts:
    """What others need of it."""

    books: SqlBudgetBooks
    ledger: SqlUsageLedger
    budgets: SqlBudgets
    prices: ModelPrices
    spending: Spending


def make_budgets(
    settings: ChatSettings, database: Database, catalog: ModelCatalog, news: EventNews, now: Callable[[], datetime]
) -> BudgetParts:
    """Makes them."""
    books = SqlBudgetBooks(operators_budgets(settings.budgets))
    budgets = SqlBudgets(database, books, news)
    prices = ModelPrices(catalog)
    spending = Spending(budgets, prices, longest_text_seconds=settings.max_turn_seconds, now=now)
    return BudgetParts(books, SqlUsageLedger(database, books), budgets, prices, spending)


def operators_budgets(settings: BudgetSettings) -> tuple[Budget, ...]:
    """Those that limit anything."""
    limits = {
        BudgetPeriod.DAY: (settings.day_cost_usd_micros, settings.day_tokens),
        BudgetPeriod.MONTH: (settings.month_cost_usd_micros, settings.month_tokens),
        BudgetPeriod.TOTAL: (settings.total_cost_usd_micros, settings.total_tokens),
    }
    return tuple(
        Budget(
            budget_id=operators_budget_id(period),
            name="",
            period=period,
            time_zone=settings.time_zone,
            limit_cost_usd_micros=cost or None,
            limit_tokens=tokens or None,
            create_time=None,
            update_time=None,
        )
        for period, (cost, tokens) in limits.items()
        if cost or tokens
    )

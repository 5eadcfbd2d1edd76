"""Puts together what names sessions. A part of bootstrap.py, which says where it goes."""

from __future__ import annotations

from contextlib import AsyncExitStack

from parley_shared.sql import Database

from parley_chat.adapters.otel_metrics import OtelMetrics
from parley_chat.adapters.otel_tracing import OtelTracing
from parley_chat.adapters.sql_titles import SqlTitles
from parley_chat.operations.running_turns import RunningTurns
from parley_chat.operations.session_titles import SessionTitles
from parley_chat.operations.text_generations import TextGenerations
from parley_chat.ports.event_log import EventNews
from parley_chat.settings import ChatSettings


def open_titles(
    settings: ChatSettings,
    database: Database,
    news: EventNews,
    running: RunningTurns,
    generations: TextGenerations,
    closing: AsyncExitStack,
) -> None:
    """Has sessions named after their first answers, until `closing` closes."""
    titles = SessionTitles(
        SqlTitles(database, news), generations, OtelTracing(), OtelMetrics(), seconds=settings.title_seconds
    )
    running.when_completed(titles.after)
    closing.push_async_callback(titles.close)

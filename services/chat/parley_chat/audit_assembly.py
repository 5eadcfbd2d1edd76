"""Puts together the audit trail. A part of bootstrap.py, which says where it goes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta

from parley_shared.callers import current_origin
from parley_shared.sql import Database
from parley_shared.telemetry import current_trace_id
from parley_shared.tokens import current_principal

from parley_chat.adapters.sql_audit_log import SqlAuditLog
from parley_chat.operations.audit_book import AuditBook
from parley_chat.operations.identity_audit import AuditTrail, Caller
from parley_chat.settings import ChatSettings


def audit_trail(now: Callable[[], datetime]) -> AuditTrail:
    """Makes entries of what is done in the call that is being served."""
    return AuditTrail(_caller, now)


def open_audit_book(
    settings: ChatSettings, database: Database, now: Callable[[], datetime], closing: AsyncExitStack
) -> AuditBook:
    """Begins to keep the audit trail."""
    book = AuditBook(SqlAuditLog(database), timedelta(days=settings.audit_retention_days), now)
    book.start()
    closing.push_async_callback(book.close)
    return book


def _caller() -> Caller:
    origin, trace_id = current_origin(), current_trace_id()
    try:
        principal = current_principal()
    except LookupError:
        return Caller(address=origin.address, user_agent=origin.user_agent, trace_id=trace_id)
    return Caller(principal.user_id, principal.token_id, origin.address, origin.user_agent, trace_id)

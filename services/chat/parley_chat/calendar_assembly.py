"""Puts the calendar together: where accounts are fetched from, what synchronizes them, and the service. A part of bootstrap.py."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta

from parley.workspace.v1 import calendar_service_pb2_grpc
from parley_shared.serving import Registration
from parley_shared.sql import Database

from parley_chat.adapters.caldav_account import CaldavSource
from parley_chat.adapters.calendar_sources import CalendarSources
from parley_chat.adapters.ical_feed import IcalFeedSource
from parley_chat.adapters.sql_calendar_schedule import SqlCalendarSchedule
from parley_chat.domain.calendar import AccountKind
from parley_chat.operations.calendar_syncing import CalendarSyncing, SyncRules
from parley_chat.outbound_assembly import Outbound
from parley_chat.ports.rule_days import RuleDays
from parley_chat.ports.workspace import Workspaces
from parley_chat.servicers.calendar import CalendarServicer
from parley_chat.settings import ChatSettings


def open_calendar(
    settings: ChatSettings,
    database: Database,
    workspaces: Workspaces,
    rule_days: RuleDays,
    outbound: Outbound,
    now: Callable[[], datetime],
    closing: AsyncExitStack,
) -> Registration:
    """Begins to synchronize accounts, and gives the service."""
    schedule = SqlCalendarSchedule(database)
    caldav = CaldavSource(outbound.http, rule_days)
    closing.push_async_callback(caldav.close)
    feeds = IcalFeedSource(outbound.http, rule_days)
    sources = CalendarSources({AccountKind.FEED: feeds, AccountKind.CALDAV: caldav})
    rules = SyncRules(timedelta(seconds=settings.calendar_sync_seconds), settings.calendar_syncs_at_once)
    syncing = CalendarSyncing(schedule, sources, outbound.secrets, rule_days, rules, now)
    syncing.start(workspaces)
    closing.push_async_callback(syncing.close)
    servicer = CalendarServicer(workspaces, schedule, syncing, outbound.secrets, outbound.http.rules, rule_days, now)
    return Registration(
        calendar_service_pb2_grpc.add_CalendarServiceServicer_to_server,
        servicer,
        "parley.workspace.v1.CalendarService",
    )

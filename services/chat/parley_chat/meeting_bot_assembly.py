"""Bots of meetings, plugged together: what follows the calendar and prepares, and what serves the rpcs. bootstrap.py calls it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime

from parley.workspace.v1 import meeting_bot_service_pb2_grpc
from parley_shared.serving import Registration
from parley_shared.sql import Database

from parley_chat.adapters.sql_meeting_bots import SqlBotQueue
from parley_chat.operations.meeting_bots import MeetingBots
from parley_chat.operations.meeting_preparing import MeetingPreparing
from parley_chat.operations.sessions import Sessions
from parley_chat.operations.turns import Turns
from parley_chat.ports.conversations import Conversations
from parley_chat.ports.event_log import EventLog, EventNews
from parley_chat.ports.rule_days import RuleDays
from parley_chat.ports.workspace import Workspaces
from parley_chat.servicers.meeting_bots import MeetingBotServicer

_LEASE_SECONDS = 30.0


class LateNews:
    """Tells whoever listens, once somebody does: what tells is made before what listens."""

    def __init__(self) -> None:
        self.listener: EventNews | None = None

    def tell(self, user_id: str) -> None:
        """Tells it."""
        if self.listener is not None:
            self.listener.tell(user_id)


async def open_meeting_bots(
    database: Database,
    log: EventLog,
    workspaces: Workspaces,
    conversations: Conversations,
    sessions: Sessions,
    turns: Turns,
    rule_days: RuleDays,
    news: LateNews,
    now: Callable[[], datetime],
    closing: AsyncExitStack,
) -> Registration:
    """Begins to prepare, and gives what is served."""
    queue = SqlBotQueue(database, _LEASE_SECONDS)
    if database.dialect == "sqlite":
        # Whoever had them is dead: nobody needs to wait for the ends of its leases.
        await queue.release_all()
    preparing = MeetingPreparing(log, queue, workspaces, conversations, sessions, turns, rule_days, now)
    news.listener = preparing
    preparing.start()
    closing.push_async_callback(preparing.close)
    bots = MeetingBots(workspaces, sessions, rule_days, preparing.tell, now)
    return Registration(
        meeting_bot_service_pb2_grpc.add_MeetingBotServiceServicer_to_server,
        MeetingBotServicer(bots),
        "parley.workspace.v1.MeetingBotService",
    )

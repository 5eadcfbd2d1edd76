"""Says what is plugged into what. Production and tests enter the service here; nothing else joins the rooms.

Not the process: signals, exit codes and logs are `__main__`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from parley.chat.v1 import chat_service_pb2_grpc
from parley.events.v1 import event_service_pb2_grpc
from parley.identity.v1 import identity_service_pb2_grpc
from parley.openai.v1 import response_service_pb2_grpc
from parley.system.v1 import system_service_pb2_grpc
from parley.usage.v1 import usage_service_pb2_grpc
from parley.workspace.v1 import project_service_pb2_grpc, task_service_pb2_grpc
from parley_shared.channels import open_channel
from parley_shared.serving import Registration, Server, build_server
from parley_shared.sql import Database

from parley_chat.adapters.dateutil_rule_days import DateutilRuleDays
from parley_chat.adapters.grpc_knowledge import GrpcKnowledge
from parley_chat.adapters.grpc_language_model import GrpcLanguageModel
from parley_chat.adapters.grpc_library import GrpcLibrary
from parley_chat.adapters.grpc_model_catalog import GrpcModelCatalog
from parley_chat.adapters.grpc_project_labels import GrpcProjectLabels
from parley_chat.adapters.grpc_search_index import GrpcSearchIndex
from parley_chat.adapters.otel_metrics import OtelMetrics
from parley_chat.adapters.otel_tracing import OtelTracing
from parley_chat.adapters.sql_conversations import SqlConversations
from parley_chat.adapters.sql_database_probe import SqlDatabaseProbe
from parley_chat.adapters.sql_events import SqlEventLog
from parley_chat.adapters.sql_index_cursors import SqlIndexCursors
from parley_chat.adapters.sql_reminders import SqlReminders
from parley_chat.adapters.sql_workspaces import SqlWorkspaces
from parley_chat.batches_assembly import open_batches
from parley_chat.budget_assembly import make_budgets
from parley_chat.calendar_assembly import open_calendar
from parley_chat.database_assembly import migrate_database
from parley_chat.domain.answer_tally import AnswerTally
from parley_chat.flags_assembly import open_flags
from parley_chat.identity_assembly import open_identity
from parley_chat.mcp_assembly import mcp_registration, open_foreign_tools
from parley_chat.meeting_bot_assembly import LateNews, open_meeting_bots
from parley_chat.metrics_assembly import watch_turns
from parley_chat.operations.answer_queue import AnswerQueue
from parley_chat.operations.answer_writer import AnswerLimits, AnswerWriter
from parley_chat.operations.batch_running import BatchRunning
from parley_chat.operations.cost_estimates import CostEstimates
from parley_chat.operations.event_watching import EventWatching
from parley_chat.operations.index_following import IndexFollowing
from parley_chat.operations.project_briefs import ProjectBriefs
from parley_chat.operations.reminding import Reminding
from parley_chat.operations.self_test import SelfTest
from parley_chat.operations.service_tokens import ServiceTokens
from parley_chat.operations.sessions import Sessions
from parley_chat.operations.suggestions import SuggestionLimits, Suggestions
from parley_chat.operations.turns import Turns
from parley_chat.outbound_assembly import Outbound, open_outbound
from parley_chat.ports.event_log import EventNews
from parley_chat.servicers.chat import ChatServicer
from parley_chat.servicers.events import EventServicer
from parley_chat.servicers.identity import IdentityServicer
from parley_chat.servicers.openai_responses import OpenAIResponseServicer
from parley_chat.servicers.projects import ProjectServicer
from parley_chat.servicers.reflection import services_of_the_contract
from parley_chat.servicers.status import to_status_error
from parley_chat.servicers.system import SystemServicer
from parley_chat.servicers.tasks import TaskServicer
from parley_chat.servicers.usage import UsageServicer
from parley_chat.settings import ChatSettings
from parley_chat.status_assembly import open_status
from parley_chat.texts_assembly import open_text_generations, text_registrations
from parley_chat.titles_assembly import open_titles
from parley_chat.tools_assembly import make_tools, own_tools
from parley_chat.traces_assembly import open_traces
from parley_chat.turns_assembly import open_turns
from parley_chat.webhook_assembly import WebhookParts

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChatApp:
    """A chat service that is put together. Its server is built and not started."""

    settings: ChatSettings
    server: Server
    database: Database
    service_tokens: ServiceTokens
    turns: Turns
    batches: BatchRunning

    async def drain(self) -> None:
        """Takes no more calls and begins no more turns; what runs gets its grace, and then is interrupted with its text kept."""
        await self.server.give_notice()
        # Turns end before the server cuts their readers, so that these still get the last event.
        grace = max(0.0, self.settings.service.drain_seconds - 1)
        await asyncio.gather(self.server.drain(), self.turns.drain(grace), self.batches.drain(grace))


@asynccontextmanager
async def open_chat(settings: ChatSettings) -> AsyncIterator[ChatApp]:
    """Migrates the database, makes what the first run makes, and puts the service together; closes it all at the end.

    Raises SettingsError when a key file is not as it must be.
    """
    async with AsyncExitStack() as closing:
        await migrate_database(settings)
        database = Database.open(settings.database_url)
        closing.push_async_callback(database.close)

        identity = await open_identity(settings, database, _now, closing)
        registrations = [
            Registration(
                identity_service_pb2_grpc.add_IdentityServiceServicer_to_server,
                IdentityServicer(
                    identity.identity, identity.users, identity.exchange, identity.book, (identity.key.public,)
                ),
                "parley.identity.v1.IdentityService",
            ),
        ]

        outbound = open_outbound(settings, identity.key.private_pem, closing)
        turns, batches, conversation_registrations = await _open_conversations(
            settings, database, identity.service_tokens, outbound, closing
        )
        registrations += conversation_registrations

        server = build_server(
            settings.service,
            registrations,
            verifier=identity.verifier,
            to_status_error=to_status_error,
            shown=(settings,),
            also_reflected=services_of_the_contract(),
        )
        yield ChatApp(settings, server, database, identity.service_tokens, turns, batches)


async def _open_conversations(
    settings: ChatSettings,
    database: Database,
    service_tokens: ServiceTokens,
    outbound: Outbound,
    closing: AsyncExitStack,
) -> tuple[Turns, BatchRunning, list[Registration]]:
    inference = open_channel(settings.inference_address, tls=settings.service.tls)
    closing.push_async_callback(inference.close)
    retrieval = open_channel(settings.retrieval_address, tls=settings.service.tls)
    closing.push_async_callback(retrieval.close)

    event_log = SqlEventLog(database)
    watching = EventWatching(event_log, has_replicas=database.dialect != "sqlite")
    watching.start()
    closing.push_async_callback(watching.close)
    webhooks = WebhookParts(database, event_log, outbound, _now, closing)
    bot_news = LateNews()
    news = _EachNews(watching, webhooks.delivering, bot_news)
    following = IndexFollowing(
        event_log,
        SqlIndexCursors(database),
        GrpcSearchIndex(retrieval, service_tokens.for_user),
        GrpcProjectLabels(retrieval, service_tokens.for_user),
    )
    following.start()
    closing.push_async_callback(following.close)
    # Nothing of a conversation is indexed: a turn does not wait for what follows it.
    catalog = GrpcModelCatalog(inference, service_tokens.for_user)
    budgets = make_budgets(settings, database, catalog, news, _now)
    conversations = SqlConversations(database, news, budgets.books)
    reminding = Reminding(SqlReminders(database))
    workspaces = SqlWorkspaces(database, _EachNews(news, following, reminding))
    reminding.start(workspaces)
    closing.push_async_callback(reminding.close)
    rule_days = DateutilRuleDays()
    tracing = OtelTracing()
    queue = AnswerQueue(conversations, timedelta(seconds=settings.queue_seconds), _now)
    closing.push_async_callback(queue.close)
    knowledge = GrpcKnowledge(retrieval, service_tokens.for_user)
    sources = own_tools(workspaces, rule_days, knowledge, _now)
    foreign_tools = open_foreign_tools(settings, closing)
    tool_parts = make_tools(settings, database, news, (*sources, foreign_tools), tracing, _now)
    closing.push_async_callback(tool_parts.consent.close)
    tools = tool_parts.calls
    answer_limits = AnswerLimits(
        history_tokens=settings.history_tokens,
        history_messages=200,
        passages=settings.passages,
        search_seconds=settings.search_seconds,
        inference_patience_seconds=settings.inference_patience_seconds,
    )
    projects = ProjectBriefs(workspaces)
    tally = AnswerTally(_now)
    writer = AnswerWriter(
        conversations,
        knowledge,
        GrpcLanguageModel(inference, service_tokens.for_user),
        tracing,
        OtelMetrics(),
        tally,
        queue,
        tool_parts.of_answers,
        projects,
        budgets.spending,
        answer_limits,
        _now,
    )
    parts = await open_turns(settings, database, conversations, writer, _now, closing)
    turns = parts.turns
    parts.running.when_ended(tally.ended)
    watch_turns(parts.running, queue, tool_parts.consent, closing)

    status = open_status(
        settings,
        database,
        {"inference": inference, "retrieval": retrieval},
        service_tokens,
        catalog,
        foreign_tools,
        turns,
        tally,
        _now,
        closing,
    )
    sessions = Sessions(conversations, turns, _now)
    generations = open_text_generations(
        settings, catalog, budgets, inference, service_tokens, parts.admission, _now, closing
    )
    index = GrpcSearchIndex(retrieval, service_tokens.for_user)
    self_test = SelfTest(SqlDatabaseProbe(database), parts.log, generations, index, knowledge, tracing, _now)
    estimates = CostEstimates(conversations, budgets.budgets, budgets.prices, tools, projects, answer_limits, _now)
    suggestions = Suggestions(
        conversations,
        GrpcLibrary(retrieval, service_tokens.for_user),
        generations,
        tracing,
        SuggestionLimits(model_seconds=settings.suggestion_seconds, search_seconds=settings.search_seconds),
    )
    closing.push_async_callback(suggestions.close)
    open_titles(settings, database, news, parts.running, generations, closing)
    batches, batch_registration = await open_batches(
        settings,
        database,
        generations,
        news,
        closing,
        _now,
        has_replicas=parts.has_replicas,
    )
    return (
        turns,
        batches,
        [
            batch_registration,
            tool_parts.registration(),
            await webhooks.start(workspaces),
            Registration(
                chat_service_pb2_grpc.add_ChatServiceServicer_to_server,
                ChatServicer(sessions, turns, suggestions, tool_parts.decisions),
                "parley.chat.v1.ChatService",
            ),
            Registration(
                response_service_pb2_grpc.add_OpenAIResponseServiceServicer_to_server,
                OpenAIResponseServicer(turns, tool_parts.decisions),
                "parley.openai.v1.OpenAIResponseService",
            ),
            Registration(
                system_service_pb2_grpc.add_SystemServiceServicer_to_server,
                SystemServicer(status, self_test),
                "parley.system.v1.SystemService",
            ),
            *text_registrations(
                settings, inference, knowledge, service_tokens, generations, parts.admission, tools, _now
            ),
            Registration(
                event_service_pb2_grpc.add_EventServiceServicer_to_server,
                EventServicer(event_log, watching),
                "parley.events.v1.EventService",
            ),
            Registration(
                task_service_pb2_grpc.add_TaskServiceServicer_to_server,
                TaskServicer(workspaces, rule_days, _now),
                "parley.workspace.v1.TaskService",
            ),
            open_calendar(settings, database, workspaces, rule_days, outbound, _now, closing),
            await open_meeting_bots(
                database, event_log, workspaces, conversations, sessions, turns, rule_days, bot_news, _now, closing
            ),
            Registration(
                project_service_pb2_grpc.add_ProjectServiceServicer_to_server,
                ProjectServicer(workspaces, _now),
                "parley.workspace.v1.ProjectService",
            ),
            mcp_registration(settings, sources, tracing),
            await open_traces(settings, inference, retrieval, service_tokens.for_user, closing),
            await open_flags(settings, database, news, _now, closing),
            Registration(
                usage_service_pb2_grpc.add_UsageServiceServicer_to_server,
                UsageServicer(budgets.ledger, budgets.budgets, estimates, _now),
                "parley.usage.v1.UsageService",
            ),
        ],
    )


class _EachNews:
    """Tells several that a user has new events."""

    def __init__(self, *listeners: EventNews) -> None:
        self._listeners = listeners

    def tell(self, user_id: str) -> None:
        """Tells each."""
        for listener in self._listeners:
            listener.tell(user_id)


def _now() -> datetime:
    return datetime.now(UTC)

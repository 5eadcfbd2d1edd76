"""Says what is plugged into what. Production and tests enter the service here; nothing else joins the rooms.

Not the process: signals, exit codes and logs are `__main__`'s.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

from grpc.aio import Channel
from parley.ai.v1 import agent_service_pb2_grpc, content_service_pb2_grpc, generation_service_pb2_grpc
from parley.chat.v1 import chat_service_pb2_grpc
from parley.events.v1 import event_service_pb2_grpc
from parley.identity.v1 import identity_service_pb2_grpc
from parley.openai.v1 import openai_service_pb2_grpc
from parley.system.v1 import system_service_pb2_grpc
from parley.usage.v1 import usage_service_pb2_grpc
from parley.workspace.v1 import project_service_pb2_grpc, task_service_pb2_grpc
from parley_shared.channels import open_channel
from parley_shared.serving import Registration, Server, build_server
from parley_shared.settings import SettingsError
from parley_shared.sql import Database, migrate
from parley_shared.tokens import Principal, TokenVerifier

from parley_chat.adapters.argon2_password_hasher import Argon2PasswordHasher
from parley_chat.adapters.dateutil_rule_days import DateutilRuleDays
from parley_chat.adapters.es256_token_signer import Es256TokenSigner
from parley_chat.adapters.file_signing_key import SigningKey, load_or_make_signing_key
from parley_chat.adapters.file_turn_log import FileTurnLog, TurnLogFolderTakenError
from parley_chat.adapters.grpc_agent_catalog import GrpcAgentCatalog
from parley_chat.adapters.grpc_content_templates import GrpcContentTemplates
from parley_chat.adapters.grpc_embedder import GrpcEmbedder
from parley_chat.adapters.grpc_knowledge import GrpcKnowledge
from parley_chat.adapters.grpc_language_model import GrpcLanguageModel
from parley_chat.adapters.grpc_library import GrpcLibrary
from parley_chat.adapters.grpc_model_catalog import GrpcModelCatalog
from parley_chat.adapters.grpc_project_labels import GrpcProjectLabels
from parley_chat.adapters.grpc_search_index import GrpcSearchIndex
from parley_chat.adapters.grpc_service_health import GrpcServiceHealth
from parley_chat.adapters.grpc_text_model import GrpcTextModel
from parley_chat.adapters.json_local_user_file import JsonLocalUserFile
from parley_chat.adapters.no_stop_signals import NoStopSignals
from parley_chat.adapters.otel_metrics import OtelMetrics
from parley_chat.adapters.otel_tracing import OtelTracing
from parley_chat.adapters.private_files import PrivateFileError
from parley_chat.adapters.sql_accounts import SqlAccounts
from parley_chat.adapters.sql_conversations import SqlConversations
from parley_chat.adapters.sql_database_probe import SqlDatabaseProbe
from parley_chat.adapters.sql_events import SqlEventLog
from parley_chat.adapters.sql_index_cursors import SqlIndexCursors
from parley_chat.adapters.sql_personal_tokens import SqlPersonalTokens
from parley_chat.adapters.sql_reminders import SqlReminders
from parley_chat.adapters.sql_schema import metadata
from parley_chat.adapters.sql_sign_ins import SqlSignIns
from parley_chat.adapters.sql_turn_ownership import SqlTurnOwnership
from parley_chat.adapters.sql_workspaces import SqlWorkspaces
from parley_chat.batches_assembly import open_batches
from parley_chat.budget_assembly import BudgetParts, make_budgets
from parley_chat.calendar_assembly import open_calendar
from parley_chat.mcp_assembly import mcp_registration, open_foreign_tools
from parley_chat.meeting_bot_assembly import LateNews, open_meeting_bots
from parley_chat.operations.admission import Admission
from parley_chat.operations.agents import Agents, AgentSearch
from parley_chat.operations.answer_queue import AnswerQueue
from parley_chat.operations.answer_writer import AnswerLimits, AnswerWriter
from parley_chat.operations.batch_running import BatchRunning
from parley_chat.operations.content import Content
from parley_chat.operations.cost_estimates import CostEstimates
from parley_chat.operations.event_watching import EventWatching
from parley_chat.operations.identity import Identity, IdentityRules
from parley_chat.operations.index_following import IndexFollowing
from parley_chat.operations.local_user import ensure_local_user
from parley_chat.operations.project_briefs import ProjectBriefs
from parley_chat.operations.reminding import Reminding
from parley_chat.operations.running_turns import RunningTurns
from parley_chat.operations.self_test import SelfTest
from parley_chat.operations.service_tokens import ServiceTokens
from parley_chat.operations.sessions import Sessions
from parley_chat.operations.suggestions import SuggestionLimits, Suggestions
from parley_chat.operations.system_status import SystemStatus
from parley_chat.operations.takeover import BEATS_PER_LEASE, Takeover
from parley_chat.operations.text_generations import TextGenerations
from parley_chat.operations.token_revocation import TokenRevocation
from parley_chat.operations.tool_calls import ToolCalls
from parley_chat.operations.turns import TurnLimits, Turns
from parley_chat.operations.usage_recording import UsageRecording
from parley_chat.outbound_assembly import Outbound, open_outbound
from parley_chat.ports.event_log import EventNews
from parley_chat.ports.stop_signals import StopSignals
from parley_chat.ports.turn_log import TurnLog
from parley_chat.ports.turn_ownership import AnotherReplicaError
from parley_chat.servicers.agents import AgentServicer
from parley_chat.servicers.chat import ChatServicer
from parley_chat.servicers.content import ContentServicer
from parley_chat.servicers.events import EventServicer
from parley_chat.servicers.generation import GenerationServicer
from parley_chat.servicers.identity import IdentityServicer
from parley_chat.servicers.openai import OpenAIServicer
from parley_chat.servicers.projects import ProjectServicer
from parley_chat.servicers.reflection import services_of_the_contract
from parley_chat.servicers.status import to_status_error
from parley_chat.servicers.system import SystemServicer
from parley_chat.servicers.tasks import TaskServicer
from parley_chat.servicers.usage import UsageServicer
from parley_chat.settings import SERVICE, ChatSettings
from parley_chat.titles_assembly import open_titles
from parley_chat.tools_assembly import make_tools, own_tools
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


@dataclass(frozen=True)
class _IdentityParts:
    identity: Identity
    verifier: TokenVerifier
    service_tokens: ServiceTokens
    key: SigningKey


@asynccontextmanager
async def open_chat(settings: ChatSettings) -> AsyncIterator[ChatApp]:
    """Migrates the database, makes what the first run makes, and puts the service together; closes it all at the end.

    Raises SettingsError when a key file is not as it must be.
    """
    async with AsyncExitStack() as closing:
        await migrate_database(settings)
        database = Database.open(settings.database_url)
        closing.push_async_callback(database.close)

        parts = await _open_identity(settings, database, closing)
        registrations = [
            Registration(
                identity_service_pb2_grpc.add_IdentityServiceServicer_to_server,
                IdentityServicer(parts.identity, (parts.key.public,)),
                "parley.identity.v1.IdentityService",
            ),
        ]

        outbound = open_outbound(settings, parts.key.private_pem, closing)
        turns, batches, conversation_registrations = await _open_conversations(
            settings, database, parts.service_tokens, outbound, closing
        )
        registrations += conversation_registrations

        server = build_server(
            settings.service,
            registrations,
            verifier=parts.verifier,
            to_status_error=to_status_error,
            shown=(settings,),
            also_reflected=services_of_the_contract(),
        )
        yield ChatApp(settings, server, database, parts.service_tokens, turns, batches)


async def migrate_database(settings: ChatSettings) -> None:
    """Runs the migrations that the database has not seen. Raises SettingsError when its URL is of no use."""
    try:
        await migrate(settings.database_url, "parley_chat", metadata)
    except ValueError as error:
        raise SettingsError("PARLEY_CHAT_DATABASE_URL", f"PARLEY_CHAT_DATABASE_URL: {error}.") from error
    except ModuleNotFoundError as error:
        if error.name != "asyncpg":
            raise
        words = "PARLEY_CHAT_DATABASE_URL names PostgreSQL, whose driver is not installed: pip install 'parley-chat[postgres]'."
        raise SettingsError("PARLEY_CHAT_DATABASE_URL", words) from error


async def _open_conversations(
    settings: ChatSettings,
    database: Database,
    service_tokens: ServiceTokens,
    outbound: Outbound,
    closing: AsyncExitStack,
) -> tuple[Turns, BatchRunning, list[Registration]]:
    inference = open_channel(settings.inference_address)
    closing.push_async_callback(inference.close)
    retrieval = open_channel(settings.retrieval_address)
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
    writer = AnswerWriter(
        conversations,
        knowledge,
        GrpcLanguageModel(inference, service_tokens.for_user),
        tracing,
        OtelMetrics(),
        queue,
        tool_parts.of_answers,
        projects,
        budgets.spending,
        answer_limits,
        _now,
    )
    log, signals = await _open_turn_log(settings, closing)
    leases = database
    if database.dialect != "sqlite":
        # Connections of its own: a lease must not run out because calls stand in line for the others.
        leases = Database.open(settings.database_url)
        closing.push_async_callback(leases.close)
    ownership = SqlTurnOwnership(leases, settings.lease_seconds)
    running = RunningTurns(conversations, writer, tracing, settings.max_turn_seconds)
    takeover = Takeover(conversations, log, ownership, running, settings.max_running_turns, _now)
    admission = Admission(running, per_user=settings.max_running_turns_per_user, in_process=settings.max_running_turns)
    limits = TurnLimits(
        running_per_user=settings.max_running_turns_per_user,
        log_retention_seconds=settings.turn_log_retention_seconds,
    )
    turns = Turns(conversations, log, ownership, running, takeover, admission, signals, tracing, limits, _now)
    closing.push_async_callback(turns.drain, 0)
    signals.listen(running.request_stop)
    await _start_takeover(takeover, ownership, is_only_process=database.dialect == "sqlite" and not log.is_shared)
    expiry = asyncio.create_task(_expire_logs(turns, settings.turn_log_retention_seconds), name="expiry of turn logs")
    closing.callback(expiry.cancel)

    health = GrpcServiceHealth(
        {"inference": inference, "retrieval": retrieval}, lambda: service_tokens.for_user(SERVICE)
    )
    health.start()
    closing.push_async_callback(health.close)
    status = SystemStatus(health, turns, foreign_tools, version("parley-chat"), _now())
    sessions = Sessions(conversations, turns, _now)
    generations = _open_text_generations(settings, catalog, budgets, inference, service_tokens, admission, closing)
    index = GrpcSearchIndex(retrieval, service_tokens.for_user)
    self_test = SelfTest(SqlDatabaseProbe(database), log, generations, index, knowledge, tracing, _now)
    estimates = CostEstimates(conversations, budgets.budgets, budgets.prices, tools, projects, answer_limits, _now)
    suggestions = Suggestions(
        conversations,
        GrpcLibrary(retrieval, service_tokens.for_user),
        generations,
        tracing,
        SuggestionLimits(model_seconds=settings.suggestion_seconds, search_seconds=settings.search_seconds),
    )
    closing.push_async_callback(suggestions.close)
    open_titles(settings, database, news, running, generations, closing)
    batches, batch_registration = await open_batches(
        settings,
        database,
        generations,
        news,
        closing,
        _now,
        has_replicas=database.dialect != "sqlite" or log.is_shared,
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
                system_service_pb2_grpc.add_SystemServiceServicer_to_server,
                SystemServicer(status, self_test),
                "parley.system.v1.SystemService",
            ),
            *_generations(settings, inference, knowledge, service_tokens, generations, admission, tools),
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
            Registration(
                usage_service_pb2_grpc.add_UsageServiceServicer_to_server,
                UsageServicer(budgets.ledger, budgets.budgets, estimates, _now),
                "parley.usage.v1.UsageService",
            ),
        ],
    )


def _open_text_generations(
    settings: ChatSettings,
    catalog: GrpcModelCatalog,
    budgets: BudgetParts,
    inference: Channel,
    service_tokens: ServiceTokens,
    admission: Admission,
    closing: AsyncExitStack,
) -> TextGenerations:
    tracing = OtelTracing()
    recording = UsageRecording(budgets.ledger, tracing)
    closing.push_async_callback(recording.close)
    return TextGenerations(
        GrpcTextModel(inference, service_tokens.for_user),
        catalog,
        admission,
        tracing,
        recording,
        budgets.spending,
        longest_seconds=settings.max_turn_seconds,
        now=_now,
    )


def _generations(
    settings: ChatSettings,
    inference: Channel,
    knowledge: GrpcKnowledge,
    service_tokens: ServiceTokens,
    generations: TextGenerations,
    admission: Admission,
    tools: ToolCalls,
) -> list[Registration]:
    """What is served without a session."""
    tracing = OtelTracing()
    token_for = service_tokens.for_user
    agents = Agents(
        GrpcAgentCatalog(inference, token_for),
        knowledge,
        generations,
        admission,
        tools,
        tracing,
        AgentSearch(passages=settings.passages, seconds=settings.search_seconds),
        _now,
    )
    content = Content(GrpcContentTemplates(inference, token_for), generations, admission, tracing)
    return [
        Registration(
            generation_service_pb2_grpc.add_GenerationServiceServicer_to_server,
            GenerationServicer(generations),
            "parley.ai.v1.GenerationService",
        ),
        Registration(
            agent_service_pb2_grpc.add_AgentServiceServicer_to_server,
            AgentServicer(agents),
            "parley.ai.v1.AgentService",
        ),
        Registration(
            content_service_pb2_grpc.add_ContentServiceServicer_to_server,
            ContentServicer(content),
            "parley.ai.v1.ContentService",
        ),
        Registration(
            openai_service_pb2_grpc.add_OpenAIServiceServicer_to_server,
            OpenAIServicer(generations, GrpcEmbedder(inference, token_for)),
            "parley.openai.v1.OpenAIService",
        ),
    ]


async def _open_turn_log(settings: ChatSettings, closing: AsyncExitStack) -> tuple[TurnLog, StopSignals]:
    if settings.redis_url:
        return await _open_redis(settings, closing)
    try:
        log = FileTurnLog(settings.turn_log_folder)
    except TurnLogFolderTakenError:
        words = (
            f"PARLEY_CHAT_TURN_LOG_FOLDER: another chat process keeps its turns in {settings.turn_log_folder}. "
            "Several replicas share their turns through PARLEY_CHAT_REDIS_URL."
        )
        raise SettingsError("PARLEY_CHAT_TURN_LOG_FOLDER", words) from None
    closing.callback(log.close)
    return log, NoStopSignals()


async def _open_redis(settings: ChatSettings, closing: AsyncExitStack) -> tuple[TurnLog, StopSignals]:
    try:
        # Imported here: who keeps turns in files need not have the package.
        from parley_chat.adapters.redis_connection import RedisConnection  # noqa: PLC0415 - see above
        from parley_chat.adapters.redis_stop_signals import RedisStopSignals  # noqa: PLC0415 - see above
        from parley_chat.adapters.redis_turn_log import RedisTurnLog  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        words = "PARLEY_CHAT_REDIS_URL names Redis, whose client is not installed: pip install 'parley-chat[redis]'."
        raise SettingsError("PARLEY_CHAT_REDIS_URL", words) from error
    try:
        redis = RedisConnection(settings.redis_url)
        closing.push_async_callback(redis.close)
        # With patience: Redis may be starting too.
        await redis.command("PING")
    except (ValueError, OSError) as error:
        raise SettingsError("PARLEY_CHAT_REDIS_URL", f"PARLEY_CHAT_REDIS_URL: {error}.") from error
    log = RedisTurnLog(redis, retention_seconds=settings.turn_log_retention_seconds)
    closing.push_async_callback(log.close)
    return log, RedisStopSignals(redis)


async def _start_takeover(takeover: Takeover, ownership: SqlTurnOwnership, *, is_only_process: bool) -> None:
    """Starts it, and gives a process that has died the time to be known as dead."""
    deadline = time.monotonic() + 2 * ownership.lease_seconds
    while True:
        try:
            await takeover.start(is_only_process=is_only_process)
        except AnotherReplicaError:
            if time.monotonic() > deadline:
                words = (
                    "PARLEY_CHAT_REDIS_URL: another chat process uses the same database. Several replicas can go on with each "
                    "other's turns only when all of them have the same Redis."
                )
                raise SettingsError("PARLEY_CHAT_REDIS_URL", words) from None
            await asyncio.sleep(ownership.lease_seconds / BEATS_PER_LEASE)
        else:
            return


async def _expire_logs(turns: Turns, retention_seconds: float) -> None:
    while True:
        await asyncio.sleep(min(60.0, retention_seconds))
        try:
            await turns.expire_logs()
        except OSError:
            # The next round tries again; meanwhile logs only take room.
            logger.exception("turn logs could not be expired")


async def _open_identity(settings: ChatSettings, database: Database, closing: AsyncExitStack) -> _IdentityParts:
    accounts = SqlAccounts(database)
    personal_tokens = SqlPersonalTokens(database)
    hasher = await asyncio.to_thread(Argon2PasswordHasher)
    closing.callback(hasher.close)
    try:
        key = await asyncio.to_thread(load_or_make_signing_key, settings.keys_folder, settings.service.jwks_file)
        if settings.local_user:
            await ensure_local_user(accounts, hasher, JsonLocalUserFile(settings.keys_folder), now=_now)
    except PrivateFileError as error:
        raise SettingsError("PARLEY_CHAT_KEYS_FOLDER", str(error)) from error

    signer = Es256TokenSigner(
        key.private_pem,
        key.public.key_id,
        issuer=settings.service.token_issuer,
        audience=settings.service.token_audience,
    )
    revocation = TokenRevocation(accounts, personal_tokens, clock=time.monotonic)
    identity = Identity(
        accounts=accounts,
        sign_ins=SqlSignIns(database),
        personal_tokens=personal_tokens,
        hasher=hasher,
        signer=signer,
        revocation=revocation,
        rules=IdentityRules(
            sign_up_open=settings.sign_up_open,
            access_token_seconds=settings.access_token_seconds,
            refresh_token_seconds=settings.refresh_token_seconds,
        ),
        now=_now,
    )

    async def is_revoked(principal: Principal) -> bool:
        return await revocation.is_refused(user_id=principal.user_id, token_id=principal.token_id)

    verifier = TokenVerifier(
        settings.service.jwks_file,
        settings.service.token_issuer,
        settings.service.token_audience,
        is_revoked=is_revoked,
    )
    return _IdentityParts(identity, verifier, ServiceTokens(signer, service=SERVICE, now=_now), key)


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

"""Puts together what runs turns, and where their events are kept. A part of bootstrap.py, which says where it goes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime

from parley_shared.settings import SettingsError
from parley_shared.sql import Database

from parley_chat.adapters.file_turn_log import FileTurnLog, TurnLogFolderTakenError
from parley_chat.adapters.no_stop_signals import NoStopSignals
from parley_chat.adapters.otel_tracing import OtelTracing
from parley_chat.adapters.sql_conversations import SqlConversations
from parley_chat.adapters.sql_turn_ownership import SqlTurnOwnership
from parley_chat.operations.admission import Admission
from parley_chat.operations.answer_writer import AnswerWriter
from parley_chat.operations.running_turns import RunningTurns
from parley_chat.operations.takeover import BEATS_PER_LEASE, Takeover
from parley_chat.operations.turns import TurnLimits, Turns
from parley_chat.ports.stop_signals import StopSignals
from parley_chat.ports.turn_log import TurnLog
from parley_chat.ports.turn_ownership import AnotherReplicaError
from parley_chat.settings import ChatSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TurnParts:
    """What runs turns."""

    turns: Turns
    running: RunningTurns
    admission: Admission
    log: TurnLog
    has_replicas: bool
    """Whether other processes may run turns of the same database."""


async def open_turns(
    settings: ChatSettings,
    database: Database,
    conversations: SqlConversations,
    writer: AnswerWriter,
    now: Callable[[], datetime],
    closing: AsyncExitStack,
) -> TurnParts:
    """Goes on with the turns that a process before this one left, and takes new ones, until `closing` closes. Raises SettingsError."""
    tracing = OtelTracing()
    log, signals = await _open_turn_log(settings, closing)
    leases = database
    if database.dialect != "sqlite":
        # Connections of its own: a lease must not run out because calls stand in line for the others.
        leases = Database.open(settings.database_url)
        closing.push_async_callback(leases.close)
    ownership = SqlTurnOwnership(leases, settings.lease_seconds)
    running = RunningTurns(conversations, writer, tracing, settings.max_turn_seconds)
    takeover = Takeover(conversations, log, ownership, running, settings.max_running_turns, now)
    admission = Admission(running, per_user=settings.max_running_turns_per_user, in_process=settings.max_running_turns)
    limits = TurnLimits(
        running_per_user=settings.max_running_turns_per_user,
        log_retention_seconds=settings.turn_log_retention_seconds,
    )
    turns = Turns(conversations, log, ownership, running, takeover, admission, signals, tracing, limits, now)
    closing.push_async_callback(turns.drain, 0)
    signals.listen(running.request_stop)
    has_replicas = database.dialect != "sqlite" or log.is_shared
    await _start_takeover(takeover, ownership, is_only_process=not has_replicas)
    expiry = asyncio.create_task(_expire_logs(turns, settings.turn_log_retention_seconds), name="expiry of turn logs")
    closing.callback(expiry.cancel)
    return TurnParts(turns, running, admission, log, has_replicas)


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

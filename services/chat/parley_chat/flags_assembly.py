"""Feature flags, plugged together. A part of bootstrap.py, which says where it goes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime

from parley.flags.v1 import flag_service_pb2_grpc
from parley_shared.serving import Registration
from parley_shared.settings import SettingsError
from parley_shared.sql import Database

from parley_chat.adapters.sql_flags import SqlFlags
from parley_chat.audit_assembly import audit_trail
from parley_chat.domain.flags import flags_of_settings
from parley_chat.operations.flags import Flags
from parley_chat.ports.event_log import EventNews
from parley_chat.servicers.flags import FlagServicer
from parley_chat.settings import ChatSettings

_SETTING = "PARLEY_CHAT_FLAGS"


async def open_flags(
    settings: ChatSettings,
    database: Database,
    news: EventNews,
    now: Callable[[], datetime],
    closing: AsyncExitStack,
) -> Registration:
    """Reads the flags, and gives what is served. Raises SettingsError when the operator's cannot be read."""
    try:
        defaults = flags_of_settings(settings.flags)
    except ValueError as error:
        raise SettingsError(_SETTING, f"{_SETTING}: {error}.") from error
    flags = Flags(SqlFlags(database), defaults, news, audit_trail(now), now, has_replicas=database.dialect != "sqlite")
    await flags.start()
    closing.push_async_callback(flags.close)
    return Registration(
        flag_service_pb2_grpc.add_FlagServiceServicer_to_server,
        FlagServicer(flags),
        "parley.flags.v1.FlagService",
    )

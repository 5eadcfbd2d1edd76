"""Stop signals over Redis pub/sub: one channel for all turns, which all replicas hear."""

from __future__ import annotations

import logging
from collections.abc import Callable

from parley_chat.adapters.redis_connection import RedisConnection

logger = logging.getLogger(__name__)


class RedisStopSignals:
    """Sends and hears over the connections that it is given."""

    def __init__(self, redis: RedisConnection) -> None:
        self._redis = redis
        self._channel = f"{redis.prefix}:stops"

    async def send(self, turn_id: str) -> None:
        """Publishes the turn's id; once, for who is not there now looks at the stored wish."""
        try:
            await self._redis.command("PUBLISH", self._channel, turn_id, patience_seconds=0)
        except OSError as error:
            logger.warning("a stop could not be signalled", extra={"turn_id": turn_id, "error": str(error)})

    def listen(self, stop: Callable[[str], None]) -> None:
        """Calls `stop` with what is published, until the connections are closed."""
        self._redis.news.listen(self._channel).call(lambda message: stop(message.decode(errors="replace")))

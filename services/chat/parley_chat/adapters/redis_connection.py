"""One process's way to Redis: commands over few connections, with patience while Redis is away. Knows no turns.

What is heard from Redis without being asked, over pub/sub, is redis_news.py's.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ConnectionError,  # noqa: A004  It is redis-py's name for it; the built-in one is not used here.
    MasterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004  As above.
)

from parley_chat.adapters.redis_news import RedisNews

_MOST_CONNECTIONS = 16
_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.5

_MAY_PASS = (ConnectionError, TimeoutError, ReadOnlyError, MasterDownError, OutOfMemoryError)
_NEVER_PASSES = (AuthenticationError, AuthorizationError)
_MAY_PASS_WORDS = ("LOADING", "MISCONF", "TRYAGAIN", "NOREPLICAS", "UNBLOCKED")


class _Once(Retry):
    """redis-py's own retries, without any: with a count of 0 it would still connect again after a failure."""

    async def call_with_retry(self, do: Callable[[], Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        """Does it once."""
        del args, kwargs
        return await do()


class RedisScript:
    """A script that Redis runs as one step."""

    def __init__(self, text: str) -> None:
        self.text = text
        # The name that Redis gives a script, no secret.
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class RedisConnection:
    """Runs commands on one Redis server; not on a Redis Cluster. Connects when it is first used.

    `url` is `redis://` or `rediss://`, with user name, password and database number as they are needed; `patience_seconds` is how long
    a call tries again while Redis is away, and `call_seconds` how long one command, one try to connect or the wait for a free
    connection may take. `prefix` begins the names of all keys and channels. Raises ValueError, without the
    URL in it, when the URL is none.
    """

    def __init__(
        self, url: str, *, patience_seconds: float = 20.0, call_seconds: float = 5.0, prefix: str = "parley"
    ) -> None:
        _check(url)
        try:
            pool = BlockingConnectionPool.from_url(
                url,
                max_connections=_MOST_CONNECTIONS,
                timeout=call_seconds,
                socket_timeout=call_seconds,
                socket_connect_timeout=call_seconds,
                socket_keepalive=True,
                # A command that failed may have been carried out: only its caller knows whether it may be sent again.
                retry=_Once(NoBackoff(), 0),
                client_name="parley-chat",
            )
        except ValueError:
            # The words of the error may hold a part of a password.
            raise ValueError(_URL_WORDS) from None
        self.prefix = prefix
        self.patience_seconds = patience_seconds
        redis = Redis.from_pool(pool)
        # redis-py does not type all of it.
        self._redis: Any = redis
        self._calls: set[asyncio.Task[Any]] = set()
        self._closing = False
        self.news = RedisNews(redis)

    async def ping(self) -> None:
        """Asks for a sign of life, once. Raises OSError, whose words are for whoever runs the service and hold no password."""
        await self._call(self._redis.ping, patience_seconds=0)

    async def run(
        self,
        script: RedisScript,
        keys: Sequence[str],
        arguments: Sequence[str | bytes | int],
        *,
        patience_seconds: float | None = None,
    ) -> Any:
        """Runs a script, again and again while Redis is away. It must bear to be run twice, also later than a newer call.

        Raises OSError when Redis stays away or refuses.
        """

        async def once() -> Any:
            rest = (len(keys), *keys, *arguments)
            try:
                return await self._redis.execute_command("EVALSHA", script.sha, *rest)
            except NoScriptError:
                # Redis was started anew, or never saw it.
                return await self._redis.execute_command("EVAL", script.text, *rest)

        return await self._call(once, patience_seconds)

    async def command(self, *words: str | bytes | float, patience_seconds: float | None = None) -> Any:
        """Runs a command that may be run twice. Raises OSError when Redis stays away or refuses."""
        return await self._call(lambda: self._redis.execute_command(*words), patience_seconds)

    async def _call(self, act: Callable[[], Awaitable[Any]], patience_seconds: float | None) -> Any:
        # A task of its own: whoever waits may be cancelled, and a connection must not be left in the middle of an answer.
        patience = self.patience_seconds if patience_seconds is None else patience_seconds
        task = asyncio.create_task(self._try_for(act, patience))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return await asyncio.shield(task)

    async def _try_for(self, act: Callable[[], Awaitable[Any]], seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return await act()
            except (RedisError, OSError) as error:
                if self._closing or not _may_pass(error) or time.monotonic() + pause > deadline:
                    raise OSError(f"Redis: {error}") from error
            # Apart, so that a hundred turns do not come back in one moment.
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  No secret.
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def close(self) -> None:
        """Lets go of all connections. Nothing may be called any more."""
        await self.news.close()
        # They are not cancelled, for the sake of their connections, and take no longer than one try.
        self._closing = True
        if self._calls:
            await asyncio.wait(self._calls)
        await self._redis.aclose(close_connection_pool=True)


_URL_WORDS = (
    "it must be like redis://user:password@host:6379/0 or rediss://…, with special characters of a password as %XX"
)


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        fits = parts.scheme in {"redis", "rediss"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    # Other words of the query could change what the commands here stand on.
    if not fits or not all(name.startswith("ssl_") for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        raise ValueError(_URL_WORDS)


def _may_pass(error: Exception) -> bool:
    if isinstance(error, _NEVER_PASSES):
        return False
    if isinstance(error, ResponseError) and str(error).startswith(_MAY_PASS_WORDS):
        return True
    return isinstance(error, (*_MAY_PASS, OSError))

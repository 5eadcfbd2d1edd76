"""What Redis tells without being asked: one pub/sub connection of a process, for all who listen in it.

News may be lost, while the connection is broken for example: who listens must also look without having been told.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

_PING_SECONDS = 5.0
_SILENCE_SECONDS = 15.0
"""After which a connection on which not even a ping was answered is taken for dead."""
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0
_CANCEL_AGAIN_SECONDS = 0.05


_BROKEN_OFF = "news from Redis is broken off; until it is back, turns are looked at every second"


class RedisTopic:
    """A channel, as its listeners in this process see it."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.listeners = 0
        self.version = 0
        """Grows with everything that may be news: messages, and the beginning of a subscription, before which some may be lost."""
        self._waiters: set[asyncio.Future[None]] = set()
        self._callbacks: list[Callable[[bytes], None]] = []

    async def changed(self, seen: int, seconds: float) -> None:
        """Waits until there is news after a version, or the time is over."""
        if self.version != seen:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await asyncio.wait((waiter,), timeout=seconds)
        finally:
            self._waiters.discard(waiter)

    def call(self, callback: Callable[[bytes], None]) -> None:
        """Calls it with each message from now on."""
        self._callbacks.append(callback)

    def wake(self) -> None:
        """Says that there may be news."""
        self.version += 1
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def hear(self, message: bytes) -> None:
        """Takes a message."""
        self.wake()
        for callback in self._callbacks:
            callback(message)


class RedisNews:
    """Subscribes to what somebody listens to, as long as somebody does, and again when the connection was lost."""

    def __init__(self, redis: Redis) -> None:
        # redis-py does not type all of it.
        self._redis: Any = redis
        self._topics: dict[str, RedisTopic] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def listen(self, channel: str) -> RedisTopic:
        """Begins to listen. `leave` ends it."""
        topic = self._topics.get(channel)
        if topic is None:
            topic = self._topics[channel] = RedisTopic(channel)
            self._changed.set()
        topic.listeners += 1
        if self._task is None and not self._closing.is_set():
            self._task = asyncio.create_task(self._keep_listening(), name="news from Redis")
        return topic

    def leave(self, topic: RedisTopic) -> None:
        """Ends one listener's listening."""
        topic.listeners -= 1
        if not topic.listeners and self._topics.get(topic.channel) is topic:
            del self._topics[topic.channel]
            self._changed.set()

    async def close(self) -> None:
        """Listens no more."""
        # Not cancelled: while it connects, redis-py can swallow a cancellation, or forget an open connection over it.
        self._closing.set()
        if self._task:
            await asyncio.wait((self._task,))

    async def _keep_listening(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._closing.is_set():
            began = time.monotonic()
            try:
                await self._session()
            except (RedisError, OSError) as error:
                logger.warning(_BROKEN_OFF, extra={"error": str(error)})
            except Exception:
                logger.exception(_BROKEN_OFF)
            if time.monotonic() - began > _SILENCE_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _session(self) -> None:
        """Listens over one connection until it breaks."""
        pubsub = self._redis.pubsub()
        tasks: list[asyncio.Task[Any]] = []
        try:
            await pubsub.connect()
            for work in (self._tell(pubsub), self._hear(pubsub), self._closing.wait()):
                tasks.append(asyncio.create_task(work))  # noqa: PERF401  They are ended also when one cannot be made.
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await _end(tasks)
            await pubsub.aclose()

    async def _tell(self, pubsub: Any) -> None:
        """Tells Redis what is listened to, whenever that changes; and gives a sign of life now and then."""
        subscribed: set[str] = set()
        while _is_connected(pubsub):
            self._changed.clear()
            if new := self._topics.keys() - subscribed:
                await pubsub.subscribe(*sorted(new))
                subscribed |= new
            elif left := subscribed - self._topics.keys():
                await pubsub.unsubscribe(*sorted(left))
                subscribed -= left
            else:
                try:
                    async with asyncio.timeout(_PING_SECONDS):
                        await self._changed.wait()
                except TimeoutError:
                    if _is_connected(pubsub):
                        await pubsub.ping()

    async def _hear(self, pubsub: Any) -> None:
        while _is_connected(pubsub):
            async with asyncio.timeout(_SILENCE_SECONDS):
                message = await pubsub.get_message(timeout=None)
            if message is None or not isinstance(message["channel"], bytes):
                continue
            topic = self._topics.get(message["channel"].decode(errors="replace"))
            if topic is None:
                continue
            if message["type"] == "message":
                topic.hear(message["data"])
            elif message["type"] == "subscribe":
                # What happened before was told to nobody here.
                topic.wake()


async def _end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    # Cancelled until they have ended: redis-py can swallow a cancellation while it sends.
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=_CANCEL_AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)


def _is_connected(pubsub: Any) -> bool:
    # Asked before each use: redis-py would connect again by itself, in two tasks at once.
    return bool(pubsub.connection and pubsub.connection.is_connected)

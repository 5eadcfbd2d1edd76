"""What Redis tells without being asked: one pub/sub connection of a process, for all who listen in it.

News may be lost, while the connection is broken for example: who listens must also look without having been told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

_PING_SECONDS = 5.0
_SILENCE_SECONDS = 15.0
"""After which a connection on which not even a ping was answered is taken for dead."""
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0


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
        self._redis = redis
        self._topics: dict[str, RedisTopic] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def listen(self, channel: str) -> RedisTopic:
        """Begins to listen. `leave` ends it."""
        topic = self._topics.get(channel)
        if topic is None:
            topic = self._topics[channel] = RedisTopic(channel)
            self._changed.set()
        topic.listeners += 1
        if self._task is None and not self._closed:
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
        self._closed = True
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep_listening(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._session()
            except (RedisError, OSError) as error:
                logger.warning("news from Redis is broken off; turns are looked at every second", extra={"error": str(error)})
            except Exception:
                logger.exception("news from Redis is broken off; turns are looked at every second")
            if asyncio.get_running_loop().time() - began > _SILENCE_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _session(self) -> None:
        """Listens over one connection until it breaks."""
        pubsub = self._redis.pubsub()
        tasks: list[asyncio.Task[None]] = []
        try:
            await pubsub.connect()
            tasks = [asyncio.create_task(self._tell(pubsub)), asyncio.create_task(self._hear(pubsub))]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await pubsub.aclose()

    async def _tell(self, pubsub: Any) -> None:
        """Tells Redis what is listened to, whenever that changes; and gives a sign of life now and then."""
        subscribed: set[str] = set()
        while True:
            self._changed.clear()
            wanted = set(self._topics)
            if new := sorted(wanted - subscribed):
                await pubsub.subscribe(*new)
            if left := sorted(subscribed - wanted):
                await pubsub.unsubscribe(*left)
            subscribed = wanted
            try:
                async with asyncio.timeout(_PING_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                await pubsub.ping()

    async def _hear(self, pubsub: Any) -> None:
        while True:
            async with asyncio.timeout(_SILENCE_SECONDS):
                message = await pubsub.get_message(timeout=None)
            if message is None:
                continue
            channel = message["channel"]
            topic = self._topics.get(channel.decode() if isinstance(channel, bytes) else channel or "")
            if topic is None:
                continue
            if message["type"] == "message":
                topic.hear(message["data"])
            elif message["type"] == "subscribe":
                # What happened before was told to nobody here.
                topic.wake()

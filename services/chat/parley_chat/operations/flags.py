"""What users and administrators do with feature flags: read, watch, set, delete.

This process keeps all flags at hand, so that reading them costs nothing; it learns of its own changes at once, and of those of other
replicas by a look at their revision every moment. When the database is away, what was known last still holds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import datetime

from parley_chat.domain.audit import ActorKind, Deed
from parley_chat.domain.flags import EvaluatedFlag, Flag, FlagReason, FlagSet
from parley_chat.operations.identity_audit import AuditTrail, tell
from parley_chat.ports.event_log import EventNews
from parley_chat.ports.flags import FlagStore

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""Between two looks for the changes of other replicas."""
ALIVE_SECONDS = 20.0
"""After how long without a change a watcher is told again."""


class Flags:
    """The use cases. `start` and `close` frame its life."""

    def __init__(
        self,
        store: FlagStore,
        defaults: Mapping[str, Flag],
        news: EventNews,
        trail: AuditTrail,
        now: Callable[[], datetime],
        *,
        has_replicas: bool,
    ) -> None:
        """`defaults` are the flags of the settings, by name."""
        self._store = store
        self._defaults = defaults
        self._news = news
        self._trail = trail
        self._now = now
        self._has_replicas = has_replicas
        self._known = FlagSet(0, ()).over(defaults)
        self._changed = asyncio.Event()
        """Set, and replaced, whenever what is known changes."""
        self._reading = asyncio.Lock()
        """One reads after the other, so that what was read later is known last."""
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Reads the flags, and begins to look for the changes of other replicas if there may be any."""
        await self._read()
        if self._has_replicas:
            self._looking = asyncio.create_task(self._look(), name="look for flags")

    async def close(self) -> None:
        """Stops looking."""
        if self._looking:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    def for_user(self, user_id: str) -> tuple[tuple[EvaluatedFlag, ...], int]:
        """What every flag is for a user, and the revision of all."""
        return self._known.for_user(user_id), self._known.revision

    async def watch(self, user_id: str) -> AsyncGenerator[tuple[tuple[EvaluatedFlag, ...], int], None]:
        """The same, and again whenever something of it changes for the user, and every while, for as long as the caller reads."""
        told: list[tuple[str, bool, str, FlagReason]] | None = None
        alive = True
        while True:
            # Before the look: what changes between the look and the waiting is not lost.
            changed = self._changed
            flags, revision = self.for_user(user_id)
            seen = [flag.seen for flag in flags]
            if seen != told or alive:
                told, alive = seen, False
                yield flags, revision
            try:
                async with asyncio.timeout(ALIVE_SECONDS):
                    await changed.wait()
            except TimeoutError:
                alive = True

    async def list(self) -> FlagSet:
        """All flags as they are set, newly read."""
        await self._read()
        return self._known

    async def set(self, user_id: str, name: str, expected_revision: int | None, wish: Callable[[Flag], Flag]) -> Flag:
        """Makes or changes a flag: `wish` makes what shall be from what is: what is set, or what the settings have, or a blank one.

        Raises FlagRevisionError and TooManyFlagsError.
        """
        default = self._defaults.get(name, Flag(name))
        entry = self._trail.entry(Deed.FLAG_SET, user_id, ActorKind.ADMIN, target=name)
        flag = await self._store.put(
            user_id, name, expected_revision, lambda there: wish(there or default), self._now(), entry
        )
        tell(entry)
        await self._changed_by(user_id)
        return flag

    async def delete(self, user_id: str, name: str, expected_revision: int | None) -> None:
        """Deletes a flag. Raises NotFoundError and FlagRevisionError."""
        entry = self._trail.entry(Deed.FLAG_DELETED, user_id, ActorKind.ADMIN, target=name)
        await self._store.remove(user_id, name, expected_revision, self._now(), entry)
        tell(entry)
        await self._changed_by(user_id)

    async def _changed_by(self, user_id: str) -> None:
        self._news.tell(user_id)
        await self._read()

    async def _read(self) -> None:
        async with self._reading:
            known = (await self._store.all()).over(self._defaults)
            if known != self._known:
                self._known = known
                changed, self._changed = self._changed, asyncio.Event()
                changed.set()

    async def _look(self) -> None:
        told = False
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if await self._store.revision() != self._known.revision:
                    await self._read()
                told = False
            except Exception:
                # The next look tries again; meanwhile what was known last holds. Told once, and not twice a second.
                if not told:
                    logger.warning("flags could not be looked for", exc_info=True)
                told = True

"""Reminds users of their tasks: each reminder becomes an event, once, whichever replicas run and whenever they do.

What is held back by a stop of all replicas comes when one starts again, and says for when it was meant. Nothing is sent anywhere: whoever
watches events is told.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace

from parley_chat.domain.events import reminded_task
from parley_chat.ports.reminders import Reminders
from parley_chat.ports.workspace import Workspaces

logger = logging.getLogger(__name__)

USERS = 100
"""How many users with reminders are looked for at a time."""
TASKS = 100
"""How many reminders of a user are told in one transaction."""
SWEEP_SECONDS = 30.0
"""The longest sleep: a task of another replica that has died meanwhile may remind earlier than any that this one knows."""
AGAIN_SECONDS = 5.0
"""After how long it tries again what failed."""


class Reminding:
    """Reminds, in one task of its own."""

    def __init__(self, reminders: Reminders) -> None:
        self._reminders = reminders
        self._news = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def start(self, workspaces: Workspaces) -> None:
        """Begins to remind."""
        self._running = asyncio.create_task(self._run(workspaces), name="reminding")

    async def close(self) -> None:
        """Stops reminding. What is left is told by another replica, or by the next process."""
        if self._running:
            self._running.cancel()
            await asyncio.wait([self._running])

    def tell(self, user_id: str) -> None:
        """There may be another next reminder: a user's tasks have changed."""
        del user_id
        self._news.set()

    async def _run(self, workspaces: Workspaces) -> None:
        while True:
            # Before the look: what is told during it is looked at again.
            self._news.clear()
            try:
                pause = await remind_all(self._reminders, workspaces)
            except Exception:
                # Whatever it was, nothing is lost: the next round finds the same reminders.
                logger.exception("reminders could not be looked for")
                pause = AGAIN_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._news.wait()


async def remind_all(reminders: Reminders, workspaces: Workspaces) -> float:
    """Tells the reminders whose time has come; gives the seconds until the next look at the latest."""
    failed = False
    users = await reminders.users(USERS)
    for user_id in users:
        try:
            while await _remind(workspaces, user_id) == TASKS:
                pass
        except Exception:
            # The others are reminded all the same.
            failed = True
            logger.exception("a user could not be reminded")
    if failed:
        return AGAIN_SECONDS
    if len(users) == USERS:
        return 0.0
    seconds = await reminders.seconds_to_next()
    return SWEEP_SECONDS if seconds is None else min(seconds, SWEEP_SECONDS)


async def _remind(workspaces: Workspaces, user_id: str) -> int:
    """Tells reminders of one user, one of each task; gives how many. In the transaction that tells it, a reminder is no longer to come:
    of two replicas that try, the second waits for the first and finds nothing."""
    async with workspaces.change(user_id) as workspace:
        tasks = await workspace.tasks.to_remind(TASKS)
        for task in tasks:
            if task.remind_time is not None:
                following = min((time for time in task.remind_times() if time > task.remind_time), default=None)
                reminded = replace(task, remind_time=following)
                await workspace.tasks.put(reminded)
                workspace.tell(reminded_task(reminded, task.remind_time))
        return len(tasks)

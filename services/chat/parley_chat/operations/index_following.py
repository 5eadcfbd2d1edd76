"""Keeps the search index up with what chat owns: reads the log of events behind a cursor, and tells the index how each thing is last.

At least once: what was told and not noted is told again, and the index passes over what is not newer. In the same way the documents
of a project that was deleted are moved out of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from parley_chat.domain.calendar import CalendarEvent, EventStatus
from parley_chat.domain.errors import KnowledgeUnavailableError
from parley_chat.domain.events import Action, Event, ResourceType
from parley_chat.domain.tasks import Task
from parley_chat.ports.event_log import EventLog
from parley_chat.ports.project_labels import ProjectLabels
from parley_chat.ports.search_index import DeletedItem, IndexCursors, IndexItem, SearchIndex

logger = logging.getLogger(__name__)

FOLLOWED = (ResourceType.TASK, ResourceType.CALENDAR_EVENT, ResourceType.PROJECT)
PAGE = 200
BATCH = 100
USERS = 100
"""How many users who are behind are looked for at a time."""
SWEEP_SECONDS = 30.0
"""Between two looks for users whose changes nobody told of: those of a process that died, or of another replica."""
AGAIN_SECONDS = 5.0
"""The same while the index does not answer."""
_PEOPLE = 20
"""Of an event, that it is found by."""


class IndexFollowing:
    """Follows the log, in one task of its own."""

    def __init__(self, log: EventLog, cursors: IndexCursors, index: SearchIndex, labels: ProjectLabels) -> None:
        self._log = log
        self._cursors = cursors
        self._index = index
        self._labels = labels
        self._told: set[str] = set()
        self._news = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to follow."""
        self._following = asyncio.create_task(self._follow(), name="index following")

    async def close(self) -> None:
        """Stops following. What is left is told by the next process."""
        if self._following:
            self._following.cancel()
            await asyncio.wait([self._following])

    def tell(self, user_id: str) -> None:
        """There may be new events of a user."""
        self._told.add(user_id)
        self._news.set()

    async def catch_up(self, user_id: str) -> None:
        """Tells the index all that it does not know of a user. Raises KnowledgeUnavailableError."""
        after = await self._cursors.cursor(user_id)
        while True:
            page = await self._log.page(user_id, after, PAGE, FOLLOWED)
            is_last = len(page.events) < PAGE
            reached = page.newest if is_last else page.events[-1].sequence
            if reached <= after:
                return
            await self._tell_index(user_id, page.events)
            await self._cursors.move(user_id, reached)
            after = reached
            if is_last:
                return

    async def _tell_index(self, user_id: str, events: Sequence[Event]) -> None:
        # A reminder changes nothing that can be found.
        changes = [event for event in events if event.change.action is not Action.REMINDED]
        last = {event.change.resource_id: event for event in changes}
        puts = [item for event in last.values() if (item := _item(event)) is not None]
        gone = [event for event in last.values() if event.change.resource is None]
        deletes = [_deleted(event) for event in gone if event.change.resource_type is not ResourceType.PROJECT]
        for start in range(0, len(puts), BATCH):
            await self._index.put(user_id, puts[start : start + BATCH])
        for start in range(0, len(deletes), BATCH):
            await self._index.delete(user_id, deletes[start : start + BATCH])
        for event in gone:
            if event.change.resource_type is ResourceType.PROJECT:
                await self._labels.clear(user_id, event.change.resource_id)

    async def _follow(self) -> None:
        pause = 0.0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._news.wait()
            self._news.clear()
            pause = await self._round()

    async def _round(self) -> float:
        """Catches up with whoever is behind; gives the seconds until the next round at the latest."""
        told, self._told = self._told, set()
        try:
            behind = set(await self._cursors.behind(USERS))
            for user_id in told | behind:
                await self.catch_up(user_id)
        except KnowledgeUnavailableError:
            return AGAIN_SECONDS
        except Exception:
            # Whatever it was, the cursor stands where it stood, and the next round tries again.
            logger.exception("the index could not be told of changes")
            return AGAIN_SECONDS
        return 0.0 if len(behind) == USERS else SWEEP_SECONDS


def _item(event: Event) -> IndexItem | None:
    """What is found of a thing; None of what is found in another way."""
    match event.change.resource:
        case Task() as task:
            return _task_item(event, task)
        case CalendarEvent() as calendar_event:
            return _event_item(event, calendar_event)
        case _:
            return None


def _event_item(event: Event, told: CalendarEvent) -> IndexItem:
    details, span = told.body.details, told.body.span
    minutes = "%A, %Y-%m-%d %H:%M"
    when = (
        f"on {span.begin:%A, %Y-%m-%d}" if span.all_day else f"from {span.start:{minutes}} to {span.end:{minutes}} UTC"
    )
    title = details.title or "An event without a title"
    people = [person.name or person.email for person in details.attendees[:_PEOPLE]]
    facts = [
        f"Event: {title}",
        when,
        f"at {details.location}" if details.location else "",
        f"with {', '.join(people)}" if people else "",
        f"recurs: {told.body.recurrence}" if told.body.recurrence else "",
        "" if details.status is EventStatus.CONFIRMED else details.status.value,
    ]
    return IndexItem(
        item_type=event.change.resource_type.value,
        item_id=told.event_id,
        version=event.sequence,
        title=title,
        text=_text(facts, details.description),
        project="",
        update_time=told.update_time,
    )


def _task_item(event: Event, task: Task) -> IndexItem:
    facts = [
        f"Task: {task.title}",
        f"due {task.due_time:%A, %Y-%m-%d %H:%M} UTC" if task.due_time else "",
        f"recurs: {task.recurrence}" if task.recurrence else "",
        f"{task.state.value}, priority {task.priority.value}",
    ]
    return IndexItem(
        item_type=event.change.resource_type.value,
        item_id=task.task_id,
        version=event.sequence,
        title=task.title,
        text=_text(facts, task.notes),
        project=task.project,
        update_time=task.update_time,
    )


def _text(facts: Sequence[str], notes: str) -> str:
    """The facts in one sentence, with the title among them: whoever quotes a passage quotes a sentence of its text. Then the notes."""
    sentence = "; ".join(fact for fact in facts if fact)
    return f"{sentence}.\n\n{notes}" if notes else f"{sentence}."


def _deleted(event: Event) -> DeletedItem:
    return DeletedItem(event.change.resource_type.value, event.change.resource_id, event.sequence)

"""Synchronizes calendar accounts: each by one replica at a time, some at once, and whatever goes wrong is said in the account's state.

A synchronization is a claim for a while, a look at the other place, and changes in batches of their own transactions. Who holds the claim
no more writes nothing more; what is cut off begins anew, and finds the same.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from parley_chat.domain.calendar import (
    MOST_EVENTS_OF_AN_ACCOUNT,
    AccountCalendar,
    AccountState,
    CalendarAccount,
    CalendarEvent,
    synced_event_id,
)
from parley_chat.domain.events import Action, Change, ResourceType, changed_account, changed_event
from parley_chat.operations.calendar import unseal
from parley_chat.operations.meetings import reach_of
from parley_chat.ports.calendar import (
    CalendarSchedule,
    CalendarSource,
    CalendarSourceError,
    KnownEvent,
    SourceAnswer,
    SourceEvent,
    SourceRequest,
    SyncClaim,
)
from parley_chat.ports.rule_days import RuleDays
from parley_chat.ports.secret_box import SecretBox, SecretLostError
from parley_chat.ports.workspace import Workspace, Workspaces

logger = logging.getLogger(__name__)

BATCH = 100
"""Events that are changed in one transaction."""
SYNC_SECONDS = 300.0
"""How long one synchronization may take."""
LEASE = timedelta(seconds=SYNC_SECONDS + 60)
WAIT_SECONDS = 30.0
"""How long a call waits for it."""
SWEEP_SECONDS = 15.0
"""The longest sleep: another replica may have been told of something that is due."""
AGAIN_SECONDS = 5.0
_LOOK_SECONDS = 0.2
_JITTER = 0.1
_MOST_INTERVALS = 16
"""What fails again and again is tried ever less often, down to one of so many times."""
_MOST_WARNINGS = 10


@dataclass(frozen=True, slots=True)
class SyncRules:
    """How often, and how many."""

    interval: timedelta
    at_once: int
    """Accounts that this process synchronizes at a time."""


class CalendarSyncing:
    """Synchronizes what is due, in tasks of its own."""

    def __init__(
        self,
        schedule: CalendarSchedule,
        source: CalendarSource,
        box: SecretBox,
        days: RuleDays,
        rules: SyncRules,
        now: Callable[[], datetime],
    ) -> None:
        self._schedule = schedule
        self._source = source
        self._box = box
        self._days = days
        self._rules = rules
        self._now = now
        self._news = asyncio.Event()
        self._workspaces: Workspaces | None = None
        self._loop: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()

    def start(self, workspaces: Workspaces) -> None:
        """Begins to synchronize."""
        self._workspaces = workspaces
        self._loop = asyncio.create_task(self._run(workspaces), name="calendar syncing")

    async def close(self) -> None:
        """Stops. What ran is begun anew by another replica, or by the next process, when its claim has run out."""
        tasks = [*self._running, *([self._loop] if self._loop else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def wake(self) -> None:
        """There may be something due."""
        self._news.set()

    async def sync_now(self, user_id: str, account_id: str) -> None:
        """Synchronizes one account of a user, or all when it is empty, and waits for that, but not too long. Raises NotFoundError."""
        if self._workspaces is None:
            raise RuntimeError("synchronizing was not started")
        asked = self._now()
        async with self._workspaces.change(user_id) as workspace:
            store = workspace.calendar
            accounts = [await store.account(account_id)] if account_id else await store.accounts()
            for account in accounts:
                await store.request_sync(account.account_id, asked)
        self.wake()
        waiting = {account.account_id for account in accounts if account.next_sync_time is not None}
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS):
                while waiting:
                    await asyncio.sleep(_LOOK_SECONDS)
                    async with self._workspaces.read(user_id) as workspace:
                        found = await workspace.calendar.accounts()
                    waiting &= {account.account_id for account in found if not _is_done(account, asked)}

    async def _run(self, workspaces: Workspaces) -> None:
        while True:
            # Before the look: what is told during it is looked at again.
            self._news.clear()
            try:
                pause = await self._begin_due(workspaces)
            except Exception:
                logger.exception("calendar accounts that are due could not be looked for")
                pause = AGAIN_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._news.wait()

    async def _begin_due(self, workspaces: Workspaces) -> float:
        """Begins as many as may run; gives the seconds until the next look at the latest."""
        free = self._rules.at_once - len(self._running)
        if free <= 0:
            return SWEEP_SECONDS
        now = self._now()
        for user_id, account_id in await self._schedule.due(now, free):
            claim = await self._schedule.claim(user_id, account_id, now, now + LEASE)
            if claim is not None:
                task = asyncio.create_task(self._sync(workspaces, claim), name=f"calendar sync {account_id}")
                self._running.add(task)
                task.add_done_callback(self._ended)
        following = await self._schedule.next_time()
        if following is None:
            return SWEEP_SECONDS
        return min(max(0.05, (following - self._now()).total_seconds()), SWEEP_SECONDS)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._news.set()

    async def _sync(self, workspaces: Workspaces, claim: SyncClaim) -> None:
        try:
            async with asyncio.timeout(SYNC_SECONDS):
                answer = await self._fetch_and_apply(workspaces, claim)
        except TimeoutError:
            await self._fail(workspaces, claim, f"The calendar took longer than {SYNC_SECONDS:.0f} seconds.")
        except CalendarSourceError as error:
            await self._fail(workspaces, claim, error.words)
        except SecretLostError:
            await self._fail(workspaces, claim, "The stored password cannot be read any more. Enter it again.")
        except _ClaimLostError:
            logger.info("a calendar account was claimed by another", extra={"account_id": claim.account.account_id})
        except Exception:
            logger.exception("a calendar account could not be synchronized")
            await self._fail(workspaces, claim, "Parley failed. The operator finds the cause in the log.")
        else:
            await self._succeed(workspaces, claim, answer)

    async def _fetch_and_apply(self, workspaces: Workspaces, claim: SyncClaim) -> SourceAnswer:
        account_id = claim.account.account_id
        async with workspaces.read(claim.user_id) as workspace:
            known = await workspace.calendar.known(account_id)
        credentials = unseal(self._box, account_id, claim.sealed)
        answer = await self._source.fetch(SourceRequest(claim.account, credentials, claim.progress, known))
        removed = [known[each] for each in answer.removed if each in known]
        for start in range(0, len(removed), BATCH):
            async with workspaces.change(claim.user_id) as workspace:
                await _hold(workspace, claim)
                for each in removed[start : start + BATCH]:
                    await workspace.calendar.remove_event(each.event_id)
                    workspace.tell(Change(Action.DELETED, ResourceType.CALENDAR_EVENT, each.event_id, None))
        free = MOST_EVENTS_OF_AN_ACCOUNT - len(known) + len(removed)
        changed: list[SourceEvent] = []
        left_out = 0
        for source in answer.changed:
            if source.resource not in known and free <= 0:
                left_out += 1
                continue
            free -= source.resource not in known
            changed.append(source)
        for start in range(0, len(changed), BATCH):
            await self._put(workspaces, claim, changed[start : start + BATCH], known)
        if left_out:
            words = f"{left_out} events were left out: an account has at most {MOST_EVENTS_OF_AN_ACCOUNT}."
            # Nothing is noted of how far it is, so that what was left out is looked at again.
            return replace(answer, warnings=[words, *answer.warnings], progress="")
        return answer

    async def _put(
        self, workspaces: Workspaces, claim: SyncClaim, batch: Sequence[SourceEvent], known: Mapping[str, KnownEvent]
    ) -> None:
        account_id, now = claim.account.account_id, self._now()
        reaches = await asyncio.to_thread(lambda: [reach_of(each.body, self._days) for each in batch])
        async with workspaces.change(claim.user_id) as workspace:
            await _hold(workspace, claim)
            for source, reach in zip(batch, reaches, strict=True):
                before = known.get(source.resource)
                create_time = now
                if before is not None:
                    create_time = (await workspace.calendar.event(before.event_id)).create_time
                event = CalendarEvent(
                    synced_event_id(account_id, source.resource),
                    account_id,
                    source.calendar_id,
                    source.body,
                    create_time,
                    now,
                )
                await workspace.calendar.put_synced(account_id, event, source, reach)
                workspace.tell(changed_event(Action.UPDATED if before else Action.CREATED, event))

    async def _succeed(self, workspaces: Workspaces, claim: SyncClaim, answer: SourceAnswer) -> None:
        now = self._now()
        wanted = set(claim.account.wanted)
        calendars = tuple(
            AccountCalendar(each.calendar_id, each.name, not wanted or each.calendar_id in wanted, each.writable)
            for each in answer.calendars
        )
        warnings = [*answer.warnings, *(claim.account.warnings if answer.keeps_warnings else ())]
        account = replace(
            claim.account,
            state=AccountState.READY,
            error="",
            warnings=tuple(words[:300] for words in dict.fromkeys(warnings))[:_MOST_WARNINGS],
            calendars=calendars,
            last_sync_time=now,
            last_success_time=now,
            next_sync_time=now + self._interval(0),
        )
        await self._end(workspaces, claim, account, answer.progress, 0)

    async def _fail(self, workspaces: Workspaces, claim: SyncClaim, words: str) -> None:
        now = self._now()
        failures = claim.failures + 1
        account = replace(
            claim.account,
            state=AccountState.FAILED,
            error=words[:500],
            last_sync_time=now,
            next_sync_time=now + self._interval(failures),
        )
        await self._end(workspaces, claim, account, None, failures)

    async def _end(
        self, workspaces: Workspaces, claim: SyncClaim, account: CalendarAccount, progress: str | None, failures: int
    ) -> None:
        try:
            async with workspaces.change(claim.user_id) as workspace:
                count = await workspace.calendar.count_events(account.account_id)
                ended = replace(account, event_count=count, syncing=False)
                if await workspace.calendar.end_sync(claim, ended, progress, failures) and _tells(claim.account, ended):
                    workspace.tell(changed_account(Action.UPDATED, ended))
        except Exception:
            # The claim runs out, and then it is tried again.
            logger.exception("what came of a calendar account's synchronization could not be stored")

    def _interval(self, failures: int) -> timedelta:
        # Accounts that began together drift apart.
        spread = 1 + random.uniform(-_JITTER, _JITTER)  # noqa: S311 - nothing is secret about it.
        return self._rules.interval * (min(1 << min(failures, 10), _MOST_INTERVALS) * spread)


class _ClaimLostError(Exception):
    """Another claimed the account, or it was changed or deleted, meanwhile."""


async def _hold(workspace: Workspace, claim: SyncClaim) -> None:
    if not await workspace.calendar.holds(claim):
        raise _ClaimLostError


def _is_done(account: CalendarAccount, asked: datetime) -> bool:
    is_due = account.next_sync_time is not None and account.next_sync_time <= asked
    return account.last_sync_time is not None and account.last_sync_time >= asked and not is_due


def _tells(before: CalendarAccount, after: CalendarAccount) -> bool:
    """Whether anything but times is otherwise."""
    return _timeless(before) != _timeless(after)


def _timeless(account: CalendarAccount) -> CalendarAccount:
    return replace(account, last_sync_time=None, last_success_time=None, next_sync_time=None, syncing=False)

"""How Parley is as a whole, seen from chat: told once, or watched."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from parley_chat.domain.answer_tally import AnswerReport, AnswerTally
from parley_chat.domain.errors import GenerationError
from parley_chat.domain.models import Provider
from parley_chat.domain.system_map import SystemMap, map_of
from parley_chat.operations.turns import Turns
from parley_chat.ports.model_catalog import ModelCatalog
from parley_chat.ports.process_reports import ProcessReports
from parley_chat.ports.service_health import DefaultModel, ServiceHealth, ServiceReport, ServiceState
from parley_chat.ports.tool_servers import ToolServerReport, ToolServerWatch
from parley_chat.ports.tracing import Tracing
from parley_chat.ports.work_queues import QueueReport, WorkQueues

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""How often a watcher looks. All watchers look at one report, which is made anew when it is half as old."""
ALIVE_SECONDS = 20.0
"""After how long without a change a watcher is told that the stream lives."""
_PROVIDERS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class SystemReport:
    """The state of the whole and of its parts. Two are equal when nothing has changed between them."""

    time: datetime = field(compare=False)
    state: ServiceState
    services: tuple[ServiceReport, ...]
    default_model: DefaultModel | None
    providers: tuple[Provider, ...]
    """The default first; none while inference does not answer."""
    queues: tuple[QueueReport, ...]
    running_turns: int
    """Of this process."""
    tool_servers: tuple[ToolServerReport, ...]
    map: SystemMap
    answers: AnswerReport


@dataclass(frozen=True, slots=True)
class StatusSources:
    """Where what is told comes from."""

    health: ServiceHealth
    catalog: ModelCatalog
    queues: Sequence[WorkQueues]
    """In the order in which they are told."""
    tool_servers: ToolServerWatch
    turns: Turns
    processes: Mapping[str, ProcessReports]
    """The services in the order in which they are told, each by what is told of one process of it."""
    tally: AnswerTally
    tracing: Tracing


class SystemStatus:
    """Tells how Parley is."""

    def __init__(
        self, sources: StatusSources, service: str, version: str, trace_url: str, now: Callable[[], datetime]
    ) -> None:
        """`service` is in whose name inference is asked; it starts now. `trace_url` is where the operator's backend shows a trace, with
        `{trace_id}` in it; empty when there is none.
        """
        self.trace_url = trace_url
        self._sources = sources
        self._service = service
        self._version = version
        self._now = now
        self._started = now()
        self._latest: SystemReport | None = None
        self._latest_at = 0.0
        self._making = asyncio.Lock()
        """All watchers share what one of them has made."""

    def state(self) -> ServiceState:
        """SERVING when messages can be answered: chat answers here, so inference decides."""
        inference = next(report for report in self._sources.health.reports() if report.service == "inference")
        return ServiceState.SERVING if inference.state is ServiceState.SERVING else ServiceState.NOT_SERVING

    async def report(self) -> SystemReport:
        """Tells the state of every service, provider and queue, and the model in use."""
        sources = self._sources
        default_model, providers, queues = await asyncio.gather(
            sources.health.default_model(),
            self._providers(),
            asyncio.gather(*(_counted(each) for each in sources.queues)),
        )
        now = self._now()
        chat = ServiceReport(self._service, ServiceState.SERVING, self._started, self._version, now)
        return SystemReport(
            time=now,
            state=self.state(),
            services=(chat, *sources.health.reports()),
            default_model=default_model,
            providers=providers,
            queues=tuple(report for each in queues for report in each),
            running_turns=sources.turns.running_count,
            tool_servers=tuple(sources.tool_servers.reports()),
            # They were asked just now, for their providers and queues.
            map=map_of({name: process.latest() for name, process in sources.processes.items()}, providers),
            answers=sources.tally.report(),
        )

    async def watch(self) -> AsyncGenerator[tuple[SystemReport, bool], None]:
        """Reports, and again whenever something changes and every while, for as long as the caller reads.

        The flag says whether it is a change.
        """
        told: SystemReport | None = None
        told_at = 0.0
        while True:
            report = await self._recent()
            if report != told or time.monotonic() - told_at >= ALIVE_SECONDS:
                changed, told, told_at = report != told, report, time.monotonic()
                yield report, changed
            await asyncio.sleep(LOOK_SECONDS)

    async def _recent(self) -> SystemReport:
        async with self._making:
            if self._latest is None or time.monotonic() - self._latest_at >= LOOK_SECONDS / 2:
                with self._sources.tracing.untraced():
                    self._latest, self._latest_at = await self.report(), time.monotonic()
            return self._latest

    async def _providers(self) -> tuple[Provider, ...]:
        try:
            return tuple(await self._sources.catalog.providers(self._service, within_seconds=_PROVIDERS_SECONDS))
        except GenerationError:
            return ()  # The state of inference says it.


async def _counted(queues: WorkQueues) -> Sequence[QueueReport]:
    try:
        return await queues.reports()
    except Exception:
        # Who asks how Parley is gets an answer above all when something is broken.
        logger.warning("what waits could not be counted", exc_info=True)
        return ()

"""How Parley is as a whole, seen from chat."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from parley_chat.operations.turns import Turns
from parley_chat.ports.service_health import DefaultModel, ServiceHealth, ServiceReport, ServiceState
from parley_chat.ports.tool_servers import ToolServerReport, ToolServerWatch


@dataclass(frozen=True, slots=True)
class SystemReport:
    """The state of the whole and of its parts."""

    state: ServiceState
    services: tuple[ServiceReport, ...]
    default_model: DefaultModel | None
    running_turns: int
    tool_servers: tuple[ToolServerReport, ...]


class SystemStatus:
    """Tells how Parley is."""

    def __init__(
        self, health: ServiceHealth, turns: Turns, tool_servers: ToolServerWatch, version: str, started: datetime
    ) -> None:
        self._health = health
        self._turns = turns
        self._tool_servers = tool_servers
        self._version = version
        self._started = started

    def state(self) -> ServiceState:
        """SERVING when messages can be answered: chat answers here, so inference decides."""
        inference = next(report for report in self._health.reports() if report.service == "inference")
        return ServiceState.SERVING if inference.state is ServiceState.SERVING else ServiceState.NOT_SERVING

    async def report(self) -> SystemReport:
        """Tells the state of every service and the model in use."""
        chat = ServiceReport("chat", ServiceState.SERVING, self._started, self._version)
        return SystemReport(
            state=self.state(),
            services=(chat, *self._health.reports()),
            default_model=await self._health.default_model(),
            running_turns=self._turns.running_count,
            tool_servers=tuple(self._tool_servers.reports()),
        )

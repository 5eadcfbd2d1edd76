"""How the other services are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class ServiceState(StrEnum):
    """The state of a service, as its health check says it."""

    UNKNOWN = "unknown"
    SERVING = "serving"
    NOT_SERVING = "not_serving"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """How a service is, and since when."""

    service: str
    state: ServiceState
    since: datetime | None
    """None until the first answer."""
    version: str
    """Empty while it is not reached."""
    checked: datetime | None = field(default=None, compare=False)
    """When it last said how it is; None until the first answer."""


@dataclass(frozen=True, slots=True)
class DefaultModel:
    """The model that answers when nobody names one."""

    name: str
    offline: bool


class ServiceHealth(Protocol):
    """Watches the services that chat stands on."""

    def reports(self) -> Sequence[ServiceReport]:
        """Tells the state of inference and retrieval, in this order, as last seen."""
        ...

    async def default_model(self) -> DefaultModel | None:
        """Asks inference for the default model; None while it does not answer."""
        ...

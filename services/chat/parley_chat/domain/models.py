"""The models that a request may name, and their providers. What is known of them, not how they are asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from parley_chat.domain.account import TokenPrice
from parley_chat.domain.traffic import Traffic


class ModelCapability(StrEnum):
    """What a model can do."""

    GENERATE = "generate"
    TOOLS = "tools"
    EMBED = "embed"
    IMAGES = "images"
    STRUCTURED_OUTPUT = "structured_output"


class ProviderState(StrEnum):
    """How a provider does."""

    UNKNOWN = "unknown"
    """Was not called yet."""
    HEALTHY = "healthy"
    FAILING = "failing"
    OPEN = "open"
    """Is left alone for a while: its circuit is open."""


class Circuit(StrEnum):
    """What the circuit breaker of a provider lets through."""

    UNKNOWN = "unknown"
    CLOSED = "closed"
    """Every call."""
    OPEN = "open"
    """None."""
    HALF_OPEN = "half_open"
    """The next call, to see."""


class AIState(StrEnum):
    """How the AI side does as a whole."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class AvailableModel:
    """A model that a request may name."""

    model: str
    provider: str
    aliases: tuple[str, ...]
    capabilities: tuple[ModelCapability, ...]
    context_window_tokens: int
    """0 when it is not known."""
    offline: bool
    price: TokenPrice | None
    """None when it is not known."""
    provider_state: ProviderState

    @property
    def available(self) -> bool:
        """Whether its provider is called at the moment."""
        return self.provider_state is not ProviderState.OPEN


@dataclass(frozen=True, slots=True)
class Provider:
    """How a configured provider does."""

    provider: str
    state: ProviderState
    state_change_time: datetime | None
    """None while its state is unknown."""
    last_failure_reason: str
    """The name of the ErrorReason; empty when no call failed."""
    running_calls: int
    waiting_calls: int
    kind: str = ""
    """What it speaks."""
    circuit: Circuit = Circuit.UNKNOWN
    retry_time: datetime | None = None
    """When it is tried again; None unless its circuit is open."""
    traffic: Traffic | None = None
    """Its calls of the last minute, as the asked process of inference made them."""


def state_of(providers: Iterable[Provider]) -> AIState:
    """How the AI side does when its providers do so: unavailable when every one is left alone."""
    states = [provider.state for provider in providers]
    if states and all(state is ProviderState.OPEN for state in states):
        return AIState.UNAVAILABLE
    if any(state in {ProviderState.FAILING, ProviderState.OPEN} for state in states):
        return AIState.DEGRADED
    return AIState.HEALTHY

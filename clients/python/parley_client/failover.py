"""Two Parleys behind one client: what a user says of them, and what the user is told. `failover_connection.py` does it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

import grpc

from parley_client.backoff import Backoff
from parley_client.circuit import CircuitPolicy
from parley_client.connection import SideName
from parley_client.features import FeatureName
from parley_client.tokens import TokenProvider

Placement: TypeAlias = Literal["primary", "secondary", "primary_only", "secondary_only"]
"""Which side serves a feature: `secondary` prefers it and falls over to the primary, `secondary_only` never leaves it."""

PLACEMENTS: frozenset[str] = frozenset({"primary", "secondary", "primary_only", "secondary_only"})
FLAG_PREFIX = "failover."
"""A flag `failover.chat` whose value is a Placement says which side serves chat, where the configuration does not."""

# Probes have no last one.
_PROBES = Backoff(attempts=sys.maxsize, first_seconds=1.0, most_seconds=30.0)


@dataclass(frozen=True)
class Side:
    """The secondary: where it is, and as whom it is called. The arguments are those of `Parley.connect`."""

    address: str
    token: str | None = None
    token_provider: TokenProvider | None = None
    tls: bool | grpc.ChannelCredentials | None = None


@dataclass(frozen=True)
class Failover:
    """When a client leaves a side, and when it goes back."""

    shared_data: bool = False
    """Whether both sides are doors of one Parley, with the same users, sessions and turns. Then a message that may have arrived is sent
    again at the other side, under its client_message_id, and a turn is resumed there. By default each side has data of its own: what
    may have arrived stays where it is, a turn is read to its end at its own side, and only what begins goes to the other."""
    failures: int = 3
    """After how many failures of a feature in a row a side is left. Once is enough when nobody listens there."""
    successes: int = 2
    """After how many good probes in a row it is taken back."""
    stay_seconds: float = 10.0
    """How long it is left for at the least. Doubles, up to five minutes, each time it fails within a minute of being taken back."""
    probe: Backoff = _PROBES
    """The pauses between probes (`GetHealth`): drawn between 0 and a bound that doubles while they fail."""
    probe_timeout_seconds: float = 5.0
    """How long a probe may take."""
    features: Mapping[FeatureName, Placement] = field(default_factory=dict)
    """Which side serves which feature; the primary, while it can, when neither this nor a flag says so."""
    flags: bool = True
    """Whether flags of the name `failover.<feature>` are followed. They are watched from the first call on."""

    def __post_init__(self) -> None:
        self.circuit  # noqa: B018 - making it checks it
        if self.probe_timeout_seconds <= 0:
            raise ValueError("probe_timeout_seconds must be positive")
        for feature, placement in self.features.items():
            if placement not in PLACEMENTS:
                raise ValueError(f"{feature} cannot be served by {placement!r}: {', '.join(sorted(PLACEMENTS))}")

    @property
    def circuit(self) -> CircuitPolicy:
        """What the circuits of both sides go by."""
        return CircuitPolicy(self.failures, self.successes, self.stay_seconds)


@dataclass(frozen=True)
class FailoverEvent:
    """A feature is now served by another side."""

    feature: str
    """A `FeatureName`."""
    side: SideName
    """Who serves it from now on."""
    left: SideName
    """Who served it until now."""
    reason: Literal["failed", "recovered", "placed"]
    """`failed`: the side that was left does not answer. `recovered`: the preferred one is back. `placed`: a flag says so."""


FailoverListener: TypeAlias = Callable[[FailoverEvent], None]
"""Is called in the event loop, between calls; what it raises goes to the loop's exception handler."""


def placement_from(value: str) -> Placement | None:
    """The placement that a flag's value names; None for any other value."""
    return cast("Placement", value) if value in PLACEMENTS else None


def preference(placement: Placement) -> tuple[SideName, ...]:
    """The sides that may serve, the preferred one first."""
    match placement:
        case "primary":
            return ("primary", "secondary")
        case "secondary":
            return ("secondary", "primary")
        case "primary_only":
            return ("primary",)
        case "secondary_only":
            return ("secondary",)

"""How much goes over the ways between the parts of Parley: figures of one process and one minute. Two are equal whatever their window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Traffic:
    """Calls that ended lately."""

    window_seconds: int = field(compare=False)
    """Over how long was counted; at least 1."""
    calls: int
    errors: int
    """Those of them that failed; a refusal is none."""
    running: int
    first_token_ms: int = 0
    """The median until the first text; 0 where none was written."""


@dataclass(frozen=True, slots=True)
class StoreReport:
    """Something that a service keeps data in."""

    name: str
    """What for: `database`, `turns`, `index`, `files`."""
    kind: str
    """What it is: `sqlite`, `postgresql`, `redis`, `qdrant`, `folder`."""
    traffic: Traffic | None = None
    """Its transactions; None where they are not counted."""


@dataclass(frozen=True, slots=True)
class ProcessReport:
    """What one process of a service tells of itself."""

    process_id: str
    callers: Mapping[str, Traffic]
    """What it served, by the service that called; "" for users."""
    stores: tuple[StoreReport, ...] = ()

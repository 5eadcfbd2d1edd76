"""How the stages of a call show up in traces."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol


class Stage(Protocol):
    """A stage that is being traced."""

    def record(self, attributes: Mapping[str, str | int | float | bool]) -> None:
        """Adds facts that were learnt on the way."""
        ...


class Tracing(Protocol):
    """Traces stages. Never called once per chunk."""

    def stage(
        self, name: str, attributes: Mapping[str, str | int | float | bool] | None = None
    ) -> AbstractContextManager[Stage]:
        """Traces what happens inside as a child of what happens now."""
        ...

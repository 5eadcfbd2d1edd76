"""How a turn shows up in traces."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import Context
from typing import Protocol


class Stage(Protocol):
    """A stage of a turn that is being traced."""

    def record(self, attributes: Mapping[str, str | int | float | bool]) -> None:
        """Adds facts that were learnt on the way."""
        ...


class Tracing(Protocol):
    """Traces stages. Never called once per token."""

    def stage(
        self, name: str, attributes: Mapping[str, str | int | float | bool] | None = None
    ) -> AbstractContextManager[Stage]:
        """Traces what happens inside as a child of what happens now."""
        ...

    def untraced(self) -> AbstractContextManager[None]:
        """Keeps what happens inside out of all traces. Not around a `yield`."""
        ...

    def current_trace_id(self) -> str:
        """Names the trace of what happens now: 32 hexadecimal digits, or empty when it is not traced."""
        ...

    def detached_context(self) -> Context:
        """Makes a context that belongs to the trace of what happens now, and to nothing else of it: not its deadline, not its caller."""
        ...

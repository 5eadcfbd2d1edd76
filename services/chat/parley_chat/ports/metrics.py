"""What is counted for the operator."""

from __future__ import annotations

from typing import Protocol

from parley_chat.domain.conversation import Route


class Metrics(Protocol):
    """Counts. Never called once per token."""

    def count_route(self, route: Route, *, asked: bool) -> None:
        """Counts a turn whose route was chosen; `asked` when the request named it."""
        ...

    def count_switch(self, from_model: str, to_model: str, reason: str) -> None:
        """Counts a provider that failed in the middle of an answer, and another that went on. `reason` is the name of an ErrorReason."""
        ...

    def count_wait(self, reason: str) -> None:
        """Counts an answer that begins to wait for a model; `reason` is the name of the ErrorReason that it waits for."""
        ...

    def count_without_context(self) -> None:
        """Counts an answer that had to do without the documents."""
        ...

    def count_title(self, outcome: str) -> None:
        """Counts a session that a model was asked to name: `made`, `unwanted` (its user was faster), `unusable` or `failed`."""
        ...

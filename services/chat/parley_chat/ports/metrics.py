"""What is counted for the operator."""

from __future__ import annotations

from typing import Protocol

from parley_chat.domain.conversation import Route


class Metrics(Protocol):
    """Counts. Never called once per token."""

    def count_route(self, route: Route, *, asked: bool) -> None:
        """Counts a turn whose route was chosen; `asked` when the request named it."""
        ...

    def count_title(self, outcome: str) -> None:
        """Counts a session that a model was asked to name: `made`, `unwanted` (its user was faster), `unusable` or `failed`."""
        ...

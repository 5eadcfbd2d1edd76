"""The port `CalendarSource`: each kind of account has an adapter of its own, which is here chosen."""

from __future__ import annotations

from collections.abc import Mapping

from parley_chat.domain.calendar import AccountKind
from parley_chat.ports.calendar import CalendarSource, SourceAnswer, SourceRequest


class CalendarSources:
    """The port `CalendarSource`, for all kinds."""

    def __init__(self, sources: Mapping[AccountKind, CalendarSource]) -> None:
        self._sources = sources

    async def fetch(self, asked: SourceRequest) -> SourceAnswer:
        """Asks the one of the account's kind."""
        return await self._sources[asked.account.kind].fetch(asked)

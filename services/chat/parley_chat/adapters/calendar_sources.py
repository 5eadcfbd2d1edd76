"""The port `CalendarSource`: each kind of account has an adapter of its own, which is here chosen."""

from __future__ import annotations

from collections.abc import Mapping

from parley_chat.domain.calendar import AccountKind
from parley_chat.ports.calendar import CalendarSource, CalendarSourceError, SourceAnswer, SourceRequest

_PACKAGES = {"icalendar", "caldav"}


class CalendarSources:
    """The port `CalendarSource`, for all kinds."""

    def __init__(self, sources: Mapping[AccountKind, CalendarSource]) -> None:
        self._sources = sources

    async def fetch(self, asked: SourceRequest) -> SourceAnswer:
        """Asks the one of the account's kind."""
        try:
            return await self._sources[asked.account.kind].fetch(asked)
        except ModuleNotFoundError as error:
            if error.name not in _PACKAGES:
                raise
            words = "This Parley was installed without calendars of other places: pip install 'parley-chat[calendar]'."
            raise CalendarSourceError(words) from None

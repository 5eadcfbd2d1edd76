"""Accounts of CalDAV servers (RFC 4791), by the caldav package over the guarded way out."""

from __future__ import annotations

from parley_chat.adapters.guarded_http import GuardedHttp
from parley_chat.ports.calendar import CalendarSourceError, SourceAnswer, SourceRequest
from parley_chat.ports.rule_days import RuleDays


class CaldavSource:
    """The port `CalendarSource`, for CalDAV accounts."""

    def __init__(self, http: GuardedHttp, days: RuleDays) -> None:
        self._http = http
        self._days = days

    async def fetch(self, asked: SourceRequest) -> SourceAnswer:
        """Fetches what changed."""
        raise CalendarSourceError("Not yet.")

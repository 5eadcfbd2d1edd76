"""Feeds: files of iCalendar at a URL, fetched when they changed."""

from __future__ import annotations

import asyncio
import hashlib
import json

from parley_chat.adapters.guarded_http import GuardedHttp, OutboundLimits
from parley_chat.adapters.ical_reading import read_file
from parley_chat.adapters.remote_words import outbound_words, status_words
from parley_chat.domain.outbound import OutboundError
from parley_chat.ports.calendar import CalendarSourceError, SourceAnswer, SourceRequest
from parley_chat.ports.rule_days import RuleDays

FEED_LIMITS = OutboundLimits(body_bytes=10_000_000, redirects=3, read_seconds=20.0, total_seconds=60.0)
_OK, _NOT_MODIFIED = 200, 304
_HEADER_MOST = 1_000


class IcalFeedSource:
    """The port `CalendarSource`, for feeds."""

    def __init__(self, http: GuardedHttp, days: RuleDays, limits: OutboundLimits = FEED_LIMITS) -> None:
        self._http = http
        self._days = days
        self._limits = limits

    async def fetch(self, asked: SourceRequest) -> SourceAnswer:
        """Fetches the file, unless the server says that it is the same; reads what is new in it."""
        progress = _read_progress(asked.progress)
        headers = {"Accept": "text/calendar, */*;q=0.1", "User-Agent": "Parley-Calendar/1"}
        if progress.get("etag"):
            headers["If-None-Match"] = progress["etag"]
        elif progress.get("modified"):
            headers["If-Modified-Since"] = progress["modified"]
        credentials = asked.credentials
        auth = (credentials.username, credentials.password) if credentials.username else None
        try:
            async with self._http.client(self._limits) as client:
                response = await client.get(credentials.url, headers=headers, auth=auth)
        except OutboundError as error:
            raise CalendarSourceError(outbound_words(error)) from None
        if response.status_code == _NOT_MODIFIED and asked.progress:
            return SourceAnswer((), (), asked.progress, keeps_warnings=True)
        if response.status_code != _OK:
            raise CalendarSourceError(status_words(response.status_code))
        following = {
            "etag": response.headers.get("ETag", ""),
            "modified": response.headers.get("Last-Modified", ""),
            "digest": hashlib.sha256(response.content).hexdigest(),
        }
        following = {name: value for name, value in following.items() if value and len(value) <= _HEADER_MOST}
        if progress.get("digest") == following["digest"]:
            return SourceAnswer((), (), json.dumps(following), keeps_warnings=True)
        reading = await asyncio.to_thread(read_file, response.content, asked.account.time_zone, asked.known, self._days)
        removed = [resource for resource in asked.known if resource not in reading.seen]
        return SourceAnswer(reading.changed, removed, json.dumps(following), warnings=reading.warnings)


def _read_progress(progress: str) -> dict[str, str]:
    return json.loads(progress) if progress else {}

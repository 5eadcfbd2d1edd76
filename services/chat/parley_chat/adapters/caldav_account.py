"""Accounts of CalDAV servers (RFC 4791): which calendars there are, and what changed in them since the last time.

A server that gives sync tokens (RFC 6578) says what changed; of another the versions of all events are compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

from parley_chat.adapters.caldav_xml import (
    ALL_EVENTS,
    CALDAV,
    CALENDAR_SERVER,
    DAV,
    DISCOVERY,
    VERSIONS,
    Resource,
    changes_since,
    contents_of,
    path_of,
    resources,
)
from parley_chat.adapters.guarded_http import GuardedHttp, OutboundLimits
from parley_chat.adapters.ical_reading import read_file
from parley_chat.adapters.off_loop import OffLoop
from parley_chat.adapters.remote_words import status_words
from parley_chat.domain.calendar import MOST_CALENDARS, MOST_EVENTS_OF_AN_ACCOUNT
from parley_chat.ports.calendar import (
    AccountCalendarAnswer,
    CalendarSourceError,
    SourceAnswer,
    SourceEvent,
    SourceRequest,
)
from parley_chat.ports.rule_days import RuleDays

CALDAV_LIMITS = OutboundLimits(body_bytes=10_000_000, redirects=3, read_seconds=20.0, total_seconds=60.0)
_AT_A_TIME = 50
"""Events that are fetched with one request."""
_MOST_PAGES = 50
_MOST_BYTES = 100_000_000
"""Of one synchronization."""
_THREADS = 8
_NAME_MOST, _PATH_MOST, _TOKEN_MOST = 200, 1_000, 2_000
_OK, _MULTI_STATUS, _SERVER_ERROR, _TRUNCATED = 200, 207, 500, 507
_NONE = "There is no calendar in this account, or the address leads to no CalDAV server."


class CaldavSource:
    """The port `CalendarSource`, for CalDAV accounts."""

    def __init__(self, http: GuardedHttp, days: RuleDays, limits: OutboundLimits = CALDAV_LIMITS) -> None:
        self._http = http
        self._days = days
        self._limits = limits
        self._threads = OffLoop(_THREADS, "caldav")

    async def fetch(self, asked: SourceRequest) -> SourceAnswer:
        """Fetches what changed. On a loop of its own: the package reads XML where it waits for it."""
        return await self._threads.run(lambda: self._fetch(asked))

    async def close(self) -> None:
        """Waits for nothing."""
        self._threads.close()

    async def _fetch(self, asked: SourceRequest) -> SourceAnswer:
        # Some 60 MB of the process, which nobody needs who has no such account.
        from parley_chat.adapters.caldav_client import CaldavClient  # noqa: PLC0415

        secret = asked.credentials
        client = CaldavClient(self._http, self._limits, secret.url, secret.username, secret.password)
        try:
            return await _Syncing(client, asked, self._days).run()
        finally:
            await client.close()


@dataclass(slots=True)
class _Changes:
    """What is other in one calendar."""

    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    token: str = ""
    ctag: str = ""
    is_part: bool = False
    """Whether only what changed was looked at."""


class _Syncing:
    """One synchronization of one account."""

    def __init__(self, client: Any, asked: SourceRequest, days: RuleDays) -> None:
        self._client = client
        self._asked = asked
        self._days = days
        self._bytes = 0

    async def run(self) -> SourceAnswer:
        """Looks at each calendar that is wanted."""
        found = await self._calendars()
        wanted = set(self._asked.account.wanted)
        chosen = [each for each in found if not wanted or each.path in wanted]
        before: Mapping[str, Mapping[str, str]] = json.loads(self._asked.progress or "{}")
        progress: dict[str, dict[str, str]] = {}
        changed: list[SourceEvent] = []
        removed = [path for path in self._asked.known if not any(_is_in(path, each.path) for each in chosen)]
        warnings: list[str] = []
        keeps_warnings = False
        for calendar in chosen:
            changes = await self._changes(calendar, before.get(calendar.path, {}))
            events, gone, notes = await self._contents(calendar, changes.changed)
            changed += events
            removed += [*changes.removed, *gone]
            warnings += notes
            keeps_warnings = keeps_warnings or changes.is_part
            progress[calendar.path] = {"token": changes.token, "ctag": changes.ctag}
        return SourceAnswer(
            changed,
            list(dict.fromkeys(removed)),
            json.dumps(progress),
            [
                AccountCalendarAnswer(each.path, _name(each), each.is_writable)
                for each in sorted(found, key=lambda each: (_name(each).casefold(), each.path))
            ],
            list(dict.fromkeys(warnings)),
            keeps_warnings,
        )

    async def _calendars(self) -> Sequence[Resource]:
        """The calendars of the account: the one at the URL, or all of the user that the server names there. Raises CalendarSourceError."""
        url = self._asked.credentials.url
        start = await self._look(url)
        if start is None:
            start = await self._look(urljoin(url, "/.well-known/caldav"))
        if start is None:
            raise CalendarSourceError(_NONE)
        if start.is_calendar:
            return [start]
        home = start.href(f"{CALDAV}calendar-home-set")
        if not home and (principal := start.href(f"{DAV}current-user-principal")):
            user = await self._look(self._trusted(principal))
            home = user.href(f"{CALDAV}calendar-home-set") if user else ""
        home = self._trusted(home) if home else start.url
        tree = await self._client.multistatus("PROPFIND", home, DISCOVERY, 1)
        found = {
            each.path: each
            for each in resources(tree, home)
            if each.is_calendar and len(each.path) <= _PATH_MOST and "\0" not in each.path
        }
        if not found:
            raise CalendarSourceError(_NONE)
        return list(found.values())[:MOST_CALENDARS]

    async def _look(self, url: str) -> Resource | None:
        """What the server says of a URL; None when it knows nothing of WebDAV there. Raises CalendarSourceError when it lets nobody in."""
        response = await self._client.ask("PROPFIND", url, DISCOVERY, 0)
        if response.status >= _SERVER_ERROR:
            raise CalendarSourceError(status_words(response.status))
        if response.status != _MULTI_STATUS or response.tree is None:
            return None
        return next(resources(response.tree, url), None)

    def _trusted(self, url: str) -> str:
        """A URL that the server named. The password goes there: never without TLS when the server itself has it."""
        own, other = urlsplit(self._asked.credentials.url), urlsplit(url)
        if other.scheme not in (own.scheme, "https"):
            raise CalendarSourceError("The server leads to an address that is not https.")
        return url

    async def _changes(self, calendar: Resource, before: Mapping[str, str]) -> _Changes:
        if before.get("token"):
            found = await self._changes_since(calendar, before["token"])
            if found is not None:
                return found
        versions = next(
            iter(resources(await self._client.multistatus("PROPFIND", calendar.url, VERSIONS, 0), calendar.url)), None
        )
        token = versions.text(f"{DAV}sync-token") if versions else ""
        ctag = versions.text(f"{CALENDAR_SERVER}getctag") if versions else ""
        token, ctag = (value if len(value) <= _TOKEN_MOST else "" for value in (token, ctag))
        if not token and ctag and ctag == before.get("ctag"):
            return _Changes(ctag=ctag, is_part=True)
        # The token is from before the look: what changes in between comes again the next time.
        listed: dict[str, str] = {}
        for each in self._events(await self._client.multistatus("REPORT", calendar.url, ALL_EVENTS, 1), calendar):
            listed[each.path] = each.text(f"{DAV}getetag")
        known = {path: event for path, event in self._asked.known.items() if _is_in(path, calendar.path)}
        is_anew = not self._asked.progress
        changed = [
            path
            for path, etag in listed.items()
            if is_anew or path not in known or not etag or known[path].etag != etag
        ]
        return _Changes(changed, [path for path in known if path not in listed], token, ctag)

    async def _changes_since(self, calendar: Resource, token: str) -> _Changes | None:
        """What the server says that changed; None when it does not know the token any more."""
        found = _Changes(token=token, is_part=True)
        for _ in range(_MOST_PAGES):
            response = await self._client.ask("REPORT", calendar.url, changes_since(found.token), 1)
            if response.status != _MULTI_STATUS or response.tree is None:
                return None
            is_whole = True
            for each in resources(response.tree, calendar.url):
                if each.status == _TRUNCATED:
                    is_whole = False
                elif not _is_in(each.path, calendar.path) or len(each.path) > _PATH_MOST:
                    continue
                elif each.status == _OK:
                    found.changed.append(each.path)
                else:
                    found.removed.append(each.path)
            following = (response.tree.findtext(f"{DAV}sync-token") or "").strip()
            if not following or len(following) > _TOKEN_MOST:
                return None
            if is_whole or following == found.token:
                found.token = following
                gone = set(found.removed)
                found.changed = [path for path in dict.fromkeys(found.changed) if path not in gone]
                return found
            found.token = following
        return None

    def _events(self, tree: Any, calendar: Resource) -> Iterator[Resource]:
        for each in resources(tree, calendar.url):
            if each.status == _OK and _is_in(each.path, calendar.path) and len(each.path) <= _PATH_MOST:
                yield each

    async def _contents(
        self, calendar: Resource, paths: Sequence[str]
    ) -> tuple[Sequence[SourceEvent], Sequence[str], Sequence[str]]:
        """The events at the paths, those of them that are not there or are no events, and what was not taken."""
        found: list[SourceEvent] = []
        gone: list[str] = []
        unreadable = 0
        warnings: list[str] = []
        # One more, so that whoever applies them sees that there are more.
        wanted = list(paths)[: MOST_EVENTS_OF_AN_ACCOUNT + 1]
        for start in range(0, len(wanted), _AT_A_TIME):
            part = wanted[start : start + _AT_A_TIME]
            tree = await self._client.multistatus("REPORT", calendar.url, contents_of(part), 1)
            answered = {each.path: each for each in self._events(tree, calendar)}
            for path in part:
                each = answered.get(path)
                text = each.text(f"{CALDAV}calendar-data") if each else ""
                self._bytes += len(text)
                if self._bytes > _MOST_BYTES:
                    raise CalendarSourceError(f"The account holds more than {_MOST_BYTES // 1_000_000} MB.")
                if each is None or not text:
                    gone.append(path)
                    continue
                try:
                    reading = read_file(text.encode(), self._asked.account.time_zone, {}, self._days)
                except CalendarSourceError:
                    unreadable += 1
                    continue
                warnings += reading.warnings
                if not reading.changed:
                    gone.append(path)
                    continue
                event = reading.changed[0]
                etag = each.text(f"{DAV}getetag")[:_TOKEN_MOST]
                found.append(SourceEvent(path, etag, event.digest, calendar.path, event.body))
        if unreadable:
            warnings.append(f"{unreadable} events cannot be read and were left out.")
        return found, gone, _together(warnings)


def _together(warnings: Sequence[str]) -> Sequence[str]:
    """Each event was read by itself: what was said of several is said once."""
    counted: dict[str, int] = {}
    for words in warnings:
        counted[words] = counted.get(words, 0) + 1
    return [words if count == 1 else f"{words} ({count} times)" for words, count in counted.items()]


def _is_in(path: str, calendar: str) -> bool:
    return path.startswith(calendar.rstrip("/") + "/") and path != calendar


def _name(calendar: Resource) -> str:
    name = "".join(each for each in calendar.text(f"{DAV}displayname") if each.isprintable())[:_NAME_MOST].strip()
    return name or path_of(calendar.url).rstrip("/").rpartition("/")[2][:_NAME_MOST]

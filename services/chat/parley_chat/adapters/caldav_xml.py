"""What is asked of CalDAV servers, as XML, and what their answers say (RFC 4791, RFC 6578). Not the asking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit
from xml.sax.saxutils import escape

DAV, CALDAV, CALENDAR_SERVER = "{DAV:}", "{urn:ietf:params:xml:ns:caldav}", "{http://calendarserver.org/ns/}"
_SPACES = 'xmlns="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav" xmlns:s="http://calendarserver.org/ns/"'
_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'
_OK = 200
_PATH_SAFE = "/!$&'()*+,;=:@~-._"

DISCOVERY = (
    f"{_HEAD}<propfind {_SPACES}><prop><resourcetype/><displayname/><current-user-principal/><c:calendar-home-set/>"
    "<c:supported-calendar-component-set/><current-user-privilege-set/></prop></propfind>"
)
VERSIONS = f"{_HEAD}<propfind {_SPACES}><prop><sync-token/><s:getctag/></prop></propfind>"
ALL_EVENTS = (
    f'{_HEAD}<c:calendar-query {_SPACES}><prop><getetag/></prop><c:filter><c:comp-filter name="VCALENDAR">'
    '<c:comp-filter name="VEVENT"/></c:comp-filter></c:filter></c:calendar-query>'
)


def changes_since(token: str) -> str:
    """Asks what changed since a token was given."""
    return (
        f"{_HEAD}<sync-collection {_SPACES}><sync-token>{escape(token)}</sync-token><sync-level>1</sync-level>"
        "<prop><getetag/></prop></sync-collection>"
    )


def contents_of(paths: Sequence[str]) -> str:
    """Asks for events by their paths."""
    named = "".join(f"<href>{escape(path)}</href>" for path in paths)
    return (
        f"{_HEAD}<c:calendar-multiget {_SPACES}><prop><getetag/><c:calendar-data/></prop>{named}</c:calendar-multiget>"
    )


@dataclass(slots=True)
class Resource:
    """What an answer says of one path."""

    url: str
    path: str
    status: int
    """Of the resource itself; 200 when only its properties have one."""
    properties: dict[str, Any] = field(default_factory=dict)
    """Those that there are, by their names; elements of lxml."""

    def text(self, name: str) -> str:
        """The text of a property; empty when there is none."""
        found = self.properties.get(name)
        return (found.text or "").strip() if found is not None else ""

    def href(self, name: str) -> str:
        """The URL in a property; empty when there is none."""
        found = self.properties.get(name)
        href = found.find(f"{DAV}href") if found is not None else None
        return urljoin(self.url, href.text.strip()) if href is not None and href.text else ""

    @property
    def is_calendar(self) -> bool:
        """Whether it is a calendar that may hold events."""
        kind = self.properties.get(f"{DAV}resourcetype")
        if kind is None or kind.find(f"{CALDAV}calendar") is None:
            return False
        components = self.properties.get(f"{CALDAV}supported-calendar-component-set")
        if components is None or not len(components):
            return True
        return any(str(each.get("name", "")).upper() == "VEVENT" for each in components)

    @property
    def is_writable(self) -> bool:
        """Whether the server says that its events may be changed."""
        privileges = self.properties.get(f"{DAV}current-user-privilege-set")
        if privileges is None:
            return False
        names = ("write", "write-content", "all")
        return any(privileges.find(f"{DAV}privilege/{DAV}{name}") is not None for name in names)


def resources(tree: Any, url: str) -> Iterator[Resource]:
    """What an answer, a multistatus, says; `url` is what was asked."""
    for response in tree.iterfind(f"{DAV}response"):
        href = response.find(f"{DAV}href")
        if href is None or not href.text:
            continue
        whole = urljoin(url, href.text.strip())
        found = Resource(whole, path_of(whole), _status(response))
        for part in response.iterfind(f"{DAV}propstat"):
            properties = part.find(f"{DAV}prop")
            if properties is not None and _status(part) == _OK:
                found.properties.update({each.tag: each for each in properties if isinstance(each.tag, str)})
        yield found


def path_of(url: str) -> str:
    """The path of a URL in one way of writing it: servers have several for the same."""
    return quote(unquote(urlsplit(url).path) or "/", safe=_PATH_SAFE)


def _status(element: Any) -> int:
    status = element.find(f"{DAV}status")
    parts = (status.text or "").split() if status is not None else []
    return int(parts[1]) if len(parts) > 1 and parts[1].isdecimal() else _OK

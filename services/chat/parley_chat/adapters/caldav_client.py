"""Asks CalDAV servers, by the caldav package over the guarded way out. Not what is asked.

The package reads whatever a server sends as XML; here an answer is looked at before, so that none is read that declares entities, and what
is no XML is not written into the log.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, cast

from caldav.async_davclient import AsyncDAVClient
from caldav.lib import error
from caldav.response import DAVResponse

from parley_chat.adapters.guarded_http import GuardedClient, GuardedHttp, OutboundLimits
from parley_chat.adapters.remote_words import outbound_words, status_words
from parley_chat.domain.outbound import OutboundError
from parley_chat.ports.calendar import CalendarSourceError

_MULTI_STATUS = 207
_NOT_CALDAV = "The server's answer is not one of CalDAV."
# It writes every answer at this level, and makes it beautiful before it asks whether anybody wants to read it.
logging.getLogger("caldav").setLevel(logging.WARNING)


class CaldavClient:
    """One account's connection."""

    def __init__(self, http: GuardedHttp, limits: OutboundLimits, url: str, username: str, password: str) -> None:
        self._client = _Client(http, limits, url, username, password)

    async def ask(self, method: str, url: str, body: str = "", depth: int = 0) -> DAVResponse:
        """Asks, and gives the answer whatever its status. Raises CalendarSourceError."""
        headers = {"Depth": str(depth), "Content-Type": 'application/xml; charset="utf-8"'}
        try:
            return await self._client.request(url, method, body, headers)
        except OutboundError as failure:
            raise CalendarSourceError(outbound_words(failure)) from None
        except error.AuthorizationError:
            raise CalendarSourceError(status_words(401)) from None
        except error.RateLimitError:
            raise CalendarSourceError(status_words(429)) from None
        except (error.DAVError, NotImplementedError, ValueError, SyntaxError):
            # A SyntaxError is lxml's, of the XML.
            raise CalendarSourceError(_NOT_CALDAV) from None

    async def multistatus(self, method: str, url: str, body: str, depth: int) -> Any:
        """Asks for a multistatus; gives its tree, an element of lxml. Raises CalendarSourceError."""
        return tree_of(await self.ask(method, url, body, depth))

    async def close(self) -> None:
        """Closes the connection."""
        await self._client.close()


def tree_of(response: DAVResponse) -> Any:
    """The tree of a multistatus. Raises CalendarSourceError when it is another answer."""
    if response.status != _MULTI_STATUS:
        raise CalendarSourceError(status_words(response.status))
    if response.tree is None:
        raise CalendarSourceError(_NOT_CALDAV)
    return response.tree


class _Client(AsyncDAVClient):
    """The package's client, with connections that are guarded."""

    def __init__(self, http: GuardedHttp, limits: OutboundLimits, url: str, username: str, password: str) -> None:
        self._http = http
        self._limits = limits
        super().__init__(
            url,
            username=username,
            password=password,
            timeout=int(limits.read_seconds),
            headers={"User-Agent": "Parley-Calendar/1"},
            enable_rfc6764=False,
        )

    def _create_session(self) -> None:
        self.session = cast("Any", _Session(self._http.client(self._limits)))


class _Session:
    """What the package takes for an httpx2.AsyncClient."""

    def __init__(self, client: GuardedClient) -> None:
        self._client = client

    async def request(self, **asked: Any) -> Any:
        """Sends a request, and looks at the answer before the package does."""
        response = await self._client.request(**asked)
        if response.status_code != _MULTI_STATUS:
            return _Bare(response)
        content = response.content
        begins = content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
        # A zero is of an encoding in which the declarations are written otherwise.
        if not begins or any(sign in content for sign in (b"<!DOCTYPE", b"<!ENTITY", b"\0")):
            raise CalendarSourceError(_NOT_CALDAV)
        return response

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.aclose()


class _Bare:
    """An answer without its content, which nobody needs."""

    content = b""
    text = ""

    def __init__(self, response: Any) -> None:
        self.status_code: int = response.status_code
        self.reason_phrase: str = response.reason_phrase
        self.headers: Mapping[str, str] = response.headers
        self.url = response.url

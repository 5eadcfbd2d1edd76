"""A real CalDAV server, Radicale, in a thread of this process, on a folder of its own; its users write to it as any other program would."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from xml.sax.saxutils import escape

import httpx2
from radicale import config
from radicale.app import Application

USER, PASSWORD = "ada", "correct horse"


@dataclass
class Radicale:
    """The server, and what its user does there."""

    url: str
    client: httpx2.AsyncClient
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each request that came."""

    async def make_calendar(self, name: str, title: str = "") -> str:
        """Makes a calendar; gives its path."""
        path = f"/{USER}/{name}/"
        body = (
            '<?xml version="1.0"?><c:mkcalendar xmlns="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><set><prop>'
            f"<displayname>{escape(title or name)}</displayname></prop></set></c:mkcalendar>"
        )
        (await self.client.request("MKCALENDAR", path, content=body)).raise_for_status()
        return path

    async def put(self, path: str, content: bytes) -> None:
        """Writes an event."""
        (await self.client.put(path, content=content, headers={"Content-Type": "text/calendar"})).raise_for_status()

    async def delete(self, path: str) -> None:
        """Deletes an event, or a calendar."""
        (await self.client.delete(path)).raise_for_status()


class _Quiet(WSGIRequestHandler):
    """Writes nothing."""

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the signature is the library's.
        """Does nothing."""


class _Server(ThreadingMixIn, WSGIServer):
    """One thread for each connection."""

    daemon_threads = True


def _write_users(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    users = folder / "users"
    users.write_text(f"{USER}:{PASSWORD}\n")
    return users


@asynccontextmanager
async def radicale_server(folder: Path) -> AsyncIterator[Radicale]:
    """Runs the server."""
    users = await asyncio.to_thread(_write_users, folder)
    configuration = config.load()
    configuration.update(
        {
            "auth": {"type": "htpasswd", "htpasswd_filename": str(users), "htpasswd_encryption": "plain", "delay": "0"},
            "storage": {"filesystem_folder": str(folder / "collections")},
            "logging": {"level": "critical"},
        },
        "test",
    )
    application = Application(configuration)
    asked: list[tuple[str, str]] = []

    def serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        asked.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        return application(environ, start_response)

    server = make_server("127.0.0.1", 0, serve, server_class=_Server, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        async with httpx2.AsyncClient(base_url=url, auth=(USER, PASSWORD), timeout=30, trust_env=False) as client:
            yield Radicale(url, client, asked)
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        await asyncio.to_thread(thread.join)

"""Ports: which are free, and who holds one that is not."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from parley_shared.settings import SettingsError

_LISTENS = "0A"


@dataclass(frozen=True)
class Wanted:
    """A port that something is to listen on."""

    variable: str
    """The setting that it comes from."""
    host: str
    """The IP address to listen on."""
    port: int
    """0 for any."""


def settle(wanted: Sequence[Wanted]) -> list[int]:
    """The ports to use, in the order given: free at this moment, and all different.

    SettingsError names the port that is taken, its setting, and who holds it when the system tells.
    """
    named_first = sorted(enumerate(wanted), key=lambda item: item[1].port == 0)
    with ExitStack() as held:
        bound = {place: held.enter_context(_bind(want)) for place, want in named_first}
        return [bound[place].getsockname()[1] for place in range(len(wanted))]


def _bind(want: Wanted) -> socket.socket:
    family = socket.AF_INET6 if ":" in want.host else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A port that was used a moment ago and is closed counts as free, as it does for the servers.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((want.host, want.port))
        # Two sockets with SO_REUSEADDR may bind the same port; only one may listen.
        server.listen(1)
    except OSError as error:
        server.close()
        raise SettingsError(want.variable, _refusal(want, error)) from error
    return server


def _refusal(want: Wanted, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(want.port)
        by = f" by {holder}" if holder else ""
        return f"Port {want.port} is taken{by}. Set {want.variable} to another port, or to 0 for a free one."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"PARLEY_HOST is {want.host}, which is not an address of this machine."
    if error.errno == errno.EACCES:
        return f"Port {want.port} is for the system's own services. Set {want.variable} to one above 1023."
    return f"Port {want.port} of {want.variable} cannot be used: {os.strerror(error.errno or 0)}."


def holder_of(port: int) -> str:
    """The process that listens on the port, as `name (process 123)`; "" when the system does not tell."""
    sockets = set(_listening_sockets(port))
    if not sockets:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(handle.readlink()) in sockets for handle in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:
            # Another user's process, or one that has ended since.
            continue
    return ""


def _listening_sockets(port: int) -> Iterator[str]:
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        try:
            rows = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            if columns[3] == _LISTENS and int(columns[1].rpartition(":")[2], 16) == port:
                yield f"socket:[{columns[9]}]"

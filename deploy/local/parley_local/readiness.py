"""Is Parley ready? Asked where its users ask: at the edge."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Callable

from parley_local.plan import Plan

_POLL_SECONDS = 0.05
_REMIND_SECONDS = 10.0
_ASK_SECONDS = 5.0
_KEYS_FETCHED = "http.edge.jwt_authn.jwks_fetch_success"


class NotReadyError(Exception):
    """Parley was not ready in time; the message says what was missing."""


async def until_ready(plan: Plan, seconds: float, remind: Callable[[str], None]) -> None:
    """Waits until a person's first call would be answered. NotReadyError when the time is over.

    `remind` is told what is missing, every now and then.
    """
    loop = asyncio.get_running_loop()
    deadline, reminder = loop.time() + seconds, loop.time() + _REMIND_SECONDS
    while missing := await _missing(plan):
        if loop.time() > deadline:
            message = f"Parley was not ready after {seconds:g} s: {missing}."
            raise NotReadyError(message)
        if loop.time() > reminder:
            remind(f"still waiting: {missing}")
            reminder += _REMIND_SECONDS
        await asyncio.sleep(_POLL_SECONDS)


async def _missing(plan: Plan) -> str:
    try:
        # Envoy asks each service for its health by the name of its gRPC service.
        _, clusters = await _get("127.0.0.1", plan.admin_port, "/clusters")
        unhealthy = [
            process.name
            for process in plan.processes
            if f"{process.service}::{process.address}::health_flags::healthy" not in clusters.splitlines()
        ]
        if unhealthy:
            return f"{', '.join(unhealthy)} {'does' if len(unhealthy) == 1 else 'do'} not answer"
        host = plan.reachable_host.strip("[]")
        status, _ = await _get(host, plan.edge_port, "/.well-known/jwks.json")
        if status != 200:
            return f"the keys of tokens are not served (HTTP {status})"
        _, stats = await _get("127.0.0.1", plan.admin_port, f"/stats?filter=^{_KEYS_FETCHED.replace('.', '[.]')}$")
        if stats.rpartition(":")[2].strip() in {"", "0"}:
            return "the edge has not fetched the keys of tokens"
        status, body = await _get(host, plan.edge_port, "/health")
        state = json.loads(body).get("state", "") if status == 200 else f"HTTP {status}"
        if state != "SERVING_STATE_SERVING":
            return f"/health says {state}"
    except (OSError, http.client.HTTPException, ValueError):
        return "the edge does not answer"
    return ""


async def _get(host: str, port: int, path: str) -> tuple[int, str]:
    return await asyncio.to_thread(_ask, host, port, path)


def _ask(host: str, port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(host, port, timeout=_ASK_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    finally:
        connection.close()

"""Interleaved rounds: every way is tried once per round, so that what disturbs the machine disturbs all of them alike."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import aiohttp
from parley_client import Parley, TextDelta

FirstToken = Callable[[], Awaitable[float]]
"""Sends one message and gives the seconds to its first token. Returns when the whole answer was read."""


@dataclass(frozen=True)
class Figures:
    """The first tokens of one way, in milliseconds."""

    median: float
    """Half of the rounds were faster."""
    p90: float
    """Nine of ten rounds were faster."""
    rounds: int
    """How many rounds there were."""


async def interleaved(ways: Mapping[str, FirstToken], *, warm_up: int, rounds: int) -> dict[str, Figures]:
    """Runs the rounds, the first `warm_up` without counting. The order turns by one with each round."""
    samples: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(warm_up + rounds):
        turned = names[number % len(names) :] + names[: number % len(names)]
        for name in turned:
            seconds = await ways[name]()
            if number >= warm_up:
                samples[name].append(seconds * 1000)
    return {name: _figures(values) for name, values in samples.items()}


def direct(session: aiohttp.ClientSession, base_url: str) -> FirstToken:
    """Calls the upstream itself: the floor."""
    body = {"model": "fake-model", "messages": [{"role": "user", "content": "Say something."}], "stream": True}
    return lambda: _first_sse(session, f"{base_url}/chat/completions", body, {}, _has_content)


def fastapi_sse(session: aiohttp.ClientSession, url: str) -> FirstToken:
    """Calls the peer."""
    return lambda: _first_sse(
        session, f"{url}/chat", {"message": "Say something."}, {}, lambda event: bool(event.get("text"))
    )


def parley_sse(session: aiohttp.ClientSession, url: str, token: str, route: str) -> FirstToken:
    """Calls Parley through its SSE door, in a session of its own."""
    body = {"message": "Say something.", "stream": True, "route": route}
    headers = {"authorization": f"Bearer {token}"}
    return lambda: _first_sse(session, f"{url}/api/v2/chat/send", body, headers, _has_delta)


def parley_grpc(client: Parley) -> FirstToken:
    """Calls Parley through its gRPC door, in a session of its own."""

    async def once() -> float:
        started = time.perf_counter()
        first = 0.0
        async for event in client.stream_reply("Say something.", route="standard"):
            if not first and isinstance(event, TextDelta):
                first = time.perf_counter() - started
        return first

    return once


async def _first_sse(
    session: aiohttp.ClientSession,
    url: str,
    body: Mapping[str, object],
    headers: Mapping[str, str],
    has_text: Callable[[dict[str, object]], bool],
) -> float:
    started = time.perf_counter()
    first = 0.0
    async with session.post(url, json=body, headers=headers) as response:
        if response.status != 200:
            raise RuntimeError(f"{url}: {response.status} {await response.text()}")
        async for line in response.content:
            if not first and line.startswith(b"data: {") and has_text(json.loads(line[6:])):
                first = time.perf_counter() - started
    if not first:
        raise RuntimeError(f"{url}: an answer without text")
    return first


def _has_content(event: dict[str, object]) -> bool:
    choices = event.get("choices")
    return bool(choices and isinstance(choices, list) and choices[0].get("delta", {}).get("content"))


def _has_delta(event: dict[str, object]) -> bool:
    inner = event.get("event")
    return isinstance(inner, dict) and "delta" in inner


def _figures(values: list[float]) -> Figures:
    return Figures(statistics.median(values), statistics.quantiles(values, n=10)[-1], len(values))

"""`make bench-smoke`: start, memory and first token of Parley, beside FastAPI + SSE, in one run. Asserts nothing."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
from parley_client import Parley, ParleyError, TextDelta
from rounds import Figures, direct, fastapi_sse, interleaved, parley_grpc, parley_sse
from running import ROOT, BenchError, RunningParley, fake_upstream, fastapi_peer, memory_of_process, parley

QUESTION = "How do I add a provider?"
RESULT = ROOT / ".build" / "bench" / "smoke.json"
FLOOR = "upstream directly"
PEER = "FastAPI + SSE"


async def first_answer(running: RunningParley) -> tuple[float, int]:
    """Asks the first question. Seconds from the start of Parley to its first token, and how many sources the answer cites."""
    first, citations = 0.0, 0
    async with Parley.connect(running.url, token=running.token()) as client, client.stream_reply(QUESTION) as turn:
        async for event in turn:
            if not first and isinstance(event, TextDelta):
                first = time.monotonic() - running.started
        citations = len((await turn.message()).citations)
    return first, citations


def measure_start(folder: Path) -> dict[str, object]:
    """Starts Parley in an empty home on its defaults, asks, and weighs it."""
    with parley(folder / "start", {}) as running:
        first_seconds, citations = asyncio.run(first_answer(running))
        return {
            "ready_seconds": round(running.ready_seconds, 2),
            "first_token_seconds": round(first_seconds, 2),
            "citations": citations,
            "memory_mib": {
                name: {kind: round(size, 1) for kind, size in sizes.items()} for name, sizes in running.memory().items()
            },
        }


async def _first_tokens(
    base_url: str, peer_url: str, running: RunningParley, warm_up: int, rounds: int
) -> dict[str, Figures]:
    token = running.token()
    async with aiohttp.ClientSession(read_bufsize=2**20) as session, Parley.connect(running.url, token=token) as client:
        ways = {
            FLOOR: direct(session, base_url),
            PEER: fastapi_sse(session, peer_url),
            "Parley, gRPC": parley_grpc(client),
            "Parley, SSE": parley_sse(session, running.url, token, "ROUTE_STANDARD"),
            "Parley, SSE, enhanced": parley_sse(session, running.url, token, "ROUTE_ENHANCED"),
        }
        return await interleaved(ways, warm_up=warm_up, rounds=rounds)


def measure_first_token(folder: Path, warm_up: int, rounds: int) -> tuple[dict[str, Figures], dict[str, float]]:
    """Runs the upstream, the peer and Parley side by side. Also the peer's memory."""
    with contextlib.ExitStack() as stack:
        base_url = stack.enter_context(fake_upstream(tokens_per_second=200, words=20))
        peer_url, peer_pid = stack.enter_context(fastapi_peer(base_url))
        provider = {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "unused", "PARLEY_INFERENCE_MODEL": "fake-model"}
        running = stack.enter_context(parley(folder / "chain", provider))
        try:
            figures = asyncio.run(_first_tokens(base_url, peer_url, running, warm_up, rounds))
        except (ParleyError, aiohttp.ClientError, RuntimeError) as error:
            raise BenchError(f"{error}\n{running.last_words()}") from error
        return figures, memory_of_process(peer_pid)


def report(start: dict[str, object], figures: dict[str, Figures], peer_memory: dict[str, float]) -> str:
    """The table that is printed."""
    memory = start["memory_mib"]
    assert isinstance(memory, dict)
    floor, peer = figures[FLOOR].median, figures[PEER].median - figures[FLOOR].median
    ready, first_token, citations = (start[name] for name in ("ready_seconds", "first_token_seconds", "citations"))
    parts = ", ".join(f"{name} {sizes['pss']:.0f}" for name, sizes in memory.items())
    lines = [
        "",
        f"start, install excluded    {first_token} s to the first token of an answer with {citations} citations   (goal: 30 s)",
        f"                           {ready} s of them to the ready line",
        f"memory of all processes    {_total(memory, 'pss'):.0f} MiB PSS, {_total(memory, 'rss'):.0f} MiB RSS   (goal: 500 MB)",
        f"                           {parts} MiB PSS",
        f"                           {PEER} alone: {peer_memory.get('pss', 0):.0f} MiB PSS",
        "",
        f"{'first token':<24}{'median ms':>10}{'p90 ms':>10}{'added ms':>10}{'to FastAPI':>12}",
    ]
    for name, one in figures.items():
        added = one.median - floor
        ratio = f"{added / peer:.2f}×" if name != FLOOR and peer > 0 else ""
        lines.append(f"{name:<24}{one.median:>10.2f}{one.p90:>10.2f}{added if name != FLOOR else 0:>10.2f}{ratio:>12}")
    rounds = f"{figures[FLOOR].rounds} interleaved rounds, one message at a time, on {_machine()}"
    lines += ["", f"{rounds}. The figures are in {RESULT.relative_to(ROOT)}."]
    return "\n".join(lines)


def _total(memory: dict[str, dict[str, float]], kind: str) -> float:
    return sum(sizes[kind] for sizes in memory.values())


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def main() -> int:
    """Measures, prints and writes the figures. 1 when something did not start."""
    parser = argparse.ArgumentParser(description="Start, memory and first token of Parley, beside FastAPI + SSE.")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--warm-up", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        try:
            print("starting Parley in an empty home …", flush=True)
            start = measure_start(Path(folder))
            print(f"measuring the first token, {arguments.rounds} rounds …", flush=True)
            figures, peer_memory = measure_first_token(Path(folder), arguments.warm_up, arguments.rounds)
        except BenchError as error:
            print(error, file=sys.stderr)
            return 1
    print(report(start, figures, peer_memory))
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    first_token = {name: dataclasses.asdict(one) for name, one in figures.items()}
    result = {"machine": _machine(), "start": start, "first_token_ms": first_token, "peer_memory_mib": peer_memory}
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

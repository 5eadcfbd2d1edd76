"""`make bench`: Parley with everything on, beside what one would use instead, in interleaved rounds. Asserts nothing.

What runs is in peers_running.py, what speaks with it in load/, and what the figures mean in README.md. A round measures every peer once, in
an order that turns by one each time; figures are medians of rounds, with the least and the most beside them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from comparison_table import report
from machine import described
from peers_running import LOAD, Peer, fastapi_sqlite, started, upstream
from running import ROOT, BenchError

RESULT = ROOT / ".build" / "bench" / "compare.json"
ALL_PEERS = ("direct", "parley", "hybrid", "fastapi", "bytes", "litellm", "portkey")
MEASURES = ("idle", "paced", "burst", "turns", "held", "memory", "unary", "resume")

Run = dict[str, Any]


class Bench:
    """One run: the peers that are up, and what was measured of them."""

    def __init__(self, peers: Sequence[Peer], provider: str, provider_pid: int, *, short: bool) -> None:
        self.peers = peers
        self.runs: dict[str, dict[str, list[Run]]] = {}
        """By measure and peer."""
        self._provider = provider.removesuffix("/v1")
        self._provider_pid = provider_pid
        self._short = short

    def measure(self, name: str, number: int) -> None:
        """Measures every peer once."""
        turned = [*self.peers[number % len(self.peers) :], *self.peers[: number % len(self.peers)]]
        for peer in turned:
            if name in {"turns", "memory", "resume"} and peer.name != "Parley" and not (name == "turns" and peer.pids):
                continue
            print(f"round {number + 1}: {name}, {peer.name} …", file=sys.stderr, flush=True)
            self._settle()
            try:
                figures = getattr(self, f"_{name}")(peer)
            except BenchError as error:
                print(f"  {error}", file=sys.stderr, flush=True)
                figures = {"failed": str(error)}
            figures["provider"] = self._stats()
            self.runs.setdefault(name, {}).setdefault(peer.name, []).append(figures)
            print(f"  {json.dumps(_short_words(figures))}", file=sys.stderr, flush=True)

    def _idle(self, peer: Peer) -> Run:
        """One turn of five tokens after the other: the first token of a peer that has nothing else to do."""
        turns = 40 if self._short else 100
        return self._client(
            peer, connections=1, tokens=5, rate=0, warm=0.7, measure=30, turns=turns, pause=0.02, stagger=0
        )

    def _paced(self, peer: Peer) -> Run:
        """40 connections with answers of 500 tokens at 50 a second, one after the other; then first tokens beside them."""
        probes: dict[str, Any] = {
            "probes": 2,
            "probe_tokens": 5,
            "probe_seconds": 4 if self._short else 8,
            "probe_pause": 0.15,
        }
        return self._client(
            peer, connections=40, tokens=500, rate=50, stagger=1.5, warm=0.5, measure=8, pause=0.01, **probes
        )

    def _burst(self, peer: Peer) -> Run:
        """16 connections with answers of 2,000 tokens, as fast as they come."""
        seconds = 4 if self._short else 6
        return self._client(peer, connections=16, tokens=2000, rate=0, stagger=0.3, warm=1.5, measure=seconds, pause=0)

    def _turns(self, peer: Peer) -> Run:
        """4 connections with answers of one token: what a turn costs without what it says."""
        return self._client(peer, connections=4, tokens=1, rate=0, stagger=0.1, warm=0.7, measure=4, pause=0)

    def _held(self, peer: Peer) -> Run:
        """Streams of 50 tokens a second, more and more of them, until one in a hundred tokens is 100 ms late."""
        most = 4000 if peer.name == "direct" else 1000
        steps = [500, 1000, 2000, 3000, 4000] if peer.name == "direct" else _steps(30, most, 1.2)
        if self._short:
            steps = [500, 1000] if peer.name == "direct" else _steps(50, most, 1.5)
        return self._client(peer, mode="held", tokens=20_000, rate=50, steps=steps, measure=2, limit=300)

    def _memory(self, peer: Peer) -> Run:
        """Memory idle and while streams are held."""
        idle = self._client(peer, connections=1, tokens=1, rate=0, stagger=0, warm=0.1, measure=0.5, memory=True)
        time.sleep(2)
        streams = 100 if self._short else 200
        full = self._client(
            peer, mode="held", tokens=20_000, rate=10, steps=[streams], late_ms=0, measure=2, memory=True, limit=200
        )
        return {"streams": full["held"], "idle": idle["memory"], "holding": full["memory"].get(str(streams))}

    def _resume(self, peer: Peer) -> Run:
        """1,000 clients connect, stream, hang up at a random token and resume within a second, in Parley."""
        clients = 200 if self._short else 1000
        call = {**peer.call, "body": peer.call["body"].replace(',"detach":false', "")}
        cut = Peer(peer.name, call, peer.pids)
        # The first hundred make the process as large as work makes it.
        self._client(cut, mode="resume", connections=100, tokens=50, rate=50, measure=60)
        time.sleep(2)
        before = self._client(peer, connections=1, tokens=1, rate=0, stagger=0, warm=0, measure=0.3, memory=True)
        run = self._client(cut, mode="resume", connections=clients, tokens=100, rate=50, measure=60, limit=120)
        time.sleep(3 if self._short else 10)
        after = self._client(peer, connections=1, tokens=1, rate=0, stagger=0, warm=0, measure=0.3, memory=True)
        return {**run, "memory_before": before["memory"], "memory_after": after["memory"]}

    def unary(self, peers: Sequence[Peer]) -> None:
        """Calls without a model: one after the other, and eight at a time."""
        for peer in peers:
            for name, call in peer.unary.items():
                self._settle()
                called = Peer(peer.name, call, peer.pids)
                seconds = 2 if self._short else 4
                one = self._client(called, connections=1, stagger=0, warm=0.5, measure=seconds, pause=0.001)
                many = self._client(called, connections=8, stagger=0.1, warm=0.5, measure=seconds, pause=0)
                run = {"one": one, "eight": many}
                self.runs.setdefault(f"unary, {name}", {}).setdefault(peer.name, []).append(run)

    def _client(self, peer: Peer, *, limit: float = 90, mode: str = "load", **settings: Any) -> Run:
        """Runs one experiment of the load client."""
        watch = {**peer.pids, "provider": [self._provider_pid]}
        experiment = {**peer.call, "mode": mode, "watch": watch, **settings}
        try:
            done = subprocess.run(
                [str(LOAD), "client"],
                input=json.dumps(experiment),
                capture_output=True,
                text=True,
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BenchError(f"{peer.name}: the experiment took longer than {limit} s") from None
        if done.returncode:
            raise BenchError(f"{peer.name}: {done.stderr.strip()[:500]}")
        figures: Run = json.loads(done.stdout)
        return figures

    def _stats(self) -> Run:
        with urllib.request.urlopen(f"{self._provider}/stats", timeout=20) as response:
            stats: Run = json.load(response)
            return stats

    def _settle(self) -> None:
        """Waits until nobody asks the provider any more."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._stats()["running"]:
            time.sleep(0.1)
        time.sleep(0.3)


def _steps(first: int, most: int, factor: float) -> list[int]:
    steps = [first]
    while steps[-1] < most:
        steps.append(min(most, max(steps[-1] + 5, round(steps[-1] * factor))))
    return steps


def _short_words(figures: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is worth a line while it runs."""
    if "steps" in figures:
        return {"held": figures["held"], "last": figures["steps"][-1]}
    said = {name: value for name, value in figures.items() if not isinstance(value, Mapping) or name == "cpu_seconds"}
    for name, value in figures.items():
        if isinstance(value, Mapping) and "p50" in value:
            said[name] = {key: round(value[key], 2) for key in ("p50", "p99")}
    return said


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(ALL_PEERS), help="peers, with commas between: %(default)s")
    parser.add_argument("--measure", default=",".join(MEASURES), help="what is measured: %(default)s")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--held-rounds", type=int, default=1, help="rounds of the long search for held streams")
    parser.add_argument("--short", action="store_true", help="shorter windows and wider steps")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of Parley")
    parser.add_argument("--out", type=Path, default=RESULT)
    return parser.parse_args()


def main() -> None:
    """Starts the peers, measures, and prints the table."""
    arguments = _arguments()
    measures, wanted = arguments.measure.split(","), arguments.only.split(",")
    if unknown := {*measures, *wanted} - {*MEASURES, *ALL_PEERS}:
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}")
    started_at = time.time()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        try:
            base_url, provider_pid = stack.enter_context(upstream())
            more = dict(setting.split("=", 1) for setting in arguments.set)
            peers = started(stack, wanted, base_url, Path(folder), more)
            bench = Bench(peers, base_url, provider_pid, short=arguments.short)
            if "unary" in measures and "parley" in wanted:
                equivalent = stack.enter_context(fastapi_sqlite(Path(folder)))
                for _ in range(min(2, arguments.rounds)):
                    bench.unary([*(peer for peer in peers if peer.unary), equivalent])
            for measure in measures:
                once = measure in {"memory", "resume"}
                rounds = 1 if once else arguments.held_rounds if measure == "held" else arguments.rounds
                for number in range(rounds if measure != "unary" else 0):
                    bench.measure(measure, number)
        except BenchError as error:
            raise SystemExit(str(error)) from error
    result = {
        "machine": described(),
        "seconds": round(time.time() - started_at),
        "started": time.strftime("%Y-%m-%d %H:%M", time.gmtime(started_at)),
        "arguments": {**vars(arguments), "out": str(arguments.out)},
        "runs": bench.runs,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1), encoding="utf-8")
    print(report(result))


if __name__ == "__main__":
    main()

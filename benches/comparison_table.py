"""The table of `make bench`, of its JSON: medians of the rounds, least and most, ratios to the hybrid."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Run = Mapping[str, Any]
_NONE = "–"
_NOT_THE_PEERS = {"client", "provider"}


def report(result: Mapping[str, Any]) -> str:
    """Everything that was measured, as Markdown."""
    machine, runs = result["machine"], result["runs"]
    head = (
        f"{result['started']}, {result['seconds']} s, {machine['cores']} cores of {machine['processor']},"
        f" {machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']},"
        f" load average {machine['load_average']}"
    )
    parts = [
        head,
        _main_table(runs),
        _hops(runs),
        _unary(runs),
        _memory(runs),
        _resume(runs),
        _ends(runs),
    ]
    return "\n\n".join(part for part in parts if part)


def cpu_of(run: Run) -> float:
    """Seconds of all the peer's processes."""
    return float(sum(seconds for name, seconds in run["cpu_seconds"].items() if name not in _NOT_THE_PEERS))


def _per_million(run: Run) -> float | None:
    return cpu_of(run) / run["tokens"] * 1e6 if run.get("tokens") else None


def _rate(run: Run) -> float | None:
    return run["tokens"] / run["seconds"] if run.get("tokens") else None


def _quantile(of: str, name: str) -> Callable[[Run], float | None]:
    return lambda run: run[of][name] if of in run and run[of]["count"] else None


def _held(run: Run) -> float | None:
    held: float | None = run.get("held")
    return held


_ROWS: Sequence[tuple[str, str, Callable[[Run], float | None], bool]] = (
    ("first token, idle, p50, ms", "idle", _quantile("first_ms", "p50"), True),
    ("first token, idle, p99, ms", "idle", _quantile("first_ms", "p99"), True),
    ("first token at 40 streams, p50, ms", "paced", _quantile("probe_first_ms", "p50"), True),
    ("first token at 40 streams, p99, ms", "paced", _quantile("probe_first_ms", "p99"), True),
    ("token at 40 streams, p50, ms", "paced", _quantile("late_ms", "p50"), True),
    ("CPU s / M tokens, 40 paced streams", "paced", _per_million, False),
    ("tokens/s, burst", "burst", _rate, False),
    ("CPU s / M tokens, burst", "burst", _per_million, False),
    ("held streams", "held", _held, False),
)
"""Words, measure, figure, and whether the floor's median is taken off: what the peer adds."""


def values_of(runs: Mapping[str, Any], measure: str, peer: str, figure: Callable[[Run], float | None]) -> list[float]:
    """The figure in each round that has it."""
    found = (figure(run) for run in runs.get(measure, {}).get(peer, ()) if "failed" not in run)
    return [value for value in found if value is not None]


def _main_table(runs: Mapping[str, Any]) -> str:
    names = list(
        dict.fromkeys(peer for measure in ("idle", "paced", "burst", "held") for peer in runs.get(measure, {}))
    )
    if not names:
        return ""
    names.sort(key=lambda name: (name != "direct", name != "Parley", name != "hybrid"))
    lines = [
        f"| | {' | '.join(names)} | Parley / hybrid |",
        "|---" * (len(names) + 2) + "|",
    ]
    for words, measure, figure, added in _ROWS:
        if measure not in runs:
            continue
        floor_figure = _quantile(_of(words), "p50") if added else None
        floor_values = values_of(runs, measure, "direct", floor_figure) if floor_figure else []
        floor = statistics.median(floor_values) if floor_values else 0.0
        cells, medians = [], {}
        for name in names:
            values = values_of(runs, measure, name, figure)
            if not values or (name == "direct" and "CPU" in words):
                cells.append(_NONE)
                continue
            if added and name != "direct":
                values = [value - floor for value in values]
            medians[name] = statistics.median(values)
            cells.append(_cell(values))
        ratio = _NONE
        if medians.get("hybrid") and "Parley" in medians:
            ratio = f"{medians['Parley'] / medians['hybrid']:.2f}"
        label = words if not added else f"{words}, over the floor"
        lines.append(f"| {label} | {' | '.join(cells)} | {ratio} |")
    return "\n".join(lines)


def _of(words: str) -> str:
    return "first_ms" if "idle" in words else "late_ms" if words.startswith("token") else "probe_first_ms"


def _cell(values: Sequence[float]) -> str:
    middle = _number(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({_number(min(values))}–{_number(max(values))})"


def _number(value: float) -> str:
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def _hops(runs: Mapping[str, Any]) -> str:
    """CPU of each process per token and per turn."""
    rows = []
    for peer in dict.fromkeys([*runs.get("paced", {}), *runs.get("turns", {})]):
        parts: dict[str, dict[str, float]] = {}
        for measure, unit in (("paced", "tokens"), ("burst", "tokens"), ("turns", "turns")):
            for run in runs.get(measure, {}).get(peer, ()):
                for name, seconds in run.get("cpu_seconds", {}).items():
                    if name not in _NOT_THE_PEERS and run.get(unit):
                        parts.setdefault(name, {}).setdefault(measure, 0.0)
                        parts[name][measure] += seconds / run[unit] * 1e6 / len(runs[measure][peer])
        for name, of in parts.items():
            cells = " | ".join(_number(of[each]) if each in of else _NONE for each in ("paced", "burst", "turns"))
            rows.append(f"| {peer}: {name} | {cells} |")
    if not rows:
        return ""
    head = "| CPU, µs | per token, 40 paced streams with their turns | per token, burst | per turn of one token |"
    return "\n".join([head, "|---|---|---|---|", *rows])


def _unary(runs: Mapping[str, Any]) -> str:
    rows = []
    for measure, peers in runs.items():
        if measure.startswith("unary, "):
            for peer, found in peers.items():
                p50 = [run["one"]["turn_ms"]["p50"] for run in found]
                p99 = [run["one"]["turn_ms"]["p99"] for run in found]
                rate = [run["eight"]["turns"] / cpu_of(run["eight"]) for run in found if cpu_of(run["eight"])]
                errors = sum(run[each]["errors"] for run in found for each in ("one", "eight"))
                rows.append(
                    f"| {measure.removeprefix('unary, ')} | {peer} | {_cell(p50)} | {_cell(p99)} |"
                    f" {_cell(rate)} | {errors} |"
                )
    if not rows:
        return ""
    return "\n".join(
        ["| call | | p50, ms | p99, ms | calls per second of CPU | errors |", "|---|---|---|---|---|---|", *rows]
    )


def mib(memory: Mapping[str, Mapping[str, float]], kind: str) -> float:
    """All of the peer's processes together."""
    return sum(sizes[kind] for name, sizes in memory.items() if name not in _NOT_THE_PEERS) / 1024


def _memory(runs: Mapping[str, Any]) -> str:
    found = [run for run in runs.get("memory", {}).get("Parley", ()) if run.get("holding")]
    if not found:
        return ""
    run = found[0]
    lines = ["| Parley's memory, MiB | idle, PSS | idle, RSS | holding, PSS |", "|---|---|---|---|"]
    for name, sizes in run["idle"].items():
        if name not in _NOT_THE_PEERS:
            full = run["holding"][name]["pss_kib"] / 1024
            lines.append(f"| {name} | {sizes['pss_kib'] / 1024:.0f} | {sizes['rss_kib'] / 1024:.0f} | {full:.0f} |")
    idle, full = mib(run["idle"], "pss_kib"), mib(run["holding"], "pss_kib")
    lines.append(f"| all | {idle:.0f} | {mib(run['idle'], 'rss_kib'):.0f} | {full:.0f} |")
    each = (full - idle) * 1024 / run["streams"]
    return "\n".join(lines) + f"\n\nA held stream takes {each:.0f} KiB over the idle size ({run['streams']} of them)."


def _resume(runs: Mapping[str, Any]) -> str:
    found = [run for run in runs.get("resume", {}).get("Parley", ()) if "clients" in run]
    if not found:
        return ""
    run = found[0]
    before, after = mib(run["memory_before"], "pss_kib"), mib(run["memory_after"], "pss_kib")
    return (
        f"{run['clients']} clients: {run['ended']} ended whole in {run['seconds']:.1f} s, {run['cut']} after they were cut;"
        f" {run['lost']} tokens lost, {run['repeated']} repeated, {run['errors']} other interruptions; memory {before:.0f} MiB"
        f" before, {after:.0f} MiB after ({after / before:.2f})."
    )


def _ends(runs: Mapping[str, Any]) -> str:
    """How busy the two ends were, at most: cores of the load client and of the provider. And what went wrong."""
    client, provider, late = (0.0, ""), (0.0, ""), (0.0, "")
    trouble: list[str] = []
    for measure, peers in runs.items():
        for peer, found in peers.items():
            where = f"{measure}, {peer}"
            for run in found:
                for window in _windows(run):
                    client = max(client, (_cores(window, "client"), where))
                    provider = max(provider, (_cores(window, "provider"), where))
                if lag := run.get("provider", {}).get("lag_ms"):
                    late = max(late, (lag["p99"], where))
                trouble += [f"{where}: {words}" for words in _trouble(run, resumes=measure == "resume")]
    line = (
        f"The load client used {client[0]:.2f} cores at most ({client[1]}), the provider {provider[0]:.2f} ({provider[1]});"
        f" the provider was {late[0]:.1f} ms late at most, p99 ({late[1]})."
    )
    return "\n".join([line, *(f"- {each}" for each in trouble)])


def _windows(run: Run) -> Sequence[Run]:
    if "one" in run:
        return [run["one"], run["eight"]]
    steps: Sequence[Run] = run.get("steps", [run])
    return steps


def _cores(window: Run, end: str) -> float:
    return float(window.get("cpu_seconds", {}).get(end, 0.0) / max(window.get("seconds", 1), 0.1))


def _trouble(run: Run, *, resumes: bool) -> list[str]:
    if "failed" in run:
        return [str(run["failed"])]
    kinds = () if resumes else ("errors", "lost", "repeated")
    return [f"{run[kind]} {kind} {run.get('words', '')}" for kind in kinds if run.get(kind)]

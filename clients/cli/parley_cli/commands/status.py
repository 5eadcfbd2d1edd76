"""`parley status`: what runs, and how it is."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

from parley.ai.v1 import generation_service_pb2 as pb_ai
from parley.system.v1 import system_service_pb2 as pb
from parley_client import ParleyError
from rich.table import Table
from rich.text import Text

from parley_cli.commands.sessions import local_time
from parley_cli.output import as_dict
from parley_cli.terminal import new_console, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from parley_client import Parley
    from rich.console import Console

_DOWN = {pb.SERVING_STATE_NOT_SERVING, pb.SERVING_STATE_UNREACHABLE}
_STATES = {
    pb.SERVING_STATE_UNSPECIFIED: Text("not known", style="dim"),
    pb.SERVING_STATE_SERVING: Text("serving", style="green"),
    pb.SERVING_STATE_NOT_SERVING: Text("not serving", style="yellow"),
    pb.SERVING_STATE_UNREACHABLE: Text("unreachable", style="red"),
}

_PROVIDER_STATES = {
    pb_ai.PROVIDER_STATE_UNSPECIFIED: Text("not called yet", style="dim"),
    pb_ai.PROVIDER_STATE_HEALTHY: Text("healthy", style="green"),
    pb_ai.PROVIDER_STATE_FAILING: Text("failing", style="yellow"),
    pb_ai.PROVIDER_STATE_OPEN: Text("left alone for a while", style="red"),
}

_CIRCUITS = {
    pb_ai.CIRCUIT_STATE_CLOSED: "closed",
    pb_ai.CIRCUIT_STATE_OPEN: "open",
    pb_ai.CIRCUIT_STATE_HALF_OPEN: "half open",
}


async def status(client: Parley, address: str, *, as_json: bool) -> int:
    """Prints the state of each service and the model in use. Returns 1 when Parley cannot answer messages."""
    response = await client.system.status()
    code = 0 if response.state == pb.SERVING_STATE_SERVING else 1
    ai = await _ai_health(client)
    if as_json:
        told = as_dict(response) | ({} if ai is None else {"ai": as_dict(ai)})
        print(json.dumps(told, indent=2, ensure_ascii=False))
        return code
    _print(new_console(), response, address, response.providers or (ai.providers if ai is not None else ()))
    return code


async def watch(client: Parley, address: str, *, as_json: bool) -> int:
    """Prints the same, and again whenever something of it changes, until Ctrl-C. As JSON: one line each."""
    console = new_console()
    try:
        async for response in client.system.watch():
            if as_json:
                sys.stdout.write(json.dumps(as_dict(response), ensure_ascii=False) + "\n")
                sys.stdout.flush()
                continue
            if console.is_terminal:
                console.clear()
            _print(console, response, address, response.providers)
            console.print(Text(f"As of {local_time(response.time)}. Ctrl-C ends this.\n", style="dim"))
    except asyncio.CancelledError:
        return 0
    return 0


def _print(
    console: Console, response: pb.GetStatusResponse, address: str, providers: Sequence[pb_ai.ProviderHealth]
) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("service", "state", "since", "release"):
        table.add_column(column, no_wrap=True)
    for service in response.services:
        since = local_time(service.state_change_time) if service.HasField("state_change_time") else "-"
        table.add_row(printable(service.service), _state(service.state), since, printable(service.version) or "-")
    console.print(table)
    console.print()
    console.print(Text.assemble("Parley at ", (address, "bold"), " is ", _state(response.state), "."))
    for words in _consequences(response.services):
        console.print(Text(words, style="yellow"))
    model = printable(response.default_model)
    if response.offline:
        words = (
            "No provider is configured: the built-in offline model answers. "
            "Set OPENAI_API_KEY, ANTHROPIC_API_KEY or OLLAMA_HOST, and start again."
        )
        console.print(Text(words, style="yellow"))
    else:
        console.print(f"Model: {model or 'not known, inference is unreachable'}")
    console.print(f"Running turns: {response.running_turns}")
    if response.queues:
        console.print(f"Work: {', '.join(_queue(queue) for queue in response.queues)}")
    if words := _answers(response):
        console.print(f"Answers: {words}")
    if providers:
        console.print()
        console.print(_providers(providers))
    if any(link.HasField("traffic") for link in response.links):
        console.print()
        console.print(_traffic(response))


async def _ai_health(client: Parley) -> pb_ai.GetAIHealthResponse | None:
    """How the providers do; None where the token, or an older Parley, does not tell."""
    try:
        return await client.generation.health()
    except ParleyError:
        return None


def _providers(providers: Iterable[pb_ai.ProviderHealth]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("provider", "state", "since", "circuit", "calls", "last failure"):
        table.add_column(column, no_wrap=True)
    for each in providers:
        waiting = f", {each.waiting_calls} waiting" if each.waiting_calls else ""
        table.add_row(
            printable(each.provider),
            _PROVIDER_STATES.get(each.state, Text(str(each.state))),
            local_time(each.state_change_time) if each.HasField("state_change_time") else "-",
            _circuit(each),
            f"{each.running_calls}{waiting}",
            printable(each.last_failure_reason).removeprefix("ERROR_REASON_") or "-",
        )
    return table


def _answers(response: pb.GetStatusResponse) -> str:
    """How answers of all users did; empty of an older Parley, which does not tell."""
    if not response.HasField("answers"):
        return ""
    told = response.answers
    parts = [f"{told.ended_count} ended", f"{told.failed_count} failed"]
    parts += [f"{told.switch_count} times another model went on"] if told.switch_count else []
    parts += [f"{told.without_context_count} without documents"] if told.without_context_count else []
    parts += [f"{told.wait_count} had to wait"] if told.wait_count else []
    return f"{', '.join(parts)}, in the last {max(1, round(told.window_seconds / 60))} min"


def _traffic(response: pb.GetStatusResponse) -> Table:
    """What went over each way in the last minute. What nothing is counted of is left out."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("from", "to", "calls", "errors", "running", "first token"):
        table.add_column(column, no_wrap=True)
    for link in response.links:
        if not link.HasField("traffic"):
            continue
        traffic = link.traffic
        first = f"{traffic.time_to_first_token_ms} ms" if traffic.time_to_first_token_ms else "-"
        errors = _rate(traffic.error_count, traffic.window_seconds)
        table.add_row(
            printable(link.from_node_id),
            printable(link.to_node_id),
            _rate(traffic.call_count, traffic.window_seconds),
            Text(errors, style="red") if traffic.error_count else errors,
            str(traffic.running_count),
            first,
        )
    return table


def _rate(calls: int, seconds: int) -> str:
    if not calls:
        return "-"
    each = calls / max(1, seconds)
    return f"{each:.1f}/s" if each >= 1 else f"{max(1, round(each * 60))}/min"


def _circuit(provider: pb_ai.ProviderHealth) -> str:
    words = _CIRCUITS.get(provider.circuit, "-")
    return f"{words} until {local_time(provider.retry_time)}" if provider.HasField("retry_time") else words


def _queue(queue: pb.QueueStatus) -> str:
    return f"{printable(queue.name)} {queue.running_count} running and {queue.waiting_count} waiting"


def _consequences(services: Iterable[pb.ServiceStatus]) -> list[str]:
    """What it means for answers that a service is down."""
    down = {each.service for each in services if each.state in _DOWN}
    words = []
    if "inference" in down:
        words.append("Inference is down: answers wait for it, when `--queue` asked for that, or fail.")
    if "retrieval" in down:
        words.append("Retrieval is down: answers come without documents.")
    return words


def _state(number: int) -> Text:
    return _STATES.get(pb.ServingState.ValueType(number), Text(str(number)))

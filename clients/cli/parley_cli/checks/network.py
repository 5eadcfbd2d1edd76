"""What listens and what answers: Parley itself, the ports it will want, and the providers that are configured."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from parley_cli.checks.finding import Finding
from parley_cli.place import CommandError, read_ready

_CONNECT_SECONDS = 3.0
_OPENAI = "https://api.openai.com/v1"
_ANTHROPIC = "https://api.anthropic.com"


def check_running(home: Path) -> tuple[bool, Finding]:
    """Whether Parley runs in the home, and whether it answers."""
    try:
        facts = read_ready(home)
    except CommandError as error:
        return False, Finding("parley", "fail", str(error), f"remove {home / 'ready.json'}, and start Parley again")
    if facts is None:
        return False, Finding("parley", "ok", "it is not running in this home")
    url = str(facts.get("url", ""))
    gone = [name for name, process in _processes(facts).items() if not _alive(process)]
    if "up" in gone:
        words = f"{home / 'ready.json'} is left over from a Parley that was killed"
        return False, Finding("parley", "warn", words, "`parley up` replaces it")
    state = asyncio.run(_health(url))
    if state != "ok":
        return True, Finding(
            "parley", "fail", f"it runs at {url} and {state}", "`parley status`, and the log of `parley up`"
        )
    if gone:
        words = f"it answers at {url}; {', '.join(gone)} is being started again"
        return True, Finding("parley", "warn", words, "see why in the log of `parley up`")
    return True, Finding("parley", "ok", f"it runs and answers at {url}")


def check_ports(local: Any, *, running: bool) -> Iterator[Finding]:
    """The ports that `parley up` will listen on. `local` is parley-local's settings; None when it is not installed or they are wrong."""
    if local is None:
        return
    if running:
        yield Finding("ports", "ok", "used by the Parley that runs here")
        return
    from parley_local.ports import Wanted, settle  # noqa: PLC0415 - an optional part of the command
    from parley_shared.settings import SettingsError  # noqa: PLC0415

    wanted = [
        Wanted("PARLEY_EDGE_PORT", local.host, local.edge_port),
        Wanted("PARLEY_EDGE_ADMIN_PORT", "127.0.0.1", local.admin_port),
        Wanted("PARLEY_CHAT_PORT", "127.0.0.1", local.chat_port),
        Wanted("PARLEY_INFERENCE_PORT", "127.0.0.1", local.inference_port),
        Wanted("PARLEY_RETRIEVAL_PORT", "127.0.0.1", local.retrieval_port),
    ]
    taken = False
    for each in wanted:
        try:
            settle([each])
        except SettingsError as error:
            taken = True
            what, _, mending = str(error).partition(". ")
            yield Finding("ports", "fail", what.rstrip("."), mending or f"set {error.variable} to another")
    named = [each.port for each in wanted if each.port]
    if len(set(named)) < len(named):
        taken = True
        yield Finding("ports", "fail", "two parts are to listen on the same port", "give each PARLEY_*_PORT its own")
    if not taken:
        yield Finding("ports", "ok", f"{', '.join(map(str, named))} are free" if named else "free ones will be taken")


def check_providers(inference: Any) -> Iterator[Finding]:
    """The providers that are configured: whether a connection can be made. `inference` is its settings; None when there are none."""
    if inference is None:
        return
    # Imported here: a client alone has no services beside it.
    from parley_shared.settings import SettingsError  # noqa: PLC0415 - see above

    wanted = _base_urls(inference)
    if inference.config_file is not None:
        try:
            plan = import_module("parley_inference.provider_plan").plan_of(inference)
        except SettingsError as error:
            yield Finding("providers", "fail", str(error), "mend it, or Parley will not start")
            return
        in_file = {f"providers.{one.name}": one.base_url for one in plan.providers}
        wanted = {**wanted, **{name: url for name, url in in_file.items() if url not in wanted.values()}}
    if not wanted:
        yield Finding("providers", "ok", "none is configured: the built-in offline model answers")
        return
    for variable, url in wanted.items():
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        problem = asyncio.run(_connect(host, port))
        if problem:
            words = f"{variable}: {host}:{port} cannot be reached: {problem}"
            yield Finding("providers", "fail", words, f"is it running, and is {variable} right?")
        else:
            yield Finding("providers", "ok", f"{variable}: {host}:{port} can be reached")


def _base_urls(inference: Any) -> Mapping[str, str]:
    urls = {}
    if inference.openai_base_url:
        urls["OPENAI_BASE_URL"] = inference.openai_base_url
    elif inference.openai_api_key:
        urls["OPENAI_API_KEY"] = _OPENAI
    if inference.anthropic_base_url:
        urls["ANTHROPIC_BASE_URL"] = inference.anthropic_base_url
    elif inference.anthropic_api_key:
        urls["ANTHROPIC_API_KEY"] = _ANTHROPIC
    if inference.ollama_base_url:
        urls["OLLAMA_HOST"] = inference.ollama_base_url
    return urls


async def _connect(host: str, port: int) -> str:
    """What hinders a connection; empty when nothing does."""
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return f"no answer within {_CONNECT_SECONDS:g} s"
    except OSError as error:
        return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    writer.close()
    return ""


async def _health(url: str) -> str:
    from parley_client import Parley, ParleyError  # noqa: PLC0415 - only where something runs

    try:
        async with Parley.connect(url, timeout_seconds=_CONNECT_SECONDS) as client:
            return "ok" if await client.system.healthy() else "says that it cannot answer messages"
    except (ParleyError, ValueError):
        return "does not answer"


def _processes(facts: Mapping[str, Any]) -> dict[str, int]:
    processes = facts.get("processes")
    return (
        {str(name): each for name, each in processes.items() if isinstance(each, int)}
        if isinstance(processes, dict)
        else {}
    )


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

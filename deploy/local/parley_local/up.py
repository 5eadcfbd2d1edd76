"""`parley up`: starts Envoy and the services, keeps them running, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from parley_edge import process as envoy
from parley_edge.settings import EdgeSettings
from parley_shared.settings import Environment, SettingsError

from parley_local import home
from parley_local.banner import banner
from parley_local.child import WRONG_SETTING, Child
from parley_local.console import Console
from parley_local.guard import Guard
from parley_local.plan import Plan, edge_environment, service_environment
from parley_local.readiness import NotReadyError, until_ready
from parley_local.settings import LocalSettings

_KILL_AFTER_SECONDS = 3.0
"""How much longer than its drain time a child may take to end."""

_MOST_DEATHS = 5
"""How often in a row a child may die before Parley was ever ready: after that it will not work tomorrow either."""


def run() -> int:
    """Runs Parley with the settings of the environment until it is told to stop. Returns the exit code."""
    try:
        return up(LocalSettings.read(Environment()))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return WRONG_SETTING


def up(settings: LocalSettings) -> int:
    """Runs Parley until it is told to stop.

    Returns 0 after Ctrl-C or SIGTERM, 1 when it could not be brought up. SettingsError when a setting is wrong, a port is
    taken, or the home is in use; its message is one line for a person.
    """
    with home.taken(settings.home):
        plan = Plan.of(settings)
        of_edge = edge_environment(settings, plan)
        edge_settings = EdgeSettings.read(Environment(of_edge))
        configuration = settings.home / "edge" / "envoy.yaml"
        configuration.parent.mkdir(mode=0o700, exist_ok=True)
        configuration.write_text(_rendered(of_edge), encoding="utf-8")
        with Guard() as guard:
            this_run = _Run(settings, plan, configuration, guard, page=edge_settings.page is not None)
            return asyncio.run(this_run.to_the_end())


def _rendered(variables: Mapping[str, str]) -> str:
    """Envoy's configuration, made by a process of its own: what that takes of memory would stay with this one to its end."""
    command = [sys.executable, "-m", "parley_edge", "render"]
    rendering = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    if rendering.returncode == WRONG_SETTING:
        raise SettingsError("", rendering.stderr.strip())
    if rendering.returncode != 0:
        raise RuntimeError(f"Envoy's configuration could not be made: {rendering.stderr}")
    return rendering.stdout


class _Run:
    """One run, from the first child's start to the last one's end."""

    def __init__(self, settings: LocalSettings, plan: Plan, configuration: Path, guard: Guard, *, page: bool) -> None:
        self._settings = settings
        self._plan = plan
        self._guard = guard
        self._page = page
        self._console = Console()
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._ready = False
        self._hopeless = asyncio.Event()
        pretty = self._console.is_terminal
        services = {
            process: self._child(
                process.name, process.command, service_environment(settings, plan, process, pretty=pretty)
            )
            for process in plan.processes
        }
        self._chats = [child for process, child in services.items() if process.service == "chat"]
        self._others = [child for process, child in services.items() if process.service != "chat"]
        self._edge = self._child(
            "edge",
            envoy.command(configuration, log_level=settings.variables.get("PARLEY_LOG_LEVEL", "")),
            dict(settings.variables),
        )
        self._children = [*services.values(), self._edge]

    async def to_the_end(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._told_to_stop)
        try:
            for child in self._children:
                await child.start()
            return await self._watch()
        finally:
            home.remove_ready(self._settings.home)
            for child in self._children:
                child.kill()

    async def _watch(self) -> int:
        running = {asyncio.create_task(child.keep_running()): child for child in self._children}
        getting_ready = asyncio.create_task(self._get_ready())
        stopping = asyncio.create_task(self._stop.wait())
        hopeless = asyncio.create_task(self._hopeless.wait())
        waiting: set[asyncio.Future[Any]] = {*running, getting_ready, stopping, hopeless}
        code = 0
        while not stopping.done():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if getting_ready in done and (error := getting_ready.exception()):
                if not isinstance(error, NotReadyError):
                    raise error
                self._say(str(error))
                code = 1
                break
            if hopeless in done:
                child = max(self._children, key=lambda child: child.deaths)
                self._say(f"{child.name} ended {child.deaths} times: {_last_words(child.last_lines)}")
                code = 1
                break
            ended = [child for task, child in running.items() if task in done]
            if ended and not stopping.done():
                # Its own words were shown as it said them; here they are again, where they are looked for.
                self._say(f"{ended[0].name} cannot run: {_last_words(ended[0].last_lines)}")
                code = WRONG_SETTING
                break
        getting_ready.cancel()
        stopping.cancel()
        hopeless.cancel()
        await self._end()
        await asyncio.gather(*running, getting_ready, stopping, hopeless, return_exceptions=True)
        return code

    async def _get_ready(self) -> None:
        await until_ready(self._plan, self._settings.ready_seconds, self._say)
        self._ready = True
        self._write_ready()
        for line in banner(self._settings, self._plan, page=self._page):
            self._console.plain(line)
        self._console.plain(f"ready {self._plan.url}")

    async def _end(self) -> None:
        """First the door, then who is behind it, and last what those stand on."""
        home.remove_ready(self._settings.home)
        self._say("stopping; Ctrl-C again stops at once")
        ending = asyncio.create_task(self._end_in_order())
        hurry = asyncio.create_task(self._hurry.wait())
        await asyncio.wait({ending, hurry}, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not ending.done():
            for child in self._children:
                child.kill()
        await ending
        self._say("stopped")

    async def _end_in_order(self) -> None:
        seconds = self._settings.drain_seconds
        if self._edge.pid is not None:
            try:
                await envoy.drain(self._plan.admin_port, seconds, waiting=self._wait_for_calls)
            except OSError as error:
                if not self._hurry.is_set():
                    self._say(f"the edge could not be drained, running calls are cut: {error}")
        patience = seconds + _KILL_AFTER_SECONDS
        await asyncio.gather(*(child.stop(patience) for child in self._chats))
        await asyncio.gather(*(child.stop(patience) for child in self._others))
        await self._edge.stop(_KILL_AFTER_SECONDS)

    def _wait_for_calls(self, active: int) -> None:
        self._say(f"waiting for {active} running {'call' if active == 1 else 'calls'} to end")

    def _told_to_stop(self) -> None:
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    def _child(self, name: str, command: Sequence[str], environment: dict[str, str]) -> Child:
        return Child(name, command, environment, self._console.line, self._died, self._started)

    def _died(self, child: Child) -> None:
        if not self._ready and child.deaths >= _MOST_DEATHS:
            self._hopeless.set()

    def _started(self) -> None:
        self._guard.watch(child.pid for child in self._children if child.pid is not None)
        if self._ready and not self._stop.is_set():
            self._write_ready()

    def _write_ready(self) -> None:
        processes = {"up": os.getpid()} | {child.name: child.pid for child in self._children if child.pid is not None}
        facts: dict[str, Any] = {"url": self._plan.url, "addresses": self._plan.addresses, "processes": processes}
        if self._plan.metrics:
            facts["metrics"] = self._plan.metrics
            home.write_targets(self._settings.home, self._plan.metrics)
        home.write_ready(self._settings.home, facts)

    def _say(self, text: str) -> None:
        self._console.line("up", text)


def _last_words(lines: Sequence[str]) -> str:
    return next((line for line in reversed(lines) if line.strip()), "it said nothing")

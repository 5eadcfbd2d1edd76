"""The edge's command: `parley-edge render` prints Envoy's configuration, `parley-edge run` runs Envoy with it.

`run` is what the container does. On a laptop `parley up` runs Envoy itself, with the same rendering.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from parley_shared.settings import Environment, SettingsError

from parley_edge import process as envoy
from parley_edge.rendering import render
from parley_edge.settings import EdgeSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code; 2 when a setting is wrong."""
    parser = argparse.ArgumentParser(
        prog="parley-edge", description="Parley's edge. Its settings are PARLEY_* variables."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("render", help="print Envoy's configuration")
    commands.add_parser("run", help="run Envoy with it, and let running requests end on SIGTERM")
    command = parser.parse_args(arguments).command
    try:
        settings = EdgeSettings.read(Environment())
        configuration = render(settings)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    if command == "render":
        sys.stdout.write(configuration)
        return 0
    return asyncio.run(_run(settings, configuration))


async def _run(settings: EdgeSettings, configuration: str) -> int:
    with tempfile.TemporaryDirectory(prefix="parley-edge-") as folder:
        file = Path(folder) / "envoy.yaml"
        file.write_text(configuration, encoding="utf-8")
        process = await asyncio.create_subprocess_exec(*envoy.command(file, log_level=settings.log_level))
        terminated = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, terminated.set)
        ended = asyncio.create_task(process.wait())
        told = asyncio.create_task(terminated.wait())
        await asyncio.wait({ended, told}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            try:
                await envoy.drain(settings.admin_port, settings.drain_seconds)
            except OSError as error:
                print(f"Envoy could not be drained: {error}", file=sys.stderr)
            if not ended.done():
                process.terminate()
            await ended
            told.cancel()
            return 0
        told.cancel()
        return process.returncode or 1


if __name__ == "__main__":
    sys.exit(main())

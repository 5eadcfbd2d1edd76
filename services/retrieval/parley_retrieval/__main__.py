"""Starts the retrieval service: `python -m parley_retrieval`."""

from __future__ import annotations

from importlib.metadata import version
from typing import NoReturn

from parley_shared.logs import set_up_logs
from parley_shared.serving import run, until_terminated
from parley_shared.settings import Environment
from parley_shared.telemetry import set_up_telemetry, shut_down_telemetry

from parley_retrieval.bootstrap import open_retrieval
from parley_retrieval.database_assembly import migrate_database_in_own_process
from parley_retrieval.settings import RetrievalSettings


async def serve() -> None:
    """Serves until the process is told to end, then lets what runs finish."""
    settings = RetrievalSettings.read(Environment())
    service = settings.service
    set_up_logs(service.service, service.log_level, service.log_format)
    set_up_telemetry(
        service.service,
        service.otlp_endpoint,
        version("parley-retrieval"),
        sample_ratio=service.trace_sample_ratio,
    )
    try:
        await migrate_database_in_own_process(settings)
        async with open_retrieval(settings) as app:
            await app.server.start()
            await until_terminated()
            await app.server.give_notice()
            await app.server.drain()
    finally:
        shut_down_telemetry()


def main() -> NoReturn:
    """Runs the service as a process."""
    run(serve)


if __name__ == "__main__":
    main()

"""Starts the inference service: `python -m parley_inference`."""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import NoReturn

from parley_shared.logs import set_up_logs
from parley_shared.serving import run, until_terminated
from parley_shared.settings import Environment
from parley_shared.telemetry import set_up_telemetry

from parley_inference.bootstrap import open_inference
from parley_inference.settings import InferenceSettings

_logger = logging.getLogger("parley_inference")


async def serve() -> None:
    """Serves until the process is told to end, then lets what runs finish."""
    settings = InferenceSettings.read(Environment())
    service = settings.service
    set_up_logs(service.service, service.log_level, service.log_format)
    set_up_telemetry(
        service.service,
        service.otlp_endpoint,
        version("parley-inference"),
        sample_ratio=service.trace_sample_ratio,
    )
    async with open_inference(settings) as app:
        await app.server.start()
        if app.models.is_offline:
            _logger.warning("no provider is configured: the built-in offline model answers")
        await until_terminated()
        await app.server.give_notice()
        await app.server.drain()


def main() -> NoReturn:
    """Runs the service as a process."""
    run(serve)


if __name__ == "__main__":
    main()

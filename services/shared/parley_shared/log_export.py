"""The lines of the log for a collector: the same that go to standard error, with the trace that they belong to.

Nothing waits for the collector: lines stand in a queue that is bounded, and what does not fit is lost. Loaded only with a collector.
"""

from __future__ import annotations

import logging

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import get_current
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from parley_shared.logs import extras

_MOST_WAITING = 2048
_MOST_CHARACTERS = 8192

_SEVERITIES = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}

_TRACEBACKS = logging.Formatter()


class LogExport(logging.Handler):
    """Sends what the root logger is told, from a thread of its own. `close` sends what waits."""

    def __init__(self, resource: Resource, endpoint: str, *, insecure: bool) -> None:
        super().__init__()
        self._provider = LoggerProvider(resource, shutdown_on_exit=False)
        exporter = OTLPLogExporter(endpoint=endpoint, insecure=insecure, timeout=5)
        self._provider.add_log_record_processor(
            BatchLogRecordProcessor(exporter, schedule_delay_millis=1000, max_queue_size=_MOST_WAITING)
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a line. What the exporter says of itself stays here: sent, it would make more of itself."""
        if record.name.startswith(("opentelemetry", "grpc")):
            return
        try:
            self._provider.get_logger(record.name).emit(_packed(record))
        except Exception:  # noqa: BLE001 - as every handler: whoever logs must not fail because of it
            self.handleError(record)

    def close(self) -> None:
        """Sends what still waits. Blocks."""
        self._provider.shutdown()
        super().close()


def _packed(record: logging.LogRecord) -> LogRecord:
    attributes = {key: _plain(value) for key, value in extras(record).items()}
    if record.exc_info and record.exc_info[0] is not None:
        attributes["exception.type"] = record.exc_info[0].__qualname__
        attributes["exception.stacktrace"] = _TRACEBACKS.formatException(record.exc_info)[:_MOST_CHARACTERS]
    return LogRecord(
        timestamp=int(record.created * 1_000_000_000),
        context=get_current(),
        severity_text=record.levelname,
        severity_number=_SEVERITIES.get(record.levelno, SeverityNumber.INFO),
        body=record.getMessage()[:_MOST_CHARACTERS],
        attributes=attributes,
    )


def _plain(value: object) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else str(value)[:_MOST_CHARACTERS]

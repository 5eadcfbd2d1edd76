"""Logs: one line per record on standard error, with the trace it belongs to; JSON, or pretty on a terminal.

It is a set-up of the standard library's logging, not a logger of its own: modules use `logging.getLogger(__name__)` and `extra=`.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from opentelemetry import trace

_known: ContextVar[Mapping[str, str]] = ContextVar("parley_log_facts", default=MappingProxyType({}))

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_COLOURS = {
    "DEBUG": "\x1b[2m",
    "INFO": "\x1b[36m",
    "WARNING": "\x1b[33m",
    "ERROR": "\x1b[31m",
    "CRITICAL": "\x1b[1;31m",
}
_DIM, _RESET = "\x1b[2m", "\x1b[0m"


def set_up_logs(service: str, level: str, format: str) -> None:  # noqa: A002 - reads best at the call
    """Sends the process's logs to standard error. `format` is "json", "pretty", or "auto": pretty on a terminal."""
    terminal = sys.stderr.isatty()
    pretty = format == "pretty" or (format == "auto" and terminal)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrettyFormatter(colours=terminal) if pretty else JsonFormatter(service))
    handler.addFilter(OncePer("opentelemetry.", seconds=60))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # gRPC tells of every broken connection; what matters of it reaches us as statuses.
    logging.getLogger("grpc").setLevel(logging.ERROR)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: ts, level, service, logger, message, trace_id and span_id in a trace, then what `extra` holds."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= _trace() | extras(record)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class PrettyFormatter(logging.Formatter):
    """A line for people: time, level, message, and what `extra` holds."""

    def __init__(self, *, colours: bool) -> None:
        super().__init__()
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the lines of the exception under it."""
        told = extras(record)
        if "trace_id" not in told and (trace_id := _trace().get("trace_id", "")):
            told["trace"] = trace_id[:8]
        clock = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        level = f"{record.levelname.lower():7}"
        facts = " ".join(f"{key}={value}" for key, value in told.items())
        if self._colours:
            clock, facts = f"{_DIM}{clock}{_RESET}", f"{_DIM}{facts}{_RESET}" if facts else ""
            level = f"{_COLOURS.get(record.levelname, '')}{level}{_RESET}"
        line = f"{clock} {level} {record.getMessage()}{'  ' if facts else ''}{facts}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class OncePer(logging.Filter):
    """Lets one record of some loggers through per so many seconds.

    An unreachable collector is told of once a minute and not at each batch.
    """

    def __init__(self, prefix: str, *, seconds: float) -> None:
        super().__init__()
        self._prefix = prefix
        self._seconds = seconds
        self._last = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is let through."""
        if not record.name.startswith(self._prefix):
            return True
        now = time.monotonic()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True


def _trace() -> dict[str, str]:
    context = trace.get_current_span().get_span_context()
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"} if context.is_valid else {}


def extras(record: logging.LogRecord) -> dict[str, Any]:
    """What a record tells beside its words: what is known of the work that it comes from, and its own `extra`."""
    return {**_known.get(), **{key: value for key, value in vars(record).items() if key not in _STANDARD}}


@contextmanager
def log_facts(**facts: str) -> Generator[None]:
    """Every line of the work inside tells these facts, too: the ids of what is worked at. Not in a generator that others may close."""
    token = _known.set({**_known.get(), **facts})
    try:
        yield
    finally:
        _known.reset(token)

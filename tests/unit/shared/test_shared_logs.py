"""Log lines: one per record, with the trace they belong to."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from parley_shared.logs import JsonFormatter, OncePer, PrettyFormatter, set_up_logs
from parley_shared.telemetry import current_trace_id, span


def record(message: str, *args: object, **extra: Any) -> logging.LogRecord:
    return logging.getLogger("parley.test").makeRecord(
        "parley.test", logging.WARNING, __file__, 1, message, args, extra.pop("exc_info", None), extra=extra
    )


def test_a_json_line_holds_what_is_needed_to_find_it_again() -> None:
    with span("work"):
        line = json.loads(JsonFormatter("chat").format(record("took %d ms", 5, turn_id="trn_1")))
        assert line["trace_id"] == current_trace_id()
    assert line["message"] == "took 5 ms"
    assert (line["level"], line["service"], line["logger"]) == ("warning", "chat", "parley.test")
    assert line["turn_id"] == "trn_1"
    assert line["ts"].endswith("Z")
    assert len(line["span_id"]) == 16


def test_a_line_outside_of_a_trace_names_none() -> None:
    assert "trace_id" not in json.loads(JsonFormatter("chat").format(record("x")))


def test_an_exception_and_a_text_of_many_lines_stay_on_one_json_line() -> None:
    try:
        raise ValueError("inner\nwords")
    except ValueError:
        line = JsonFormatter("chat").format(record("a\nb", exc_info=sys.exc_info(), odd=object()))
    assert "\n" not in line
    assert "ValueError: inner\nwords" in json.loads(line)["exception"]


def test_a_pretty_line_is_plain_without_a_terminal_and_has_its_facts_and_its_exception() -> None:
    try:
        raise ValueError("words")
    except ValueError:
        line = PrettyFormatter(colours=False).format(record("hello", turn_id="trn_1", exc_info=sys.exc_info()))
    assert "\x1b" not in line
    assert "warning hello  turn_id=trn_1\nTraceback" in line
    assert "\x1b" in PrettyFormatter(colours=True).format(record("hello"))


def test_a_collector_that_is_away_is_told_of_once_and_other_loggers_are_not_held_back() -> None:
    once = OncePer("parley.", seconds=3600)
    assert [once.filter(record("x")) for _ in range(3)] == [True, False, False]
    other = logging.makeLogRecord({"name": "other"})
    assert [once.filter(other) for _ in range(3)] == [True, True, True]


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logging.captureWarnings(capture=False)


def test_logs_go_to_standard_error_in_json_when_it_is_no_terminal(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs("retrieval", "warning", "auto")
    logging.getLogger("any").info("not this")
    logging.getLogger("any").warning("but this")
    out, err = capsys.readouterr()
    assert out == ""
    assert [json.loads(line)["message"] for line in err.splitlines()] == ["but this"]
    assert len(root.handlers) == 1

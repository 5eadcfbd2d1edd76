"""Traces, metrics and logs reach a collector, and nothing waits for one that is away or hangs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from parley_shared.interceptors.traffic import CALL_DURATION
from parley_shared.logs import log_facts
from parley_shared.telemetry import current_trace_id, set_up_telemetry, shut_down_telemetry, span
from parley_testing.otlp_sink import OtlpSink
from parley_testing.toy_service import Request, Response, StreamRequest, running_toy

_logger = logging.getLogger("parley_test.otlp")


@pytest.fixture
async def sink() -> AsyncIterator[OtlpSink]:
    collector = OtlpSink()
    await collector.start()
    _logger.setLevel(logging.DEBUG)
    yield collector
    collector.answers.set()
    await asyncio.to_thread(shut_down_telemetry)
    set_up_telemetry("test", "", "0")
    _logger.setLevel(logging.NOTSET)
    await collector.stop()


async def test_lines_of_the_log_go_to_the_collector_with_their_trace_and_facts(sink: OtlpSink) -> None:
    set_up_telemetry("toy", sink.endpoint, "1.2.3")
    with span("stage"), log_facts(turn_id="trn_1", session_id="ses_1"):
        trace_id = current_trace_id()
        _logger.info("it %s", "works", extra={"duration_ms": 3.5, "path": Path("here")})
        try:
            raise LookupError("not there")
        except LookupError:
            _logger.exception("it failed")
    _logger.debug("outside")
    logging.getLogger("opentelemetry.sdk").error("what the exporter says of itself")
    await asyncio.to_thread(shut_down_telemetry)
    lines = {line.message: line for line in sink.logs.seen if line.logger == "parley_test.otlp"}
    assert set(lines) == {"it works", "it failed", "outside"}
    works = lines["it works"]
    known = {"turn_id": "trn_1", "session_id": "ses_1"}
    assert (works.service, works.severity, works.trace_id) == ("parley-toy", "INFO", trace_id)
    assert works.attributes == known | {"duration_ms": 3.5, "path": "here"}
    failed = lines["it failed"].attributes
    assert failed["exception.type"] == "LookupError"
    assert "raise LookupError" in failed["exception.stacktrace"]
    assert (lines["outside"].trace_id, lines["outside"].attributes) == ("", {})
    assert not [line for line in sink.logs.seen if line.logger.startswith("opentelemetry")]


async def test_calls_and_streams_end_while_the_collector_hangs(sink: OtlpSink, tmp_path: Path) -> None:
    sink.answers.clear()
    set_up_telemetry("toy", sink.endpoint, "1.2.3")
    async with running_toy(tmp_path) as toy, asyncio.timeout(120):
        while not sink.held:  # the collector has something, and does not answer
            await toy.stub.Generate(Request(), metadata=toy.token())
            await asyncio.sleep(0.01)
        for _ in range(20):
            await toy.stub.Generate(Request(), metadata=toy.token())
            call: Any = toy.stub.StreamGenerate(StreamRequest(), metadata=toy.token())
            assert [answer.text_delta async for answer in call] == ["one", "two"]
        assert not sink.answers.is_set()
        assert sink.spans == []
    # The end of the process, too, does not wait for ever.
    await asyncio.to_thread(shut_down_telemetry)


async def test_what_cannot_be_sent_takes_no_more_room_than_its_queue(sink: OtlpSink) -> None:
    sink.answers.clear()
    set_up_telemetry("toy", sink.endpoint, "1.2.3")
    for number in range(8000):
        _logger.debug("line %d", number)
        with span("stage"):
            pass
    sink.answers.set()
    await asyncio.to_thread(shut_down_telemetry)
    # A queue of 2048 and a batch that is on its way.
    assert len([line for line in sink.logs.seen if line.logger == "parley_test.otlp"]) < 4000
    assert len(sink.spans) < 4000


async def test_a_collector_that_is_away_is_nobodys_concern(sink: OtlpSink, tmp_path: Path) -> None:
    await sink.stop()
    set_up_telemetry("toy", sink.endpoint, "1.2.3")

    async def unary(request: Request, context: Any) -> Response:
        _logger.info("called")
        CALL_DURATION.record(1, {})
        return Response(text="answer")

    async with running_toy(tmp_path) as toy, asyncio.timeout(120):
        toy.servicer.unary = unary
        for _ in range(20):
            assert (await toy.stub.Generate(Request(), metadata=toy.token())).text == "answer"
    await asyncio.to_thread(shut_down_telemetry)

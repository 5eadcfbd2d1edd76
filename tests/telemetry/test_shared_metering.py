"""Metrics: kept here without a collector, and sent to one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from parley_shared.metering import Counter, Histogram, recorded
from parley_shared.telemetry import set_up_telemetry, shut_down_telemetry
from parley_testing.otlp_sink import OtlpSink

WAIT = Histogram("test.wait", "s", "How long it took.", (0.1, 1.0))


TURNS = Counter("test.turns", "{turn}", "How many turns there were.")


@pytest.fixture
async def sink() -> AsyncIterator[OtlpSink]:
    collector = OtlpSink()
    await collector.start()
    yield collector
    set_up_telemetry("test", "", "0")
    await collector.stop()


def test_without_a_collector_figures_are_kept_by_their_attributes() -> None:
    set_up_telemetry("test", "", "0")
    for seconds in (0.5, 1.5):
        WAIT.record(seconds, {"kind": "a"})
    WAIT.record(3, {"kind": "b"})
    found = {one.attributes["kind"]: (one.count, one.total) for one in recorded("test.wait")}
    assert found == {"a": (2, 2.0), "b": (1, 3.0)}
    assert recorded("test.other") == []


async def test_a_collector_gets_them_at_the_latest_when_the_process_ends(sink: OtlpSink) -> None:
    set_up_telemetry("test", sink.endpoint, "0")
    WAIT.record(1, {})
    assert [one.count for one in recorded("test.wait")] == [1]  # and they are still known here
    await asyncio.to_thread(shut_down_telemetry)
    assert sink.metrics.seen == {("parley-test", "test.wait")}


def test_a_counter_adds_up_by_its_attributes() -> None:
    set_up_telemetry("test", "", "0")
    for route in ("a", "b", "a"):
        TURNS.add(1, {"route": route})
    assert {one.attributes["route"]: one.count for one in recorded("test.turns")} == {"a": 2, "b": 1}

"""A service tells its figures to Prometheus at an address of their own, and nothing else there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from parley_shared.metering import Counter, Gauge, Kind, recorded
from parley_shared.settings import Environment, ServiceSettings, SettingsError
from parley_shared.telemetry import set_up_telemetry
from parley_testing.toy_service import Request, Toy, running_toy

STAMPS = Counter("test.stamps", "{stamp}", "Stamps.")
ROOM = Gauge("test.room", "{place}", "Room.")
HEAT = Gauge("test.heat", "Cel", "How hot it is.", Kind.LEVEL)


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[Toy]:
    set_up_telemetry("toy", "", "1.2.3")
    async with running_toy(tmp_path, PARLEY_INFERENCE_METRICS_ADDRESS="127.0.0.1:0") as toy:
        yield toy


async def ask(toy: Toy, request: bytes) -> bytes:
    """All that the endpoint answers to the bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", toy.server.metrics_port)
    try:
        writer.write(request)
        async with asyncio.timeout(30):
            return await reader.read()
    finally:
        writer.close()


async def scrape(toy: Toy) -> str:
    return (await ask(toy, b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n")).decode()


async def test_figures_are_told_in_prometheus_words(told: Toy) -> None:
    STAMPS.add(2, {"test.colour": "red"})
    await told.stub.Generate(Request(), metadata=told.token())
    async with asyncio.timeout(30):
        # A caller may have its answer a moment before the call is counted.
        wanted = "rpc_server_call_duration_seconds_count{"
        while wanted not in (answer := await scrape(told)):  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert f"content-length: {len(body.encode())}" in head
    assert 'test_stamps_total{test_colour="red"} 2.0\n' in body
    assert 'service_name="parley-toy"' in body
    assert "process_memory_usage_bytes " in body
    assert 'process_cpu_time_seconds_total{cpu_mode="user"} ' in body


async def test_the_format_is_the_one_that_was_asked_for(told: Toy) -> None:
    plain = await ask(told, b"GET /metrics HTTP/1.1\r\n\r\n")
    open_metrics = await ask(told, b"GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text\r\n\r\n")
    assert b"content-type: text/plain" in plain
    assert b"content-type: application/openmetrics-text" in open_metrics
    assert open_metrics.endswith(b"# EOF\n")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /metrics/../etc HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", b"405"),
        (b"\xff\x00 nonsense\r\n\r\n", b"400"),
    ],
)
async def test_nothing_else_is_there(told: Toy, request_bytes: bytes, status: bytes) -> None:
    answer = await ask(told, request_bytes)
    assert answer.startswith(b"HTTP/1.1 " + status)


async def test_who_sends_more_than_a_request_is_let_go(told: Toy) -> None:
    assert await ask(told, b"GET /" + b"a" * 20_000) == b""
    assert (await scrape(told)).startswith("HTTP/1.1 200")


async def test_many_that_ask_nothing_are_bounded_and_leave(told: Toy) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", told.server.metrics_port) for _ in range(20)]
    # Those beyond the bound are closed at once, the others when they have said nothing for some seconds.
    async with asyncio.timeout(60):
        assert [await reader.read() for reader, _ in idle] == [b""] * 20
    for _, writer in idle:
        writer.close()
    assert (await scrape(told)).startswith("HTTP/1.1 200")


async def test_without_an_address_nothing_listens(tmp_path: Path) -> None:
    async with running_toy(tmp_path) as toy:
        assert toy.server.metrics_port == 0


async def test_a_taken_address_is_told_in_the_log_and_the_service_serves(
    told: Toy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    taken = f"127.0.0.1:{told.server.metrics_port}"
    async with running_toy(tmp_path / "second", PARLEY_INFERENCE_METRICS_ADDRESS=taken) as toy:
        await toy.stub.Generate(Request(), metadata=toy.token())
        assert toy.server.metrics_port == 0
    (line,) = [record.getMessage() for record in caplog.records if "figures" in record.getMessage()]
    assert line == "the figures are told nowhere: of PARLEY_INFERENCE_METRICS_ADDRESS, the port is taken"


@pytest.mark.parametrize("address", ["9464", "localhost:9464", "127.0.0.1", "127.0.0.1:70000", "127.0.0.1:-1", ":80"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="PARLEY_CHAT_METRICS_ADDRESS must be an IP address"):
        ServiceSettings.read(Environment({"PARLEY_CHAT_METRICS_ADDRESS": address}), service="chat", default_port=0)


def test_an_address_of_ipv6_stands_in_brackets() -> None:
    environment = Environment({"PARLEY_CHAT_METRICS_ADDRESS": "[::1]:9464"})
    assert ServiceSettings.read(environment, service="chat", default_port=0).metrics_address == ("::1", 9464)


def test_a_gauge_is_looked_at_when_it_is_asked_for_and_no_more_when_it_ended() -> None:
    set_up_telemetry("test", "", "0")
    places = [3]
    first = ROOM.watch(lambda: [(places[0], {"test.side": "left"})])
    second = ROOM.watch(lambda: [(1, {"test.side": "left"}), (5, {"test.side": "right"})])
    heat = HEAT.watch(lambda: [(21.5, {})])
    try:
        set_up_telemetry("test", "", "1")  # what is watched stays watched
        places[0] = 4
        assert {one.attributes["test.side"]: one.count for one in recorded("test.room")} == {"left": 5, "right": 5}
        assert [one.total for one in recorded("test.heat")] == [21.5]
        second()
        assert {one.attributes["test.side"]: one.count for one in recorded("test.room")} == {"left": 4}
    finally:
        first()
        second()
        heat()
    assert recorded("test.room") == []

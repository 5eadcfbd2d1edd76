"""The module that bounds the connections of an address, run by Node as Envoy runs it. What Envoy does with it is in tests/e2e."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from parley_edge import connection_counter
from parley_testing.tools import require_tool

HOST = Path(__file__).with_name("connection_counter.mjs")
EDGE = "10.0.0.1:8080"
Event = tuple[str, str, str]


def refused(limit: int, events: Sequence[Event]) -> list[bool]:
    """Which of the connections were closed."""
    asked = {"module": base64.b64encode(connection_counter.module(limit)).decode(), "events": events}
    ended = subprocess.run(
        [require_tool("node"), HOST], input=json.dumps(asked), capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["counted"] == {connection_counter.REFUSED: sum(told["refused"])}
    return [bool(each) for each in told["refused"]]


def opened(*sources: str, at: str = EDGE) -> list[Event]:
    return [("open", source, at) for source in sources]


def test_an_address_has_so_many_connections_whatever_their_ports_and_others_have_theirs() -> None:
    events = opened(*(f"192.0.2.7:{port}" for port in range(50_000, 50_004)), "192.0.2.70:50000", "192.0.2.8:50000")
    assert refused(3, events) == [False, False, False, True, False, False]


def test_a_place_is_free_when_a_connection_has_gone_and_refused_ones_go_too() -> None:
    one, two, three = "192.0.2.7:1", "192.0.2.7:2", "192.0.2.7:3"
    gone: list[Event] = [("close", three, EDGE), ("close", one, EDGE)]
    assert refused(2, [*opened(one, two, three), *gone, *opened(one, three)]) == [
        *(False, False, True),
        *(False, False),
        *(False, True),
    ]


def test_more_go_than_came_and_nothing_is_owed() -> None:
    """A connection that was not counted when it came, whatever the reason, does not make the next ones free."""
    gone: list[Event] = [("close", "192.0.2.7:1", EDGE)] * 5
    assert refused(1, [*gone, *opened("192.0.2.7:2", "192.0.2.7:3")]) == [False] * 6 + [True]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[2001:db8:3:4::1]", "[2001:db8:3:4:5:6:7:8]"),
        ("[2001:db8:3:4::1]", "[2001:db8:3:4::ffff:1]"),
        ("[2001:db8::1]", "[2001:db8::5:6:7:8]"),
        ("[fe80::1]", "[fe80::2:1]"),
    ],
)
def test_an_ipv6_network_counts_as_one(one: str, other: str) -> None:
    assert refused(1, opened(f"{one}:50000", f"{other}:50001", at="[2001:db8:9::1]:8080")) == [False, True]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[2001:db8:3:4::1]", "[2001:db8:3:5::1]"),
        ("[2001:db8:3::1]", "[2001:db8:4::1]"),
        ("[::ffff:192.0.2.7]", "[::ffff:192.0.2.8]"),
        ("192.0.2.7", "192.0.2.71"),
    ],
)
def test_two_networks_count_as_two(one: str, other: str) -> None:
    assert refused(1, opened(f"{one}:50000", f"{other}:50000", at="[2001:db8:9::1]:8080")) == [False, False]


@pytest.mark.parametrize("own", ["127.0.0.1", "10.0.0.1", "[::1]", "[2001:db8:9::1]"])
def test_this_machine_itself_is_not_counted(own: str) -> None:
    assert refused(1, opened(*(f"{own}:{port}" for port in range(50_000, 50_009)), at=f"{own}:8080")) == [False] * 9


def test_ten_thousand_addresses_hardly_ever_share_a_place() -> None:
    events = opened(*(f"10.{number >> 8 & 255}.{number & 255}.9:50000" for number in range(10_000)))
    # By chance there would be about 720; with three for an address, none but a handful is refused.
    assert sum(refused(1, events)) < 1_500
    assert sum(refused(3, events)) < 40

"""Ports: named ones as they are, free ones all different, and a taken one in one line."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from parley_local.ports import Wanted, holder_of, settle
from parley_shared.settings import SettingsError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as server:
        return int(server.getsockname()[1])


def test_named_ports_stay_and_free_ones_are_different() -> None:
    named = free_port()
    wanted = [Wanted("A", LOOPBACK, 0), Wanted("B", LOOPBACK, named), *(Wanted("C", LOOPBACK, 0) for _ in range(20))]
    ports = settle(wanted)
    assert ports[1] == named
    assert len(set(ports)) == len(wanted)
    # And they can be listened on: nothing of the search holds them.
    for port in ports:
        socket.create_server((LOOPBACK, port)).close()


def test_a_taken_port_names_itself_its_setting_and_its_holder() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(
            SettingsError, match=rf"^Port {port} is taken by .+ \(process {os.getpid()}\)\. Set PARLEY_EDGE_PORT "
        ) as taken:
            settle([Wanted("PARLEY_EDGE_PORT", LOOPBACK, port)])
    assert taken.value.variable == "PARLEY_EDGE_PORT"


def test_the_same_port_twice_is_a_taken_one() -> None:
    port = free_port()
    with pytest.raises(SettingsError, match="Set PARLEY_CHAT_PORT to another"):
        settle([Wanted("PARLEY_EDGE_PORT", LOOPBACK, port), Wanted("PARLEY_CHAT_PORT", LOOPBACK, port)])


def test_an_address_of_another_machine_is_told_so() -> None:
    with pytest.raises(SettingsError, match=r"192\.0\.2\.1, which is not an address of this machine"):
        settle([Wanted("PARLEY_EDGE_PORT", "192.0.2.1", 0)])


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux tells who has a port")
def test_nobody_holds_a_free_port() -> None:
    assert holder_of(free_port()) == ""

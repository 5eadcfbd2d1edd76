"""Where a call comes from, as its metadata says it."""

from __future__ import annotations

import pytest
from parley_shared.callers import Origin, origin_of


def test_the_edge_says_the_address_and_the_client_itself_what_it_is() -> None:
    said = {"x-parley-address": "192.0.2.1", "user-agent": "curl/8"}
    assert origin_of(said) == Origin("192.0.2.1", "curl/8")
    assert origin_of({}) == Origin()


def test_a_service_that_asks_for_a_caller_says_where_that_one_is() -> None:
    there = Origin("192.0.2.1", "curl/8")
    assert origin_of({"user-agent": "grpc-python", **dict(there.as_metadata())}) == there
    assert Origin().as_metadata() == ()


@pytest.mark.parametrize(
    ("said", "kept"),
    [("x" * 500, "x" * 200), ("a\tb\x00c\x7f", "abc"), ("Ä\u202eb", "b"), ("  padded  ", "padded")],
)
def test_what_is_said_is_bounded_and_plain(said: str, kept: str) -> None:
    found = origin_of({"user-agent": said, "x-parley-address": said})
    assert (found.user_agent, found.address) == (kept, kept[:64])

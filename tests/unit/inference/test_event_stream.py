"""Server-sent events come out whole, however the network cuts them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_inference.adapters import event_stream
from parley_inference.adapters.event_stream import EventStream, EventTooLargeError

BODY = (
    ': hello\n\ndata: {"a": "é€😀"}\n\n\n\nevent: x\nid: 1\ndata: first\ndata: second\n\n'
    ": keep-alive\ndata:no space\n\nretry: 5\n\ndata: [DONE]\n\n"
)
DATA = [data.encode() for data in ('{"a": "é€😀"}', "first\nsecond", "no space", "[DONE]")]


def read(body: bytes, cuts: list[int]) -> list[bytes]:
    stream = EventStream()
    found: list[bytes] = []
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    for start, end in pairwise(edges):
        found += stream.feed(body[start:end])
    return found + stream.finish()


@given(st.lists(st.integers(min_value=0, max_value=1000), max_size=40), st.sampled_from(["\n", "\r\n", "\r"]))
def test_cuts_anywhere_change_nothing_whatever_ends_the_lines(cuts: list[int], line_end: str) -> None:
    assert read(BODY.replace("\n", line_end).encode(), cuts) == DATA


def test_every_byte_a_read_of_its_own_changes_nothing() -> None:
    body = BODY.replace("\n", "\r\n").encode()
    assert read(body, list(range(len(body)))) == DATA


def test_an_event_is_given_out_as_soon_as_it_is_whole() -> None:
    stream = EventStream()
    assert stream.feed(b"data: one\n") == []
    assert stream.feed(b"\ndata: two") == [b"one"]
    assert stream.feed(b"\n\n") == [b"two"]


def test_the_last_event_counts_when_its_blank_line_is_missing() -> None:
    stream = EventStream()
    assert stream.feed(b"data: one\n\ndata: [DONE]\n") == [b"one"]
    assert stream.finish() == [b"[DONE]"]
    assert stream.finish() == []


def test_comments_alone_give_nothing() -> None:
    assert EventStream().feed(b": ping\n\n: ping\n\n") == []


def test_an_event_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "MOST_BYTES_OF_AN_EVENT", 1000)
    stream = EventStream()
    assert stream.feed(b"data: " + b"x" * 900) == []
    with pytest.raises(EventTooLargeError):
        stream.feed(b"x" * 900)

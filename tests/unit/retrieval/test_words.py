"""Which words a search sees in a text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_retrieval.domain.words import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Add a provider!", ["add", "a", "provider"]),
        ("PARLEY_RETRIEVAL_PORT=50053", ["parley", "retrieval", "port", "50053"]),
        ("don’t can't", ["don't", "can't"]),
        ("StreamReply", ["streamreply", "stream", "reply"]),
        ("HTTPServer", ["httpserver", "http", "server"]),
        ("gRPC iPhone", ["grpc", "iphone"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("Cafe\u0301 café", ["café", "café"]),
        ("ﬁle ２", ["file", "2"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("日本語", ["日本", "本語"]),
        ("Python編程 字", ["python", "編程", "字"]),
        ("… —", []),
    ],
)
def test_words_are_told_apart_and_folded(text: str, expected: list[str]) -> None:
    assert list(words(text)) == expected


def test_a_blob_costs_one_short_word() -> None:
    assert [len(word) for word in words("a" * 100_000)] == [64]


@given(st.text(max_size=300))
def test_a_word_is_never_empty_and_folded_words_stay_as_they_are(text: str) -> None:
    for word in words(text):
        assert word.strip()
        assert len(word) <= 64


def test_a_million_hostile_characters_take_linear_time() -> None:
    def seconds(length: int) -> float:
        start = time.process_time()
        for unit in ("a'", "aB", "漢", "_", "e\u0301"):
            list(words(unit * (length // len(unit))))
        return time.process_time() - start

    # Quadratic work would be a hundred times the smaller one's; ten times is what linear costs.
    assert seconds(500_000) < 60 * max(seconds(50_000), 0.02)

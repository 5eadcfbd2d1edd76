"""The line of figures under an answer, and the receipt of a stopped one."""

from __future__ import annotations

import pytest
from parley.chat.v1 import message_pb2
from parley_cli.answer import figures, receipt


def message(**usage: int | bool) -> message_pb2.Message:
    return message_pb2.Message(
        text="Half an ",
        model="small",
        route=message_pb2.ROUTE_STANDARD,
        usage=message_pb2.Usage(input_tokens=120, output_tokens=7, duration_ms=1_300, **usage),  # type: ignore[arg-type]  # what a test names
    )


@pytest.mark.parametrize(
    ("micros", "shown"),
    [
        (0, "$0"),
        (1, "$0.000001"),
        (12, "$0.000012"),
        (1_234, "$0.0012"),
        (12_345, "$0.012"),
        (250_000, "$0.25"),
        (3_104_999, "$3.10"),
    ],
)
def test_a_cost_stands_behind_the_tokens(micros: int, shown: str) -> None:
    assert figures(message(cost_usd_micros=micros)) == f"standard · small · 120 + 7 tokens · {shown} · 1.3 s"


def test_a_cost_of_estimated_tokens_is_an_estimate() -> None:
    assert "~120 + 7 tokens · ~$0.0012 ·" in figures(message(cost_usd_micros=1_234, estimated=True))


def test_a_cost_that_nobody_knows_is_not_told() -> None:
    assert figures(message()) == "standard · small · 120 + 7 tokens · 1.3 s"
    assert receipt(message()) == "Stopped. 8 characters were written and are kept; 120 + 7 tokens were used."


def test_the_receipt_tells_what_it_cost() -> None:
    words = "Stopped. 8 characters were written and are kept; ~120 + 7 tokens were used, which cost ~$0.0012."
    assert receipt(message(cost_usd_micros=1_234, estimated=True)) == words

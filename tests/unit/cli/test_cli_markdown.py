"""Markdown that grows: whatever is printed for good never changes afterwards, and everything is printed once."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from parley_cli.markdown_stream import MarkdownStream, split_finished
from parley_cli.terminal import place_in_document, printable
from rich.console import Console

PARSER = MarkdownIt().enable("strikethrough").enable("table")
ANSWER = """# A title

A paragraph
in two lines [1].

1. one
2. two

   with more

```python
def f():

    return 1
```

| a | b |
|---|---|
| 1 | 2 |

Setext
======

> quoted

The end."""


def blocks(text: str) -> list[str]:
    return [token.type for token in PARSER.parse(text) if token.level == 0 and token.nesting >= 0]


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_blocks_that_are_printed_early_are_the_blocks_of_the_whole(step: int) -> None:
    printed, rest = [], ""
    for at in range(0, len(ANSWER), step):
        finished, rest = split_finished(PARSER, rest + ANSWER[at : at + step])
        if finished:
            printed.append(finished)
    printed.append(rest)
    assert "".join(printed) == ANSWER
    assert [block for part in printed for block in blocks(part)] == blocks(ANSWER)
    if step < 1000:
        assert len(printed) > 5, "and they are printed as soon as they are finished"


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["# h", "text", "- a", "1. b", "```", "", "> q", "    code", "| a | b |", "|---|---|", "===", "---"]
        )
    )
)
def test_nothing_is_lost_or_doubled_whatever_the_text(lines: list[str]) -> None:
    text = "\n".join(lines)
    finished, rest = split_finished(PARSER, text)
    assert finished + rest == text


async def test_an_answer_longer_than_the_terminal_is_printed_once() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=False, width=60, height=10, markup=False, highlight=False)
    async with MarkdownStream(console) as stream:
        for number in range(100):
            stream.feed(f"Paragraph number {number}.\n\n")
        stream.feed("- last")
    lines = [line for line in out.getvalue().splitlines() if line.strip()]
    assert [line.strip() for line in lines] == [*(f"Paragraph number {number}." for number in range(100)), "• last"]


async def test_an_answer_that_begins_anew_is_printed_without_what_was_not_yet_printed() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=False, width=60, markup=False, highlight=False)
    async with MarkdownStream(console) as stream:
        stream.feed("Half an ans")
        stream.drop()
        stream.feed("Whole.")
    assert out.getvalue().split() == ["Whole."]


def test_control_characters_are_not_printed() -> None:
    assert printable("a\x1b[31mb\x07\tc\r\nd\x9be\x7f") == "a[31mb\tc\nde"


@pytest.mark.parametrize(
    ("title", "heading", "shown"),
    [
        ("Guide", "", "Guide"),
        ("Guide", "Guide", "Guide"),
        ("Guide", "Guide › Keys", "Guide › Keys"),
        ("Guide", "Keys › More", "Guide › Keys › More"),
    ],
)
def test_a_title_that_is_the_first_heading_too_is_said_once(title: str, heading: str, shown: str) -> None:
    assert place_in_document(title, heading) == shown

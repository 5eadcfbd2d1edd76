"""The headings that are found in Markdown, and what only looks like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_retrieval.domain.outline import headings


def titles(markdown: str) -> list[tuple[int, str]]:
    return [(heading.level, heading.title) for heading in headings(markdown)]


def test_headings_of_both_kinds_are_found_with_their_levels() -> None:
    markdown = "# One\n\ntext\n\nTwo\n---\n\n### Three ###\n\nOne again\n=========\n"
    assert titles(markdown) == [(1, "One"), (2, "Two"), (3, "Three"), (1, "One again")]


def test_a_heading_knows_its_place_in_the_text() -> None:
    markdown = "été\r\n\r\nOver\r\ntwo lines\r\n-----\r\nbody"
    (heading,) = headings(markdown)
    assert markdown[heading.start : heading.end] == "Over\r\ntwo lines\r\n-----\r\n"
    assert heading.title == "Over two lines"


@pytest.mark.parametrize(
    "markdown",
    [
        "```\n# no\n```",
        "~~~~ python\n# no\n~~~\n# no\n~~~~",
        "- ```sh\n  # no\n  ```",
        "```\n# never closed",
        "<!--\n# no\n-->",
        "---\ntitle: no\n---\n",
        "#no space",
        "####### seven",
        "    # code",
        "- item\n---\n",
        "> quote\n---\n",
        "| a | b |\n|---|---|\n| # c | d |",
        "\n---\n",
        "# " + "long " * 100,
    ],
)
def test_what_only_looks_like_a_heading_is_none(markdown: str) -> None:
    assert titles(markdown) == []


def test_headings_after_a_fence_or_a_comment_are_found() -> None:
    assert titles("```\ncode\n```\n# Yes\n<!-- one line -->\n## Also") == [(1, "Yes"), (2, "Also")]


def test_a_rule_at_the_top_that_is_no_front_matter_hides_nothing() -> None:
    assert titles("---\n\n# Yes\n" + "text\n" * 200) == [(1, "Yes")]


def test_a_title_is_told_without_its_marks() -> None:
    markdown = r"## The `retrieval` **service** of [Parley](https://example.org) \*now\*, snake_case"
    assert titles(markdown) == [(2, "The retrieval service of Parley *now*, snake_case")]


@given(st.text(alphabet="#-= `~<!>\n\r\ta1é", max_size=200))
def test_headings_stand_in_order_and_inside_the_text(markdown: str) -> None:
    end = 0
    for heading in headings(markdown):
        assert end <= heading.start < heading.end <= len(markdown)
        end = heading.end

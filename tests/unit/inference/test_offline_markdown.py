"""Markdown is cut into blocks that can be quoted."""

from __future__ import annotations

from parley_inference.adapters.offline_markdown import BlockKind, blocks_of, items_of, rows_of, sentences_of
from parley_inference.domain.prompt import Passage


def cut(text: str, heading: str = "") -> list[tuple[BlockKind, str, tuple[str, ...]]]:
    return [(block.kind, block.text, block.headings) for block in blocks_of((Passage(1, "T", text, heading),))]


def test_blocks_stand_under_their_headings() -> None:
    text = "Intro.\n\n# One\n\nFirst\nline.\n\n## Two ##\n- a\n- b\n\n# Three\n| x |\n|---|\n| 1 |\n\n---\n\n~~~\n# no heading\n~~~\n"
    assert cut(text, "Top › One") == [
        (BlockKind.PARAGRAPH, "Intro.", ("Top", "One")),
        (BlockKind.PARAGRAPH, "First\nline.", ("Top", "One")),
        (BlockKind.LIST, "- a\n- b", ("Top", "One", "Two")),
        (BlockKind.TABLE, "| x |\n|---|\n| 1 |", ("Top", "One", "Three")),
        (BlockKind.CODE, "~~~\n# no heading\n~~~", ("Top", "One", "Three")),
    ]


def test_a_list_keeps_what_belongs_to_its_items() -> None:
    text = "Steps:\n1. one\n   more\n\n   ```\n   code\n   ```\n2. two\n   - inner\n\nAfter."
    found = cut(text)
    assert [kind for kind, _, _ in found] == [BlockKind.PARAGRAPH, BlockKind.LIST, BlockKind.PARAGRAPH]
    assert items_of(found[1][1]) == ["1. one\n   more\n\n   ```\n   code\n   ```", "2. two\n   - inner"]


def test_code_within_code_does_not_end_it() -> None:
    text = "````md\n```\ninner\n```\n````\nafter"
    assert cut(text)[0] == (BlockKind.CODE, "````md\n```\ninner\n```\n````", ())


def test_sentences_end_where_they_end() -> None:
    text = 'Use `a.b. C` first. Then v1.2 works, e.g. here. "Quoted." (Aside.) Is it? Yes! 3 things. see below.'
    assert sentences_of(text) == [
        "Use `a.b. C` first.",
        "Then v1.2 works, e.g. here.",
        '"Quoted."',
        "(Aside.)",
        "Is it?",
        "Yes!",
        "3 things. see below.",
    ]


def test_a_table_has_a_head_and_rows() -> None:
    assert rows_of("| a |\n|---|\n| 1 |\n| 2 |") == ("| a |\n|---|", ["| 1 |", "| 2 |"])
    assert rows_of("| 1 |\n| 2 |") == ("", ["| 1 |", "| 2 |"])

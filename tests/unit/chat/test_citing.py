"""Which sources an answer cites, and whether its quotes stand in them."""

from __future__ import annotations

import pytest
from parley_chat.domain.citing import cited
from parley_chat.domain.conversation import Citation

NOTICE = "The **lease** may be ended by either side.\nNotice is three months, to the end of a month — in writing."
DEPOSIT = 'The deposit is two rents. It is "kept apart" from the landlord’s own money.'


def source(number: int, text: str) -> Citation:
    return Citation(number, f"c{number}", "d", "t", "", text, 0, len(text), "h", document_version=3)


SOURCES = [source(1, NOTICE), source(2, DEPOSIT), source(3, "Nothing of this.")]


def quotes(text: str) -> list[tuple[int, str, bool]]:
    """The quotes of an answer: source, words, whether they were found."""
    return [
        (citation.number, text[quote.text_offset : quote.text_offset + quote.text_length], quote.verified)
        for citation in cited(text, SOURCES)
        for quote in citation.quotes
    ]


def test_only_sources_that_the_text_names_are_cited() -> None:
    assert [citation.number for citation in cited("As [1] and [2, 3] say, not [9] nor [x].", SOURCES)] == [1, 2, 3]
    assert cited("Nothing.", SOURCES) == ()


def test_a_citation_keeps_what_its_source_was() -> None:
    (citation,) = cited("See [1].", SOURCES)
    assert (citation.chunk_id, citation.document_version, citation.text) == ("c1", 3, NOTICE)


@pytest.mark.parametrize(
    "said",
    [
        "Notice is three months, to the end of a month",
        "notice is  THREE months,\n  to the end of a month",
        "to the end of a month - in writing",
        "The lease may be ended by either side",
    ],
)
def test_words_in_quotation_marks_that_stand_in_the_source_are_verified(said: str) -> None:
    assert quotes(f"It says “{said}” [1].") == [(1, said, True)]
    assert quotes(f"Es heißt: „{said}“ [1].") == [(1, said, True)]
    assert quotes(f'It says "{said}" [1].') == [(1, said, True)]


def test_words_in_quotation_marks_that_do_not_stand_in_the_source_are_told() -> None:
    text = "It says “Notice is six months” [1], and “two rents” [2]."
    assert quotes(text) == [(1, "Notice is six months", False), (2, "two rents", True)]


def test_words_of_one_source_are_not_verified_by_another() -> None:
    assert quotes("It says “The deposit is two rents” [1].") == [(1, "The deposit is two rents", False)]


def test_of_several_sources_the_one_that_holds_the_words_has_the_quote() -> None:
    assert quotes("It says “The deposit is two rents” [1, 2].") == [(2, "The deposit is two rents", True)]


def test_a_block_quote_is_a_quote_also_with_its_mark_below() -> None:
    quoted = "> Notice is three months,\n> to the end of a month"
    assert quotes(f"The lease says:\n\n{quoted} [1]\n\nSo wait.") == [(1, quoted, True)]
    assert quotes(f"{quoted}\n\n[1]") == [(1, quoted, True)]
    assert quotes("> Notice is one day [1]") == [(1, "> Notice is one day", False)]


def test_a_whole_sentence_of_the_source_is_a_quote_and_a_sentence_of_its_own_is_none() -> None:
    text = "The lease may be ended by either side. [1] You have to write a letter in good time. [1]"
    assert quotes(text) == [(1, "The lease may be ended by either side.", True)]
    assert quotes("- The lease may be ended by either side. [1]") == [
        (1, "The lease may be ended by either side.", True)
    ]


def test_a_name_in_quotation_marks_is_no_quote() -> None:
    assert quotes("The word “lease” is old [1].") == []


def test_what_stands_behind_other_marks_or_in_another_paragraph_is_not_the_sources() -> None:
    assert quotes("“two rents” [2] are kept [1].") == [(2, "two rents", True)]
    assert quotes("“two rents”\n\nAnd more [1].") == []


def test_a_hostile_answer_is_read_in_bounded_time() -> None:
    text = "“a b” [1] " * 5_000 + '"' * 50_000 + "[1]" * 5_000
    assert len(quotes(text)) == 200

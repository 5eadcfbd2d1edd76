"""The part of a passage that an answer shows, and what it marks in it."""

from __future__ import annotations

import random

import pytest
from parley_retrieval.domain.snippets import SNIPPET_CHARACTERS, Snippet, snippet_of
from parley_retrieval.domain.words import word_spans, words


def shown(text: str, *wanted: str) -> Snippet:
    return snippet_of(text, lambda word: word in wanted)


def marked(snippet: Snippet) -> list[str]:
    return [snippet.text[start:end] for start, end in snippet.highlights]


def test_the_sentence_with_the_most_words_of_the_query_is_shown() -> None:
    filler = "Nothing of that sort happens on other days of the week, whatever anybody may tell you about it here. "
    text = filler * 4 + "The heron feeds at dawn by the river. " + filler * 4
    snippet = shown(text, "heron", "river")
    assert "The heron feeds at dawn by the river." in snippet.text
    assert marked(snippet) == ["heron", "river"]


def test_different_words_count_more_than_one_word_repeated() -> None:
    pad = "x" * 200
    text = f"heron heron heron heron {pad}. {'y' * 290}. A heron at the river {pad}."
    assert marked(shown(text, "heron", "river")) == ["heron", "river"]


def test_a_short_passage_is_shown_whole() -> None:
    text = "# Fish\n\nCafé owners feed the fish at noon."
    snippet = shown(text, "fish")
    assert snippet.text == text
    assert marked(snippet) == ["Fish", "fish"]


def test_what_holds_none_of_the_words_is_shown_from_its_beginning() -> None:
    snippet = shown("First sentence. " + "word " * 200, "absent")
    assert snippet.text.startswith("First sentence.")
    assert snippet.highlights == ()


def test_a_long_sentence_is_cut_between_words_around_the_words_of_the_query() -> None:
    text = "alpha " * 200 + "the heron " + "beta " * 200
    snippet = shown(text, "heron")
    assert marked(snippet) == ["heron"]
    assert len(snippet.text) <= SNIPPET_CHARACTERS
    assert set(snippet.text.split()) <= {"alpha", "the", "heron", "beta"}


def test_accents_apostrophes_and_names_with_parts_are_marked_whole() -> None:
    assert marked(shown("The CAFE\u0301 of StreamReply isn’t open.", "café", "reply", "isn't")) == [
        "CAFE\u0301",
        "StreamReply",
        "isn’t",
    ]


def test_scripts_without_spaces_are_marked_where_the_characters_stand() -> None:
    snippet = shown("池の金魚を見る", "金魚")
    assert marked(snippet) == ["金魚"]


def test_a_blank_passage_has_a_blank_snippet() -> None:
    assert shown("", "x") == Snippet("", ())
    assert shown(" \n ", "x").highlights == ()


@pytest.mark.parametrize("seed", range(40))
def test_whatever_the_text_the_snippet_is_a_piece_of_it_and_the_marks_are_in_order(seed: int) -> None:
    chance = random.Random(seed)
    alphabet = ["heron", "river", "Stream", "金魚を", ".", "! ", "\n", "\n\n", " ", " ", " ", "é", "🦆", "x" * 50, "？"]
    text = "".join(chance.choice(alphabet) for _ in range(chance.randrange(1, 400)))
    snippet = shown(text, "heron", "river", "金魚")
    assert snippet.text in text
    assert len(snippet.text) <= SNIPPET_CHARACTERS
    end = 0
    for start, stop in snippet.highlights:
        assert end <= start < stop <= len(snippet.text)
        end = stop


@pytest.mark.parametrize("text", ["The heron isn't here.", "StreamReply 42", "東京タワー and 金魚", "a 金 b"])
def test_the_words_with_places_are_the_words_without(text: str) -> None:
    assert sorted(word for _, _, word in word_spans(text)) == sorted(words(text))

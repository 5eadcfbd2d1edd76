"""Going on with an interrupted answer: nothing is lost, nothing is said twice."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from parley_inference.domain.continuation import LEAST_OVERLAP, LEAST_TELLING, OverlapTrimmer, RepeatedSpaceTrimmer

BEFORE = "To add a provider, set its environment variable and start Parley again. For exam"


def trimmed(before: str, pieces: list[str]) -> str:
    trimmer = OverlapTrimmer(before)
    return "".join([*(trimmer.take(piece) for piece in pieces), trimmer.end()])


def test_text_that_goes_on_goes_out_at_once() -> None:
    trimmer = OverlapTrimmer(BEFORE)
    assert trimmer.take("ple: OPENAI") == "ple: OPENAI"
    assert trimmer.take("_API_KEY") == "_API_KEY"
    assert trimmer.end() == ""


def test_what_is_repeated_of_the_end_is_cut_off() -> None:
    assert trimmed(BEFORE, ["start Parley ", "again. For ", "example: this"]) == "ple: this"
    assert trimmed(BEFORE, ["start Parley again. For example: this"]) == "ple: this"


def test_an_answer_that_begins_anew_is_cut_to_what_follows() -> None:
    assert trimmed(BEFORE, [f"{BEFORE}ple"]) == "ple"
    assert trimmed(BEFORE, [*BEFORE, "p", "le"]) == "ple"


def test_a_repetition_that_turns_out_to_be_none_is_given_whole() -> None:
    assert trimmed(BEFORE, ["start Parley ", "tomorrow"]) == "start Parley tomorrow"


def test_what_is_the_same_by_chance_stays() -> None:
    assert trimmed("| a | b |\n| --- | --- |", ["| --- | --- |"]) == "| --- | --- |"
    assert trimmed("text\n" + "-" * 20, ["-" * 20]) == "-" * 20
    assert trimmed("x:\n" + " " * 16, [" " * 16 + "y"]) == " " * 16 + "y"
    assert trimmed("one two three", ["three four"]) == "three four"
    assert trimmed("ab", ["ab"]) == "ab"


def test_of_a_model_that_goes_on_from_the_beginning_only_the_whole_beginning_is_a_repetition() -> None:
    for pieces, left in (
        ([f"{BEFORE}ple"], "ple"),
        ([*BEFORE, "ple"], "ple"),
        (["start Parley again. For example"], "start Parley again. For example"),
    ):
        trimmer = OverlapTrimmer(BEFORE, only_whole=True)
        assert "".join([*(trimmer.take(piece) for piece in pieces), trimmer.end()]) == left


@given(
    st.text("ab ", max_size=40),
    st.text("ab ", max_size=40),
    st.integers(0, 40),
    st.lists(st.integers(1, 5), max_size=30),
)
def test_a_repetition_of_any_length_from_the_least_on_is_cut_however_it_is_sliced(
    before: str, following: str, overlap: int, sizes: list[int]
) -> None:
    overlap = min(overlap, len(before))
    text = before[len(before) - overlap :] + following
    pieces, rest = [], text
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    result = trimmed(before, [*pieces, rest])
    assert text.endswith(result)
    cut = len(text) - len(result)
    made = before[len(before) - overlap :] if overlap else ""
    # What is cut is a repetition of the end, and at least as long as the one that was made.
    assert cut == 0 or (cut >= LEAST_OVERLAP and before.endswith(text[:cut]))
    assert cut >= overlap or overlap < LEAST_OVERLAP or sum(map(str.isalnum, made)) < LEAST_TELLING


@given(st.text(alphabet=" \n\t", max_size=6), st.text(alphabet=" \n\tab", max_size=12), st.lists(st.integers(0, 12)))
def test_hidden_white_space_is_written_once_however_the_text_is_cut(hidden: str, text: str, cuts: list[int]) -> None:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    trimmer = RepeatedSpaceTrimmer(hidden)
    given_out = "".join(trimmer.take(text[start:end]) for start, end in itertools.pairwise(places))
    assert given_out == RepeatedSpaceTrimmer(hidden).take(text)
    # Nothing but what was hidden is taken away, from the beginning.
    assert text.endswith(given_out)
    assert hidden.startswith(text.removesuffix(given_out))


def test_white_space_that_the_model_writes_again_is_not_doubled() -> None:
    for hidden, text, rest in (
        (" ", " next", "next"),
        (" ", "next", "next"),
        ("\n\n", "\n- b", "- b"),
        ("", " x", " x"),
    ):
        assert RepeatedSpaceTrimmer(hidden).take(text) == rest

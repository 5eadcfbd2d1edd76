"""Titles that models make: what is taken of what a model writes."""

from __future__ import annotations

import pytest
from parley_chat.domain.titles import MOST_CHARACTERS, title_of_model, told


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("Notice period of the lease", "Notice period of the lease"),
        ('"Notice period of the lease."', "Notice period of the lease"),
        ("„Kündigungsfrist im Mietvertrag“", "Kündigungsfrist im Mietvertrag"),
        ("« Le préavis du bail »", "Le préavis du bail"),
        ("《租约的通知期》", "租约的通知期"),
        ("Title: Notice period", "Notice period"),
        ("**Titel: Kündigungsfrist**", "Kündigungsfrist"),
        ("# Notice period\n\nThis title says what it is about.", "Notice period"),
        ("\n\n  Notice\t period  \n", "Notice period"),
        ("What is rye?", "What is rye?"),
        ("Rye (and wheat)", "Rye (and wheat)"),
        ("Safe\u202etxt.exe\u0007 name", "Safe txt.exe name"),
        ("- C++ and C#", "C++ and C#"),
        ("> Quoted", "Quoted"),
        ("", ""),
        ("```\n---\n```", ""),
        ("…", ""),
    ],
)
def test_a_title_is_one_line_without_what_stands_around_it(written: str, title: str) -> None:
    assert title_of_model(written) == title


def test_a_long_title_is_cut_at_a_word() -> None:
    title = title_of_model("The notice period of the lease " * 10)
    assert len(title) <= MOST_CHARACTERS
    assert title.endswith("…")
    assert title[:-1] in "The notice period of the lease " * 10
    assert title[:-1].split()[-1] in {"The", "notice", "period", "of", "the", "lease"}
    assert len(title_of_model("x" * 500)) == MOST_CHARACTERS


def test_a_model_is_told_the_beginnings_of_a_question_and_its_answer() -> None:
    material = told("q" * 100_000, "a" * 100_000)
    assert 2 * 2_000 < len(material) < 5_000
    assert material.index("q") < material.rindex("a")

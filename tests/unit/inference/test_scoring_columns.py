"""What columns are found to hold, and which are left out and why."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from parley_inference.domain.lead_columns import found_kind, used_columns
from parley_inference.domain.lead_rows import Column
from parley_inference.domain.lead_values import category_of, number_of, words_of
from parley_inference.domain.scoring import ColumnKind, Value
from parley_inference.domain.scoring_errors import TrainingDataUnusableError

CHANCE = random.Random(5)
WORDS = ["demo", "large", "plan", "budget", "meeting", "next", "week", "please", "price", "team", "later"]


def text(words: int) -> str:
    return " ".join(CHANCE.choice(WORDS) for _ in range(words))


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("size", [CHANCE.choice(["1", "20", "3.5", "-4", "1e3", ""]) for _ in range(60)], ColumnKind.NUMERIC),
        ("size", [float(number % 7) for number in range(60)], ColumnKind.NUMERIC),
        ("size", [CHANCE.choice(["12", "7", "n/a", "NULL", "-"]) for _ in range(60)], ColumnKind.NUMERIC),
        ("price", ["1,200", "1,300", "900"] * 20, ColumnKind.CATEGORICAL),
        ("source", ["list", "referral", None] * 20, ColumnKind.CATEGORICAL),
        ("opened", [True, False, True] * 20, ColumnKind.CATEGORICAL),
        ("reason", ["they have no budget now", "a friend told them of us"] * 30, ColumnKind.CATEGORICAL),
        ("notes", [text(12) for _ in range(60)], ColumnKind.TEXT),
        ("demo", ["yes", ""] * 30, ColumnKind.CATEGORICAL),
        ("revenue", [float(CHANCE.randrange(10**9)) for _ in range(60)], ColumnKind.NUMERIC),
        ("sorted", [float(number * number) for number in range(60)], ColumnKind.NUMERIC),
    ],
)
def test_kinds_are_found_out(name: str, values: Sequence[Value], kind: ColumnKind) -> None:
    assert found_kind(name, values) == (kind, "")


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("empty", [None, "", " "] * 20, "it is empty"),
        ("same", ["DE"] * 60, "the same value everywhere"),
        ("same", [5.0, "5"] * 30, "the same value everywhere"),
        ("row", [str(number) for number in range(60)], "it numbers the rows"),
        ("customer_id", [str(CHANCE.randrange(10**9)) for _ in range(60)], "it numbers the rows"),
        ("email", [f"lead{number}@example.com" for number in range(60)], "almost every row has another value"),
    ],
)
def test_columns_that_tell_nothing_are_left_out_and_said_so(name: str, values: Sequence[Value], words: str) -> None:
    kind, reason = found_kind(name, values)
    assert kind is ColumnKind.IGNORED
    assert words in reason


def test_a_few_values_that_are_no_numbers_count_as_missing_and_are_told() -> None:
    values: list[Value] = [*map(str, [3, 1, 2, 5, 8] * 20), "many", "unknown"]
    assert found_kind("size", values) == (
        ColumnKind.NUMERIC,
        "has 2 values that are no numbers; they count as missing",
    )


def test_what_the_caller_says_of_a_column_counts() -> None:
    columns = [Column("row", [str(number) for number in range(30)]), Column("plan", ["1", "2", "3"] * 10)]
    used, warnings = used_columns(columns, {"row": ColumnKind.NUMERIC, "plan": ColumnKind.CATEGORICAL}, "csv")
    assert [(one.name, one.kind) for one in used] == [
        ("row", ColumnKind.NUMERIC),
        ("plan", ColumnKind.CATEGORICAL),
    ]
    assert warnings == []
    used, _ = used_columns(columns, {"row": ColumnKind.NUMERIC, "plan": ColumnKind.IGNORED}, "csv")
    assert [one.name for one in used] == ["row"]


@pytest.mark.parametrize(
    ("kinds", "field", "words"),
    [
        ({"size": ColumnKind.NUMERIC}, "column_kinds", "there is no column `size`"),
        ({"plan": ColumnKind.NUMERIC}, "column_kinds", "`plan` is said to be numeric, and labelled row 1 has `basic`"),
        ({"blank": ColumnKind.TEXT}, "column_kinds", "`blank` is to be used, and it is empty"),
        ({"plan": ColumnKind.IGNORED}, "rows", "no column can be used besides the label"),
    ],
)
def test_what_cannot_be_is_refused(kinds: dict[str, ColumnKind], field: str, words: str) -> None:
    columns = [Column("plan", ["basic", "pro"] * 15), Column("blank", [""] * 30)]
    with pytest.raises(TrainingDataUnusableError) as raised:
        used_columns(columns, kinds, "rows")
    assert raised.value.field == field
    assert words in raised.value.words


def test_the_same_value_is_the_same_category_however_it_came() -> None:
    assert category_of(5.0) == category_of("5") == category_of(" 5.0 ") == "5"
    assert category_of("New  York") == category_of("new york")
    assert category_of(True) == category_of("TRUE") == "true"
    assert category_of(None) == category_of(" ") == category_of(float("nan")) == ""


@pytest.mark.parametrize("value", ["1,200", "12%", "$5", "0x10", "1_000", "inf", "nan", "1e999", "٣", "", "one"])
def test_what_is_no_plain_number_is_not_guessed_at(value: str) -> None:
    assert number_of(value) is None


def test_words_are_small_and_bounded() -> None:
    assert words_of("Größe, 3 DEMOS; a b!") == ["grösse", "demos"]
    assert words_of(None) == []
    assert all(len(word) <= 40 for word in words_of("x" * 1000))

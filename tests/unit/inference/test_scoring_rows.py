"""The rows of a training: what CSV is read as, what is told of a broken one, and which label counts."""

from __future__ import annotations

from typing import Any

import pytest
from parley_inference.domain.lead_rows import labelled_rows, read_csv
from parley_inference.domain.scoring import Training
from parley_inference.domain.scoring_errors import TrainingDataUnusableError


def refused(csv: str, label: str = "won", **fields: Any) -> TrainingDataUnusableError:
    with pytest.raises(TrainingDataUnusableError) as raised:
        labelled_rows(Training(label_column=label, csv=csv, **fields))
    return raised.value


def table(*labels: str, times: int = 10) -> str:
    return "size,won\n" + "".join(f"{number},{label}\n" for number in range(times) for label in labels)


def test_csv_is_read_as_rfc_4180_has_it() -> None:
    names, rows = read_csv('\ufeffname,notes,won\r\n"Doe, ""J""","two\r\nlines",yes\r\n\r\nx,,no\r\n')
    assert names == ("name", "notes", "won")
    assert rows == [['Doe, "J"', "two\r\nlines", "yes"], ["x", "", "no"]]


@pytest.mark.parametrize(
    ("csv", "words"),
    [
        ("a,won\n1,yes\n2\n", "line 3 has 1 fields, and the line of names has 2"),
        ('a,won\n"1\n2",yes\n2,no,more\n', "line 4 has 3 fields, and the line of names has 2"),
        ('a,won\n1,yes\n"2,no\n', "line 3 has a quoted field that is never closed"),
        ('a,won\n"1"x,yes\n', "line 2 is not CSV: a quoted field is not closed or goes on after its quote"),
        ("a,won,a\n1,yes,2\n", "line 1 names a column twice: `a`"),
        ("a,,won\n1,2,yes\n", "line 1 has no usable name in field 2: 1 to 200 characters are needed"),
        ("a;won\n1;yes\n", "line 1 separates its names by semicolons or tabs; commas are needed"),
        ("\n\n", "there is no line of names"),
        (f"a,won\n{'x' * 140_000},yes\n", "line 2 has a field of more than 131072 characters"),
        ("a,won\n" + "1,yes\n" * 20_001, "there are more than 20000 rows"),
    ],
)
def test_a_broken_table_is_refused_with_the_line_and_what_is_wrong(csv: str, words: str) -> None:
    error = refused(csv)
    assert (error.field, error.words) == ("csv", words)


def test_too_many_columns_are_refused() -> None:
    names = [f"c{number}" for number in range(201)]
    error = refused(",".join([*names, "won"]) + "\n" + ",".join(["1"] * 201 + ["yes"]) + "\n")
    assert error.field == "csv"
    assert "202 columns" in error.words


def test_a_label_column_that_is_not_there_is_named_with_those_that_are() -> None:
    error = refused(table("yes", "no"), label="lost")
    assert error.field == "label_column"
    assert error.words == "there is no column `lost`; there are `size`, `won`"


@pytest.mark.parametrize("positive", ["1", "true", "yes", "won", "converted", "YES", " Won "])
def test_the_usual_words_for_a_good_end_are_known(positive: str) -> None:
    rows = labelled_rows(Training(label_column="won", csv=table(positive, "other")))
    assert rows.positive_label == positive.strip()
    assert rows.labels == (True, False) * 10


def test_booleans_and_numbers_of_json_are_labels_too() -> None:
    for good, bad in ((True, False), (1.0, 0.0)):
        rows = [[number, label] for number in range(10) for label in (good, bad)]
        found = labelled_rows(Training(label_column="won", names=("size", "won"), rows=rows))
        assert found.positive_count == 10


@pytest.mark.parametrize("labels", [("good", "bad"), ("yes", "no", "maybe"), ("yes", "won")])
def test_labels_that_do_not_say_which_is_good_need_to_be_told(labels: tuple[str, ...]) -> None:
    error = refused(table(*labels))
    assert error.field == "positive_label"
    assert all(f"`{label}`" in error.words for label in labels)
    found = labelled_rows(Training(label_column="won", csv=table(*labels), positive_label=labels[0].upper()))
    assert found.positive_count == 10


def test_a_positive_label_that_no_row_has_is_refused() -> None:
    error = refused(table("yes", "no"), positive_label="sold")
    assert (error.field, error.words) == ("positive_label", "no row has `sold` in `won`; there are `yes`, `no`")


@pytest.mark.parametrize(
    ("csv", "words"),
    [
        (table("yes", "no", times=9), "there are 18 rows with a label; at least 20 are needed"),
        (table("yes", times=30), "all rows ended the same way: `won` is always `yes`"),
        (
            table("no", times=30) + "1,yes\n" * 4,
            "4 of 34 rows are positive; at least 5 of each are needed",
        ),
        (
            table("yes", times=30) + "1,no\n" * 4,
            "4 of 34 rows are not positive; at least 5 of each are needed",
        ),
    ],
)
def test_too_few_rows_say_how_many_are_missing(csv: str, words: str) -> None:
    error = refused(csv)
    assert (error.field, error.words) == ("csv", words)


def test_rows_without_a_label_are_left_out_and_counted_and_so_are_repeated_ones() -> None:
    found = labelled_rows(Training(label_column="won", csv=table("yes", "no") + "1,\n2, \n3,yes\n3,yes\n"))
    assert len(found.labels) == 22
    assert found.unlabelled_count == 2
    assert found.repeated_count == 2

"""The rows of a training: reads CSV, finds the label, and says what is wrong in words that name the line.

Not what columns hold (`lead_columns.py`).
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from parley_inference.domain.lead_values import category_of, is_missing, shown
from parley_inference.domain.scoring import CLASS_LEAST, COLUMNS_MOST, NAME_MOST, ROWS_LEAST, ROWS_MOST, Training, Value
from parley_inference.domain.scoring_errors import TrainingDataUnusableError

_POSITIVE = ("1", "true", "yes", "won", "converted")
_FIELD_MOST = 131_072
"""Characters of one field: the bound of Python's reader, said here so that it is no surprise."""
_NAMED_MOST = 8
"""How many columns or labels an error names."""


@dataclass(frozen=True)
class Column:
    """The values of one column, one for each row."""

    name: str
    values: Sequence[Value]


@dataclass(frozen=True)
class LabelledRows:
    """Rows that can be learned from."""

    columns: tuple[Column, ...]
    """All but the label, in the order of the rows."""
    labels: tuple[bool, ...]
    """Whether each row is positive."""
    positive_label: str
    """As the rows write it."""
    unlabelled_count: int
    """Rows that were left out because nothing says how they ended."""
    repeated_count: int
    """Rows that are in every column like one before."""

    @property
    def positive_count(self) -> int:
        """How many rows are positive."""
        return sum(self.labels)


def labelled_rows(training: Training) -> LabelledRows:
    """The rows with their label. Raises TrainingDataUnusableError for rows that cannot train, naming the field and what is missing."""
    names, rows = read_csv(training.csv) if training.csv else (training.names, training.rows)
    if len(names) > COLUMNS_MOST + 1:
        raise _unusable(
            training, f"there are {len(names)} columns; {COLUMNS_MOST} and the label are the most that can be used"
        )
    if training.label_column not in names:
        raise TrainingDataUnusableError(
            "label_column", f"there is no column `{training.label_column}`; there are {_named(names)}"
        )
    at = names.index(training.label_column)
    labelled = [row for row in rows if not is_missing(row[at])]
    positive, positive_label = _positive(training, [row[at] for row in labelled])
    labels = tuple(category_of(row[at]) == positive for row in labelled)
    if len(labels) < ROWS_LEAST:
        raise _unusable(training, f"there are {len(labels)} rows with a label; at least {ROWS_LEAST} are needed")
    wins = sum(labels)
    for count, which in ((wins, "are positive"), (len(labels) - wins, "are not positive")):
        if count < CLASS_LEAST:
            only = "all rows ended the same way: " if count == 0 else ""
            raise _unusable(
                training, f"{only}{count} of {len(labels)} rows {which}; at least {CLASS_LEAST} of each are needed"
            )
    columns = tuple(
        Column(name, [row[index] for row in labelled]) for index, name in enumerate(names) if name != names[at]
    )
    return LabelledRows(
        columns,
        labels,
        positive_label,
        unlabelled_count=len(rows) - len(labelled),
        repeated_count=len(labelled) - len({tuple(row) for row in labelled}),
    )


def read_csv(text: str) -> tuple[tuple[str, ...], list[list[Value]]]:
    """The names and the rows of CSV as RFC 4180 has it; a byte order mark and empty lines are passed over.

    Raises TrainingDataUnusableError, naming the line, when it is not such a table.
    """
    records = _records(text.removeprefix("\ufeff"))
    _, header = next(records, (1, []))
    names = _names(header)
    rows: list[list[Value]] = []
    for line, record in records:
        if len(record) != len(names):
            raise _broken(line, f"has {len(record)} fields, and the line of names has {len(names)}")
        if len(rows) == ROWS_MOST:
            raise TrainingDataUnusableError("csv", f"there are more than {ROWS_MOST} rows")
        rows.append(list(record))
    return names, rows


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line where it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader, None)
        except csv.Error as error:
            raise _broken(
                line, _WORDS.get(str(error), "is not CSV: a quoted field is not closed or goes on after its quote")
            ) from error
        if record is None:
            return
        if record:
            yield line, record


_WORDS = {
    f"field larger than field limit ({_FIELD_MOST})": f"has a field of more than {_FIELD_MOST} characters",
    "unexpected end of data": "has a quoted field that is never closed",
}


def _names(header: Sequence[str]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in header)
    if not names:
        raise TrainingDataUnusableError("csv", "there is no line of names")
    if len(names) == 1 and any(mark in names[0] for mark in ";\t"):
        raise _broken(1, "separates its names by semicolons or tabs; commas are needed")
    for number, name in enumerate(names, start=1):
        if not 1 <= len(name) <= NAME_MOST:
            raise _broken(1, f"has no usable name in field {number}: 1 to {NAME_MOST} characters are needed")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise _broken(1, f"names a column twice: {_named(twice)}")
    return names


def _positive(training: Training, values: Sequence[Value]) -> tuple[str, str]:
    """The category of the label that counts, and how the rows write it."""
    written: dict[str, str] = {}
    for value in values:
        written.setdefault(category_of(value), shown(value))
    if training.positive_label:
        positive = category_of(training.positive_label)
        if positive not in written:
            there = _named(list(written.values())) if written else "no values"
            raise TrainingDataUnusableError(
                "positive_label",
                f"no row has `{shown(training.positive_label)}` in `{training.label_column}`; there are {there}",
            )
        return positive, written[positive]
    if len(written) == 1:
        raise _unusable(
            training,
            f"all rows ended the same way: `{training.label_column}` is always {_named(list(written.values()))}",
        )
    known = [name for name in _POSITIVE if name in written]
    if not written:
        raise TrainingDataUnusableError("label_column", f"no row has a value in `{training.label_column}`")
    if len(written) != 2 or len(known) != 1:
        raise TrainingDataUnusableError(
            "positive_label",
            f"it must say which value of `{training.label_column}` counts as positive; there are {_named(list(written.values()))}",
        )
    return known[0], written[known[0]]


def _named(names: Sequence[str]) -> str:
    named = ", ".join(f"`{shown(name, most=60)}`" for name in names[:_NAMED_MOST])
    return f"{named} and {len(names) - _NAMED_MOST} more" if len(names) > _NAMED_MOST else named


def _broken(line: int, words: str) -> TrainingDataUnusableError:
    return TrainingDataUnusableError("csv", f"line {line} {words}")


def _unusable(training: Training, words: str) -> TrainingDataUnusableError:
    return TrainingDataUnusableError(training.source, words)

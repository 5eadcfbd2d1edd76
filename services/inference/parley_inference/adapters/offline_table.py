"""Finds a table in a message (CSV with commas, semicolons or tabs, or Markdown) and describes its columns. It computes exactly, and guesses
nothing: what is no number is counted, what is missing is told.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation, localcontext
from enum import Enum, auto
from itertools import dropwhile
from statistics import median

from parley_inference.adapters.offline_words import terms

_MOST_CHARACTERS = 200_000
_MOST_COLUMNS = 40
_DELIMITERS = ("\t", ";", "|", ",")
_LEAST_FIT = 0.6
"""How many of the lines must have as many cells as most of them."""
_RULE = re.compile(r":?-{2,}:?")
_NUMBER = re.compile(r"[+-]?(?:\d[\d.,'\u2019\u00a0\u202f ]{0,30})?\d")
_UNITS = "$€£¥% \u00a0"
_DATE = re.compile(r"\d{4}-\d{2}(?:-\d{2})?(?:[T ]\d{2}:\d{2}\S{0,20})?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+")
_NAMES_OF_KEYS = re.compile(r"(?:.*[_\s])?(?:id|nr|no|number|year|jahr|plz|zip|code)", re.IGNORECASE)
_EMPTY = frozenset({"", "-", "–", "—", "n/a", "na", "null", "none", "nan", "?"})
_MOST_SHOWN = 40
_MOST_CATEGORIES = 12
_EXACT = Context(prec=60)


class ColumnKind(Enum):
    """What the values of a column are."""

    NUMBER = auto()
    DATE = auto()
    TEXT = auto()


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its cells as they stand, empty where nothing is known, and its numbers where all that is known is one."""

    name: str
    kind: ColumnKind
    cells: tuple[str, ...]
    numbers: tuple[Decimal | None, ...] = ()

    @property
    def known(self) -> list[str]:
        """The cells that hold something."""
        return [cell for cell in self.cells if cell]


@dataclass(frozen=True, slots=True)
class Table:
    """A table that was found."""

    columns: tuple[Column, ...]
    rows: int
    left_out: int
    """Lines that do not have as many cells as the others."""
    around: str
    """What else the message says."""


def table_of(text: str) -> Table | None:
    """The largest table of a message; None when there is none."""
    lines = text[:_MOST_CHARACTERS].replace("\r\n", "\n").split("\n")
    found = [candidate for delimiter in _DELIMITERS for candidate in _candidates(lines, delimiter)]
    if not found:
        return None
    best = max(found, key=lambda one: (one.fit * len(one.rows), len(one.rows[0])))
    header, *rows = best.rows
    columns = tuple(
        _column(name.strip() or f"column {index + 1}", [row[index] for row in rows], best.delimiter)
        for index, name in enumerate(header[:_MOST_COLUMNS])
    )
    around = "\n".join(lines[: best.start] + lines[best.end :])
    return Table(columns, len(rows), best.left_out, around)


def description_of(table: Table) -> str:
    """What is in the table, as Markdown: counts, means, medians, extremes, frequencies, groups, and what is missing."""
    names = ", ".join(_cell(column.name) for column in table.columns)
    parts = [f"The table has {_count(table.rows, 'row')} and {_count(len(table.columns), 'column')}: {names}."]
    numbers = [column for column in table.columns if column.kind is ColumnKind.NUMBER]
    others = [column for column in table.columns if column.kind is not ColumnKind.NUMBER]
    with localcontext(_EXACT):
        if numbers:
            rows = [_statistics(column) for column in numbers]
            parts.append(_markdown(("column", "values", "mean", "median", "minimum", "maximum", "sum"), rows))
            parts.append("\n".join(_extremes(column, others) for column in _asked(numbers, table.around)[:3]))
        if others:
            parts.append(_markdown(("column", "values", "different", "which"), [_frequencies(one) for one in others]))
        parts += _groups(numbers, others, table.around)
    parts.append(_gaps(table))
    return "\n\n".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class _Candidate:
    delimiter: str
    start: int
    end: int
    rows: list[list[str]]
    left_out: int
    fit: float


def _candidates(lines: Sequence[str], delimiter: str) -> list[_Candidate]:
    """The runs of lines that could be a table with this delimiter."""
    found: list[_Candidate] = []
    start = 0
    for end in range(len(lines) + 1):
        if end < len(lines) and delimiter in lines[end]:
            continue
        if end - start > 1 and (candidate := _candidate(lines[start:end], delimiter, start)):
            found.append(candidate)
        start = end + 1
    return found


def _candidate(lines: Sequence[str], delimiter: str, start: int) -> _Candidate | None:
    if delimiter == "|":
        lines = [line.strip().removeprefix("|").removesuffix("|") for line in lines]
    try:
        rows = [
            [cell.strip() for cell in row]
            for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
            if not all(map(_RULE.fullmatch, row))
        ]
    except csv.Error:
        return None
    width = Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
    # A sentence above the table is no line of it.
    rows = list(dropwhile(lambda row: len(row) != width, rows))
    fitting = [row for row in rows if len(row) == width]
    if width < 2 or len(fitting) < 2 or len(fitting) < _LEAST_FIT * len(rows):
        return None
    # Lines of prose have commas too: names of columns are short, and no sentence ends in them.
    if any(len(name) > 80 or name.endswith((".", "!", "?")) for name in fitting[0]) or not any(fitting[0]):
        return None
    return _Candidate(delimiter, start, start + len(lines), fitting, len(rows) - len(fitting), len(fitting) / len(rows))


def _column(name: str, cells: Sequence[str], delimiter: str) -> Column:
    shown = tuple("" if cell.strip().lower() in _EMPTY else cell.strip() for cell in cells)
    known = [cell for cell in shown if cell]
    if known and not _NAMES_OF_KEYS.fullmatch(name):
        numbers = tuple(_number(cell, delimiter) if cell else None for cell in shown)
        if all(number is not None for number, cell in zip(numbers, shown, strict=True) if cell):
            return Column(name, ColumnKind.NUMBER, shown, numbers)
    if known and all(map(_DATE.fullmatch, known)):
        return Column(name, ColumnKind.DATE, shown)
    return Column(name, ColumnKind.TEXT, shown)


def _number(cell: str, delimiter: str) -> Decimal | None:
    """A number as people write it: 1,234.5 and 1.234,5 and 12 % and $3; None for anything else."""
    text = cell.strip(_UNITS)
    if not _NUMBER.fullmatch(text):
        return None
    text = re.sub("['\u2019\u00a0\u202f ]", "", text)
    if "," in text and "." in text:
        decimal = max(text.rfind(","), text.rfind("."))
        text = re.sub(r"[.,]", "", text[:decimal]) + "." + text[decimal + 1 :]
    elif "," in text:
        # A semicolon separates where the comma is the decimal mark.
        is_thousands = _THOUSANDS.fullmatch(text) is not None and delimiter != ";"
        text = text.replace(",", "" if is_thousands else ".")
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _statistics(column: Column) -> tuple[str, ...]:
    values = [number for number in column.numbers if number is not None]
    total = sum(values, Decimal(0))
    figures = (total / len(values), median(values), min(values), max(values), total)
    return (_cell(column.name), str(len(values)), *map(_figure, figures))


def _extremes(column: Column, others: Sequence[Column]) -> str:
    """Which rows have the most and the least, named by their other columns."""
    known = [(number, index) for index, number in enumerate(column.numbers) if number is not None]
    most, least = max(known, key=lambda one: (one[0], -one[1])), min(known)
    if most[0] == least[0]:
        return f"- {_cell(column.name)}: all are {_figure(most[0])}."

    def row(index: int) -> str:
        named = [_cell(other.cells[index]) for other in others[:3] if other.cells[index]]
        return f"row {index + 1}" + (f": {', '.join(named)}" if named else "")

    return (
        f"- {_cell(column.name)}: the most is {_figure(most[0])} ({row(most[1])}), "
        f"the least {_figure(least[0])} ({row(least[1])})."
    )


def _frequencies(column: Column) -> tuple[str, ...]:
    counts = Counter(column.known)
    if column.kind is ColumnKind.DATE and counts:
        which = f"{min(counts)} to {max(counts)}"
    elif len(counts) == len(column.known) > 3:
        which = "each only once"
    else:
        which = ", ".join(f"{_cell(value)} ({count})" for value, count in counts.most_common(5))
        which += ", …" if len(counts) > 5 else ""
    return _cell(column.name), str(len(column.known)), str(len(counts)), which


def _groups(numbers: Sequence[Column], others: Sequence[Column], around: str) -> list[str]:
    """The means of the first numbers by the first column that has few values; of those that the message asks for, if it names any."""
    few = [column for column in others if 1 < len(set(column.known)) <= min(_MOST_CATEGORIES, len(column.known) // 2)]
    if not few or not numbers:
        return []
    # Of columns that nobody asked for, kinds before times.
    by = _asked(sorted(few, key=lambda column: column.kind is ColumnKind.DATE), around)[0]
    measured = _asked(numbers, around)[:3]
    rows = []
    for value, count in sorted(Counter(by.known).items()):
        row = [_cell(value), str(count)]
        for column in measured:
            values = [n for n, cell in zip(column.numbers, by.cells, strict=True) if cell == value and n is not None]
            total = sum(values, Decimal(0))
            row += [_figure(total / len(values)), _figure(total)] if values else ["–", "–"]
        rows.append(tuple(row))
    heads = [f"{kind} of {_cell(column.name)}" for column in measured for kind in ("mean", "sum")]
    return [f"By {_cell(by.name)}:", _markdown((by.name, "rows", *heads), rows)]


def _asked(columns: Sequence[Column], around: str) -> list[Column]:
    """The columns, those first that the message names."""
    words = set(terms(around))
    return sorted(columns, key=lambda column: not set(terms(column.name)) & words)


def _gaps(table: Table) -> str:
    gaps = [
        f"{_cell(column.name)} is empty in {_count(table.rows - len(column.known), 'row')}"
        for column in table.columns
        if len(column.known) < table.rows
    ]
    said = f"Missing: {'; '.join(gaps)}. Figures leave these out." if gaps else "No value is missing."
    if table.left_out:
        said += f" {_count(table.left_out, 'line')} with another number of cells left out."
    return said


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _figure(number: Decimal) -> str:
    """With four digits behind the point at most, and none that say nothing."""
    rounded = round(number, 4)
    text = f"{rounded:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _cell(text: str) -> str:
    text = " ".join(text.split()).replace("|", "\\|")
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

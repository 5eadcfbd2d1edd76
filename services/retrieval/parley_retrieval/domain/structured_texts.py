"""Rows of values and JSON as lines that can be read, searched and cited."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence

from parley_retrieval.domain.file_kinds import delimiter_of

_FIELD_CHARACTERS = 10_000_000


class MalformedTextError(ValueError):
    """A text that is not what it was taken for. The message says what is wrong, for a person."""


def csv_lines(text: str) -> Iterator[str]:
    """A line for each row, with the name of its column before each value. Raises MalformedTextError."""
    csv.field_size_limit(_FIELD_CHARACTERS)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text[:50_000]) or ",")
    names: list[str] = []
    try:
        for row in rows:
            if not any(value.strip() for value in row):
                continue
            if not names:
                names = _names(row)
                if names != [value.strip() for value in row]:
                    yield _row(names, row)
                continue
            yield _row(names, row)
    except csv.Error as error:
        raise MalformedTextError(f"The rows cannot be read: {error}.") from error


def json_lines(text: str) -> Iterator[str]:
    """A line for each value, with the path to it. Raises MalformedTextError."""
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise MalformedTextError("The JSON is nested too deeply.") from error
    except json.JSONDecodeError as error:
        raise MalformedTextError(f"The JSON is damaged at line {error.lineno}, column {error.colno}.") from error
    stack: list[tuple[str, object]] = [("", value)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            children = [(f"{path}.{name}" if path else str(name), child) for name, child in value.items()]
            stack.extend(reversed(children))
        elif isinstance(value, list):
            stack.extend(reversed([(f"{path}[{place}]", child) for place, child in enumerate(value)]))
        elif value is not None and value != "":
            said = value if isinstance(value, str) else json.dumps(value)
            yield f"{path}: {said}\n" if path else f"{said}\n"


def _names(row: Sequence[str]) -> list[str]:
    names = [value.strip() for value in row]
    if all(names) and not any(_is_number(name) for name in names):
        return names
    return [f"column {place}" for place in range(1, len(row) + 1)]


def _row(names: Sequence[str], row: Sequence[str]) -> str:
    said = [
        f"{names[place] if place < len(names) else f'column {place + 1}'}: {' '.join(value.split())}"
        for place, value in enumerate(row)
        if value.strip()
    ]
    return f"{'; '.join(said)}\n"


def _is_number(value: str) -> bool:
    try:
        float(value.replace(",", "."))
    except ValueError:
        return False
    return True

"""What the columns of a training hold, and which of them are of use. The label is none of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from parley_inference.domain.lead_rows import Column
from parley_inference.domain.lead_values import category_of, is_missing, is_no_number, number_of, shown
from parley_inference.domain.scoring import ColumnKind, Value
from parley_inference.domain.scoring_errors import TrainingDataUnusableError

_NUMBERS_LEAST = 0.95
"""From which share of numbers a column is one of numbers, and what else it holds is missing."""
_ALL_DIFFERENT = 0.9
"""From which share of different values a column of single words names rows and does not describe them."""
_TEXT_WORDS = 3.0
"""From how many words on the mean a column is free text, when its values hardly repeat."""
_REPEATING = 0.3
CATEGORIES_MOST = 30
"""As many of a column are told apart; the rarer ones are one."""
_NAME_OF_ID = re.compile(r"(^|[\s_\-.])([Ii][Dd]|[Kk]ey|[Nn]umber|[Nn][RrOo])$|[a-z]I[Dd]$")


@dataclass(frozen=True)
class UsedColumn:
    """A column that a model learns from."""

    name: str
    kind: ColumnKind
    values: Sequence[Value]
    missing_share: float


def used_columns(
    columns: Sequence[Column], given: Mapping[str, ColumnKind], source: str
) -> tuple[list[UsedColumn], list[str]]:
    """The columns of use with their kinds, and warnings about the others. Raises TrainingDataUnusableError when there are none."""
    names = {column.name for column in columns}
    for name in given:
        if name not in names:
            raise TrainingDataUnusableError("column_kinds", f"there is no column `{shown(name)}` besides the label")
    used: list[UsedColumn] = []
    warnings: list[str] = []
    for column in columns:
        kind, reason = (
            (_checked(column, given[column.name]), "")
            if column.name in given
            else found_kind(column.name, column.values)
        )
        if kind is not ColumnKind.IGNORED:
            missing = is_no_number if kind is ColumnKind.NUMERIC else is_missing
            share = sum(map(missing, column.values)) / len(column.values)
            used.append(UsedColumn(column.name, kind, column.values, share))
        if reason:
            warnings.append(f"The column {shown(column.name)} {reason}.")
    if not used:
        why = " ".join(warnings[:3])
        raise TrainingDataUnusableError(source, f"no column can be used besides the label. {why}".strip())
    return used, warnings


def found_kind(name: str, values: Sequence[Value]) -> tuple[ColumnKind, str]:
    """The kind of a column, and words for a warning, empty when there is nothing to say."""
    present = [value for value in values if not is_missing(value)]
    if not present:
        return ColumnKind.IGNORED, "was left out: it is empty"
    categories = Counter(map(category_of, present))
    if len(categories) == 1 and len(present) == len(values):
        return ColumnKind.IGNORED, "was left out: it has the same value everywhere"
    all_different = len(categories) > _ALL_DIFFERENT * len(present) and len(present) > 10
    candidates = [value for value in present if not is_no_number(value)]
    numbers = [
        number for value in candidates if not isinstance(value, bool) and (number := number_of(value)) is not None
    ]
    if candidates and len(numbers) >= _NUMBERS_LEAST * len(candidates):
        if all_different and _is_count(name, numbers):
            return ColumnKind.IGNORED, "was left out: it numbers the rows"
        if len(set(numbers)) == 1 and len(numbers) == len(values):
            return ColumnKind.IGNORED, "was left out: it has the same value everywhere"
        strange = len(candidates) - len(numbers)
        return ColumnKind.NUMERIC, f"has {strange} values that are no numbers; they count as missing" if strange else ""
    words = sum(len(shown(value).split()) for value in present) / len(present)
    if words >= _TEXT_WORDS and len(categories) > min(_REPEATING * len(present), CATEGORIES_MOST):
        return ColumnKind.TEXT, ""
    if all_different:
        return ColumnKind.IGNORED, "was left out: almost every row has another value, as a name or an address has"
    return ColumnKind.CATEGORICAL, ""


def _is_count(name: str, numbers: Sequence[float]) -> bool:
    """Whether whole numbers that are all different only tell rows apart: they are called an id, or count up or down row by row."""
    if not all(number.is_integer() for number in numbers):
        return False
    steps = {after - before for before, after in pairwise(numbers)}
    return bool(_NAME_OF_ID.search(name)) or steps in ({1.0}, {-1.0})


def _checked(column: Column, kind: ColumnKind) -> ColumnKind:
    if kind is ColumnKind.NUMERIC:
        for number, value in enumerate(column.values, start=1):
            if not is_no_number(value) and number_of(value) is None:
                raise TrainingDataUnusableError(
                    "column_kinds",
                    f"`{shown(column.name)}` is said to be numeric, and labelled row {number} has `{shown(value, most=60)}`",
                )
    if kind is not ColumnKind.IGNORED and all(map(is_missing, column.values)):
        raise TrainingDataUnusableError("column_kinds", f"`{shown(column.name)}` is to be used, and it is empty")
    return kind

"""What the values of leads mean: missing or not, number, category, words of a text. The same for training and for scoring, always."""

from __future__ import annotations

import math
import re

from parley_inference.domain.scoring import Value

CATEGORY_MOST = 100
"""Characters of a category that count."""

_LARGEST = 1e100
"""A number beyond it is none: its square would not be a float."""
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_NO_NUMBER = frozenset({"na", "n/a", "nan", "null", "none", "-"})
"""How tables write that there is no number. In a column of words they may be words."""
_WORD = re.compile(r"\w{2,40}")
_SHOWN_MOST = 200


def is_missing(value: Value) -> bool:
    """Whether there is no value."""
    if value is None:
        return True
    if isinstance(value, str):
        return not value.strip()
    return isinstance(value, float) and math.isnan(value)


def number_of(value: Value) -> float | None:
    """The number that a value is; None when it is none. Thousands' separators and units are none: `1,200` is not guessed at."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value.strip()):
            return None
        value = float(value)
    # NaN is within no bounds.
    return float(value) if value is not None and -_LARGEST <= value <= _LARGEST else None


def is_no_number(value: Value) -> bool:
    """Whether a value says that there is no number: missing, or a word for it."""
    return is_missing(value) or (isinstance(value, str) and value.strip().lower() in _NO_NUMBER)


def category_of(value: Value) -> str:
    """The category of a value, empty when it is missing. Case and blanks do not tell apart, nor do 5 and `5.0`."""
    if is_missing(value):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    number = number_of(value)
    if number is not None:
        return shown(number)
    return " ".join(str(value).casefold().split())[:CATEGORY_MOST]


def words_of(value: Value) -> list[str]:
    """The words of a text in small letters, in their order; none when it is missing."""
    return [] if is_missing(value) else _WORD.findall(shown(value, most=0).casefold())


def shown(value: Value, most: int = _SHOWN_MOST) -> str:
    """A value as text, empty when it is missing; of at most `most` characters unless that is 0."""
    if value is None or is_missing(value):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | int):
        return repr(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
    text = value.strip()
    return text if not most or len(text) <= most else text[: most - 1] + "…"

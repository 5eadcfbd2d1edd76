"""Models as JSON: numbers, words and nothing that runs. Reading takes nothing for granted: every field, type and length is checked.

What is wrong is told as a ValueError whose words are for the log.
"""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any, NoReturn

from parley_inference.domain.lead_model import (
    CategoricalColumn,
    IsotonicCalibration,
    LeadModel,
    ModelColumn,
    NumericColumn,
    SigmoidCalibration,
    TextColumn,
)
from parley_inference.domain.scoring import COLUMNS_MOST, NAME_MOST

BYTES_MOST = 4_000_000
_LARGEST = 1e12
"""No number of a model is larger, but the bounds and means of a column: those may be what a value may be."""
_ENTRIES_MOST = 5_000


def write_lead_model(model: LeadModel) -> bytes:
    """The model as JSON. Numbers are written so that they are read back exactly."""
    document = {
        "base": model.base,
        "calibration": _written_calibration(model.calibration),
        "columns": [_written_column(column) for column in model.columns],
    }
    return json.dumps(document, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def read_lead_model(content: bytes) -> LeadModel:
    """The model. Raises ValueError for anything that `write_lead_model` does not write."""
    if len(content) > BYTES_MOST:
        raise ValueError("the model is too large")
    try:
        document = json.loads(content, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("the model is nested too deep") from None
    fields = _object(document, {"base", "calibration", "columns"})
    columns = tuple(_column(one) for one in _list(fields["columns"], COLUMNS_MOST))
    if not columns or len({column.name for column in columns}) != len(columns):
        raise ValueError("the columns are none, or named twice")
    return LeadModel(_number(fields["base"]), columns, _calibration(fields["calibration"]))


def _written_column(column: ModelColumn) -> dict[str, Any]:
    match column:
        case NumericColumn():
            return {"kind": "numeric", **vars(column)}
        case CategoricalColumn():
            return {"kind": "categorical", **vars(column), "weights": dict(column.weights)}
        case TextColumn():
            words = {word: [rarity, column.weights[word]] for word, rarity in column.rarities.items()}
            return {"kind": "text", "name": column.name, "words": words, "centre": column.centre}


def _written_calibration(calibration: SigmoidCalibration | IsotonicCalibration) -> dict[str, Any]:
    kind = "sigmoid" if isinstance(calibration, SigmoidCalibration) else "isotonic"
    return {"kind": kind, **vars(calibration)}


def _column(given: Any) -> ModelColumn:
    kind = given.get("kind") if isinstance(given, dict) else None
    if kind == "numeric":
        return _numeric(given)
    if kind == "categorical":
        fields = _object(given, {"kind", "name", "weights", "other_weight", "centre"})
        weights = _map(fields["weights"])
        return CategoricalColumn(
            _name(fields["name"]),
            {category: _number(weight) for category, weight in weights.items()},
            _number(fields["other_weight"]),
            _number(fields["centre"]),
        )
    if kind == "text":
        fields = _object(given, {"kind", "name", "words", "centre"})
        words = {word: _list(pair, 2) for word, pair in _map(fields["words"]).items()}
        if any(len(pair) != 2 for pair in words.values()):
            raise ValueError("a word has not two numbers")
        rarities = {word: _number(pair[0]) for word, pair in words.items()}
        if any(rarity <= 0 for rarity in rarities.values()):
            raise ValueError("a rarity is not above 0")
        weights = {word: _number(pair[1]) for word, pair in words.items()}
        return TextColumn(_name(fields["name"]), rarities, weights, _number(fields["centre"]))
    raise ValueError("a column is of no known kind")


def _numeric(given: Any) -> NumericColumn:
    fields = _object(
        given,
        {
            "kind",
            "name",
            "median",
            "logarithmic",
            "least",
            "most",
            "mean",
            "scale",
            "weight",
            "missing_weight",
            "centre",
        },
    )
    if not isinstance(fields["logarithmic"], bool):
        raise ValueError("logarithmic is no boolean")  # noqa: TRY004 - whatever is wrong with a document is one error
    column = NumericColumn(
        name=_name(fields["name"]),
        median=_finite(fields["median"]),
        logarithmic=fields["logarithmic"],
        least=_finite(fields["least"]),
        most=_finite(fields["most"]),
        mean=_finite(fields["mean"]),
        scale=_finite(fields["scale"]),
        weight=_number(fields["weight"]),
        missing_weight=_number(fields["missing_weight"]),
        centre=_number(fields["centre"]),
    )
    if column.scale <= 0 or column.least > column.most:
        raise ValueError("a column has no scale or no bounds")
    return column


def _calibration(given: Any) -> SigmoidCalibration | IsotonicCalibration:
    kind = given.get("kind") if isinstance(given, dict) else None
    if kind == "sigmoid":
        fields = _object(given, {"kind", "slope", "intercept"})
        slope = _number(fields["slope"])
        if slope < 0:
            raise ValueError("the slope is below 0")
        return SigmoidCalibration(slope, _number(fields["intercept"]))
    if kind == "isotonic":
        fields = _object(given, {"kind", "log_odds", "shares"})
        log_odds = tuple(_number(one) for one in _list(fields["log_odds"], 20_000))
        shares = tuple(_number(one) for one in _list(fields["shares"], 20_000))
        rising = all(low < high for low, high in pairwise(log_odds))
        growing = all(low <= high for low, high in pairwise(shares))
        if (
            not log_odds
            or len(log_odds) != len(shares)
            or not (rising and growing and 0 <= shares[0] <= shares[-1] <= 1)
        ):
            raise ValueError("the points of the calibration do not go up")
        return IsotonicCalibration(log_odds, shares)
    raise ValueError("the calibration is of no known kind")


def _object(given: Any, names: set[str]) -> dict[str, Any]:
    if not isinstance(given, dict) or set(given) != names:
        raise ValueError(f"not an object of {', '.join(sorted(names))}")
    return given


def _map(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict) or len(given) > _ENTRIES_MOST or any(len(key) > NAME_MOST for key in given):
        raise ValueError("not a map of words, or a too large one")
    return given


def _list(given: Any, most: int) -> list[Any]:
    if not isinstance(given, list) or len(given) > most:
        raise ValueError("not a list, or a too long one")
    return given


def _name(given: Any) -> str:
    if not isinstance(given, str) or not 1 <= len(given) <= NAME_MOST:
        raise ValueError("not a name")
    return given


def _finite(given: Any) -> float:
    try:
        if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
            raise ValueError("not a finite number")
        return float(given)
    except OverflowError:
        raise ValueError("not a number that a float can hold") from None


def _number(given: Any) -> float:
    number = _finite(given)
    if abs(number) > _LARGEST:
        raise ValueError("a number is too large")
    return number


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")

"""Model cards as JSON, for the store and for the worker's process.

Reading checks every field; what is wrong is told as a ValueError whose words are for the log.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from parley_inference.domain.scoring import (
    CalibrationBin,
    ColumnKind,
    ModelCard,
    ScoringColumn,
    ScoringMethod,
    ScoringQuality,
)


def written_card(card: ModelCard) -> dict[str, Any]:
    """The card as JSON's own types."""
    return asdict(card)


def read_card(given: Any) -> ModelCard:
    """The card. Raises ValueError for anything that `written_card` does not write."""
    try:
        return _card(given)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not a model's card: {type(error).__name__}") from error


def _card(given: Any) -> ModelCard:
    quality = given["quality"]
    return ModelCard(
        label_column=_text(given["label_column"]),
        positive_label=_text(given["positive_label"]),
        row_count=_count(given["row_count"]),
        positive_count=_count(given["positive_count"]),
        columns=tuple(
            ScoringColumn(_text(one["name"]), ColumnKind(one["kind"]), _number(one["missing_share"]))
            for one in given["columns"]
        ),
        method=ScoringMethod(given["method"]),
        quality=ScoringQuality(
            auc=_number(quality["auc"]),
            auc_deviation=_number(quality["auc_deviation"]),
            brier_score=_number(quality["brier_score"]),
            baseline_brier_score=_number(quality["baseline_brier_score"]),
            calibration=tuple(
                CalibrationBin(_number(one["mean_score"]), _number(one["positive_share"]), _count(one["row_count"]))
                for one in quality["calibration"]
            ),
            fold_count=_count(quality["fold_count"]),
        ),
        warnings=tuple(_text(one) for one in given["warnings"]),
    )


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError("not a text")
    return given


def _count(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given < 1 << 31:
        raise TypeError("not a count")
    return given


def _number(given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise TypeError("not a number")
    return float(given)

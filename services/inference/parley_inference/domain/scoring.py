"""Lead scoring: what a model, its quality and a score are.

Not how a model is learned (an adapter's business) nor how it scores (`lead_model.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

Value: TypeAlias = str | float | bool | None
"""What a lead has in one column. None, a blank text and NaN are a missing value."""

ROWS_MOST = 20_000
COLUMNS_MOST = 200
ROWS_LEAST = 20
CLASS_LEAST = 5
"""Of each way to end, how many rows there must be: with fewer, not even a fold of its own each."""

NAME_MOST = 200
"""Characters of a column's name and of a label."""


class ColumnKind(StrEnum):
    """What kind of values a column holds."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    TEXT = "text"
    IGNORED = "ignored"


class ScoringMethod(StrEnum):
    """How a model was made."""

    LOGISTIC_REGRESSION = "logistic_regression"
    BASELINE = "baseline"


@dataclass(frozen=True)
class ScoringColumn:
    """A column that a model uses."""

    name: str
    kind: ColumnKind
    missing_share: float


@dataclass(frozen=True)
class CalibrationBin:
    """One bar of a calibration curve."""

    mean_score: float
    positive_share: float
    row_count: int


@dataclass(frozen=True)
class ScoringQuality:
    """How good a model is, measured on rows that it was not trained on."""

    auc: float
    auc_deviation: float
    brier_score: float
    baseline_brier_score: float
    calibration: tuple[CalibrationBin, ...]
    fold_count: int


@dataclass(frozen=True)
class ModelCard:
    """What is told of a model. Its name, version and time are the store's to give."""

    label_column: str
    positive_label: str
    row_count: int
    positive_count: int
    columns: tuple[ScoringColumn, ...]
    method: ScoringMethod
    quality: ScoringQuality
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class ScoringModel:
    """A model that is kept. Never changes."""

    name: str
    version: int
    create_time: datetime
    card: ModelCard


@dataclass(frozen=True)
class StoredModel:
    """A kept model with what scores: bytes of JSON, which only `lead_model_json.py` looks into."""

    model: ScoringModel
    lead_model: bytes


@dataclass(frozen=True)
class TrainedModel:
    """What a training makes, before it has a version."""

    card: ModelCard
    lead_model: bytes


@dataclass(frozen=True)
class Training:
    """What to learn from: either `csv`, or `names` and `rows`, every row with a value for every name."""

    label_column: str
    positive_label: str = ""
    """Empty: found out."""
    csv: str = ""
    names: tuple[str, ...] = ()
    rows: Sequence[Sequence[Value]] = ()
    column_kinds: Mapping[str, ColumnKind] = field(default_factory=dict)
    """Of columns where finding it out would be wrong."""

    @property
    def source(self) -> str:
        """The request's field that the rows came in."""
        return "csv" if self.csv else "rows"


@dataclass(frozen=True)
class Contribution:
    """What one column did to a score, in log-odds."""

    column: str
    log_odds: float
    value: str
    """As text, bounded. Empty when it was missing."""
    words: str
    """The same for a person."""


@dataclass(frozen=True)
class LeadScore:
    """How a lead was scored. All contributions of the model's columns and its base sum up to `log_odds`."""

    score: float
    log_odds: float
    """Before calibration."""
    contributions: tuple[Contribution, ...]
    """The strongest first."""

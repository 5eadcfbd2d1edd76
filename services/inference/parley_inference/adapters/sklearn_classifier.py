"""The classifier of leads as scikit-learn has it: encoders, logistic regression, calibration; and the same as plain numbers afterwards.

Imported in the worker's process only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, StratifiedShuffleSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from parley_inference.adapters.sklearn_encoders import NumericEncoder, WordEncoder
from parley_inference.domain.lead_columns import CATEGORIES_MOST, UsedColumn
from parley_inference.domain.lead_model import (
    CategoricalColumn,
    IsotonicCalibration,
    LeadModel,
    ModelColumn,
    NumericColumn,
    SigmoidCalibration,
    TextColumn,
)
from parley_inference.domain.lead_values import category_of, number_of, words_of
from parley_inference.domain.scoring import ColumnKind, ScoringMethod

SEED = 20_260_101
BASELINE_FREEDOM = 0.3
_FREEDOMS = (0.03, 0.2, 1.5)
"""How freely the weights may grow: scikit-learn's C."""
_FREEDOM_ROWS = 3_000
_FREEDOM_FOLDS = 3
FEW_ROWS = 200
FEW_OF_A_CLASS = 10
_ISOTONIC_ROWS = 5_000
_ISOTONIC_CLASS = 500
"""From how many rows, and rows of the rarer class, the calibration need not be a sigmoid."""
_LARGE = 5_000
_FOLDS, _FOLDS_LARGE = 5, 3
_WORDS_MOST = 4_000
"""Words of all text columns together."""


def method_for(labels: Sequence[bool]) -> ScoringMethod:
    """How to learn from so many rows of each class."""
    rarer = min(sum(labels), len(labels) - sum(labels))
    few = len(labels) < FEW_ROWS or rarer < FEW_OF_A_CLASS
    return ScoringMethod.BASELINE if few else ScoringMethod.LOGISTIC_REGRESSION


def table_of(columns: Sequence[UsedColumn]) -> Any:
    """The values as the classifier takes them: floats, categories, and lists of words. No column looks at the label, or at other rows."""
    readers = {
        ColumnKind.NUMERIC: lambda value: math.nan if (number := number_of(value)) is None else number,
        ColumnKind.CATEGORICAL: category_of,
        ColumnKind.TEXT: words_of,
    }
    table = np.empty((len(columns[0].values), len(columns)), dtype=object)
    for index, column in enumerate(columns):
        read = readers[column.kind]
        for row, value in enumerate(column.values):
            table[row, index] = read(value)
    return table


class LeadClassifier(CalibratedClassifierCV):  # type: ignore[misc]  # scikit-learn has no types
    """Logistic regression, calibrated on rows that it did not see. Where those show no relation, every score is the positive share."""

    def fit(self, table: Any, labels: Any, **parameters: Any) -> LeadClassifier:
        """Learns from a table of `table_of`."""
        super().fit(table, labels, **parameters)
        calibrator = self.calibrator
        if hasattr(calibrator, "a_") and calibrator.a_ > 0:
            # Chance made the unseen rows contradict the model. Turning its scores around would be believing in chance.
            share = float(np.mean(labels))
            calibrator.a_, calibrator.b_ = 0.0, -math.log(share / (1 - share))
        return self

    @property
    def calibrator(self) -> Any:
        """What makes probabilities of log-odds."""
        return self.calibrated_classifiers_[0].calibrators[0]

    @property
    def pipeline(self) -> Pipeline:
        """The encoders and the regression, learned from all rows."""
        return self.calibrated_classifiers_[0].estimator


def learned_classifier(kinds: Sequence[ColumnKind], method: ScoringMethod, table: Any, labels: Any) -> LeadClassifier:
    """A classifier of the table's rows. Everything in it that can be random has a fixed seed."""
    if method is ScoringMethod.BASELINE:
        pipeline = _pipeline(kinds, rows_least=3).set_params(regression__C=BASELINE_FREEDOM)
    else:
        pipeline = _pipeline(kinds, rows_least=5)
        pipeline.set_params(regression__C=_freedom(pipeline, table, labels))
    count, positive = len(labels), int(labels.sum())
    isotonic = count >= _ISOTONIC_ROWS and min(positive, count - positive) >= _ISOTONIC_CLASS
    classifier = LeadClassifier(
        pipeline,
        method="isotonic" if isotonic else "sigmoid",
        cv=folds(labels, _FOLDS_LARGE if count > _LARGE else _FOLDS),
        ensemble=False,
    )
    return classifier.fit(table, labels)


def _freedom(pipeline: Pipeline, table: Any, labels: Any) -> float:
    """How freely the weights may grow: what scores rows best that were left out. Many columns without a meaning need a short rein."""
    if len(labels) > _FREEDOM_ROWS:
        sample = StratifiedShuffleSplit(1, train_size=_FREEDOM_ROWS, random_state=SEED)
        chosen, _ = next(sample.split(table, labels))
        table, labels = table[chosen], labels[chosen]
    search = GridSearchCV(
        pipeline,
        {"regression__C": list(_FREEDOMS)},
        cv=folds(labels, _FREEDOM_FOLDS),
        scoring="neg_log_loss",
        refit=False,
        error_score="raise",
    )
    return float(search.fit(table, labels).best_params_["regression__C"])


def _pipeline(kinds: Sequence[ColumnKind], rows_least: int) -> Pipeline:
    """Encoders and regression. What comes in fewer than `rows_least` rows is no category or word of its own."""
    places = {kind: [index for index, one in enumerate(kinds) if one is kind] for kind in ColumnKind}
    encoders: list[tuple[str, Any, Any]] = []
    if places[ColumnKind.NUMERIC]:
        encoders.append(("numeric", NumericEncoder(), places[ColumnKind.NUMERIC]))
    if places[ColumnKind.CATEGORICAL]:
        categories = OneHotEncoder(
            handle_unknown="infrequent_if_exist", min_frequency=rows_least, max_categories=CATEGORIES_MOST
        )
        encoders.append(("categorical", categories, places[ColumnKind.CATEGORICAL]))
    texts = places[ColumnKind.TEXT]
    words_most = _WORDS_MOST // max(len(texts), 4)
    encoders += [(f"text{index}", WordEncoder(rows_least, words_most), index) for index in texts]
    return Pipeline([("encoders", ColumnTransformer(encoders)), ("regression", LogisticRegression(max_iter=1000))])


def folds(labels: Any, count: int = _FOLDS) -> StratifiedKFold:
    """Cuts rows so that every fold has of both classes."""
    positive = int(labels.sum())
    return StratifiedKFold(min(count, positive, len(labels) - positive), shuffle=True, random_state=SEED)


def lead_model_of(classifier: LeadClassifier, columns: Sequence[UsedColumn], table: Any) -> LeadModel:
    """The same classifier as plain numbers, and its columns counted from their mean over the rows of the table."""
    regression = classifier.pipeline.named_steps["regression"]
    encoders = classifier.pipeline.named_steps["encoders"]
    weights: dict[int, ModelColumn] = {}
    coefficients = list(map(float, regression.coef_[0]))
    for name, encoder, places in encoders.transformers_:
        if name == "remainder":
            continue
        taken = places
        if isinstance(encoder, WordEncoder):
            made: list[ModelColumn] = [_text(columns[places].name, encoder, coefficients)]
            taken = [places]
        elif isinstance(encoder, NumericEncoder):
            made = _numeric([columns[place].name for place in places], encoder, coefficients)
        else:
            made = _categorical([columns[place].name for place in places], encoder, coefficients)
        weights |= dict(zip(taken, made, strict=True))
    if coefficients:
        raise AssertionError("a weight of the regression belongs to no column")
    base = float(regression.intercept_[0])
    centred: list[ModelColumn] = []
    for index, column in sorted(weights.items()):
        values = columns[index].values
        centre = math.fsum(map(column.log_odds, values)) / len(values)
        centred.append(replace(column, centre=centre))
        base += centre
    return LeadModel(base, tuple(centred), _calibration(classifier.calibrator))


def _numeric(names: Sequence[str], encoder: NumericEncoder, coefficients: list[float]) -> list[ModelColumn]:
    """Takes the encoder's weights from the front of the coefficients."""
    weights = _taken(coefficients, len(names))
    missing = dict(
        zip(map(int, encoder.missing_columns_), _taken(coefficients, len(encoder.missing_columns_)), strict=True)
    )
    return [
        NumericColumn(
            name=name,
            median=float(encoder.medians_[index]),
            logarithmic=bool(encoder.logarithmic_[index]),
            least=float(encoder.least_[index]),
            most=float(encoder.most_[index]),
            mean=float(encoder.means_[index]),
            scale=float(encoder.scales_[index]),
            weight=weights[index],
            missing_weight=missing.get(index, 0.0),
            centre=0.0,
        )
        for index, name in enumerate(names)
    ]


def _categorical(names: Sequence[str], encoder: OneHotEncoder, coefficients: list[float]) -> list[ModelColumn]:
    made: list[ModelColumn] = []
    for name, categories, rare in zip(names, encoder.categories_, encoder.infrequent_categories_, strict=True):
        left_out = set() if rare is None else set(rare)
        common = [str(category) for category in categories if category not in left_out]
        weights = dict(zip(common, _taken(coefficients, len(common)), strict=True))
        other = _taken(coefficients, 1)[0] if left_out else 0.0
        made.append(CategoricalColumn(name, weights, other, centre=0.0))
    return made


def _text(name: str, encoder: WordEncoder, coefficients: list[float]) -> TextColumn:
    rarities = encoder.rarities
    weights = dict(zip(rarities, _taken(coefficients, len(rarities)), strict=True))
    return TextColumn(name, rarities, weights, centre=0.0)


def _calibration(calibrator: Any) -> SigmoidCalibration | IsotonicCalibration:
    if hasattr(calibrator, "a_"):
        # `0.0 -` and not `-`: there is no negative zero in what is written.
        return SigmoidCalibration(slope=0.0 - float(calibrator.a_), intercept=0.0 - float(calibrator.b_))
    return IsotonicCalibration(
        tuple(map(float, calibrator.X_thresholds_)),
        tuple(min(max(float(one), 0.0), 1.0) for one in calibrator.y_thresholds_),
    )


def _taken(coefficients: list[float], count: int) -> list[float]:
    taken, coefficients[:] = coefficients[:count], coefficients[count:]
    return taken

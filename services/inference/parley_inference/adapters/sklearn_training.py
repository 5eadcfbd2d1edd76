"""Learns a model from labelled rows and measures it on rows that it was not trained on. Imported in the worker's process only."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from parley_inference.adapters.sklearn_classifier import (
    folds,
    lead_model_of,
    learned_classifier,
    method_for,
    table_of,
)
from parley_inference.domain.lead_columns import UsedColumn, used_columns
from parley_inference.domain.lead_model import LeadModel
from parley_inference.domain.lead_model_json import write_lead_model
from parley_inference.domain.lead_rows import LabelledRows, labelled_rows
from parley_inference.domain.lead_values import shown
from parley_inference.domain.scoring import (
    CalibrationBin,
    ModelCard,
    ScoringColumn,
    ScoringMethod,
    ScoringQuality,
    TrainedModel,
    Training,
)

_BINS = 10
_ROWS_IN_BIN = 20
_NO_RELATION = 0.55
_TOO_GOOD = 0.99
_MANY_REPEATED = 0.1
_RARE = 0.02
_WARNINGS_MOST = 20


def train(training: Training) -> TrainedModel:
    """Learns, and measures. The same rows give the same model. Raises TrainingDataUnusableError when they cannot train one."""
    rows = labelled_rows(training)
    columns, told = used_columns(rows.columns, training.column_kinds, training.source)
    method = method_for(rows.labels)
    table, labels = table_of(columns), np.array(rows.labels)
    kinds = [column.kind for column in columns]
    with warnings.catch_warnings():
        # Of categories that a fold does not know, and of an optimum that was not quite reached: neither is news to anybody.
        warnings.simplefilter("ignore")
        classifier = learned_classifier(kinds, method, table, labels)
        scores, fold_count, aucs = _unseen_scores(kinds, method, table, labels)
    model = lead_model_of(classifier, columns, table)
    quality = _quality(scores, labels, fold_count, aucs)
    card = ModelCard(
        label_column=training.label_column,
        positive_label=rows.positive_label,
        row_count=len(rows.labels),
        positive_count=rows.positive_count,
        columns=tuple(ScoringColumn(column.name, column.kind, column.missing_share) for column in columns),
        method=method,
        quality=quality,
        warnings=tuple([*_warnings(rows, method, quality, model, columns), *told][:_WARNINGS_MOST]),
    )
    return TrainedModel(card, write_lead_model(model))


def _unseen_scores(
    kinds: Sequence[Any], method: ScoringMethod, table: Any, labels: Any
) -> tuple[Any, int, list[float]]:
    """The score of each row by a classifier that has not seen it, encoders and calibration included; and the AUC of each fold."""
    scores = np.empty(len(labels))
    aucs: list[float] = []
    cut = folds(labels)
    for seen, unseen in cut.split(table, labels):
        classifier = learned_classifier(kinds, method, table[seen], labels[seen])
        scores[unseen] = classifier.predict_proba(table[unseen])[:, 1]
        aucs.append(float(roc_auc_score(labels[unseen], scores[unseen])))
    return scores, cut.get_n_splits(), aucs


def _quality(scores: Any, labels: Any, fold_count: int, aucs: Sequence[float]) -> ScoringQuality:
    share = float(labels.mean())
    return ScoringQuality(
        auc=float(np.mean(aucs)),
        auc_deviation=float(np.std(aucs)),
        brier_score=float(np.mean((scores - labels) ** 2)),
        baseline_brier_score=share * (1 - share),
        calibration=tuple(calibration_bins(scores, labels)),
        fold_count=fold_count,
    )


def calibration_bins(scores: Any, labels: Any) -> list[CalibrationBin]:
    """Bars of about as many rows each, by score. Rows with the same score are in the same bar."""
    order = np.argsort(scores, kind="stable")
    size = max(_ROWS_IN_BIN, math.ceil(len(scores) / _BINS))
    bins: list[CalibrationBin] = []
    begin = 0
    while begin < len(order):
        end = min(begin + size, len(order))
        if len(order) - end < size / 2:
            end = len(order)
        while end < len(order) and scores[order[end]] == scores[order[end - 1]]:
            end += 1
        rows = order[begin:end]
        bins.append(CalibrationBin(float(scores[rows].mean()), float(labels[rows].mean()), len(rows)))
        begin = end
    return bins


def _warnings(
    rows: LabelledRows, method: ScoringMethod, quality: ScoringQuality, model: LeadModel, columns: Sequence[UsedColumn]
) -> list[str]:
    count, positive = len(rows.labels), rows.positive_count
    rarer = min(positive, count - positive)
    found: list[str] = []
    if method is ScoringMethod.BASELINE:
        found.append(
            f"There are few rows ({count}, {rarer} of the rarer end): this is a cautious baseline, and its quality is known only roughly."
        )
    if quality.auc < _NO_RELATION:
        found.append("On rows that it was not trained on, the model is hardly better than chance.")
    if quality.auc > _TOO_GOOD:
        found.append(
            f"The model is almost perfect, mostly by the column {_strongest(model, columns)}. Is that known before a lead ends?"
        )
    if rarer < _RARE * count:
        found.append(f"Only {rarer} of {count} rows are of the rarer end.")
    if rows.repeated_count > _MANY_REPEATED * count:
        found.append(f"{rows.repeated_count} rows repeat others; the quality is better on paper than it is.")
    if rows.unlabelled_count:
        found.append(f"{rows.unlabelled_count} rows without a label were left out.")
    return found


def _strongest(model: LeadModel, columns: Sequence[UsedColumn]) -> str:
    """The column that moves scores most on the mean."""
    values = {column.name: column.values for column in columns}
    moves = {column.name: sum(abs(column.log_odds(value)) for value in values[column.name]) for column in model.columns}
    return shown(max(moves, key=lambda name: moves[name]))

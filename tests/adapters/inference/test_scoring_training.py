"""Training, against rows whose rule is known: how good the model is, that it says so truthfully, and that plain numbers score the same."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from parley_inference.adapters.sklearn_classifier import learned_classifier, method_for, table_of
from parley_inference.adapters.sklearn_training import calibration_bins, train
from parley_inference.domain.lead_columns import used_columns
from parley_inference.domain.lead_model import NumericColumn, SigmoidCalibration
from parley_inference.domain.lead_model_json import read_lead_model
from parley_inference.domain.lead_rows import labelled_rows
from parley_inference.domain.scoring import ColumnKind, ScoringMethod, TrainedModel, Training
from parley_inference.domain.scoring_errors import TrainingDataUnusableError
from parley_testing.leads import SOURCES, as_csv, leads
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As the worker's process has it. More of them wait for each other on a busy machine."""
    with threadpool_limits(1):
        yield


def trained(rows: Rows, **fields: Any) -> TrainedModel:
    return train(Training(label_column="won", csv=as_csv(rows), **fields))


def true_auc(model: TrainedModel, rows: Rows) -> float:
    """The AUC over rows that no training has seen, by counting pairs."""
    machine = read_lead_model(model.lead_model)
    scores = [machine.score(row, 0).score for row in rows]
    good = [score for score, row in zip(scores, rows, strict=True) if row["won"] == "yes"]
    bad = [score for score, row in zip(scores, rows, strict=True) if row["won"] == "no"]
    return sum((g > b) + 0.5 * (g == b) for g in good for b in bad) / (len(good) * len(bad))


@pytest.fixture(scope="module")
def model(one_thread: None) -> TrainedModel:
    return trained(leads(1500, missing=0.05))


def test_a_known_relation_is_found_and_its_quality_is_told_truthfully(model: TrainedModel) -> None:
    quality = model.card.quality
    assert model.card.method is ScoringMethod.LOGISTIC_REGRESSION
    assert 0.74 < quality.auc < 0.84
    assert quality.auc == pytest.approx(true_auc(model, leads(1500, seed=77)), abs=0.05)
    assert quality.brier_score < quality.baseline_brier_score - 0.03
    assert quality.fold_count == 5
    assert 0 < quality.auc_deviation < 0.1
    assert model.card.warnings == ()


def test_the_card_says_what_was_learned_from(model: TrainedModel) -> None:
    card = model.card
    assert (card.label_column, card.positive_label, card.row_count) == ("won", "yes", 1500)
    assert card.positive_count == sum(row["won"] == "yes" for row in leads(1500, missing=0.05))
    assert [(one.name, one.kind) for one in card.columns] == [
        ("employees", ColumnKind.NUMERIC),
        ("days_silent", ColumnKind.NUMERIC),
        ("source", ColumnKind.CATEGORICAL),
        ("noise", ColumnKind.NUMERIC),
    ]
    assert all(one.missing_share == pytest.approx(0.05, abs=0.03) for one in card.columns)


def test_scores_mean_what_they_say_on_rows_that_were_not_seen(model: TrainedModel) -> None:
    bins = model.card.quality.calibration
    assert sum(one.row_count for one in bins) == 1500
    assert [one.mean_score for one in bins] == sorted(one.mean_score for one in bins)
    error = sum(abs(one.mean_score - one.positive_share) * one.row_count for one in bins) / 1500
    assert error < 0.06
    machine = read_lead_model(model.lead_model)
    rows = leads(4000, seed=78)
    scores = np.array([machine.score(row, 0).score for row in rows])
    labels = np.array([row["won"] == "yes" for row in rows])
    for one in calibration_bins(scores, labels):
        assert one.mean_score == pytest.approx(one.positive_share, abs=0.09)


def test_contributions_have_the_signs_of_the_relation(model: TrainedModel) -> None:
    machine = read_lead_model(model.lead_model)
    usual: dict[str, Any] = {"employees": 55, "days_silent": 15, "source": "search", "noise": 0}

    def spoke(column: str, value: Any) -> float:
        found = machine.score(usual | {column: value}, 50).contributions
        return next(one.log_odds for one in found if one.column == column)

    assert spoke("employees", 500) > 0.5 > -0.5 > spoke("employees", 5)
    assert spoke("days_silent", 1) > 0.5 > -0.5 > spoke("days_silent", 29)
    assert abs(spoke("noise", 2)) < 0.4
    by_source = {source: spoke("source", source) for source in SOURCES}
    assert sorted(by_source, key=lambda source: by_source[source]) == sorted(
        SOURCES, key=lambda source: SOURCES[source]
    )


def test_random_labels_are_found_to_be_random() -> None:
    # Encoders, calibration or choices that saw the held-out rows would be above chance here; categories are where it happens most.
    aucs = []
    for seed in range(3):
        rows = leads(300, seed=seed, random_labels=True, with_text=True)
        for number, row in enumerate(rows):
            row["partner"] = f"partner {number * 7 % 61}"
        card = trained(rows).card
        aucs.append(card.quality.auc)
        assert card.quality.brier_score > card.quality.baseline_brier_score - 0.01
        if card.quality.auc < 0.55:
            assert any("hardly better than chance" in warning for warning in card.warnings)
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.06)


def test_a_text_column_helps() -> None:
    rows = leads(400, with_text=True)
    with_text = trained(rows).card
    without = trained(rows, column_kinds={"notes": ColumnKind.IGNORED}).card
    assert with_text.columns[-1].kind is ColumnKind.TEXT
    assert with_text.quality.auc > without.quality.auc + 0.05


def test_missing_values_can_speak() -> None:
    rows = leads(300)
    for row in rows:
        if row["won"] == "no" and row["noise"] > 0:
            row["noise"] = None
    machine = read_lead_model(trained(rows).lead_model)
    contribution = machine.score({**rows[0], "noise": None}, 1).contributions[0]
    assert (contribution.column, contribution.value) == ("noise", "")
    assert contribution.log_odds < -1


def test_the_rarer_end_is_found_too() -> None:
    rows = leads(2000, share=0.015)
    card = trained(rows).card
    share = card.positive_count / card.row_count
    assert share < 0.06
    assert card.quality.auc > 0.7
    mean_score = sum(one.mean_score * one.row_count for one in card.quality.calibration) / card.row_count
    assert mean_score == pytest.approx(share, abs=0.02)


def test_many_columns_without_a_meaning_do_not_drown_the_others() -> None:
    rows = leads(400, seed=3)
    chance = np.random.default_rng(1)
    for row in rows:
        row |= {f"x{number}": float(chance.normal()) for number in range(40)}
    assert true_auc(trained(rows), [*leads(1000, seed=79)]) > 0.7


@pytest.mark.parametrize("count", [20, 60, 150])
def test_few_rows_give_a_cautious_calibrated_baseline_and_say_so(count: int) -> None:
    rows = leads(count, seed=4)
    model = trained(rows)
    assert model.card.method is ScoringMethod.BASELINE
    assert any("few rows" in warning for warning in model.card.warnings)
    machine = read_lead_model(model.lead_model)
    for column, values in (("employees", (1, 30, 60, 200, 5000)), ("days_silent", (0, 5, 15, 25, 40))):
        scores = [machine.score(rows[0] | {column: value}, 0).score for value in values]
        assert scores in (sorted(scores), sorted(scores, reverse=True)), "every column moves it in one direction"
    mean = sum(machine.score(row, 0).score for row in rows) / count
    assert mean == pytest.approx(model.card.positive_count / count, abs=0.1)


def test_the_method_goes_by_the_rows_and_by_the_rarer_end() -> None:
    assert method_for([True] * 100 + [False] * 99) is ScoringMethod.BASELINE
    assert method_for([True] * 9 + [False] * 1000) is ScoringMethod.BASELINE
    assert method_for([True] * 10 + [False] * 190) is ScoringMethod.LOGISTIC_REGRESSION


def test_where_unseen_rows_contradict_it_a_model_does_not_turn_around() -> None:
    for seed in range(4):
        rows = leads(40, seed=seed, random_labels=True)
        calibration = read_lead_model(trained(rows).lead_model).calibration
        assert isinstance(calibration, SigmoidCalibration)
        assert calibration.slope >= 0


def test_the_same_rows_give_the_same_model() -> None:
    rows = leads(210, with_text=True, missing=0.1)
    assert trained(rows) == trained(rows)


def test_csv_and_rows_give_the_same_model() -> None:
    rows = leads(60)
    names = tuple(rows[0])
    of_rows = train(Training(label_column="won", names=names, rows=[[row[name] for name in names] for row in rows]))
    assert of_rows == trained(rows)


@pytest.mark.parametrize(("count", "with_text"), [(30, True), (400, True), (6000, False)])
def test_the_plain_numbers_score_as_scikit_learn_does(count: int, with_text: bool) -> None:
    rows = leads(count, with_text=with_text, missing=0.1)
    labelled = labelled_rows(Training(label_column="won", csv=as_csv(rows)))
    columns, _ = used_columns(labelled.columns, {}, "csv")
    table, labels = table_of(columns), np.array(labelled.labels)
    kinds = [column.kind for column in columns]
    classifier = learned_classifier(kinds, method_for(labelled.labels), table, labels)
    machine = read_lead_model(trained(rows).lead_model)
    isotonic = count >= 5000
    assert isinstance(machine.calibration, SigmoidCalibration) is not isotonic

    unseen = [*leads(200, seed=80, with_text=with_text, missing=0.3)]
    unseen += [
        {"employees": 1e12, "days_silent": -5, "source": "never heard of", "notes": "words that nobody said"},
        {},
    ]
    given = [[row.get(column.name) for row in unseen] for column in columns]
    other = table_of(
        [type(column)(column.name, column.kind, values, 0) for column, values in zip(columns, given, strict=True)]
    )
    expected = classifier.predict_proba(other)[:, 1]
    log_odds = classifier.pipeline.decision_function(other)
    for row, score, odds in zip(unseen, expected, log_odds, strict=True):
        found = machine.score(row, 50)
        assert found.score == pytest.approx(score, abs=1e-9)
        assert found.log_odds == pytest.approx(odds, abs=1e-9)
        assert sum(one.log_odds for one in found.contributions) + machine.base == pytest.approx(odds, abs=1e-9)


def test_contributions_are_counted_from_the_average_lead() -> None:
    rows = leads(300)
    machine = read_lead_model(trained(rows).lead_model)
    for column in machine.columns:
        assert sum(column.log_odds(row[column.name]) for row in rows) / 300 == pytest.approx(0, abs=1e-9)


def test_one_typing_error_does_not_squeeze_all_others_together() -> None:
    rows = leads(400)
    rows[7]["days_silent"] = 1e90
    column = next(one for one in read_lead_model(trained(rows).lead_model).columns if one.name == "days_silent")
    assert isinstance(column, NumericColumn)
    assert column.most < 100
    assert math.isfinite(column.scale)


def test_a_column_that_knows_the_end_is_pointed_at() -> None:
    rows = leads(300)
    for row in rows:
        row["invoice"] = 100 if row["won"] == "yes" else 0
    warning = next(one for one in trained(rows).card.warnings if "almost perfect" in one)
    assert "invoice" in warning


def test_what_was_left_out_or_repeated_is_told() -> None:
    rows = leads(100)
    rows = [*rows, *rows[:40], rows[0] | {"won": None}]
    for number, row in enumerate(rows):
        row["row"] = number % 100
    warnings = " ".join(trained([row | {"id": number} for number, row in enumerate(rows)]).card.warnings)
    assert "1 rows without a label were left out" in warnings
    assert "The column id was left out: it numbers the rows." in warnings
    repeated = " ".join(trained(rows).card.warnings)
    assert "40 rows repeat others" in repeated


def test_text_in_which_no_word_repeats_is_of_no_harm() -> None:
    rows = leads(40)
    for number, row in enumerate(rows):
        row["notes"] = " ".join(f"w{number}x{other}" for other in range(5))
    model = trained(rows)
    assert model.card.columns[-1].kind is ColumnKind.TEXT
    assert 0 < read_lead_model(model.lead_model).score(rows[0], 0).score < 1


def test_rows_that_cannot_train_are_refused() -> None:
    with pytest.raises(TrainingDataUnusableError):
        trained(leads(12))
    with pytest.raises(TrainingDataUnusableError):
        trained([{"email": f"a{number}@b.c", "won": "yes" if number % 2 else "no"} for number in range(60)])

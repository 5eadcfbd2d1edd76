"""A model as plain numbers: how it adds up, what it tells, and that nothing but numbers and words can be in it."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import pytest
from parley_inference.domain.lead_model import (
    CategoricalColumn,
    IsotonicCalibration,
    LeadModel,
    NumericColumn,
    SigmoidCalibration,
    TextColumn,
)
from parley_inference.domain.lead_model_json import read_lead_model, write_lead_model
from parley_inference.domain.scoring import Value

SIZE = NumericColumn(
    name="size",
    median=10.0,
    logarithmic=True,
    least=0.0,
    most=5.0,
    mean=2.0,
    scale=1.5,
    weight=0.8,
    missing_weight=-0.3,
    centre=0.1,
)
SOURCE = CategoricalColumn("source", {"referral": 1.2, "list": -0.9, "": -0.2}, other_weight=0.1, centre=0.05)
NOTES = TextColumn("notes", {"demo": 1.5, "later": 2.0}, {"demo": 1.1, "later": -1.4}, centre=-0.02)
MODEL = LeadModel(-0.4, (SIZE, SOURCE, NOTES), SigmoidCalibration(1.1, 0.2))
LEAD: dict[str, Value] = {"size": "12", "source": "Referral", "notes": "demo, not later", "unknown": 5.0}


def test_contributions_and_base_add_up_to_the_log_odds_and_the_score_is_calibrated() -> None:
    leads: list[dict[str, Value]] = [LEAD, {}, {"size": "much", "source": "fair", "notes": "nothing known"}]
    for lead in leads:
        score = MODEL.score(lead, 50)
        assert sum(one.log_odds for one in score.contributions) + MODEL.base == pytest.approx(score.log_odds, abs=1e-12)
        assert score.score == pytest.approx(1 / (1 + math.exp(-(1.1 * score.log_odds + 0.2))), abs=1e-12)


def test_the_strongest_contributions_come_first_and_no_more_than_asked_for() -> None:
    found = [abs(one.log_odds) for one in MODEL.score(LEAD, 50).contributions]
    assert found == sorted(found, reverse=True)
    assert len(MODEL.score(LEAD, 2).contributions) == 2


def test_a_contribution_says_what_the_value_was_and_which_way_it_spoke() -> None:
    said = {one.column: (one.value, one.words) for one in MODEL.score(LEAD, 50).contributions}
    assert said["source"] == ("Referral", "source = Referral speaks for it")
    assert said["notes"] == ("demo, not later", "notes (`later`) speaks against it")
    missing = {one.column: (one.value, one.words) for one in MODEL.score({"source": "fair"}, 50).contributions}
    assert missing["size"] == ("", "size is missing, which speaks against it")
    assert missing["source"] == ("fair", "source = fair (rare or new) speaks for it")


def test_a_numeric_column_moves_the_score_in_one_direction_and_is_held_within_bounds() -> None:
    scores = [MODEL.score({"size": value}, 0).score for value in (-1e99, 0, 1, 5, 20, 100, 1e6, 1e99)]
    assert scores == sorted(scores)
    assert scores[0] == scores[1]
    assert scores[-1] == scores[-2]


def test_long_values_are_cut() -> None:
    contribution = MODEL.score({"notes": "demo " * 1000}, 1).contributions[0]
    assert len(contribution.value) == 200
    assert len(contribution.words) <= 500


def test_an_isotonic_calibration_goes_straight_between_its_points_and_level_beyond() -> None:
    calibration = IsotonicCalibration((-1.0, 0.0, 2.0), (0.1, 0.3, 0.9))
    assert [calibration.probability(at) for at in (-9, -1, -0.5, 0, 1, 2, 9)] == pytest.approx(
        [0.1, 0.1, 0.2, 0.3, 0.6, 0.9, 0.9]
    )


def test_a_sigmoid_does_not_overflow() -> None:
    assert SigmoidCalibration(1.0, 0.0).probability(-1e6) == 0.0
    assert SigmoidCalibration(1.0, 0.0).probability(1e6) == 1.0


@pytest.mark.parametrize("calibration", [MODEL.calibration, IsotonicCalibration((-1.0, 0.1), (0.0, 1.0))])
def test_what_is_written_is_read_back_exactly(calibration: SigmoidCalibration | IsotonicCalibration) -> None:
    model = LeadModel(0.1 + 0.2, MODEL.columns, calibration)
    assert read_lead_model(write_lead_model(model)) == model


def changed(**fields: Any) -> bytes:
    return json.dumps(json.loads(write_lead_model(MODEL)) | fields).encode()


def column(**fields: Any) -> bytes:
    document = json.loads(write_lead_model(MODEL))
    kind = fields.get("kind", "numeric")
    chosen = next(one for one in document["columns"] if one["kind"] == kind)
    return json.dumps(document | {"columns": [chosen | fields]}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        write_lead_model(MODEL)[:-20],
        pickle.dumps(MODEL),
        b"[" * 100_000,
        b"\xff\xfe",
        b" " * 5_000_000,
        changed(more=1),
        changed(base="0"),
        changed(base=True),
        changed(base=1e300),
        changed(base=10**400),
        changed(base=float("nan")),
        changed(base=float("inf")),
        changed(columns=[]),
        changed(columns=["size"]),
        changed(columns=[{"kind": "exec", "name": "x"}]),
        changed(columns=json.loads(changed())["columns"] * 2),
        changed(calibration={"kind": "sigmoid", "slope": -1, "intercept": 0}),
        changed(calibration={"kind": "isotonic", "log_odds": [1, 0], "shares": [0, 1]}),
        changed(calibration={"kind": "isotonic", "log_odds": [0, 1], "shares": [0, 2]}),
        changed(calibration={"kind": "isotonic", "log_odds": [], "shares": []}),
        changed(calibration={"kind": "isotonic", "log_odds": [0, 1], "shares": [0]}),
        column(scale=0),
        column(least=2, most=1),
        column(logarithmic=1),
        column(name=""),
        column(name="x" * 201),
        column(weight=[1]),
        column(kind="categorical", weights=[1, 2]),
        column(kind="categorical", weights={"a": "b"}),
        column(kind="text", words={"demo": [1.0]}),
        column(kind="text", words={"demo": [0.0, 1.0]}),
    ],
)
def test_anything_else_is_refused_before_it_scores(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever is wrong with it is one error; its words are for the log
        read_lead_model(content)

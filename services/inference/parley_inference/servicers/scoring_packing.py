"""Lead scoring's messages: from requests, and into responses."""

from __future__ import annotations

from google.protobuf.struct_pb2 import Struct
from google.protobuf.struct_pb2 import Value as AnyValue
from google.protobuf.timestamp_pb2 import Timestamp
from parley.inference.v1 import scoring_service_pb2 as pb

from parley_inference.domain.scoring import (
    COLUMNS_MOST,
    ColumnKind,
    LeadScore,
    ScoringMethod,
    ScoringModel,
    ScoringQuality,
    Training,
    Value,
)

_KINDS = {
    ColumnKind.NUMERIC: pb.COLUMN_KIND_NUMERIC,
    ColumnKind.CATEGORICAL: pb.COLUMN_KIND_CATEGORICAL,
    ColumnKind.TEXT: pb.COLUMN_KIND_TEXT,
    ColumnKind.IGNORED: pb.COLUMN_KIND_IGNORED,
}
_METHODS = {
    ScoringMethod.LOGISTIC_REGRESSION: pb.SCORING_METHOD_LOGISTIC_REGRESSION,
    ScoringMethod.BASELINE: pb.SCORING_METHOD_BASELINE,
}


def unpack_training(request: pb.TrainScoringModelRequest) -> Training:
    """What to learn from. Takes its time for many rows: not for the event loop."""
    kinds = {number: kind for kind, number in _KINDS.items()}
    rows = [unpack_lead(row) for row in request.rows]
    # The order of the columns: as they first come, each row's own by name, because a map has none.
    names = list(dict.fromkeys(name for row in rows for name in sorted(row)))
    return Training(
        label_column=request.label_column,
        positive_label=request.positive_label,
        csv=request.csv,
        names=tuple(names),
        rows=[[row.get(name) for name in names] for row in rows] if _fits(names) else [],
        column_kinds={name: kinds[kind] for name, kind in request.column_kinds.items() if kind in kinds},
    )


def _fits(names: list[str]) -> bool:
    """Whether to fill every row with every name: rows that share no names would make a huge table of nothing."""
    return len(names) <= COLUMNS_MOST + 1


def unpack_lead(row: Struct) -> dict[str, Value]:
    """The values of a lead by their columns."""
    return {name: _value(value) for name, value in row.fields.items()}


def _value(value: AnyValue) -> Value:
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            return value.number_value
        case "bool_value":
            return value.bool_value
        case _:
            return None


def pack_model(model: ScoringModel) -> pb.ScoringModel:
    """A model with its card."""
    card = model.card
    create_time = Timestamp()
    create_time.FromDatetime(model.create_time)
    return pb.ScoringModel(
        name=model.name,
        version=model.version,
        create_time=create_time,
        label_column=card.label_column,
        positive_label=card.positive_label,
        row_count=card.row_count,
        positive_count=card.positive_count,
        columns=[
            pb.ScoringColumn(name=column.name, kind=_KINDS[column.kind], missing_share=column.missing_share)
            for column in card.columns
        ],
        method=_METHODS[card.method],
        quality=_pack_quality(card.quality),
        warnings=card.warnings,
    )


def _pack_quality(quality: ScoringQuality) -> pb.ScoringQuality:
    return pb.ScoringQuality(
        auc=quality.auc,
        auc_deviation=quality.auc_deviation,
        brier_score=quality.brier_score,
        baseline_brier_score=quality.baseline_brier_score,
        calibration=[
            pb.CalibrationBin(mean_score=one.mean_score, positive_share=one.positive_share, row_count=one.row_count)
            for one in quality.calibration
        ],
        fold_count=quality.fold_count,
    )


def pack_score(score: LeadScore) -> pb.LeadScore:
    """How a lead was scored."""
    return pb.LeadScore(
        score=score.score,
        contributions=[
            pb.ScoreContribution(column=one.column, contribution=one.log_odds, value=one.value, words=one.words)
            for one in score.contributions
        ],
    )

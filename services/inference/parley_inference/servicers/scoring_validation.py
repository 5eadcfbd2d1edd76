"""The bounds of ScoringService's requests, as the contract states them. What is wrong with the rows as a table, the training tells."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from google.protobuf.struct_pb2 import Struct
from parley.inference.v1 import scoring_service_pb2 as pb
from parley_shared.validation import Violations

from parley_inference.domain.scoring import COLUMNS_MOST, NAME_MOST, ROWS_MOST

NAME = re.compile(r"[a-z0-9_-]{1,64}")
CSV_BYTES_MOST = 3_000_000
LEADS_MOST = 1_000
CONTRIBUTIONS_MOST = 50
VERSION_MOST = (1 << 31) - 1

_NAME_WORDS = "1 to 64 of a-z 0-9 _ -"
_PLAIN = frozenset({"string_value", "number_value", "bool_value", "null_value"})


def check_train(request: pb.TrainScoringModelRequest) -> None:
    """Checks a request to train. Takes its time for many rows: not for the event loop."""
    violations = Violations()
    violations.pattern("name", request.name, NAME, _NAME_WORDS)
    if bool(request.csv) == bool(request.rows):
        violations.add("csv", "or `rows` must be set, and not both")
    if (size := len(request.csv.encode())) > CSV_BYTES_MOST:
        violations.add("csv", f"must have at most {CSV_BYTES_MOST} bytes; it has {size}")
    violations.count("rows", request.rows, most=ROWS_MOST)
    _rows(violations, request.rows[:ROWS_MOST])
    violations.text("label_column", request.label_column, least=1, most=NAME_MOST, not_blank=True)
    violations.text("positive_label", request.positive_label, most=NAME_MOST)
    violations.count("column_kinds", request.column_kinds, most=COLUMNS_MOST)
    _kinds(violations, request.column_kinds)
    if request.label_column in request.column_kinds:
        violations.add(f"column_kinds[{request.label_column[:NAME_MOST]}]", "must not be the label's")
    violations.check()


def check_score(request: pb.ScoreLeadsRequest) -> None:
    """Checks a request to score. Takes its time for many rows: not for the event loop."""
    violations = Violations()
    violations.pattern("name", request.name, NAME, _NAME_WORDS)
    violations.integer("version", request.version, least=0, most=VERSION_MOST)
    violations.count("rows", request.rows, least=1, most=LEADS_MOST)
    _rows(violations, request.rows[:LEADS_MOST])
    violations.integer("contribution_limit", request.contribution_limit, least=0, most=CONTRIBUTIONS_MOST)
    violations.check()


def check_named(request: pb.GetScoringModelRequest | pb.DeleteScoringModelRequest) -> None:
    """Checks a request that names a model."""
    violations = Violations()
    violations.pattern("name", request.name, NAME, _NAME_WORDS)
    if isinstance(request, pb.GetScoringModelRequest):
        violations.integer("version", request.version, least=0, most=VERSION_MOST)
    violations.check()


def _rows(violations: Violations, rows: Sequence[Struct]) -> None:
    """Names of usable length, and plain values. Only the first row that has anything wrong is told of."""
    for index, row in enumerate(rows):
        wrong = False
        for name, value in row.fields.items():
            field = f"rows[{index}].{name[:NAME_MOST]}"
            kind = value.WhichOneof("kind")
            if not 1 <= len(name) <= NAME_MOST or not name.strip():
                violations.add(f"rows[{index}]", f"must have names of 1 to {NAME_MOST} characters that are not blank")
            elif kind not in _PLAIN:
                violations.add(field, "must be a text, a number, a boolean or null")
            elif kind == "number_value" and not math.isfinite(value.number_value):
                violations.add(field, "must be a number that JSON has")
            else:
                continue
            wrong = True
        if wrong:
            return


def _kinds(violations: Violations, kinds: Mapping[str, int]) -> None:
    for name, kind in kinds.items():
        if not 1 <= len(name) <= NAME_MOST:
            violations.add("column_kinds", f"must have names of 1 to {NAME_MOST} characters")
            return
        violations.choice(f"column_kinds[{name}]", kind, pb.ColumnKind.values())

"""Models that score leads, learnt from one's own rows: `parley.inference.v1.ScoringService`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from google.protobuf.struct_pb2 import Struct
from parley.inference.v1 import scoring_service_pb2 as pb

from parley_client.rpc import Rpc

if TYPE_CHECKING:
    from parley_client.connection import Connection

ColumnKindName: TypeAlias = Literal["numeric", "categorical", "text", "ignored"]
"""What a column holds."""

_KINDS: dict[str, pb.ColumnKind.ValueType] = {
    "numeric": pb.COLUMN_KIND_NUMERIC,
    "categorical": pb.COLUMN_KIND_CATEGORICAL,
    "text": pb.COLUMN_KIND_TEXT,
    "ignored": pb.COLUMN_KIND_IGNORED,
}
_NO_KINDS: Mapping[str, ColumnKindName] = MappingProxyType({})
# A model is trained, and measured on rows that it was not trained on, before the call returns.
_TRAINING_SECONDS = 300.0

_SERVICE = pb.DESCRIPTOR.services_by_name["ScoringService"]
TRAIN_SCORING_MODEL = Rpc(_SERVICE, "TrainScoringModel", pb.TrainScoringModelRequest, pb.TrainScoringModelResponse)
LIST_SCORING_MODELS = Rpc(_SERVICE, "ListScoringModels", pb.ListScoringModelsRequest, pb.ListScoringModelsResponse)
GET_SCORING_MODEL = Rpc(_SERVICE, "GetScoringModel", pb.GetScoringModelRequest, pb.GetScoringModelResponse)
DELETE_SCORING_MODEL = Rpc(_SERVICE, "DeleteScoringModel", pb.DeleteScoringModelRequest, pb.DeleteScoringModelResponse)
SCORE_LEADS = Rpc(_SERVICE, "ScoreLeads", pb.ScoreLeadsRequest, pb.ScoreLeadsResponse)


class Scoring:
    """`client.scoring`: the user's scoring models. Raises ParleyError; NotFoundError for one that is another's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def train(
        self,
        name: str,
        *,
        label_column: str,
        csv: str = "",
        rows: Iterable[Mapping[str, Any]] = (),
        positive_label: str = "",
        column_kinds: Mapping[str, ColumnKindName] = _NO_KINDS,
    ) -> pb.ScoringModel:
        """Trains the next version of a model on CSV with a line of names, or on rows, and returns it with its quality."""
        request = pb.TrainScoringModelRequest(
            name=name,
            csv=csv,
            rows=[_struct(row) for row in rows],
            label_column=label_column,
            positive_label=positive_label,
            column_kinds={column: _KINDS[kind] for column, kind in column_kinds.items()},
        )
        return (await self._connection.call(TRAIN_SCORING_MODEL, request, timeout_seconds=_TRAINING_SECONDS)).model

    async def list(self) -> Sequence[pb.ScoringModel]:
        """The newest version of each model, by name."""
        return tuple((await self._connection.call(LIST_SCORING_MODELS, pb.ListScoringModelsRequest())).models)

    async def get(self, name: str, *, version: int = 0) -> pb.ScoringModel:
        """One model, its newest version by default."""
        request = pb.GetScoringModelRequest(name=name, version=version)
        return (await self._connection.call(GET_SCORING_MODEL, request)).model

    async def delete(self, name: str) -> None:
        """Deletes all versions of a model, at once and for good."""
        await self._connection.call(DELETE_SCORING_MODEL, pb.DeleteScoringModelRequest(name=name))

    async def score(
        self, name: str, rows: Iterable[Mapping[str, Any]], *, version: int = 0, contribution_limit: int = 0
    ) -> Sequence[pb.LeadScore]:
        """Scores up to 1,000 rows: one score for each, in their order, with what spoke for and against it."""
        request = pb.ScoreLeadsRequest(
            name=name, version=version, rows=[_struct(row) for row in rows], contribution_limit=contribution_limit
        )
        return tuple((await self._connection.call(SCORE_LEADS, request)).scores)


def _struct(row: Mapping[str, Any]) -> Struct:
    struct = Struct()
    struct.update(row)
    return struct

"""ScoringService: models of leads, for the user of the token. Reading many rows takes its time, and so happens in a thread."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from parley.inference.v1 import scoring_service_pb2 as pb
from parley.inference.v1 import scoring_service_pb2_grpc
from parley_shared.tokens import current_principal

from parley_inference.domain.scoring import Training, Value
from parley_inference.operations.scoring import Scoring
from parley_inference.servicers.scoring_packing import pack_model, pack_score, unpack_lead, unpack_training
from parley_inference.servicers.scoring_status import answer_too_large
from parley_inference.servicers.scoring_validation import check_named, check_score, check_train

_CONTRIBUTIONS = 5
"""How many are told when nobody says."""
_FRAMING_BYTES = 10_000
_PACKED_AT_ONCE = 50


class ScoringServicer(scoring_service_pb2_grpc.ScoringServiceServicer):
    """Serves lead scoring."""

    def __init__(self, scoring: Scoring, *, answer_bytes: int) -> None:
        self._scoring = scoring
        self._answer_bytes = answer_bytes - _FRAMING_BYTES

    async def TrainScoringModel(
        self, request: pb.TrainScoringModelRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.TrainScoringModelResponse:
        """Trains a model and keeps it. A cancelled call ends the training."""
        training = await asyncio.to_thread(_checked_training, request)
        model = await self._scoring.train(current_principal().user_id, request.name, training)
        return pb.TrainScoringModelResponse(model=pack_model(model))

    async def ListScoringModels(
        self, request: pb.ListScoringModelsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ListScoringModelsResponse:
        """The newest version of each model, by name."""
        models = await self._scoring.listed(current_principal().user_id)
        return pb.ListScoringModelsResponse(models=[pack_model(model) for model in models])

    async def GetScoringModel(
        self, request: pb.GetScoringModelRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.GetScoringModelResponse:
        """A model with its card."""
        check_named(request)
        model = await self._scoring.get(current_principal().user_id, request.name, request.version)
        return pb.GetScoringModelResponse(model=pack_model(model))

    async def DeleteScoringModel(
        self, request: pb.DeleteScoringModelRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.DeleteScoringModelResponse:
        """Deletes all versions of a model."""
        check_named(request)
        await self._scoring.delete(current_principal().user_id, request.name)
        return pb.DeleteScoringModelResponse()

    async def ScoreLeads(
        self, request: pb.ScoreLeadsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ScoreLeadsResponse:
        """Scores leads, and says what spoke for and against each."""
        leads = await asyncio.to_thread(_checked_leads, request)
        limit = request.contribution_limit or _CONTRIBUTIONS
        version, scores = await self._scoring.score(
            current_principal().user_id, request.name, request.version, leads, limit
        )
        response = pb.ScoreLeadsResponse(version=version)
        for begin in range(0, len(scores), _PACKED_AT_ONCE):
            response.scores.extend(pack_score(score) for score in scores[begin : begin + _PACKED_AT_ONCE])
            if response.ByteSize() > self._answer_bytes:
                raise answer_too_large(self._answer_bytes)
            await asyncio.sleep(0)  # Others have their turn between.
        return response


def _checked_training(request: pb.TrainScoringModelRequest) -> Training:
    check_train(request)
    return unpack_training(request)


def _checked_leads(request: pb.ScoreLeadsRequest) -> list[dict[str, Value]]:
    check_score(request)
    return [unpack_lead(row) for row in request.rows]

"""ModelService: which models there are."""

from __future__ import annotations

from typing import Any

import grpc
from parley.inference.v1 import model_service_pb2, model_service_pb2_grpc

from parley_inference.operations.models import Models
from parley_inference.servicers.messages import pack_model


class ModelServicer(model_service_pb2_grpc.ModelServiceServicer):
    """Serves the list of models."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def ListModels(
        self, request: model_service_pb2.ListModelsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> model_service_pb2.ListModelsResponse:
        """Lists the models, the default first."""
        return model_service_pb2.ListModelsResponse(models=[pack_model(model) for model in await self._models.listed()])

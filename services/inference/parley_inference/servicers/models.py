"""ModelService: which models there are, and how their providers do."""

from __future__ import annotations

from typing import Any

import grpc
from parley.inference.v1 import model_service_pb2, model_service_pb2_grpc
from parley_shared.process_figures import pack_process

from parley_inference.operations.models import Models
from parley_inference.servicers.messages import pack_model, pack_provider

_OWN = "parley.inference.v1."
_MODELS = f"{_OWN}ModelService/"


class ModelServicer(model_service_pb2_grpc.ModelServiceServicer):
    """Serves the lists of models and providers."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def ListModels(
        self, request: model_service_pb2.ListModelsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> model_service_pb2.ListModelsResponse:
        """Lists the models, the default first."""
        return model_service_pb2.ListModelsResponse(models=[pack_model(model) for model in await self._models.listed()])

    async def ListProviders(
        self, request: model_service_pb2.ListProvidersRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> model_service_pb2.ListProvidersResponse:
        """Lists the providers, the default first."""
        return model_service_pb2.ListProvidersResponse(
            providers=[pack_provider(provider) for provider in self._models.providers()],
            figures=pack_process(_is_work),
        )


def _is_work(method: str) -> bool:
    """What this process is there for. Without this service, which is asked every two seconds while somebody looks at the system."""
    return method.startswith(_OWN) and not method.startswith(_MODELS)

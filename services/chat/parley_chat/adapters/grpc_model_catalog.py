"""The inference service as a list of models and providers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC

import grpc
from parley.inference.v1 import model_service_pb2, model_service_pb2_grpc
from parley_shared.channels import bearer

from parley_chat.adapters.inference_errors import generation_error_from
from parley_chat.adapters.inference_messages import price_from
from parley_chat.adapters.process_packing import process_from, traffic_from
from parley_chat.domain.models import AvailableModel, Circuit, ModelCapability, Provider, ProviderState
from parley_chat.domain.traffic import ProcessReport

_CAPABILITIES = {
    model_service_pb2.MODEL_CAPABILITY_GENERATE: ModelCapability.GENERATE,
    model_service_pb2.MODEL_CAPABILITY_TOOLS: ModelCapability.TOOLS,
    model_service_pb2.MODEL_CAPABILITY_EMBED: ModelCapability.EMBED,
    model_service_pb2.MODEL_CAPABILITY_IMAGES: ModelCapability.IMAGES,
    model_service_pb2.MODEL_CAPABILITY_STRUCTURED_OUTPUT: ModelCapability.STRUCTURED_OUTPUT,
}
_STATES = {
    model_service_pb2.PROVIDER_STATE_HEALTHY: ProviderState.HEALTHY,
    model_service_pb2.PROVIDER_STATE_FAILING: ProviderState.FAILING,
    model_service_pb2.PROVIDER_STATE_OPEN: ProviderState.OPEN,
}
_CIRCUITS = {
    model_service_pb2.CIRCUIT_STATE_CLOSED: Circuit.CLOSED,
    model_service_pb2.CIRCUIT_STATE_OPEN: Circuit.OPEN,
    model_service_pb2.CIRCUIT_STATE_HALF_OPEN: Circuit.HALF_OPEN,
}


class GrpcModelCatalog:
    """Asks through a channel to inference, in the name of the user."""

    def __init__(self, channel: grpc.aio.Channel, token_for: Callable[[str], str]) -> None:
        self._stub = model_service_pb2_grpc.ModelServiceStub(channel)
        self._token_for = token_for
        self._process: ProcessReport | None = None

    async def models(self, user_id: str, *, within_seconds: float) -> tuple[AvailableModel, ...]:
        """Lists the models, the default first."""
        request = model_service_pb2.ListModelsRequest()
        try:
            response = await self._stub.ListModels(
                request, metadata=bearer(self._token_for(user_id)), timeout=within_seconds
            )
        except grpc.aio.AioRpcError as error:
            raise generation_error_from(error) from error
        return tuple(_model(model) for model in response.models)

    async def providers(self, user_id: str, *, within_seconds: float) -> tuple[Provider, ...]:
        """Lists the providers, the default first."""
        request = model_service_pb2.ListProvidersRequest()
        try:
            response = await self._stub.ListProviders(
                request, metadata=bearer(self._token_for(user_id)), timeout=within_seconds
            )
        except grpc.aio.AioRpcError as error:
            self._process = None
            raise generation_error_from(error) from error
        self._process = process_from(response.figures) if response.HasField("figures") else None
        return tuple(_provider(provider) for provider in response.providers)

    def latest(self) -> ProcessReport | None:
        """What inference said of itself when it was asked for its providers last."""
        return self._process


def _model(model: model_service_pb2.Model) -> AvailableModel:
    return AvailableModel(
        model=model.model,
        provider=model.provider,
        aliases=tuple(model.aliases),
        # What a newer inference knows beside these, nobody here could use.
        capabilities=tuple(_CAPABILITIES[each] for each in model.capabilities if each in _CAPABILITIES),
        context_window_tokens=model.context_window_tokens,
        offline=model.offline,
        price=price_from(model.price) if model.HasField("price") else None,
        provider_state=_STATES.get(model.provider_state, ProviderState.UNKNOWN),
    )


def _provider(provider: model_service_pb2.Provider) -> Provider:
    changed = provider.state_change_time.ToDatetime(UTC) if provider.HasField("state_change_time") else None
    return Provider(
        provider=provider.provider,
        state=_STATES.get(provider.state, ProviderState.UNKNOWN),
        state_change_time=changed,
        last_failure_reason=provider.last_failure_reason,
        running_calls=provider.running_calls,
        waiting_calls=provider.waiting_calls,
        kind=provider.kind,
        circuit=_CIRCUITS.get(provider.circuit, Circuit.UNKNOWN),
        retry_time=provider.retry_time.ToDatetime(UTC) if provider.HasField("retry_time") else None,
        traffic=traffic_from(provider.traffic) if provider.HasField("traffic") else None,
    )

"""How providers do, as the contract has it: the health of the AI side and the status of the whole tell the same."""

from __future__ import annotations

from parley.ai.v1 import generation_service_pb2 as pb

from parley_chat.domain.models import Circuit, Provider, ProviderState

_STATES = {
    ProviderState.UNKNOWN: pb.PROVIDER_STATE_UNSPECIFIED,
    ProviderState.HEALTHY: pb.PROVIDER_STATE_HEALTHY,
    ProviderState.FAILING: pb.PROVIDER_STATE_FAILING,
    ProviderState.OPEN: pb.PROVIDER_STATE_OPEN,
}
CIRCUITS = {
    Circuit.UNKNOWN: pb.CIRCUIT_STATE_UNSPECIFIED,
    Circuit.CLOSED: pb.CIRCUIT_STATE_CLOSED,
    Circuit.OPEN: pb.CIRCUIT_STATE_OPEN,
    Circuit.HALF_OPEN: pb.CIRCUIT_STATE_HALF_OPEN,
}


def pack_provider(provider: Provider) -> pb.ProviderHealth:
    """Packs how a provider does."""
    packed = pb.ProviderHealth(
        provider=provider.provider,
        kind=provider.kind,
        state=_STATES[provider.state],
        circuit=CIRCUITS[provider.circuit],
        last_failure_reason=provider.last_failure_reason,
        running_calls=provider.running_calls,
        waiting_calls=provider.waiting_calls,
    )
    if provider.state_change_time:
        packed.state_change_time.FromDatetime(provider.state_change_time)
    if provider.retry_time:
        packed.retry_time.FromDatetime(provider.retry_time)
    return packed

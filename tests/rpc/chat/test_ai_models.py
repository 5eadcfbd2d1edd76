"""The models that a request may name, and how the AI side does, also when there is none."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from parley.ai.v1 import generation_service_pb2 as pb
from parley.ai.v1 import generation_service_pb2_grpc
from parley.inference.v1 import generation_pb2, model_service_pb2
from parley_shared.status import status_error_from
from parley_testing.running_chat import Person, RunningChat
from parley_testing.scripted_inference import ScriptedInference

OPEN = model_service_pb2.PROVIDER_STATE_OPEN
FAILING = model_service_pb2.PROVIDER_STATE_FAILING
HEALTHY = model_service_pb2.PROVIDER_STATE_HEALTHY
UNKNOWN = model_service_pb2.PROVIDER_STATE_UNSPECIFIED


def stub(running: RunningChat) -> Any:
    return generation_service_pb2_grpc.GenerationServiceStub(running.channel)


async def test_the_models_are_listed_with_what_they_can_do_and_whether_they_are_called(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    inference.models = [
        model_service_pb2.Model(
            model="gpt-5",
            provider="openai",
            aliases=["strong", "best"],
            capabilities=[
                model_service_pb2.MODEL_CAPABILITY_STRUCTURED_OUTPUT,
                model_service_pb2.MODEL_CAPABILITY_GENERATE,
            ],
            context_window_tokens=200_000,
            price=generation_pb2.TokenPrice(input_usd_micros=2_500_000, output_usd_micros=10_000_000),
            provider_state=OPEN,
        ),
        model_service_pb2.Model(model="llama", provider="ollama", provider_state=UNKNOWN),
    ]
    listed = await stub(running).ListAvailableModels(pb.ListAvailableModelsRequest(), metadata=alice.metadata)
    first, second = listed.models
    assert (first.model, first.provider, list(first.aliases)) == ("gpt-5", "openai", ["best", "strong"])
    assert list(first.capabilities) == [pb.MODEL_CAPABILITY_GENERATE, pb.MODEL_CAPABILITY_STRUCTURED_OUTPUT]
    assert (first.context_window_tokens, first.input_usd_micros, first.output_usd_micros) == (
        200_000,
        2_500_000,
        10_000_000,
    )
    assert not first.available, "its circuit is open"
    assert second.available, "nothing is known against it"
    assert not second.HasField("input_usd_micros")


async def test_without_inference_there_are_no_models(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    await inference.stop()
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await stub(running).ListAvailableModels(pb.ListAvailableModelsRequest(), metadata=alice.metadata)
    error = status_error_from(refusal.value)
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_SERVICE_UNAVAILABLE")


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        ([HEALTHY, UNKNOWN], pb.AI_STATE_HEALTHY),
        ([UNKNOWN], pb.AI_STATE_HEALTHY),
        ([FAILING], pb.AI_STATE_DEGRADED),
        ([OPEN, HEALTHY], pb.AI_STATE_DEGRADED),
        ([OPEN, FAILING], pb.AI_STATE_DEGRADED),
        ([OPEN, OPEN], pb.AI_STATE_UNAVAILABLE),
    ],
)
async def test_the_ai_side_does_as_its_providers_do(
    running: RunningChat,
    inference: ScriptedInference,
    alice: Person,
    states: list[model_service_pb2.ProviderState.ValueType],
    whole: pb.AIState.ValueType,
) -> None:
    inference.providers = [
        model_service_pb2.Provider(
            provider=f"provider-{number}",
            state=state,
            last_failure_reason="ERROR_REASON_PROVIDER_STALLED",
            running_calls=2,
            waiting_calls=1,
        )
        for number, state in enumerate(states)
    ]
    inference.providers[0].state_change_time.FromSeconds(1_700_000_000)
    health = await stub(running).GetAIHealth(pb.GetAIHealthRequest(), metadata=alice.metadata)
    assert (health.state, health.default_model, health.offline) == (whole, "scripted-1", False)
    assert [provider.state for provider in health.providers] == states, "the enums have the same numbers"
    first = health.providers[0]
    assert (first.provider, first.running_calls, first.waiting_calls) == ("provider-0", 2, 1)
    assert first.last_failure_reason == "ERROR_REASON_PROVIDER_STALLED"
    assert first.state_change_time.seconds == 1_700_000_000
    assert not any(provider.HasField("state_change_time") for provider in health.providers[1:])


async def test_health_is_told_also_when_inference_is_away(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    await inference.stop()
    health = await stub(running).GetAIHealth(pb.GetAIHealthRequest(), metadata=alice.metadata)
    assert health == pb.GetAIHealthResponse(state=pb.AI_STATE_UNAVAILABLE)

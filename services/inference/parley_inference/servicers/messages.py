"""Unpacks requests that were checked, and packs what the operations give back. No checks: those are validation.py's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value
from parley.inference.v1 import generation_pb2, inference_service_pb2, model_service_pb2
from parley.system.v1 import traffic_pb2

from parley_inference.domain.generation import (
    MOST_TOKENS,
    FinishReason,
    Generation,
    GenerationAttempt,
    GenerationEvent,
    GenerationFinished,
    GenerationStarted,
    ProviderSwitched,
    ReasoningDelta,
    TextDelta,
    TokenUsage,
)
from parley_inference.domain.models import Capability
from parley_inference.domain.prices import TokenPrice
from parley_inference.domain.prompt import (
    GenerationRequest,
    Passage,
    PromptImage,
    PromptMessage,
    Role,
    Sampling,
    Tool,
    ToolCall,
)
from parley_inference.domain.provider_health import Circuit, ProviderState
from parley_inference.operations.models import ListedModel
from parley_inference.operations.providers import Provider
from parley_inference.servicers.status import reason_of

_ROLES = {
    generation_pb2.PROMPT_ROLE_SYSTEM: Role.SYSTEM,
    generation_pb2.PROMPT_ROLE_USER: Role.USER,
    generation_pb2.PROMPT_ROLE_ASSISTANT: Role.ASSISTANT,
    generation_pb2.PROMPT_ROLE_TOOL: Role.TOOL,
}
_REASONS = {
    FinishReason.STOP: generation_pb2.FINISH_REASON_STOP,
    FinishReason.LENGTH: generation_pb2.FINISH_REASON_LENGTH,
    FinishReason.TOOL_CALLS: generation_pb2.FINISH_REASON_TOOL_CALLS,
    FinishReason.CONTENT_FILTER: generation_pb2.FINISH_REASON_CONTENT_FILTER,
}
_CAPABILITIES = {
    Capability.GENERATE: model_service_pb2.MODEL_CAPABILITY_GENERATE,
    Capability.TOOLS: model_service_pb2.MODEL_CAPABILITY_TOOLS,
    Capability.EMBED: model_service_pb2.MODEL_CAPABILITY_EMBED,
    Capability.IMAGES: model_service_pb2.MODEL_CAPABILITY_IMAGES,
    Capability.STRUCTURED_OUTPUT: model_service_pb2.MODEL_CAPABILITY_STRUCTURED_OUTPUT,
}
_STATES = {
    ProviderState.UNKNOWN: model_service_pb2.PROVIDER_STATE_UNSPECIFIED,
    ProviderState.HEALTHY: model_service_pb2.PROVIDER_STATE_HEALTHY,
    ProviderState.FAILING: model_service_pb2.PROVIDER_STATE_FAILING,
    ProviderState.OPEN: model_service_pb2.PROVIDER_STATE_OPEN,
}
_CIRCUITS = {
    Circuit.CLOSED: model_service_pb2.CIRCUIT_STATE_CLOSED,
    Circuit.OPEN: model_service_pb2.CIRCUIT_STATE_OPEN,
    Circuit.HALF_OPEN: model_service_pb2.CIRCUIT_STATE_HALF_OPEN,
}

REMEMBERED_SCHEMAS = 128
"""Of tools, once unpacked or checked."""
REMEMBERED_BYTES_MOST = 8_192
"""Of one of them, packed."""

Response = inference_service_pb2.StreamGenerateResponse


def unpack_request(
    request: inference_service_pb2.StreamGenerateRequest | inference_service_pb2.GenerateRequest,
) -> GenerationRequest:
    """Unpacks a request to generate."""
    return GenerationRequest(
        messages=tuple(
            PromptMessage(
                role=_ROLES[message.role],
                text=message.text,
                tool_calls=tuple(
                    ToolCall(call.tool_call_id, call.name, call.arguments_json) for call in message.tool_calls
                ),
                tool_call_id=message.tool_call_id,
                images=tuple(PromptImage(image.media_type, image.data) for image in message.images),
            )
            for message in request.messages
        ),
        model=request.model,
        passages=tuple(
            Passage(passage.number, passage.title, passage.text, passage.heading) for passage in request.passages
        ),
        tools=tuple(
            Tool(tool.name, tool.description, _schema_of_tool(tool.parameters_schema)) for tool in request.tools
        ),
        sampling=_unpack_sampling(request.sampling),
        answer_so_far=request.answer_so_far,
        agent_id=request.agent_id,
        response_schema=_unpack_schema(request.response_schema) if request.HasField("response_schema") else None,
        cache_seconds=request.cache_seconds,
    )


def _schema_of_tool(schema: Struct) -> Mapping[str, Any]:
    """The schema of a tool's arguments. The same few tools come with request after request: theirs are unpacked once."""
    packed = schema.SerializeToString(deterministic=True)
    return _unpack_schema(schema) if len(packed) > REMEMBERED_BYTES_MOST else _unpack_packed(packed)


@lru_cache(maxsize=REMEMBERED_SCHEMAS)
def _unpack_packed(packed: bytes) -> Mapping[str, Any]:
    return _unpack_schema(Struct.FromString(packed))


def _unpack_schema(schema: Struct) -> dict[str, Any]:
    # In the order of their names: a map has none, and the same schema is to be the same text for a provider's cache.
    return {name: _plain(schema.fields[name]) for name in sorted(schema.fields)}


def _plain(value: Value) -> Any:
    """The JSON value. A Struct has only floating point numbers, and a provider that reads `"minimum": 1.0` as no integer is right."""
    match value.WhichOneof("kind"):
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return _unpack_schema(value.struct_value)
        case "list_value":
            return [_plain(one) for one in value.list_value.values]
        case _:
            return None


def _unpack_sampling(sampling: generation_pb2.Sampling) -> Sampling:
    return Sampling(
        temperature=_shortest(sampling.temperature) if sampling.HasField("temperature") else None,
        top_p=_shortest(sampling.top_p) if sampling.HasField("top_p") else None,
        max_output_tokens=sampling.max_output_tokens if sampling.HasField("max_output_tokens") else None,
        stop_sequences=tuple(sampling.stop_sequences),
        seed=sampling.seed if sampling.HasField("seed") else None,
    )


def _shortest(value: float) -> float:
    """What the caller wrote: the contract's floats have seven digits, so 0.7 arrives as 0.699999988."""
    return float(f"{value:.7g}")


def pack_event(event: GenerationEvent) -> Response:
    """Packs one event of a generation."""
    match event:
        case TextDelta():
            return Response(text_delta=event.text)
        case ReasoningDelta():
            return Response(reasoning_delta=event.text)
        case ToolCall():
            return Response(tool_call=_pack_tool_call(event))
        case TokenUsage():
            return Response(usage=_pack_usage(event))
        case GenerationStarted():
            return Response(
                started=inference_service_pb2.GenerationStarted(
                    model=event.model,
                    provider=event.provider,
                    offline=event.offline,
                    price=_pack_price(event.price),
                    cached=event.cached,
                )
            )
        case ProviderSwitched():
            return Response(
                provider_switched=inference_service_pb2.ProviderSwitched(
                    from_model=event.from_model,
                    from_provider=event.from_provider,
                    to_model=event.to_model,
                    to_provider=event.to_provider,
                    reason=reason_of(event.failure),
                    price=_pack_price(event.price),
                )
            )
        case GenerationFinished():
            return Response(
                finished=inference_service_pb2.GenerationFinished(
                    reason=_REASONS[event.reason], attempts=map(_pack_attempt, event.attempts)
                )
            )


def pack_generation(generation: Generation) -> inference_service_pb2.GenerateResponse:
    """Packs a whole answer."""
    return inference_service_pb2.GenerateResponse(
        text=generation.text,
        reasoning=generation.reasoning,
        tool_calls=[_pack_tool_call(call) for call in generation.tool_calls],
        finish_reason=_REASONS[generation.finish_reason],
        usage=_pack_usage(generation.usage),
        model=generation.model,
        provider=generation.provider,
        attempts=map(_pack_attempt, generation.attempts),
        cached=generation.cached,
    )


def pack_model(listed: ListedModel) -> model_service_pb2.Model:
    """Packs a model of a list."""
    model = listed.model
    return model_service_pb2.Model(
        model=model.name,
        provider=model.provider,
        aliases=listed.aliases,
        capabilities=sorted(_CAPABILITIES[capability] for capability in model.capabilities),
        context_window_tokens=model.context_window_tokens,
        offline=model.offline,
        price=_pack_price(listed.price),
        provider_state=_STATES[listed.provider_state],
        fallbacks=listed.fallbacks,
    )


def pack_provider(provider: Provider) -> model_service_pb2.Provider:
    """Packs how a provider does."""
    health, queue = provider.health, provider.queue
    recent = provider.traffic.recent()
    packed = model_service_pb2.Provider(
        provider=provider.name,
        kind=provider.kind,
        state=_STATES[health.state],
        last_failure_reason=health.last_failure_reason,
        running_calls=queue.running,
        waiting_calls=queue.waiting,
        max_running_calls=queue.limits.max_running,
        circuit=_CIRCUITS[health.circuit],
        traffic=traffic_pb2.Traffic(
            window_seconds=recent.window_seconds,
            call_count=recent.calls,
            error_count=recent.errors,
            running_count=recent.running,
            time_to_first_token_ms=round(1000 * recent.first_token_seconds),
        ),
    )
    if (retry_time := health.retry_time) is not None:
        packed.retry_time.FromDatetime(retry_time)
    if health.changed_at is not None:
        packed.state_change_time.FromDatetime(health.changed_at)
    return packed


def _pack_price(price: TokenPrice | None) -> generation_pb2.TokenPrice | None:
    if price is None:
        return None
    return generation_pb2.TokenPrice(
        input_usd_micros=price.input_usd_micros,
        output_usd_micros=price.output_usd_micros,
        cached_input_usd_micros=price.cached_input_usd_micros,
        cache_write_input_usd_micros=price.cache_write_input_usd_micros,
    )


def _pack_tool_call(call: ToolCall) -> generation_pb2.ToolCall:
    return generation_pb2.ToolCall(tool_call_id=call.tool_call_id, name=call.name, arguments_json=call.arguments_json)


def _pack_usage(usage: TokenUsage) -> generation_pb2.TokenUsage:
    return generation_pb2.TokenUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        estimated=usage.estimated,
        cache_write_input_tokens=usage.cache_write_input_tokens,
    )


def _pack_attempt(attempt: GenerationAttempt) -> generation_pb2.GenerationAttempt:
    return generation_pb2.GenerationAttempt(
        model=attempt.model,
        provider=attempt.provider,
        usage=_pack_usage(attempt.usage),
        cost_usd_micros=attempt.cost_usd_micros,
        time_to_first_token_ms=_milliseconds(attempt.time_to_first_token_seconds),
        duration_ms=_milliseconds(attempt.duration_seconds),
        output_tokens_per_second=attempt.output_tokens_per_second,
        reason="" if attempt.failure is None else reason_of(attempt.failure),
    )


def _milliseconds(seconds: float) -> int:
    """Whole milliseconds, rounded up: what took any time is not 0."""
    return min(math.ceil(seconds * 1000), MOST_TOKENS)

"""One span around each call of a provider, joined to the caller's trace and carried on to the provider."""

from __future__ import annotations

from typing import Any

from parley.inference.v1 import embedding_service_pb2
from parley_shared.telemetry import current_trace_id, span, spans_of
from parley_testing.fake_openai import FakeOpenAI, Reply


def named(trace_id: str, name: str) -> list[Any]:
    return [one for one in spans_of(trace_id) if one.name == name]


async def test_a_generation_is_one_span_with_its_figures_and_none_of_its_words(
    online: Any, upstream: FakeOpenAI, ask: Any
) -> None:
    upstream.reply = Reply(pieces=("secret words",) * 100, cached_input_tokens=2)
    with span("test"):
        trace_id = current_trace_id()
        await online.stream(ask("a private question"))
    (chat,) = named(trace_id, "chat fake-model")
    attributes = dict(chat.attributes)
    assert attributes["gen_ai.operation.name"] == "chat"
    assert attributes["gen_ai.provider.name"] == "openai"
    assert attributes["gen_ai.request.model"] == "fake-model"
    assert attributes["gen_ai.usage.input_tokens"] == 7
    assert attributes["gen_ai.usage.output_tokens"] == 100
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 2
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert 0 < attributes["gen_ai.response.time_to_first_chunk"] < 20
    assert not chat.events
    assert not any("secret" in str(value) or "private" in str(value) for value in attributes.values())
    parents = {one.context.span_id: one for one in spans_of(trace_id)}
    assert parents[chat.parent.span_id].name == "parley.inference.v1.InferenceService/StreamGenerate"
    assert upstream.requests[0].headers["traceparent"].split("-")[1:3] == [trace_id, f"{chat.context.span_id:016x}"]


async def test_every_try_of_a_failed_generation_is_a_failed_span(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(status=500)
    with span("test"):
        trace_id = current_trace_id()
        await online.stream(ask())
    tries = named(trace_id, "chat fake-model")
    assert len(tries) == 3
    for chat in tries:
        assert not chat.status.is_ok
        assert chat.attributes["error.type"] == "ProviderUnavailableError"


async def test_embedding_is_one_span(online: Any) -> None:
    with span("test"):
        trace_id = current_trace_id()
        await online.embeddings.Embed(embedding_service_pb2.EmbedRequest(texts=["a b"]), metadata=online.metadata())
    (embeddings,) = named(trace_id, "embeddings embed-model")
    assert embeddings.attributes["gen_ai.usage.input_tokens"] == 2
    assert embeddings.attributes["gen_ai.embeddings.dimension.count"] == 8


async def test_the_built_in_model_is_traced_like_any_other(offline: Any, ask: Any) -> None:
    with span("test"):
        trace_id = current_trace_id()
        await offline.stream(ask("hello"))
    (chat,) = named(trace_id, "chat offline")
    assert chat.attributes["gen_ai.provider.name"] == "offline"

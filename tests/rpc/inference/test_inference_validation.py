"""Every bound of the contract is enforced, and the error names the field."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct, Value
from parley.inference.v1 import embedding_service_pb2, generation_pb2, inference_service_pb2

SYSTEM = generation_pb2.PROMPT_ROLE_SYSTEM
USER = generation_pb2.PROMPT_ROLE_USER
ASSISTANT = generation_pb2.PROMPT_ROLE_ASSISTANT
TOOL = generation_pb2.PROMPT_ROLE_TOOL


def message(role: Any, text: str = "x", **fields: Any) -> generation_pb2.PromptMessage:
    return generation_pb2.PromptMessage(role=role, text=text, **fields)


def passage(number: int = 1, **fields: Any) -> generation_pb2.Passage:
    values: dict[str, Any] = {"number": number, "text": "x"} | fields
    return generation_pb2.Passage(**values)


def schema(values: dict[str, Any]) -> Struct:
    struct = Struct()
    struct.update(values)
    return struct


CALL = generation_pb2.ToolCall(tool_call_id="c", name="t", arguments_json="{}")
ASK = [message(USER)]

BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"messages": []}, "messages"),
    ({"messages": ASK * 1001}, "messages"),
    ({"messages": [message(generation_pb2.PROMPT_ROLE_UNSPECIFIED)]}, "messages[0].role"),
    ({"messages": [message(99)]}, "messages[0].role"),
    ({"messages": [message(ASSISTANT)]}, "messages[0].role"),
    ({"messages": [message(SYSTEM)]}, "messages[0].role"),
    ({"messages": [message(USER), message(SYSTEM), message(USER)]}, "messages[1].role"),
    ({"messages": [message(USER, "")]}, "messages[0].text"),
    ({"messages": [message(USER, "x" * 1_000_001)]}, "messages[0].text"),
    ({"messages": [message(USER, tool_calls=[CALL])]}, "messages[0].tool_calls"),
    ({"messages": [message(ASSISTANT, tool_calls=[CALL] * 33), *ASK]}, "messages[0].tool_calls"),
    ({"messages": [message(TOOL)]}, "messages[0].tool_call_id"),
    ({"messages": [message(USER, tool_call_id="c")]}, "messages[0].tool_call_id"),
    ({"messages": ASK, "model": "m" * 201}, "model"),
    ({"messages": ASK, "passages": [passage(number) for number in range(1, 52)]}, "passages"),
    ({"messages": ASK, "passages": [passage(0)]}, "passages[0].number"),
    ({"messages": ASK, "passages": [passage(1), passage(3)]}, "passages[1].number"),
    ({"messages": ASK, "passages": [passage(title="t" * 501)]}, "passages[0].title"),
    ({"messages": ASK, "passages": [passage(text="")]}, "passages[0].text"),
    ({"messages": ASK, "passages": [passage(text="x" * 20_001)]}, "passages[0].text"),
    ({"messages": ASK, "passages": [passage(heading="t" * 501)]}, "passages[0].heading"),
    ({"messages": ASK, "tools": [generation_pb2.Tool(name=f"t{n}") for n in range(129)]}, "tools"),
    ({"messages": ASK, "tools": [generation_pb2.Tool(name="")]}, "tools[0].name"),
    ({"messages": ASK, "tools": [generation_pb2.Tool(name="a b")]}, "tools[0].name"),
    ({"messages": ASK, "tools": [generation_pb2.Tool(name="a" * 65)]}, "tools[0].name"),
    ({"messages": ASK, "tools": [generation_pb2.Tool(name="a"), generation_pb2.Tool(name="a")]}, "tools[1].name"),
    ({"messages": ASK, "tools": [generation_pb2.Tool(name="a", description="d" * 4001)]}, "tools[0].description"),
    (
        {"messages": ASK, "tools": [generation_pb2.Tool(name="a", parameters_schema=schema({"type": "array"}))]},
        "tools[0].parameters_schema",
    ),
    (
        {"messages": ASK, "tools": [generation_pb2.Tool(name="a", parameters_schema=schema({"x": [float("nan")]}))]},
        "tools[0].parameters_schema",
    ),
    (
        {"messages": ASK, "tools": [generation_pb2.Tool(name="a", parameters_schema=Struct(fields={"x": Value()}))]},
        "tools[0].parameters_schema",
    ),
    ({"messages": ASK, "sampling": generation_pb2.Sampling(temperature=-0.1)}, "sampling.temperature"),
    ({"messages": ASK, "sampling": generation_pb2.Sampling(temperature=2.1)}, "sampling.temperature"),
    ({"messages": ASK, "sampling": generation_pb2.Sampling(temperature=float("nan"))}, "sampling.temperature"),
    ({"messages": ASK, "sampling": generation_pb2.Sampling(top_p=0)}, "sampling.top_p"),
    ({"messages": ASK, "sampling": generation_pb2.Sampling(top_p=1.1)}, "sampling.top_p"),
    ({"messages": ASK, "sampling": generation_pb2.Sampling(max_output_tokens=0)}, "sampling.max_output_tokens"),
    ({"messages": ASK, "sampling": generation_pb2.Sampling(max_output_tokens=1_000_001)}, "sampling.max_output_tokens"),
    ({"messages": ASK, "sampling": generation_pb2.Sampling(stop_sequences=["x"] * 5)}, "sampling.stop_sequences"),
    ({"messages": ASK, "sampling": generation_pb2.Sampling(stop_sequences=[""])}, "sampling.stop_sequences[0]"),
    ({"messages": ASK, "sampling": generation_pb2.Sampling(stop_sequences=["x" * 101])}, "sampling.stop_sequences[0]"),
]

EDGES: list[dict[str, Any]] = [
    {"messages": ASK * 1000},
    {"messages": [message(SYSTEM), message(SYSTEM), message(USER)]},
    {"messages": [message(USER), message(ASSISTANT, "", tool_calls=[CALL] * 32), message(TOOL, tool_call_id="c")]},
    {"messages": ASK, "model": "offline"},
    {"messages": ASK, "passages": [passage(n, title="t" * 500, heading="h" * 500) for n in range(1, 51)]},
    {"messages": ASK, "passages": [passage(text="x" * 20_000)]},
    {
        "messages": ASK,
        "tools": [generation_pb2.Tool(name="a" * 64, description="d" * 4000), generation_pb2.Tool(name="A_-9")],
    },
    {"messages": ASK, "sampling": generation_pb2.Sampling(temperature=0, top_p=1, max_output_tokens=1)},
    {
        "messages": ASK,
        "sampling": generation_pb2.Sampling(temperature=2, max_output_tokens=1_000_000, stop_sequences=["z" * 100] * 4),
    },
]


@pytest.mark.parametrize(("fields", "field"), BROKEN, ids=[f"{n}-{field}" for n, (_, field) in enumerate(BROKEN)])
async def test_a_broken_bound_names_its_field_in_both_ways_of_generating(
    offline: Any, fields: dict[str, Any], field: str
) -> None:
    failure = await offline.failure(offline.generations.Generate, inference_service_pb2.GenerateRequest(**fields))
    responses, streamed = await offline.stream(inference_service_pb2.StreamGenerateRequest(**fields))
    assert responses == []
    for found in (failure, streamed):
        assert found.code == grpc.StatusCode.INVALID_ARGUMENT
        assert found.reason == "INVALID_FIELD"
        assert found.fields[0] == field
        assert found.metadata["field"] == field


@pytest.mark.parametrize("fields", EDGES, ids=range(len(EDGES)))
async def test_what_is_just_within_the_bounds_is_answered(offline: Any, fields: dict[str, Any]) -> None:
    responses, failure = await offline.stream(inference_service_pb2.StreamGenerateRequest(**fields))
    assert failure is None
    assert responses[-1].WhichOneof("event") == "finished"


async def test_several_broken_bounds_are_named_together(offline: Any) -> None:
    request = inference_service_pb2.GenerateRequest(messages=[message(USER, "")], model="m" * 201)
    failure = await offline.failure(offline.generations.Generate, request)
    assert failure.fields == ("messages[0].text", "model")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "texts"),
        ({"texts": ["x"] * 257}, "texts"),
        ({"texts": ["x", ""]}, "texts[1]"),
        ({"texts": ["x" * 32_001]}, "texts[0]"),
        ({"texts": ["x"], "model": "m" * 201}, "model"),
    ],
)
async def test_a_broken_bound_of_embed_names_its_field(online: Any, fields: dict[str, Any], field: str) -> None:
    failure = await online.failure(online.embeddings.Embed, embedding_service_pb2.EmbedRequest(**fields))
    assert failure.reason == "INVALID_FIELD"
    assert failure.fields[0] == field


async def test_the_most_texts_are_embedded(online: Any) -> None:
    request = embedding_service_pb2.EmbedRequest(texts=["x" * 1000] * 256)
    response = await online.embeddings.Embed(request, metadata=online.metadata())
    assert len(response.embeddings) == 256


async def test_a_prompt_larger_than_a_message_may_be_is_refused(offline: Any) -> None:
    request = inference_service_pb2.GenerateRequest(messages=[message(USER, "x" * 1_000_000)] * 5)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await offline.generations.Generate(request, metadata=offline.metadata())
    assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED

"""OpenAIService: what becomes of a conversation as OpenAI's clients tell it, which bounds it has, and how its answers end."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from parley.inference.v1 import generation_pb2, model_service_pb2
from parley.openai.v1 import openai_service_pb2 as pb
from parley.openai.v1 import openai_service_pb2_grpc
from parley_shared.status import StatusError, status_error_from
from parley_testing.identity import SignedUp
from parley_testing.running_chat import Person, RunningChat
from parley_testing.scripted_inference import ScriptedInference

PICTURE = b"\x89PNG\r\n\x1a\nrest"
PICTURE_URL = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
HELLO = {"role": "user", "content": "Hello."}


@pytest.fixture
def door(running: RunningChat) -> Any:
    return openai_service_pb2_grpc.OpenAIServiceStub(running.channel)


def whole(*messages: dict[str, Any], **parameters: Any) -> pb.CreateChatCompletionRequest:
    return ParseDict({"messages": messages or [HELLO], **parameters}, pb.CreateChatCompletionRequest())


def streamed(*messages: dict[str, Any], **parameters: Any) -> pb.StreamChatCompletionRequest:
    return ParseDict({"messages": messages or [HELLO], **parameters}, pb.StreamChatCompletionRequest())


async def error_of(call: Any) -> StatusError:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call
    return status_error_from(refusal.value)


async def test_a_conversation_reaches_the_model_as_it_was(
    door: Any, inference: ScriptedInference, alice: Person
) -> None:
    request = whole(
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Snow."},
        {"role": "assistant", "content": "It snows."},
        # Cut before its first word.
        {"role": "assistant", "content": ""},
        {"role": "developer", "content": "Be polite."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "And here?"},
                {"type": "image_url", "image_url": {"url": PICTURE_URL, "detail": "low"}},
            ],
        },
        {"role": "assistant", "content": "I look.", "tool_calls": [{**CALL, "id": "call_2"}, {**CALL, "id": "call_3"}]},
        {"role": "tool", "tool_call_id": "call_3", "content": ""},
        {"role": "tool", "tool_call_id": "call_2", "content": "Sun."},
        model="fast",
        temperature=0.5,
        top_p=0.9,
        max_tokens=10,
        max_completion_tokens=20,
        stop="END",
        seed=7,
        n=1,
        tools=[{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}],
        response_format={"type": "json_schema", "json_schema": {"schema": {"type": "object", "minProperties": 1}}},
    )
    asked = asyncio.ensure_future(door.CreateChatCompletion(request, metadata=alice.metadata))
    call = await inference.next_call()
    told = call.request
    roles = [generation_pb2.PromptRole.Name(message.role).removeprefix("PROMPT_ROLE_") for message in told.messages]
    assert roles == ["SYSTEM", "USER", "ASSISTANT", "TOOL", "ASSISTANT", "USER", "ASSISTANT", "TOOL", "TOOL"]
    assert [message.text for message in told.messages] == [
        "Be brief.\n\nBe polite.", "Weather?", "", "Snow.", "It snows.", "And here?", "I look.", "Sun.", '""',
    ]  # fmt: skip
    assert told.messages[2].tool_calls[0].arguments_json == '{"city":"Oslo"}'
    assert [message.tool_call_id for message in told.messages[7:]] == ["call_2", "call_3"]
    assert [(image.media_type, image.data) for image in told.messages[5].images] == [("image/png", PICTURE)]
    assert told.model == "fast"
    sampling = told.sampling
    assert (sampling.temperature, sampling.max_output_tokens, sampling.seed) == (0.5, 20, 7)
    assert sampling.top_p == pytest.approx(0.9)
    assert sampling.stop_sequences == ["END"]
    assert [tool.name for tool in told.tools] == ["weather"]
    assert told.response_schema["minProperties"] == 1

    call.think("Hm.")
    call.say("{}")
    call.use(30, 4, cached=10)
    call.finish(generation_pb2.FINISH_REASON_LENGTH)
    answer = await asked
    (choice,) = answer.choices
    assert (choice.message.content, choice.message.reasoning_content, choice.finish_reason) == ("{}", "Hm.", "length")
    assert (answer.model, answer.object) == ("scripted-1", "chat.completion")
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (30, 4, 34)
    assert usage.prompt_tokens_details.cached_tokens == 10


async def test_no_tool_is_offered_to_a_model_that_may_call_none(
    door: Any, inference: ScriptedInference, alice: Person
) -> None:
    request = whole(tools=[{"function": {"name": "weather"}}], tool_choice="none", stop=["a", "b"])
    asked = asyncio.ensure_future(door.CreateChatCompletion(request, metadata=alice.metadata))
    call = await inference.next_call()
    assert not call.request.tools
    assert call.request.sampling.stop_sequences == ["a", "b"]
    call.say("Hello.")
    call.finish()
    assert (await asked).choices[0].finish_reason == "stop"


BAD: list[tuple[str, pb.CreateChatCompletionRequest]] = [
    ("messages", pb.CreateChatCompletionRequest()),
    ("messages", whole(*[HELLO] * 1_001)),
    ("messages", whole({"role": "system", "content": "Be brief."})),
    ("messages", whole(HELLO, {"role": "assistant", "content": "Go on"})),
    ("messages[0].role", whole({"role": "oracle", "content": "Hello."})),
    ("messages[0].content", whole({"role": "user"})),
    ("messages[0].content", whole({"role": "user", "content": "x" * 1_000_001})),
    ("messages[0].content", whole({"role": "user", "content": 7})),
    ("messages[0].content[0]", whole({"role": "user", "content": ["text"]})),
    ("messages[0].content[0]", whole({"role": "user", "content": [{"type": "input_audio"}]})),
    (
        "messages[0].content[0]",
        whole({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://127.0.0.1/a.png"}}]}),
    ),
    (
        "messages[0].content[0]",
        whole({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,?"}}]}),
    ),
    (
        "messages[0].content[0]",
        whole({"role": "system", "content": [{"type": "image_url", "image_url": {"url": PICTURE_URL}}]}, HELLO),
    ),
    (
        "messages[0].content[8]",
        whole({"role": "user", "content": [{"type": "image_url", "image_url": {"url": PICTURE_URL}}] * 9}),
    ),
    ("messages[0].tool_calls", whole({**HELLO, "tool_calls": [CALL]})),
    ("messages[0].tool_call_id", whole({**HELLO, "tool_call_id": "call_1"})),
    ("messages[1].tool_calls", whole(HELLO, {"role": "assistant", "tool_calls": [CALL]}, HELLO)),
    (
        "messages[1].tool_calls",
        whole(
            HELLO,
            {"role": "assistant", "tool_calls": [CALL, CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "Snow."},
        ),
    ),
    ("messages[1].tool_call_id", whole(HELLO, {"role": "tool", "tool_call_id": "call_1", "content": "Snow."})),
    ("model", whole(model="x" * 201)),
    ("n", whole(n=2)),
    ("temperature", whole(temperature=2.1)),
    ("top_p", whole(top_p=0)),
    ("max_tokens", whole(max_tokens=0)),
    ("max_completion_tokens", whole(max_completion_tokens=1_000_001)),
    ("stop", whole(stop=["a"] * 5)),
    ("stop", whole(stop=[""])),
    ("stop", whole(stop=7)),
    ("tool_choice", whole(tool_choice="required")),
    ("tool_choice", whole(tool_choice={"type": "function", "function": {"name": "weather"}})),
    ("tools", whole(tools=[{"function": {"name": f"tool{number}"}} for number in range(129)])),
    ("tools[0].type", whole(tools=[{"type": "retrieval"}])),
    ("tools[0].function.name", whole(tools=[{"function": {"name": "the weather"}}])),
    ("tools[1].function.name", whole(tools=[{"function": {"name": "weather"}}] * 2)),
    ("tools[0].function.description", whole(tools=[{"function": {"name": "a", "description": "x" * 4_001}}])),
    ("response_format.type", whole(response_format={"type": "xml"})),
    ("response_format.json_schema.schema", whole(response_format={"type": "json_schema"})),
    (
        "response_format.json_schema.schema",
        whole(response_format={"type": "json_schema", "json_schema": {"schema": {"title": "x" * 100_000}}}),
    ),
]


@pytest.mark.parametrize(("field", "request_"), BAD, ids=[f"{number}-{field}" for number, (field, _) in enumerate(BAD)])
async def test_what_is_out_of_its_bounds_is_named(
    chat: RunningChat, ada: SignedUp, field: str, request_: pb.CreateChatCompletionRequest
) -> None:
    stub: Any = openai_service_pb2_grpc.OpenAIServiceStub(chat.channel)
    twin = pb.StreamChatCompletionRequest.FromString(request_.SerializeToString())
    stream = stub.StreamChatCompletion(twin, metadata=ada.metadata)
    for call in (stub.CreateChatCompletion(request_, metadata=ada.metadata), stream.read()):
        error = await error_of(call)
        assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_INVALID_FIELD")
        assert error.violations[0][0] == field


@pytest.mark.parametrize(
    ("field", "parameters"),
    [
        ("input", {}),
        ("input", {"input": []}),
        ("input", {"input": ["a"] * 257}),
        ("input", {"input": [[1, 2], [3]]}),
        ("input[1]", {"input": ["a", "x" * 32_001]}),
        ("encoding_format", {"input": "a", "encoding_format": "hex"}),
        ("dimensions", {"input": "a", "dimensions": 0}),
    ],
)
async def test_what_cannot_be_embedded_is_named(
    chat: RunningChat, ada: SignedUp, field: str, parameters: dict[str, Any]
) -> None:
    stub: Any = openai_service_pb2_grpc.OpenAIServiceStub(chat.channel)
    request = ParseDict(parameters, pb.CreateEmbeddingsRequest())
    error = await error_of(stub.CreateEmbeddings(request, metadata=ada.metadata))
    assert error.violations[0][0] == field


async def test_a_stream_that_was_whole_says_so_last(door: Any, inference: ScriptedInference, alice: Person) -> None:
    stream = door.StreamChatCompletion(streamed(stream_options={"include_usage": True}), metadata=alice.metadata)
    call = await inference.next_call()
    call.say("One ")
    call.switch("other-1")
    call.say("two.")
    call.call_tool("weather", '{"city":"Oslo"}')
    call.use(3, 2)
    call.finish(generation_pb2.FINISH_REASON_TOOL_CALLS)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content for chunk in chunks if chunk.choices) == "One two."
    assert (chunks[0].model, chunks[-1].model) == ("scripted-1", "other-1")
    end, usage, done = chunks[-3:]
    assert end.choices[0].finish_reason == "tool_calls"
    (called,) = chunks[-4].choices[0].delta.tool_calls
    assert (called.index, called.function.name, called.function.arguments) == (0, "weather", '{"city":"Oslo"}')
    assert (usage.usage.total_tokens, len(usage.choices)) == (5, 0)
    assert (done.object, done.done) == ("chat.completion.done", True)
    assert not any(chunk.HasField("done") for chunk in chunks[:-1])


@pytest.mark.parametrize("way", ["fails", "breaks off", "loses the connection"])
async def test_a_stream_that_fails_ends_with_an_error_and_its_status(
    door: Any, inference: ScriptedInference, alice: Person, way: str
) -> None:
    stream = door.StreamChatCompletion(streamed(), metadata=alice.metadata)
    call = await inference.next_call()
    call.say("One ")
    match way:
        case "fails":
            limited = "ERROR_REASON_PROVIDER_RATE_LIMITED"
            call.fail_for(StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, limited, "The provider is busy."))
        case "breaks off":
            call.break_off()
        case _:
            call.fail(grpc.StatusCode.UNAVAILABLE, "10.0.0.1:50052 went away")
    chunks: list[pb.StreamChatCompletionResponse] = []

    async def listen() -> None:
        async for chunk in stream:
            chunks.append(chunk)  # noqa: PERF401 - what came before the error is kept

    error = await error_of(listen())
    last = chunks[-1].error
    assert last.code == error.reason.removeprefix("ERROR_REASON_").lower()
    assert (last.message, last.type) == (error.message, "rate_limit_error" if way == "fails" else "api_error")
    assert "10.0.0.1" not in last.message
    assert not any(chunk.HasField("done") or (chunk.choices and chunk.choices[0].finish_reason) for chunk in chunks)


async def test_what_is_refused_before_it_began_is_a_status_alone(
    door: Any, inference: ScriptedInference, alice: Person
) -> None:
    inference.refusal = StatusError(
        grpc.StatusCode.INVALID_ARGUMENT,
        "ERROR_REASON_INVALID_FIELD",
        "messages[0].text must be shorter.",
        metadata={"field": "messages[0].text"},
        violations=[("messages[0].text", "must be shorter")],
    )
    stream = door.StreamChatCompletion(streamed(), metadata=alice.metadata)
    error = await error_of(stream.read())
    assert error.violations == (("messages", "must be shorter"),)
    assert error.message == "messages must be shorter."


async def test_who_hangs_up_ends_the_generation(door: Any, inference: ScriptedInference, alice: Person) -> None:
    stream = door.StreamChatCompletion(streamed(), metadata=alice.metadata)
    call = await inference.next_call()
    call.say("One ")
    await stream.read()
    stream.cancel()
    async with asyncio.timeout(60):
        await call.cancelled.wait()


async def test_models_are_found_by_their_aliases(door: Any, inference: ScriptedInference, alice: Person) -> None:
    inference.models = [
        model_service_pb2.Model(model="scripted-1", provider="scripted", aliases=["strong", "fast"]),
        model_service_pb2.Model(model="scripted-2", provider="other"),
    ]
    listed = await door.ListOpenAIModels(pb.ListOpenAIModelsRequest(), metadata=alice.metadata)
    assert [(model.id, model.owned_by) for model in listed.data] == [
        ("scripted-1", "scripted"),
        ("fast", "scripted"),
        ("strong", "scripted"),
        ("scripted-2", "other"),
    ]
    model = await door.GetOpenAIModel(pb.GetOpenAIModelRequest(model="fast"), metadata=alice.metadata)
    assert (model.id, model.object, model.owned_by) == ("fast", "model", "scripted")
    error = await error_of(door.GetOpenAIModel(pb.GetOpenAIModelRequest(model="slow"), metadata=alice.metadata))
    assert (error.reason, error.metadata["model"]) == ("ERROR_REASON_MODEL_NOT_FOUND", "slow")

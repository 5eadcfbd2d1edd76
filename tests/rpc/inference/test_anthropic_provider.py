"""Claude models through the whole service: alone, beside another provider, and where one goes on for the other."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf import json_format, struct_pb2
from parley.inference.v1 import generation_pb2, inference_service_pb2, model_service_pb2
from parley_shared.settings import SettingsError
from parley_testing.fake_anthropic import FakeAnthropic, event_of
from parley_testing.fake_openai import FakeOpenAI, FakeToolCall, Reply, numbered_words

WORDS = numbered_words(60)
WHOLE = "".join(WORDS)
KEY = "sk-ant-0123456789"
CUT = Reply(pieces=WORDS, break_off_after=20, tokens_per_second=400)
NO_PATIENCE = {"retry-after": "60"}
"""A refusal that is not tried again by itself, so that tests need not wait."""


@pytest.fixture
async def anthropic() -> AsyncIterator[FakeAnthropic]:
    """The provider."""
    async with FakeAnthropic(Reply(pieces=WORDS), models=("claude-large", "claude-middle")) as running:
        running.lines = {"claude-large": "opus", "claude-middle": "sonnet"}
        running.key = KEY
        yield running


@pytest.fixture
async def alone(serve: Any, anthropic: FakeAnthropic) -> AsyncIterator[Any]:
    """A service with this provider and no model named."""
    async with serve(ANTHROPIC_BASE_URL=anthropic.base_url, ANTHROPIC_API_KEY=KEY) as service:
        yield service


@pytest.fixture
def both(serve: Any, upstream: FakeOpenAI, anthropic: FakeAnthropic) -> Any:
    """Starts a service with two providers: the first model is asked, the second goes on."""

    def start(first: str, second: str) -> Any:
        return serve(
            OPENAI_BASE_URL=upstream.base_url,
            ANTHROPIC_BASE_URL=f"{anthropic.base_url}/v1",
            ANTHROPIC_API_KEY=KEY,
            PARLEY_INFERENCE_MODEL=first,
            PARLEY_INFERENCE_FALLBACK_MODELS=second,
            PARLEY_INFERENCE_FIRST_TOKEN_TIMEOUT_SECONDS="3",
            PARLEY_INFERENCE_IDLE_TIMEOUT_SECONDS="3",
        )

    return start


def kinds(responses: list[Any]) -> list[str]:
    return [response.WhichOneof("event") for response in responses]


def text_of(responses: list[Any]) -> str:
    return "".join(response.text_delta for response in responses)


def prompts(provider: FakeOpenAI) -> list[Any]:
    """What a provider was asked to write, without the questions for its models."""
    return [request.body for request in provider.requests if request.body is not None]


async def test_a_key_is_enough_to_be_answered(alone: Any, anthropic: FakeAnthropic, ask: Any) -> None:
    anthropic.reply = Reply(pieces=WORDS, reasoning=("hm",), cached_input_tokens=3)
    responses, failure = await alone.stream(ask())
    assert failure is None
    assert (responses[0].started.model, responses[0].started.provider) == ("claude-middle", "anthropic")
    assert "".join(response.reasoning_delta for response in responses) == "hm"
    assert text_of(responses) == WHOLE
    assert responses[-2].usage == generation_pb2.TokenUsage(input_tokens=10, output_tokens=61, cached_input_tokens=3)
    assert responses[-1].finished.reason == generation_pb2.FINISH_REASON_STOP
    assert prompts(anthropic)[0]["max_tokens"] == 32_000


async def test_its_models_are_listed_and_may_be_named(alone: Any, anthropic: FakeAnthropic, ask: Any) -> None:
    listed = await alone.models.ListModels(model_service_pb2.ListModelsRequest(), metadata=alone.metadata())
    assert [(one.model, one.provider, list(one.aliases)) for one in listed.models] == [
        ("claude-middle", "anthropic", ["fast", "strong"]),
        ("claude-large", "anthropic", []),
    ]
    for name in ("claude-large", "anthropic/claude-large"):
        responses, _ = await alone.stream(ask(model=name))
        assert responses[0].started.model == "claude-large"
    _, failure = await alone.stream(ask(model="claude-imaginary"))
    assert failure.reason == "MODEL_NOT_FOUND"


async def test_the_operator_names_the_models_and_the_limit(serve: Any, anthropic: FakeAnthropic, ask: Any) -> None:
    async with serve(
        ANTHROPIC_BASE_URL=anthropic.base_url,
        ANTHROPIC_API_KEY=KEY,
        PARLEY_INFERENCE_MODEL="claude-large",
        PARLEY_INFERENCE_FAST_MODEL="claude-small",
        PARLEY_INFERENCE_ANTHROPIC_MAX_TOKENS="77",
    ) as service:
        for name, model in (("", "claude-large"), ("fast", "claude-small"), ("strong", "claude-large")):
            responses, _ = await service.stream(ask(model=name))
            assert responses[0].started.model == model
    assert {body["max_tokens"] for body in prompts(anthropic)} == {77}
    assert {request.path for request in anthropic.requests} == {"/v1/messages"}


async def test_a_tool_is_called_and_its_result_answered(alone: Any, anthropic: FakeAnthropic, ask: Any) -> None:
    called = Reply(pieces=("One moment.",), tool_calls=(FakeToolCall("clock", '{"zone": "Berlin"}', "toolu_1"),))
    # The first is the list of models.
    anthropic.enqueue(Reply(), called)
    schema = json_format.ParseDict({"type": "object", "properties": {"zone": {"type": "string"}}}, struct_pb2.Struct())
    tools = [generation_pb2.Tool(name="clock", description="Tells the time.", parameters_schema=schema)]
    responses, failure = await alone.stream(ask(tools=tools))
    assert failure is None
    (call,) = [one.tool_call for one in responses if one.WhichOneof("event") == "tool_call"]
    assert (call.tool_call_id, call.name, call.arguments_json) == ("toolu_1", "clock", '{"zone": "Berlin"}')
    assert responses[-1].finished.reason == generation_pb2.FINISH_REASON_TOOL_CALLS
    messages = [
        *ask().messages,
        generation_pb2.PromptMessage(role=generation_pb2.PROMPT_ROLE_ASSISTANT, tool_calls=[call]),
        generation_pb2.PromptMessage(
            role=generation_pb2.PROMPT_ROLE_TOOL, text="12:00", tool_call_id=call.tool_call_id
        ),
    ]
    responses, failure = await alone.stream(ask(messages=messages, tools=tools))
    assert failure is None
    assert text_of(responses) == WHOLE


async def test_a_wrong_key_is_one_clear_message_and_the_key_is_in_none(
    serve: Any, anthropic: FakeAnthropic, ask: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "sk-ant-the-wrong-one"
    anthropic.enqueue(Reply(status=401, error={"message": f"{wrong} is no key"}))
    anthropic.key = ""
    async with serve(
        ANTHROPIC_BASE_URL=anthropic.base_url, ANTHROPIC_API_KEY=wrong, PARLEY_INFERENCE_MODEL="claude-large"
    ) as service:
        responses, failure = await service.stream(ask())
    assert responses == []
    assert failure.code == grpc.StatusCode.FAILED_PRECONDITION
    assert failure.reason == "PROVIDER_CREDENTIALS"
    assert failure.message == (
        "The model provider anthropic refused the credentials that Parley is configured with. The operator has to set others."
    )
    assert len(anthropic.requests) == 1
    assert wrong not in caplog.text


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "PROVIDER_REJECTED"),
        (402, "PROVIDER_QUOTA"),
        (403, "PROVIDER_CREDENTIALS"),
        (404, "MODEL_NOT_FOUND"),
        (408, "PROVIDER_UNAVAILABLE"),
        (413, "PROVIDER_REJECTED"),
        (429, "PROVIDER_RATE_LIMITED"),
        (500, "PROVIDER_UNAVAILABLE"),
        (529, "PROVIDER_UNAVAILABLE"),
    ],
)
async def test_a_refusal_has_the_reason_that_it_means(
    serve: Any, anthropic: FakeAnthropic, ask: Any, status: int, reason: str
) -> None:
    anthropic.reply = Reply(status=status, headers=NO_PATIENCE, error={"message": "because"})
    async with serve(
        ANTHROPIC_BASE_URL=anthropic.base_url, ANTHROPIC_API_KEY=KEY, PARLEY_INFERENCE_MODEL="claude-large"
    ) as service:
        _, failure = await service.stream(ask())
    assert failure.reason == reason
    if reason in {"PROVIDER_RATE_LIMITED", "PROVIDER_UNAVAILABLE"}:
        assert failure.retry_after_seconds == 60


OVERLOADED = Reply(
    body=[
        event_of({"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}})
        + event_of(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": "".join(WORDS[:20])},
            }
        )
        + event_of({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    ]
)


@pytest.mark.parametrize("takes_prefill", [True, False])
async def test_claude_goes_on_where_another_provider_broke_off(
    both: Any, upstream: FakeOpenAI, anthropic: FakeAnthropic, ask: Any, takes_prefill: bool
) -> None:
    upstream.reply = CUT
    anthropic.takes_prefill = takes_prefill
    async with both("openai/fake-model", "anthropic/claude-large") as service:
        responses, failure = await service.stream(ask())
    assert failure is None
    assert text_of(responses) == WHOLE
    (switch,) = [one.provider_switched for one in responses if one.WhichOneof("event") == "provider_switched"]
    assert (switch.from_provider, switch.to_provider, switch.to_model) == ("openai", "anthropic", "claude-large")
    # The end of the text so far is a space, which the API refuses there.
    begun = prompts(anthropic)[0]["messages"][-1]
    assert begun == {"role": "assistant", "content": [{"type": "text", "text": "".join(WORDS[:20]).rstrip()}]}
    assert len(prompts(anthropic)) == (1 if takes_prefill else 2)


@pytest.mark.parametrize("reply", [CUT, OVERLOADED, Reply(pieces=WORDS, stall_after=20)])
async def test_another_provider_goes_on_where_claude_broke_off_and_both_are_on_the_bill(
    both: Any, upstream: FakeOpenAI, anthropic: FakeAnthropic, ask: Any, reply: Reply
) -> None:
    anthropic.reply = reply
    upstream.reply = Reply(pieces=WORDS)
    async with both("anthropic/claude-large", "openai/fake-model") as service:
        responses, failure = await service.stream(ask())
    assert failure is None
    assert text_of(responses) == WHOLE
    place = kinds(responses).index("provider_switched")
    written = -(-len("".join(WORDS[:20])) // 4)
    assert responses[place - 1].usage == generation_pb2.TokenUsage(
        input_tokens=7, output_tokens=written, estimated=True
    )
    assert responses[-2].usage == generation_pb2.TokenUsage(input_tokens=14, output_tokens=written + 60, estimated=True)


@pytest.mark.parametrize(
    "reply", [Reply(headers_seconds=600), Reply(pieces=WORDS, stall_after=0), Reply(pieces=WORDS, stall_after=3)]
)
async def test_cancelling_closes_the_connection_whatever_it_waits_for(
    serve: Any, anthropic: FakeAnthropic, ask: Any, reply: Reply
) -> None:
    anthropic.reply = reply
    async with serve(
        ANTHROPIC_BASE_URL=anthropic.base_url,
        ANTHROPIC_API_KEY=KEY,
        PARLEY_INFERENCE_MODEL="claude-large",
        PARLEY_INFERENCE_FIRST_TOKEN_TIMEOUT_SECONDS="600",
        PARLEY_INFERENCE_IDLE_TIMEOUT_SECONDS="600",
    ) as service:
        call = service.generations.StreamGenerate(ask(), metadata=service.metadata())
        await anthropic.wait_for(lambda: len(anthropic.requests) == 1, "the request")
        if reply.stall_after is not None:
            assert (await call.read()).HasField("started")
        call.cancel()
        await anthropic.wait_for(lambda: anthropic.connections_open == 0, "the connection to close")
    assert anthropic.streams_cut == 1


async def test_a_stream_of_pings_alone_is_a_stall(serve: Any, anthropic: FakeAnthropic, ask: Any) -> None:
    anthropic.reply = Reply(body=(event_of({"type": "ping"}),) * 50_000)
    async with serve(
        ANTHROPIC_BASE_URL=anthropic.base_url,
        ANTHROPIC_API_KEY=KEY,
        PARLEY_INFERENCE_MODEL="claude-large",
        PARLEY_INFERENCE_FIRST_TOKEN_TIMEOUT_SECONDS="0.5",
    ) as service:
        _, failure = await service.stream(ask())
    assert failure.reason == "PROVIDER_STALLED"


async def test_an_answer_that_is_asked_for_whole(alone: Any, ask: Any) -> None:
    request = inference_service_pb2.GenerateRequest(messages=ask().messages)
    response = await alone.generations.Generate(request, metadata=alone.metadata())
    assert (response.text, response.model, response.provider) == (WHOLE, "claude-middle", "anthropic")


async def test_it_is_not_asked_to_embed(serve: Any, upstream: FakeOpenAI) -> None:
    for model in ("any", "anthropic/any"):
        with pytest.raises(SettingsError, match="PARLEY_INFERENCE_EMBEDDING_MODEL"):
            async with serve(ANTHROPIC_API_KEY=KEY, PARLEY_INFERENCE_EMBEDDING_MODEL=model):
                pass
    # Named without a provider it is the other's, wherever that stands in the order.
    async with serve(
        ANTHROPIC_API_KEY=KEY, OLLAMA_HOST=upstream.base_url, PARLEY_INFERENCE_EMBEDDING_MODEL="embed-model"
    ):
        pass


async def test_its_package_is_imported_only_when_it_is_configured() -> None:
    script = (
        "import sys; from parley_inference.__main__ import main; import parley_inference.bootstrap; "
        "print([name for name in ('anthropic', 'openai', 'httpx2') if name in sys.modules])"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert out.decode().strip() == "[]", err.decode()

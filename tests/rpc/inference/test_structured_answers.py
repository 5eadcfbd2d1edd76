"""Answers that have to satisfy a JSON Schema: told to the provider, held back, checked, repaired once, and refused."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
from google.protobuf import json_format, struct_pb2
from parley.inference.v1 import generation_pb2, inference_service_pb2
from parley_testing.fake_openai import FakeOpenAI, FakeToolCall, Reply

TASK = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "due": {"type": "string", "format": "date"}},
    "required": ["title", "due"],
    "additionalProperties": False,
}
GOOD = '{"title": "Water the plants", "due": "2026-03-01"}'
BAD = '{"title": "Water the plants", "due": "on a secret day"}'


def struct(schema: dict[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(schema, struct_pb2.Struct())


def pieces(text: str) -> Reply:
    """A reply of so much text in pieces of seven characters."""
    return Reply(pieces=tuple(text[start : start + 7] for start in range(0, len(text), 7)))


def kinds(responses: list[Any]) -> list[str]:
    return [response.WhichOneof("event") for response in responses]


def text_of(responses: list[Any]) -> str:
    return "".join(response.text_delta for response in responses)


def schema_sent(name: str, body: dict[str, Any]) -> Any:
    """The schema that a provider was told natively; None when it was told none."""
    if name == "openai":
        return body.get("response_format", {}).get("json_schema", {}).get("schema")
    return body.get("output_config", {}).get("format", {}).get("schema")


def words_sent(name: str, body: dict[str, Any]) -> str:
    """The system text that a provider was told."""
    if name == "anthropic":
        return str(body.get("system", ""))
    return "".join(one["content"] for one in body["messages"] if one["role"] == "system")


async def test_an_answer_that_satisfies_the_schema_is_sent_whole_after_it_was_checked(either: Any, ask: Any) -> None:
    either.fake.reply = pieces(GOOD)
    responses, failure = await either.service.stream(ask(response_schema=struct(TASK)))
    assert failure is None
    assert text_of(responses) == GOOD
    assert kinds(responses) == ["started", "usage", "text_delta", "finished"]
    assert responses[-1].finished.reason == generation_pb2.FINISH_REASON_STOP
    assert [attempt.reason for attempt in responses[-1].finished.attempts] == [""]
    (body,) = either.asked
    assert schema_sent(either.name, body) == TASK
    if either.name == "openai":
        # A server of this kind may pass over what it does not know: it is told in words, too.
        assert json.dumps(TASK["required"], separators=(",", ":")) in words_sent(either.name, body)
        assert body["response_format"]["json_schema"]["strict"] is True


async def test_the_fence_around_a_document_is_taken_off(either: Any, ask: Any) -> None:
    for text in (f"```json\n{GOOD}\n```", f"Here you are:\n\n```\n{GOOD}\n```\n", f"\n{GOOD}\n"):
        either.fake.reply = pieces(text)
        responses, failure = await either.service.stream(ask(response_schema=struct(TASK)))
        assert failure is None
        assert text_of(responses) == GOOD


async def test_an_answer_that_does_not_fit_is_repaired_once_and_both_are_on_the_bill(either: Any, ask: Any) -> None:
    either.fake.enqueue(pieces(BAD), pieces(GOOD))
    responses, failure = await either.service.stream(ask("When?", response_schema=struct(TASK)))
    assert failure is None
    assert text_of(responses) == GOOD
    assert kinds(responses).count("started") == 1
    first, second = responses[-1].finished.attempts
    assert (first.reason, second.reason) == ("ERROR_REASON_RESPONSE_SCHEMA_UNMET", "")
    bill = [one.usage for one in responses if one.WhichOneof("event") == "usage"][-1]
    assert bill.output_tokens == first.usage.output_tokens + second.usage.output_tokens
    assert bill.input_tokens == 14
    # The model is shown what it wrote, and told where it does not fit and why.
    repair = either.asked[1]["messages"]
    assert [one["role"] for one in repair if one["role"] != "system"] == ["user", "assistant", "user"]
    assert BAD in str(repair[-2]["content"])
    assert "$.due" in str(repair[-1]["content"])
    assert "date" in str(repair[-1]["content"])


async def test_an_answer_that_does_not_fit_after_its_repair_is_an_error_that_holds_none_of_it(
    either: Any, ask: Any
) -> None:
    either.fake.reply = pieces(BAD)
    responses, failure = await either.service.stream(ask(response_schema=struct(TASK)))
    assert failure.code == grpc.StatusCode.ABORTED
    assert failure.reason == "RESPONSE_SCHEMA_UNMET"
    assert failure.metadata["path"] == "$.due"
    assert "secret" not in str(failure)
    assert text_of(responses) == ""
    assert kinds(responses)[-1] == "usage"
    assert responses[-1].usage.input_tokens == 14
    assert len(either.asked) == 2


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("I would rather not.", "$"),
        ("", "$"),
        ('{"title": "x"}', "$.due"),
        ('{"title": "x", "due": "2026-01-01", "a secret name": 1}', "$"),
        ('{"title": NaN, "due": "2026-01-01"}', "$"),
        ("[" * 2_000, "$"),
    ],
)
async def test_what_is_no_document_or_another_one_is_told_by_its_place(
    online: Any, upstream: FakeOpenAI, ask: Any, text: str, path: str
) -> None:
    upstream.reply = pieces(text)
    _, failure = await online.stream(ask(response_schema=struct(TASK)))
    assert failure.reason == "RESPONSE_SCHEMA_UNMET"
    assert failure.metadata["path"] == path


async def test_the_whole_answer_is_checked_too(either: Any, ask: Any) -> None:
    either.fake.enqueue(pieces(BAD), pieces(GOOD))
    request = inference_service_pb2.GenerateRequest(messages=ask().messages, response_schema=struct(TASK))
    response = await either.service.generations.Generate(request, metadata=either.service.metadata())
    assert response.text == GOOD
    assert len(response.attempts) == 2


async def test_a_provider_that_takes_no_schemas_is_told_in_words_and_that_is_remembered(either: Any, ask: Any) -> None:
    either.fake.takes_schemas = False
    either.fake.reply = pieces(GOOD)
    for _ in range(2):
        responses, failure = await either.service.stream(ask(response_schema=struct(TASK)))
        assert failure is None
        assert text_of(responses) == GOOD
    assert [schema_sent(either.name, body) is not None for body in either.asked] == [True, False, False]
    assert '"format":"date"' in words_sent(either.name, either.asked[-1])


async def test_a_schema_that_a_provider_does_not_take_is_told_in_words_and_the_next_one_is_not(
    either: Any, ask: Any
) -> None:
    # Anthropic refuses bounds; OpenAI is not told that this one is to be kept to strictly, and takes it.
    bounded = {**TASK, "properties": {**TASK["properties"], "title": {"type": "string", "maxLength": 90}}}  # type: ignore[dict-item]  # plain JSON
    either.fake.reply = pieces(GOOD)
    for schema in (bounded, TASK):
        _, failure = await either.service.stream(ask(response_schema=struct(schema)))
        assert failure is None
    sent = [schema_sent(either.name, body) for body in either.asked]
    assert sent == ([bounded, TASK] if either.name == "openai" else [bounded, None, TASK])


async def test_an_open_object_is_not_strict_and_is_told_to_claude_in_words(either: Any, ask: Any) -> None:
    either.fake.reply = pieces('{"any": 1}')
    responses, failure = await either.service.stream(ask(response_schema=struct({"type": "object"})))
    assert failure is None
    assert text_of(responses) == '{"any": 1}'
    (body,) = either.asked
    if either.name == "openai":
        assert body["response_format"]["json_schema"]["strict"] is False
    else:
        assert "output_config" not in body
        assert '{"type":"object"}' in words_sent(either.name, body)


async def test_reasoning_comes_while_the_text_is_held_back(either: Any, ask: Any) -> None:
    either.fake.reply = Reply(pieces=(GOOD,), reasoning=("hm ", "well"))
    responses, _ = await either.service.stream(ask(response_schema=struct(TASK)))
    assert "".join(one.reasoning_delta for one in responses) == "hm well"
    assert kinds(responses).index("reasoning_delta") < kinds(responses).index("usage")
    assert text_of(responses) == GOOD


async def test_an_answer_that_calls_tools_is_no_document_yet(either: Any, ask: Any) -> None:
    either.fake.reply = Reply(pieces=("One moment. ",), tool_calls=(FakeToolCall("clock"),))
    request = ask(response_schema=struct(TASK), tools=[generation_pb2.Tool(name="clock")])
    responses, failure = await either.service.stream(request)
    assert failure is None
    assert responses[-1].finished.reason == generation_pb2.FINISH_REASON_TOOL_CALLS
    assert [one.tool_call.name for one in responses if one.HasField("tool_call")] == ["clock"]
    assert text_of(responses) == ""
    assert len(either.asked) == 1


async def test_an_answer_that_the_filter_ended_is_not_repaired(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(pieces=("I must not",), finish_reason="content_filter")
    responses, failure = await online.stream(ask(response_schema=struct(TASK)))
    assert failure is None
    assert responses[-1].finished.reason == generation_pb2.FINISH_REASON_CONTENT_FILTER
    assert text_of(responses) == ""
    assert len(upstream.requests) == 1


async def test_an_answer_that_met_its_limit_is_asked_for_again_and_shorter(
    online: Any, upstream: FakeOpenAI, ask: Any
) -> None:
    upstream.enqueue(Reply(pieces=(GOOD[:20],), finish_reason="length"), pieces(GOOD))
    responses, failure = await online.stream(ask(response_schema=struct(TASK)))
    assert failure is None
    assert text_of(responses) == GOOD
    assert "shorter" in upstream.requests[1].body["messages"][-1]["content"]


async def test_the_next_model_begins_anew_because_nothing_was_sent(serve: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(pieces=(GOOD[:10], GOOD[10:20], GOOD[20:]), break_off_after=2, tokens_per_second=400)
    async with (
        FakeOpenAI(pieces(GOOD), models=("small",)) as second,
        serve(
            OPENAI_BASE_URL=upstream.base_url,
            OLLAMA_HOST=second.base_url,
            PARLEY_INFERENCE_MODEL="openai/fake-model",
            PARLEY_INFERENCE_FALLBACK_MODELS="ollama/small",
        ) as service,
    ):
        responses, failure = await service.stream(ask(response_schema=struct(TASK)))
        assert failure is None
        assert text_of(responses) == GOOD
        assert [attempt.provider for attempt in responses[-1].finished.attempts] == ["openai", "ollama"]
        (body,) = [one.body for one in second.requests if one.body]
        assert body["messages"][-1]["role"] == "user"


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "text"}, "$.type"),
        ({"properties": {"a": {"minimum": "1"}}}, "$.properties.a.minimum"),
        ({"$ref": "https://example.com/task.json"}, "references to other documents are not followed"),
        ({"$ref": "task.json"}, "references to other documents are not followed"),
        ({"$ref": "#/$defs/task"}, "leads to nothing"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "draft 2020-12"),
        ({"pattern": "("}, "regex"),
        ({"enum": ["x" * 100_001]}, "at most 100000 bytes"),
    ],
)
async def test_a_schema_that_is_none_is_refused_before_anybody_is_asked(
    online: Any, upstream: FakeOpenAI, ask: Any, schema: dict[str, Any], words: str
) -> None:
    responses, failure = await online.stream(ask(response_schema=struct(schema)))
    assert responses == []
    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert failure.fields == ("response_schema",)
    assert words in failure.message
    assert upstream.requests == []


async def test_the_schema_of_a_tool_is_checked_too(online: Any, ask: Any) -> None:
    good = generation_pb2.Tool(name="good", parameters_schema=struct(TASK))
    bad = generation_pb2.Tool(name="bad", parameters_schema=struct({"properties": {"a": {"type": "text"}}}))
    _, failure = await online.stream(ask(tools=[good, bad]))
    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT
    assert failure.fields == ("tools[1].parameters_schema",)


async def test_a_schema_goes_with_no_beginning_of_an_answer(online: Any, ask: Any) -> None:
    _, failure = await online.stream(ask(response_schema=struct(TASK), answer_so_far="{"))
    assert failure.fields == ("response_schema",)


async def test_a_document_that_takes_for_ever_to_check_ends_with_an_error_and_hinders_nobody(
    online: Any, upstream: FakeOpenAI, ask: Any
) -> None:
    # Each part is checked twice for the one before it: 2 to the power of 40 times in all.
    parts: dict[str, Any] = {"p0": {"type": "integer"}}
    for number in range(1, 40):
        before = {"$ref": f"#/$defs/p{number - 1}"}
        parts[f"p{number}"] = {"anyOf": [{"allOf": [before, {"type": "null"}]}, before]}
    upstream.reply = pieces('"x"')
    _, failure = await online.stream(ask(response_schema=struct({"$ref": "#/$defs/p39", "$defs": parts})))
    assert failure.reason == "RESPONSE_SCHEMA_UNMET"
    upstream.reply = pieces(GOOD)
    responses, failure = await online.stream(ask(response_schema=struct(TASK)))
    assert failure is None
    assert text_of(responses) == GOOD


async def test_the_built_in_model_fills_a_schema_with_what_is_said(offline: Any, ask: Any) -> None:
    responses, failure = await offline.stream(
        ask('Add "Water the plants" for 2026-03-01', response_schema=struct(TASK))
    )
    assert failure is None
    assert json.loads(text_of(responses)) == json.loads(GOOD)
    assert responses[-1].finished.attempts[0].cost_usd_micros == 0


async def test_the_built_in_model_makes_nothing_up(offline: Any, ask: Any) -> None:
    responses, failure = await offline.stream(ask('Add "Water the plants"', response_schema=struct(TASK)))
    assert responses == []
    assert failure.code == grpc.StatusCode.FAILED_PRECONDITION
    assert failure.reason == "MODEL_NOT_CAPABLE"


async def test_the_built_in_model_is_not_asked_to_repair_what_it_would_write_again(offline: Any, ask: Any) -> None:
    short = {**TASK, "properties": {"title": {"type": "string", "maxLength": 3}, "due": {"type": "string"}}}
    _, failure = await offline.stream(ask('title="Water" due=today', response_schema=struct(short)))
    assert failure.reason == "RESPONSE_SCHEMA_UNMET"
    assert failure.metadata["path"] == "$.title"

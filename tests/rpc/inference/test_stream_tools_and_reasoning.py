"""Tool calls that come in fragments, several in one answer, and reasoning: the same from both providers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2
from parley.inference.v1 import generation_pb2
from parley_testing.fake_openai import FakeOpenAI, FakeToolCall, Reply

ARGUMENTS = [json.dumps({"city": city, "days": list(range(40))}) for city in ("Berlin", "Zürich", "São Paulo")]
CALLS = tuple(FakeToolCall("weather", arguments, f"call_{number}") for number, arguments in enumerate(ARGUMENTS))
SCHEMA = json_format.ParseDict(
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}, struct_pb2.Struct()
)
TOOLS = [generation_pb2.Tool(name="weather", description="Tells the weather.", parameters_schema=SCHEMA)]


def kinds(responses: list[Any]) -> list[str]:
    return [response.WhichOneof("event") for response in responses]


def calls_of(responses: list[Any]) -> list[Any]:
    return [one.tool_call for one in responses if one.WhichOneof("event") == "tool_call"]


async def test_several_calls_of_one_answer_come_whole_and_in_their_order(either: Any, ask: Any) -> None:
    either.fake.reply = Reply(pieces=("Let me look. ",), tool_calls=CALLS)
    responses, failure = await either.service.stream(ask(tools=TOOLS))
    assert failure is None
    assert [(call.tool_call_id, call.name, call.arguments_json) for call in calls_of(responses)] == [
        (call.call_id, call.name, call.arguments) for call in CALLS
    ]
    assert kinds(responses)[-2:] == ["usage", "finished"]
    assert responses[-1].finished.reason == generation_pb2.FINISH_REASON_TOOL_CALLS


def chunk(*fragments: dict[str, Any]) -> bytes:
    body = {"choices": [{"index": 0, "delta": {"tool_calls": list(fragments)}}]}
    return f"data: {json.dumps(body)}\n\n".encode()


def fragment(index: int, arguments: str, **head: str) -> dict[str, Any]:
    name = {"name": head["name"]} if "name" in head else {}
    return {
        "index": index,
        **({"id": head["id"]} if "id" in head else {}),
        "function": {**name, "arguments": arguments},
    }


async def test_fragments_of_several_calls_may_come_interleaved(online: Any, upstream: FakeOpenAI, ask: Any) -> None:
    upstream.reply = Reply(
        body=[
            chunk(fragment(0, "", id="a", name="weather"), fragment(1, "", id="b", name="weather")),
            chunk(fragment(1, '{"city"')),
            chunk(fragment(0, '{"city": "Ber'), fragment(1, ': "Paris"}')),
            chunk(fragment(0, 'lin"}')),
            b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}\n\ndata: [DONE]\n\n',
        ]
    )
    responses, _ = await online.stream(ask(tools=TOOLS))
    assert [(call.tool_call_id, json.loads(call.arguments_json)["city"]) for call in calls_of(responses)] == [
        ("a", "Berlin"),
        ("b", "Paris"),
    ]


async def test_the_results_of_several_calls_go_back_each_to_its_call(either: Any, ask: Any) -> None:
    called = generation_pb2.PromptMessage(
        role=generation_pb2.PROMPT_ROLE_ASSISTANT,
        tool_calls=[
            generation_pb2.ToolCall(tool_call_id=call.call_id, name=call.name, arguments_json=call.arguments)
            for call in CALLS
        ],
    )
    results = [
        generation_pb2.PromptMessage(
            role=generation_pb2.PROMPT_ROLE_TOOL, text=f"{number} degrees", tool_call_id=call.call_id
        )
        for number, call in enumerate(CALLS)
    ]
    _, failure = await either.service.stream(ask(messages=[*ask().messages, called, *results], tools=TOOLS))
    assert failure is None
    sent = either.asked[0]["messages"][1:]
    if either.name == "openai":
        given = [call["function"]["arguments"] for call in sent[0]["tool_calls"]]
        answered = [(one["tool_call_id"], one["content"]) for one in sent[1:]]
    else:
        given = [json.dumps(block["input"], ensure_ascii=True) for block in sent[0]["content"]]
        answered = [(one["tool_use_id"], one["content"][0]["text"]) for one in sent[1]["content"]]
    assert [json.loads(one) for one in given] == [json.loads(one) for one in ARGUMENTS]
    assert answered == [(call.call_id, f"{number} degrees") for number, call in enumerate(CALLS)]


async def test_reasoning_comes_before_the_text_and_is_no_part_of_it(either: Any, ask: Any) -> None:
    either.fake.reply = Reply(pieces=("Yes", "."), reasoning=("Let me ", "think."), reasoning_tokens=2)
    responses, _ = await either.service.stream(ask())
    assert "".join(one.reasoning_delta for one in responses) == "Let me think."
    assert "".join(one.text_delta for one in responses) == "Yes."
    told = kinds(responses)
    last_thought = max(place for place, kind in enumerate(told) if kind == "reasoning_delta")
    assert last_thought < told.index("text_delta")
    assert responses[-2].usage.reasoning_tokens == 2


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_compatible_servers_may_call_reasoning_as_they_like(
    online: Any, upstream: FakeOpenAI, ask: Any, field: str
) -> None:
    upstream.reply = Reply(pieces=("Yes.",), reasoning=("hm",), reasoning_field=field)
    responses, _ = await online.stream(ask())
    assert "".join(one.reasoning_delta for one in responses) == "hm"


async def test_reasoning_before_a_tool_call_is_shown_and_not_sent_back(either: Any, ask: Any) -> None:
    either.fake.reply = Reply(pieces=(), reasoning=("I need the weather.",), tool_calls=CALLS[:1])
    responses, failure = await either.service.stream(ask(tools=TOOLS))
    assert failure is None
    assert [kind for kind in kinds(responses) if kind != "usage"] == [
        "started",
        "reasoning_delta",
        "tool_call",
        "finished",
    ]

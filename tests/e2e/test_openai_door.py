"""OpenAI's own clients, as they are published, against Parley's edge: answers, tools, schemas, vectors, responses, their errors."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionChunk
from parley_testing.fake_openai import FakeOpenAI, FakeToolCall, Reply, vector_of
from parley_testing.mesh import Mesh, SignedUp
from parley_testing.tools import ROOT, require_tool

MODEL, EMBEDDER = "fake-model", "fake-embedder"
QUESTION: list[Any] = [{"role": "user", "content": "Say hello."}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
async def upstream() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI(Reply(pieces=("Hello ", "there."), input_tokens=70, cached_input_tokens=20)) as running:
        yield running


@pytest.fixture(scope="module")
async def door(upstream: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """One Parley whose provider is the fake."""
    environment = {
        "OPENAI_BASE_URL": upstream.base_url,
        "OPENAI_API_KEY": "sk-test",
        "PARLEY_INFERENCE_MODEL": MODEL,
        "PARLEY_INFERENCE_EMBEDDING_MODEL": EMBEDDER,
    }
    mesh = await asyncio.to_thread(Mesh.start, tmp_path_factory.mktemp("door") / "home", environment)
    try:
        yield mesh
    finally:
        await asyncio.to_thread(mesh.stop)


@pytest.fixture(scope="module")
async def user(door: Mesh) -> SignedUp:
    return await asyncio.to_thread(door.sign_up)


@pytest.fixture
async def client(door: Mesh, user: SignedUp) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=f"{door.base_url}/openai/v1", api_key=user.token, max_retries=0, timeout=60
    ) as opened:
        yield opened


async def stream(client: openai.AsyncOpenAI, **parameters: Any) -> list[ChatCompletionChunk]:
    asked = {"model": MODEL, "messages": QUESTION, **parameters}
    return [chunk async for chunk in await client.chat.completions.create(**asked, stream=True)]


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


async def test_an_answer_comes_whole(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="fast", messages=QUESTION)
    assert (answer.object, answer.model) == ("chat.completion", MODEL)
    assert answer.id.startswith("chatcmpl-")
    assert isinstance(answer.created, int)
    (choice,) = answer.choices
    assert (choice.index, choice.finish_reason) == (0, "stop")
    assert (choice.message.role, choice.message.content) == ("assistant", "Hello there.")
    assert not choice.message.tool_calls
    usage = answer.usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.total_tokens) == (70, 70 + usage.completion_tokens)
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 20


async def test_an_answer_comes_in_chunks_and_its_usage_when_asked_for(client: openai.AsyncOpenAI) -> None:
    chunks = await stream(client)
    assert text_of(chunks) == "Hello there."
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert {chunk.choices[0].index for chunk in chunks} == {0}
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks)

    *before, last = await stream(client, stream_options={"include_usage": True})
    assert all(chunk.usage is None for chunk in before)
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.prompt_tokens == 70


async def test_a_stream_that_is_whole_ends_with_done_and_holds_it_once(door: Mesh, user: SignedUp) -> None:
    def body(message: str) -> list[str]:
        asked = {"model": MODEL, "messages": [{"role": "user", "content": message}], "stream": True}
        headers = {"authorization": user.authorization}
        status, received, answer = door.exchange("POST", "/openai/v1/chat/completions", asked, headers=headers)
        assert (status, received["content-type"]) == (200, "text/event-stream")
        return answer.decode().removesuffix("\n\n").split("\n\n")

    *chunks, last = await asyncio.to_thread(body, "Say hello.")
    assert last == "data: [DONE]"
    told = [json.loads(chunk.removeprefix("data: ")) for chunk in chunks]
    assert {chunk["object"] for chunk in told} == {"chat.completion.chunk"}
    assert told[-1]["choices"][0]["finish_reason"] == "stop"
    assert all("error" not in chunk and "usage" not in chunk for chunk in told)


async def test_a_text_that_looks_like_the_end_is_none(client: openai.AsyncOpenAI, upstream: FakeOpenAI) -> None:
    words = '{"object":"chat.completion.done","done":true}\n\ndata: [DONE]\n\n'
    upstream.enqueue(Reply(pieces=(words, "and on.")))
    assert text_of(await stream(client)) == f"{words}and on."


@pytest.mark.parametrize("streamed", [False, True])
async def test_errors_are_the_clients_own(client: openai.AsyncOpenAI, streamed: bool) -> None:
    async def ask(by: openai.AsyncOpenAI = client, **parameters: Any) -> openai.APIStatusError:
        asked = {"model": MODEL, "messages": QUESTION, "stream": streamed, **parameters}
        with pytest.raises(openai.APIStatusError) as raised:
            await by.chat.completions.create(**asked)
        return raised.value

    unknown = await ask(model="gpt-9")
    assert isinstance(unknown, openai.NotFoundError)
    assert (unknown.code, unknown.type) == ("model_not_found", "invalid_request_error")
    assert "gpt-9" in unknown.message
    stranger = await ask(client.with_options(api_key="sk-of-somebody-else"))
    assert isinstance(stranger, openai.AuthenticationError)
    assert stranger.code == "token_invalid"
    hot = await ask(temperature=7)
    assert isinstance(hot, openai.BadRequestError)
    assert (hot.param, hot.code) == ("temperature", "invalid_field")
    # The last one's body is longer than what the edge compresses from.
    for parameters in (
        {"n": 2},
        {"logprobs": True},
        {"tool_choice": "required"},
        {"messages": [{"role": 'a "quote" \\', "content": ""}] * 40},
    ):
        refused = await ask(**parameters)
        assert isinstance(refused, openai.BadRequestError)
        assert refused.param == (next(iter(parameters)) if "messages" not in parameters else "messages[0].role")
        assert isinstance(refused.body, dict)
        assert refused.body.keys() == {"message", "type", "param", "code"}
    too_long = await ask(messages=[{"role": "user", "content": "x" * 1_000_001}])
    assert isinstance(too_long, openai.BadRequestError)
    assert too_long.param == "messages[0].content"


async def test_who_has_too_much_written_at_once_is_told_to_slow_down(
    door: Mesh, client: openai.AsyncOpenAI, upstream: FakeOpenAI
) -> None:
    busy = client.with_options(api_key=(await asyncio.to_thread(door.sign_up)).token)
    upstream.enqueue(*[Reply(stall_after=1)] * 8)
    running = [await busy.chat.completions.create(model=MODEL, messages=QUESTION, stream=True) for _ in range(8)]
    with pytest.raises(openai.RateLimitError) as raised:
        await busy.chat.completions.create(model=MODEL, messages=QUESTION)
    assert (raised.value.type, raised.value.code) == ("rate_limit_error", "too_many_turns")
    assert raised.value.response.headers["retry-after"] == "1"
    for answer in running:
        await answer.close()
    await upstream.wait_for(lambda: upstream.streams_open == 0, "the provider's connections to be closed")


async def test_a_stream_that_breaks_off_raises(client: openai.AsyncOpenAI, upstream: FakeOpenAI) -> None:
    upstream.enqueue(Reply(pieces=("One ", "two ", "three."), break_off_after=2))
    heard: list[ChatCompletionChunk] = []

    async def listen() -> None:
        async for chunk in await client.chat.completions.create(model=MODEL, messages=QUESTION, stream=True):
            heard.append(chunk)  # noqa: PERF401 - what came before the error is kept

    with pytest.raises(openai.APIError) as raised:
        await listen()
    assert text_of(heard) == "One two "
    assert (raised.value.code, raised.value.type) == ("provider_unavailable", "api_error")


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools_are_called_and_their_results_read(
    client: openai.AsyncOpenAI, upstream: FakeOpenAI, streamed: bool
) -> None:
    calls = (
        FakeToolCall("weather", '{"city":"Lisbon"}', "call_a"),
        FakeToolCall("weather", '{"city":"Oslo"}', "call_b"),
    )
    upstream.enqueue(Reply(pieces=("Let me look.",), tool_calls=calls))
    if streamed:
        async with client.chat.completions.stream(model=MODEL, messages=QUESTION, tools=[WEATHER]) as events:
            answer: Any = await events.get_final_completion()
    else:
        answer = await client.chat.completions.create(model=MODEL, messages=QUESTION, tools=[WEATHER])
    assert upstream.requests[-1].body["tools"][0]["function"]["name"] == "weather"
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content == "Let me look."
    called = choice.message.tool_calls
    assert [json.loads(call.function.arguments)["city"] for call in called] == ["Lisbon", "Oslo"]
    assert len({call.id for call in called}) == 2

    messages = [
        {"role": "developer", "content": "Be brief."},
        *QUESTION,
        # What the client was given, as it gives it back.
        choice.message.model_dump(exclude_none=True, exclude={"parsed"}),
        {"role": "tool", "tool_call_id": called[1].id, "content": "Snow."},
        {"role": "tool", "tool_call_id": called[0].id, "content": [{"type": "text", "text": "Sun."}]},
    ]
    after = await client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER], tool_choice="auto")
    assert after.choices[0].message.content == "Hello there."
    told = upstream.requests[-1].body["messages"]
    assert [message["role"] for message in told] == ["system", "user", "assistant", "tool", "tool"]
    assert [(message["tool_call_id"], message["content"]) for message in told[3:]] == [
        (called[0].id, "Sun."),
        (called[1].id, "Snow."),
    ]


async def test_an_answer_satisfies_a_schema(client: openai.AsyncOpenAI, upstream: FakeOpenAI) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    form: Any = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
    upstream.enqueue(Reply(pieces=('{"town": 1}',)), Reply(pieces=('{"city": ', '"Lisbon"}')))
    chunks = await stream(client, response_format=form)
    assert json.loads(text_of(chunks)) == {"city": "Lisbon"}, "the first answer was repaired before anybody saw it"
    upstream.enqueue(Reply(pieces=('{"any": "thing"}',)))
    answer = await client.chat.completions.create(
        model=MODEL, messages=QUESTION, response_format={"type": "json_object"}
    )
    assert json.loads(answer.choices[0].message.content or "") == {"any": "thing"}


async def test_who_hangs_up_ends_the_generation_at_the_provider(
    client: openai.AsyncOpenAI, upstream: FakeOpenAI
) -> None:
    cut = upstream.streams_cut
    upstream.enqueue(Reply(stall_after=3))
    answer = await client.chat.completions.create(model=MODEL, messages=QUESTION, stream=True)
    async for chunk in answer:
        if chunk.choices[0].delta.content:
            break
    await answer.close()
    await upstream.wait_for(lambda: upstream.streams_cut > cut, "the provider's connection to be closed")


async def test_models_are_listed_and_described(client: openai.AsyncOpenAI) -> None:
    models = [model async for model in client.models.list()]
    assert models[0].id == MODEL
    assert {MODEL, EMBEDDER, "fast", "embed"} <= {model.id for model in models}
    assert {model.object for model in models} == {"model"}
    assert (await client.models.retrieve("fast")).owned_by == "openai"
    with pytest.raises(openai.NotFoundError) as raised:
        await client.models.retrieve("llama3:8b")
    assert raised.value.code == "model_not_found"


async def test_texts_become_vectors(client: openai.AsyncOpenAI) -> None:
    texts = ["a ship on the sea", "a dog"]
    # The client asks for base64 unless it is told otherwise, and reads it.
    for form in (openai.omit, "float", "base64"):
        made: Any = await client.embeddings.create(model=EMBEDDER, input=texts, encoding_format=form)
        assert (made.object, made.model) == ("list", EMBEDDER)
        assert [each.index for each in made.data] == [0, 1]
        if form != "base64":
            for each, text in zip(made.data, texts, strict=True):
                assert each.embedding == pytest.approx(vector_of(text, 8))
        else:
            assert isinstance(made.data[0].embedding, str)
    assert (await client.embeddings.create(model="embed", input="a dog", dimensions=8)).data[0].index == 0
    refused: Any = ({"input": [[1, 2]]}, {"input": ""}, {"input": "a", "dimensions": 3})
    for parameters in refused:
        asked: Any = {"model": EMBEDDER, **parameters}
        with pytest.raises(openai.BadRequestError):
            await client.embeddings.create(**asked)
    with pytest.raises(openai.NotFoundError):
        await client.embeddings.create(model="nothing-here", input="a")


async def test_a_response_is_answered_streamed_and_kept(client: openai.AsyncOpenAI) -> None:
    first = await client.responses.create(model="fast", input="Say hello.")
    assert (first.object, first.status, first.model, first.output_text) == (
        "response", "completed", MODEL, "Hello there.",
    )  # fmt: skip
    assert first.usage is not None
    assert (first.usage.input_tokens, first.usage.total_tokens) == (70, 70 + first.usage.output_tokens)
    assert await client.responses.retrieve(first.id) == first

    async with client.responses.stream(model="fast", input="And again.", previous_response_id=first.id) as events:
        numbers = [event.sequence_number async for event in events]
        last = await events.get_final_response()
    assert numbers == list(range(len(numbers)))
    assert last.output_text == "Hello there."
    assert last.conversation == first.conversation
    kept = await client.responses.retrieve(last.id)
    assert (kept.output_text, kept.usage, kept.status) == (last.output_text, last.usage, "completed")


async def test_a_response_in_the_background_is_cancelled_and_its_provider_let_go(
    client: openai.AsyncOpenAI, upstream: FakeOpenAI
) -> None:
    cut = upstream.streams_cut
    upstream.enqueue(Reply(stall_after=1))
    started = await client.responses.create(model=MODEL, input="Say hello.", background=True)
    assert started.status == "in_progress"
    heard: list[Any] = []
    async for event in await client.responses.retrieve(started.id, stream=True):
        heard.append(event)
        if event.type == "response.output_text.delta":
            break
    cancelled = await client.responses.cancel(started.id)
    assert cancelled.status == "cancelled"
    await upstream.wait_for(lambda: upstream.streams_cut > cut, "the provider's connection to be closed")
    after = heard[-1].sequence_number
    rest: list[Any] = [
        event async for event in await client.responses.retrieve(started.id, stream=True, starting_after=after)
    ]
    assert [event.sequence_number for event in heard + rest] == list(range(len(heard) + len(rest)))
    assert (rest[-1].type, rest[-1].response.status) == ("response.incomplete", "cancelled")


async def test_errors_of_responses_are_the_clients_own(client: openai.AsyncOpenAI, upstream: FakeOpenAI) -> None:
    async def refused(call: Any) -> openai.APIStatusError:
        with pytest.raises(openai.APIStatusError) as raised:
            await call
        return raised.value

    unhonoured: tuple[dict[str, Any], ...] = ({"instructions": "Be brief."}, {"store": False}, {"max_output_tokens": 9})
    for parameters in unhonoured:
        for streamed in (False, True):
            asked: Any = {"model": MODEL, "input": "Say hello.", "stream": streamed, **parameters}
            error = await refused(client.responses.create(**asked))
            assert isinstance(error, openai.BadRequestError)
            assert (error.param, error.code) == (next(iter(parameters)), "invalid_field")
    nobodys = f"resp_{'0' * 32}"
    assert isinstance(await refused(client.responses.retrieve(nobodys)), openai.NotFoundError)
    assert isinstance(await refused(client.responses.retrieve(nobodys, stream=True)), openai.NotFoundError)
    stranger = client.with_options(api_key="sk-of-somebody-else")
    assert isinstance(await refused(stranger.responses.create(input="Hello.")), openai.AuthenticationError)

    upstream.enqueue(Reply(pieces=("One ", "two ", "three."), break_off_after=2))
    heard: list[Any] = [e async for e in await client.responses.create(model=MODEL, input="Count.", stream=True)]
    assert heard[-1].type == "response.failed"
    assert heard[-1].response.error.code == "provider_unavailable"


async def test_openais_node_package_sees_the_same(door: Mesh, user: SignedUp, upstream: FakeOpenAI) -> None:
    upstream.enqueue(
        Reply(pieces=("Hello ", "there.")),
        Reply(pieces=("Hello ", "there.")),
        Reply(tool_calls=(FakeToolCall("weather", '{"city":"Lisbon"}', "call_a"),)),
        Reply(pieces=("One ", "two ", "three."), break_off_after=2),
    )
    script = ROOT / "tests" / "e2e" / "openai_node_client.mjs"
    arguments = (f"{door.base_url}/openai/v1", user.token, MODEL, EMBEDDER)
    process = await asyncio.create_subprocess_exec(require_tool("node"), script, *arguments, stdout=PIPE, stderr=PIPE)
    try:
        out, err = await asyncio.wait_for(process.communicate(), 120)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    saw = json.loads(out)
    assert saw["whole"] == saw["streamed"] == "Hello there."
    assert saw["tool"] == {"name": "weather", "arguments": '{"city":"Lisbon"}'}
    assert saw["broken"] == ["APIError", "provider_unavailable"]
    assert saw["errors"] == {
        "token": ["AuthenticationError", 401, "token_invalid", None],
        "model": ["NotFoundError", 404, "model_not_found", None],
        "field": ["BadRequestError", 400, "invalid_field", "temperature"],
        "response": ["BadRequestError", 400, "invalid_field", "instructions"],
    }
    assert saw["components"] == 8
    assert saw["models"][0] == MODEL
    assert saw["response"] == {"status": "completed", "text": "Hello there.", "numbered": True, "kept": True}

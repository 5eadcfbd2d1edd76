"""The adapters that talk to providers, each against a real server of its API that misbehaves on order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest
from parley_inference.adapters.anthropic_connection import AnthropicConnection
from parley_inference.adapters.anthropic_model import AnthropicModel
from parley_inference.adapters.openai_compatible_model import OpenAICompatibleModel
from parley_inference.adapters.openai_connection import OpenAIConnection
from parley_inference.adapters.patience import Patience
from parley_inference.adapters.provider_connection import Endpoint
from parley_inference.domain.errors import (
    GenerationTooLongError,
    InferenceError,
    ModelNotFoundError,
    PromptTooLongError,
    ProviderCredentialsError,
    ProviderQuotaError,
    ProviderRateLimitedError,
    ProviderRejectedError,
    ProviderStalledError,
    ProviderUnavailableError,
)
from parley_inference.domain.generation import (
    FinishReason,
    GenerationFinished,
    TextDelta,
    TokenUsage,
)
from parley_inference.domain.prompt import GenerationRequest, PromptMessage, Role, ToolCall
from parley_inference.ports.language_model import MOST_CHARACTERS_OF_A_DELTA
from parley_testing.fake_anthropic import FakeAnthropic
from parley_testing.fake_openai import FakeOpenAI, FakeToolCall, Reply, numbered_words

Model = OpenAICompatibleModel | AnthropicModel
Connect = Callable[..., Model]
KEY = "sk-test-0123456789"
PATIENT = Patience(first_token=20, idle=20, total=60)
ASKED = GenerationRequest((PromptMessage(Role.USER, "Go on."),), "fake-model")


@pytest.fixture(params=[FakeOpenAI, FakeAnthropic], ids=["openai_compatible", "anthropic"])
async def upstream(request: pytest.FixtureRequest) -> AsyncIterator[FakeOpenAI]:
    """A fresh server of each API in turn."""
    async with request.param() as running:
        yield running


@pytest.fixture
async def connect(upstream: FakeOpenAI) -> AsyncIterator[Connect]:
    """Makes models that talk to the upstream, in its language."""
    connections: list[OpenAIConnection | AnthropicConnection] = []

    def make(patience: Patience = PATIENT, *, base_url: str = "", key: str = KEY) -> Model:
        endpoint = Endpoint("fake", base_url or upstream.base_url, key, 5)
        if isinstance(upstream, FakeAnthropic):
            connections.append(connection := AnthropicConnection(endpoint))
            return AnthropicModel(connection, patience, default_max_tokens=1000)
        connections.append(openai := OpenAIConnection(endpoint))
        return OpenAICompatibleModel(openai, patience)

    yield make
    for connection in connections:
        await connection.close()


async def events_of(model: Model, request: GenerationRequest = ASKED) -> tuple[list[Any], Exception | None]:
    """All events, and the error that ended them."""
    events: list[Any] = []
    try:
        async with aclosing(model.generate(request)) as stream:
            async for event in stream:
                events.append(event)  # noqa: PERF401 - what came before an error is looked at
    except InferenceError as error:
        return events, error
    return events, None


def text_of(events: list[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_a_finished_answer_leaves_its_connection_for_the_next(upstream: FakeOpenAI, connect: Connect) -> None:
    model = connect()
    for seconds in (0, 0, 0.02, 0.02):
        upstream.enqueue(Reply(end_seconds=seconds))
        _, error = await events_of(model)
        assert error is None
    assert upstream.connections_opened == 1


async def test_a_connection_that_the_server_closed_while_it_was_idle_is_replaced(
    upstream: FakeOpenAI, connect: Connect
) -> None:
    model = connect()
    for opened in (1, 2, 3):
        events, error = await events_of(model)
        assert error is None
        assert text_of(events) == "".join(numbered_words(200))
        assert upstream.connections_opened == opened
        upstream.close_connections()
        await upstream.wait_for(lambda: upstream.connections_open == 0, "the connection to close")


async def test_a_connection_that_is_closed_in_the_moment_of_its_use_is_replaced(
    upstream: FakeOpenAI, connect: Connect
) -> None:
    upstream.hangs_up_on_reuse = True
    model = connect()
    for _ in range(3):
        events, error = await events_of(model)
        assert error is None
        assert text_of(events) == "".join(numbered_words(200))
    assert len(upstream.requests) == 3


async def test_a_server_that_only_hangs_up_is_not_asked_twice(connect: Connect) -> None:
    connections = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        _, error = await events_of(connect(base_url=f"http://127.0.0.1:{port}/v1"))
    assert type(error) is ProviderUnavailableError
    assert connections == 1


async def test_piled_up_text_comes_as_few_events(upstream: FakeOpenAI, connect: Connect) -> None:
    upstream.reply = Reply(pieces=numbered_words(5000))
    async with aclosing(connect().generate(ASKED)) as stream:
        events: list[Any] = [await anext(stream)]
        # The reader is busy while the provider writes all it can.
        sent = -1
        while sent != upstream.deltas_sent:
            sent = upstream.deltas_sent
            await asyncio.sleep(0.05)
        events += [event async for event in stream]
    assert text_of(events) == "".join(numbered_words(5000))
    assert len(events) < 500


async def test_a_reader_that_does_not_read_stops_the_provider(upstream: FakeOpenAI, connect: Connect) -> None:
    upstream.reply = Reply(pieces=("x" * 1000,) * 50_000)
    async with aclosing(connect().generate(ASKED)) as stream:
        await anext(stream)
        await anext(stream)
        sent = -1
        while sent != upstream.deltas_sent:
            sent = upstream.deltas_sent
            await asyncio.sleep(0.3)
    # Fifty megabytes were to come: what was taken is what sockets hold.
    assert sent < 25_000


async def test_closing_the_stream_closes_the_connection_at_once(upstream: FakeOpenAI, connect: Connect) -> None:
    upstream.reply = Reply(tokens_per_second=20)
    async with aclosing(connect().generate(ASKED)) as stream:
        await anext(stream)
        await anext(stream)
        assert upstream.connections_open == 1
    await upstream.wait_for(lambda: upstream.connections_open == 0, "the connection to close")
    assert upstream.streams_cut == 1
    assert upstream.deltas_sent < 10


@pytest.mark.parametrize("reply", [Reply(headers_seconds=20), Reply(first_token_seconds=20), Reply(stall_after=1)])
async def test_cancelling_closes_the_connection_whatever_it_waits_for(
    upstream: FakeOpenAI, connect: Connect, reply: Reply
) -> None:
    upstream.reply = reply
    task = asyncio.create_task(events_of(connect()))
    await upstream.wait_for(lambda: len(upstream.requests) == 1, "the request")
    if reply.stall_after:
        await upstream.wait_for(lambda: upstream.deltas_sent == 1, "the first delta")
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    await upstream.wait_for(lambda: upstream.connections_open == 0, "the connection to close")
    assert upstream.streams_cut == 1


async def test_no_first_token_in_time_is_a_stall(upstream: FakeOpenAI, connect: Connect) -> None:
    impatient = Patience(first_token=0.15, idle=20, total=60)
    for reply in (Reply(headers_seconds=20), Reply(first_token_seconds=20), Reply(stall_after=0)):
        upstream.enqueue(reply)
        _, error = await events_of(connect(impatient))
        assert isinstance(error, ProviderStalledError)
        assert error.seconds == 0.15
    await upstream.wait_for(lambda: upstream.connections_open == 0, "the connections to close")


async def test_a_body_that_does_not_end_after_its_last_event_holds_nothing_up(
    upstream: FakeOpenAI, connect: Connect
) -> None:
    upstream.reply = Reply(end_seconds=20)
    async with asyncio.timeout(10):
        events, error = await events_of(connect())
    assert error is None
    assert events[-1] == GenerationFinished(FinishReason.STOP)


async def test_silence_between_tokens_is_a_stall_and_what_came_is_kept(upstream: FakeOpenAI, connect: Connect) -> None:
    upstream.reply = Reply(stall_after=3)
    async with asyncio.timeout(10):
        events, error = await events_of(connect(Patience(first_token=60, idle=0.15, total=60)))
    assert text_of(events) == "word1 word2 word3 "
    assert isinstance(error, ProviderStalledError)
    assert error.seconds == 0.15


async def test_comments_do_not_pass_for_tokens(upstream: FakeOpenAI, connect: Connect) -> None:
    upstream.reply = Reply(body=(b": ping\n\n",) * 2000)
    _, error = await events_of(connect(Patience(first_token=0.2, idle=20, total=60)))
    assert isinstance(error, ProviderStalledError)


async def test_a_slow_reader_is_not_taken_for_a_stalled_provider(upstream: FakeOpenAI, connect: Connect) -> None:
    upstream.reply = Reply(pieces=("x" * 1000,) * 2000)
    seen = 0
    async with aclosing(connect(Patience(first_token=5, idle=0.2, total=60)).generate(ASKED)) as stream:
        async for event in stream:
            if isinstance(event, TextDelta):
                seen += len(event.text)
                if seen < 100_000:
                    await asyncio.sleep(0.3)
    assert seen == 2_000_000


async def test_the_whole_has_a_limit_too(upstream: FakeOpenAI, connect: Connect) -> None:
    upstream.reply = Reply(tokens_per_second=50)
    events, error = await events_of(connect(Patience(first_token=20, idle=20, total=0.3)))
    assert text_of(events).startswith("word1 ")
    assert isinstance(error, GenerationTooLongError)


async def test_a_connection_that_breaks_off_is_an_error_after_what_came(upstream: FakeOpenAI, connect: Connect) -> None:
    upstream.reply = Reply(break_off_after=3, tokens_per_second=100)
    events, error = await events_of(connect())
    assert text_of(events) == "word1 word2 word3 "
    assert type(error) is ProviderUnavailableError


async def test_a_connection_that_is_reset_is_an_error_after_what_came(upstream: FakeOpenAI, connect: Connect) -> None:
    upstream.reply = Reply(break_off_after=3, tokens_per_second=100, resets=True)
    events, error = await events_of(connect())
    assert "word1 word2 word3 ".startswith(text_of(events))
    assert type(error) is ProviderUnavailableError


async def test_a_body_that_ends_without_an_end_is_an_error(upstream: FakeOpenAI, connect: Connect) -> None:
    upstream.reply = Reply(sends_finish=False, sends_done=False)
    events, error = await events_of(connect())
    assert text_of(events) == "".join(numbered_words(200))
    assert type(error) is ProviderUnavailableError


async def test_a_missing_done_is_fine_when_the_model_said_why_it_ended(upstream: FakeOpenAI, connect: Connect) -> None:
    upstream.reply = Reply(sends_done=False)
    events, error = await events_of(connect())
    assert error is None
    assert events[-1] == GenerationFinished(FinishReason.STOP)


def text_event(upstream: FakeOpenAI, text: bytes) -> bytes:
    """A delta of text as the upstream's API sends it, byte for byte."""
    if isinstance(upstream, FakeAnthropic):
        delta = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%b"}}' % text
        return b"event: content_block_delta\ndata: %b\n\n" % delta
    return b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % text


async def test_a_body_that_ends_in_the_middle_of_an_event_is_an_error_after_what_came(
    upstream: FakeOpenAI, connect: Connect
) -> None:
    whole, half = text_event(upstream, b"whole"), text_event(upstream, b"half")
    for cut in (1, len(half) // 2, len(half) - 4):
        upstream.enqueue(Reply(body=[whole + half[:cut]]))
        events, error = await events_of(connect())
        assert text_of(events) == "whole"
        assert type(error) is ProviderUnavailableError


@pytest.mark.parametrize("wrong", [b"\xff\xfe", b"\xc3", b"\xed\xa0\x80"])
async def test_what_is_no_utf8_is_an_error_after_what_came(
    upstream: FakeOpenAI, connect: Connect, wrong: bytes
) -> None:
    upstream.reply = Reply(body=[text_event(upstream, b"good") + text_event(upstream, wrong)])
    events, error = await events_of(connect())
    assert text_of(events) == "good"
    assert type(error) is ProviderUnavailableError


async def test_deltas_of_a_megabyte_arrive_whole_and_leave_in_pieces(upstream: FakeOpenAI, connect: Connect) -> None:
    upstream.reply = Reply(pieces=("é" * 1_000_000, "x" * 1_000_000, "end"))
    events, error = await events_of(connect())
    assert error is None
    assert text_of(events) == "é" * 1_000_000 + "x" * 1_000_000 + "end"
    assert max(len(event.text) for event in events if isinstance(event, TextDelta)) <= MOST_CHARACTERS_OF_A_DELTA


async def test_an_event_without_an_end_is_not_gathered_for_ever(upstream: FakeOpenAI, connect: Connect) -> None:
    upstream.reply = Reply(body=[b"data: " + b"x" * 1_000_000] * 12)
    _, error = await events_of(connect())
    assert type(error) is ProviderUnavailableError


async def test_parallel_tool_calls_are_put_together_from_their_fragments(
    upstream: FakeOpenAI, connect: Connect
) -> None:
    calls = tuple(
        FakeToolCall(name, json.dumps({"city": city, "days": 3}, ensure_ascii=False), f"call_{number}")
        for number, (name, city) in enumerate((("weather", "Köln"), ("weather", "São Paulo"), ("clock", "北京")))
    )
    upstream.reply = Reply(pieces=("Let me see. ",), tool_calls=calls)
    events, error = await events_of(connect())
    assert error is None
    assert text_of(events) == "Let me see. "
    assert [event for event in events if isinstance(event, ToolCall)] == [
        ToolCall(call.call_id, call.name, call.arguments) for call in calls
    ]
    assert events[-1] == GenerationFinished(FinishReason.TOOL_CALLS)


async def test_usage_that_comes_alone_at_the_end_counts(upstream: FakeOpenAI, connect: Connect) -> None:
    upstream.reply = Reply(pieces=("a", "b"), input_tokens=11)
    events, error = await events_of(connect())
    assert error is None
    usage = events[-2]
    assert isinstance(usage, TokenUsage)
    assert (usage.input_tokens, usage.output_tokens, usage.estimated) == (11, 2, False)


async def test_an_account_without_credit_is_no_limit_of_the_rate(upstream: FakeOpenAI, connect: Connect) -> None:
    for status, error in (
        (
            429,
            {"message": "You exceeded your current quota.", "type": "insufficient_quota", "code": "insufficient_quota"},
        ),
        (403, {"message": "Your credit balance is too low.", "type": "billing_error"}),
        (402, {"message": "Insufficient Balance"}),
    ):
        upstream.enqueue(Reply(status=status, error=error))
        _, raised = await events_of(connect())
        assert type(raised) is ProviderQuotaError


@pytest.mark.parametrize(
    ("error", "tokens", "limit"),
    [
        (
            {
                "message": "This model's maximum context length is 8192 tokens. However, your messages resulted in 8227 tokens.",
                "code": "context_length_exceeded",
            },
            8227,
            8192,
        ),
        ({"message": "prompt is too long: 210000 tokens > 200000 maximum"}, 210_000, 200_000),
        ({"message": "Input is too long.", "code": "context_length_exceeded"}, 0, 0),
    ],
)
async def test_a_prompt_that_the_provider_finds_too_long_is_told_with_its_figures(
    upstream: FakeOpenAI, connect: Connect, error: dict[str, str], tokens: int, limit: int
) -> None:
    upstream.reply = Reply(status=400, error=error)
    _, raised = await events_of(connect())
    assert isinstance(raised, PromptTooLongError)
    assert (raised.tokens, raised.limit) == (tokens, limit)


async def test_without_usage_from_the_provider_none_is_made_up_here(upstream: FakeOpenAI, connect: Connect) -> None:
    upstream.reply = Reply(sends_usage=False)
    events, _ = await events_of(connect())
    assert not any(isinstance(event, TokenUsage) for event in events)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
async def test_keep_alives_and_empty_choices_change_nothing(
    upstream: FakeOpenAI, connect: Connect, line_end: str
) -> None:
    upstream.reply = Reply(keep_alives=True, line_end=line_end)
    events, error = await events_of(connect())
    assert error is None
    assert text_of(events) == "".join(numbered_words(200))
    assert isinstance(events[-2], TokenUsage)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ProviderRejectedError),
        (401, ProviderCredentialsError),
        (402, ProviderQuotaError),
        (403, ProviderCredentialsError),
        (404, ModelNotFoundError),
        (408, ProviderUnavailableError),
        (409, ProviderUnavailableError),
        (425, ProviderUnavailableError),
        (413, ProviderRejectedError),
        (422, ProviderRejectedError),
        (429, ProviderRateLimitedError),
        (500, ProviderUnavailableError),
        (502, ProviderUnavailableError),
        (503, ProviderUnavailableError),
        (504, ProviderUnavailableError),
        (529, ProviderUnavailableError),
        (301, ProviderUnavailableError),
    ],
)
async def test_a_refusal_becomes_the_error_that_it_means(
    upstream: FakeOpenAI, connect: Connect, status: int, kind: type[Exception]
) -> None:
    # A redirect would take the key somewhere else.
    elsewhere = {"location": f"{upstream.base_url}/models"}
    upstream.reply = Reply(status=status, error={"message": "because"}, headers=elsewhere)
    events, error = await events_of(connect())
    assert events == []
    assert type(error) is kind
    assert len(upstream.requests) == 1


async def test_a_rate_limit_says_when_to_come_back(upstream: FakeOpenAI, connect: Connect) -> None:
    for headers, seconds in (
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 10.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 2076 07:28:00 GMT"}, 3600.0),
        ({"retry-after": "Wed, 21 Oct 1976 07:28:00 GMT"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": "999999999"}, 3600.0),
    ):
        upstream.enqueue(Reply(status=429, headers=headers))
        _, error = await events_of(connect())
        assert isinstance(error, ProviderRateLimitedError)
        assert error.retry_after_seconds == seconds


async def test_what_a_provider_says_is_bounded_and_holds_no_key(upstream: FakeOpenAI, connect: Connect) -> None:
    key = "of-no-known-form"
    words = f"Key {key} and sk-proj-abc***xyz and Bearer abcdef\nare wrong: " + "x" * 100_000
    for error in ({"message": words}, {"detail": [words]}):
        upstream.enqueue(Reply(status=400, error=error))
        _, raised = await events_of(connect(key=key))
        assert isinstance(raised, ProviderRejectedError)
        assert len(raised.detail) <= 300
        for secret in (key, "sk-proj", "abcdef", "\n"):
            assert secret not in raised.detail


async def test_a_refusal_that_is_no_json_is_understood_by_its_status(upstream: FakeOpenAI, connect: Connect) -> None:
    for status, kind in ((502, ProviderUnavailableError), (400, ProviderRejectedError)):
        upstream.enqueue(Reply(status=status, body=[b"\n<html>inner words</html>"]))
        _, error = await events_of(connect())
        assert type(error) is kind
        assert "inner words" not in str(error)


async def test_a_refusal_without_words_is_told_without_any(upstream: FakeOpenAI, connect: Connect) -> None:
    for body in (b'{"error": {}}', b'{"error": {"message": null}}'):
        upstream.enqueue(Reply(status=400, body=[body]))
        _, error = await events_of(connect())
        assert isinstance(error, ProviderRejectedError)
        assert error.detail == ""


async def test_nobody_at_the_address_is_unavailable(connect: Connect) -> None:
    for url in ("http://127.0.0.1:1/v1", "http://name.invalid/v1"):
        _, error = await events_of(connect(base_url=url))
        assert type(error) is ProviderUnavailableError


async def test_a_server_that_speaks_no_http_is_unavailable(connect: Connect) -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-nonsense\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        _, error = await events_of(connect(base_url=f"http://127.0.0.1:{port}/v1"))
    assert type(error) is ProviderUnavailableError


async def test_the_models_of_a_server_are_listed(upstream: FakeOpenAI, connect: Connect) -> None:
    upstream.models = ("one", "two")
    assert await connect().model_names() == ["one", "two"]
    # Served as the list of models, whatever its shape.
    for body in (b"[]", b"{}", b'{"data": [1]}', b"oops"):
        upstream.enqueue(Reply(body=[body]))
        with pytest.raises(ProviderUnavailableError):
            await connect().model_names()

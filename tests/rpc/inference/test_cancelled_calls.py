"""A caller who cancels: whatever inference is waiting for, it stops waiting, and the provider's socket is closed."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from parley.inference.v1 import inference_service_pb2
from parley_testing.fake_openai import FakeOpenAI, Reply, numbered_words

WORDS = numbered_words(60)
SYN_SENT = "02"


@pytest.fixture
async def second() -> AsyncIterator[FakeOpenAI]:
    """The provider that goes on."""
    async with FakeOpenAI(Reply(pieces=WORDS), models=("small",)) as running:
        yield running


@pytest.fixture
async def chained(serve: Any, upstream: FakeOpenAI, second: FakeOpenAI) -> AsyncIterator[Any]:
    """A service with two providers, of which the second goes on when the first fails; patient, so that only cancelling ends a wait."""
    async with serve(
        OPENAI_BASE_URL=upstream.base_url,
        OLLAMA_HOST=second.base_url,
        PARLEY_INFERENCE_MODEL="openai/fake-model",
        PARLEY_INFERENCE_FALLBACK_MODELS="ollama/small",
        PARLEY_INFERENCE_FIRST_TOKEN_TIMEOUT_SECONDS="600",
        PARLEY_INFERENCE_IDLE_TIMEOUT_SECONDS="600",
        PARLEY_INFERENCE_CONNECT_TIMEOUT_SECONDS="300",
    ) as service:
        yield service


@pytest.fixture
def ended(caplog: pytest.LogCaptureFixture) -> Any:
    """Waits until a call is over, in the service: from then on it can do nothing more."""
    caplog.set_level(logging.INFO, logger="parley.calls")

    async def wait(upstream: FakeOpenAI, rpc: str = "StreamGenerate") -> None:
        line = f"parley.inference.v1.InferenceService/{rpc} CANCELLED"
        await upstream.wait_for(lambda: line in [record.getMessage() for record in caplog.records], "the call to end")

    return wait


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of a listener whose queue is full: whoever connects waits for an answer to its SYN."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for filler in fillers:
            filler.close()


def connecting_to(port: int) -> int:
    """How many sockets wait for a connection to the port."""
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return sum(row[2].endswith(f":{port:04X}") and row[3] == SYN_SENT for row in rows)


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="looks at the sockets as Linux shows them")
async def test_while_the_connection_is_made(serve: Any, upstream: FakeOpenAI, ask: Any, mute: int, ended: Any) -> None:
    async with serve(
        OPENAI_BASE_URL=f"http://127.0.0.1:{mute}/v1",
        PARLEY_INFERENCE_MODEL="fake-model",
        PARLEY_INFERENCE_CONNECT_TIMEOUT_SECONDS="300",
    ) as service:
        fillers = connecting_to(mute)
        call = service.generations.StreamGenerate(ask(), metadata=service.metadata())
        waiting = asyncio.ensure_future(call.read())
        await upstream.wait_for(lambda: connecting_to(mute) == fillers + 1, "the connection to be tried")
        call.cancel()
        await ended(upstream)
        assert connecting_to(mute) == fillers
        await asyncio.gather(waiting, return_exceptions=True)


@pytest.mark.parametrize("reply", [Reply(headers_seconds=600), Reply(stall_after=0), Reply(stall_after=3)])
async def test_while_the_provider_is_silent(
    chained: Any, upstream: FakeOpenAI, ask: Any, ended: Any, reply: Reply
) -> None:
    upstream.reply = reply
    call = chained.generations.StreamGenerate(ask(), metadata=chained.metadata())
    await upstream.wait_for(lambda: len(upstream.requests) == 1, "the request")
    if reply.stall_after is not None:
        assert (await call.read()).HasField("started")
    call.cancel()
    await upstream.wait_for(lambda: upstream.connections_open == 0, "the connection to close")
    await ended(upstream)
    assert upstream.streams_cut == 1
    assert len(upstream.requests) == 1


async def test_before_a_retry(chained: Any, upstream: FakeOpenAI, ask: Any, ended: Any) -> None:
    upstream.reply = Reply(status=503, headers={"retry-after": "10"})
    call = chained.generations.StreamGenerate(ask(), metadata=chained.metadata())
    await upstream.wait_for(lambda: len(upstream.requests) == 1, "the request")
    call.cancel()
    await ended(upstream)
    assert len(upstream.requests) == 1


async def test_while_the_next_provider_is_asked_for_its_models(
    chained: Any, upstream: FakeOpenAI, second: FakeOpenAI, ask: Any, ended: Any
) -> None:
    upstream.reply = Reply(pieces=WORDS, break_off_after=20, tokens_per_second=400)
    second.enqueue(Reply(headers_seconds=600))
    call = chained.generations.StreamGenerate(ask(), metadata=chained.metadata())
    await second.wait_for(lambda: len(second.requests) == 1, "the question for models")
    call.cancel()
    await second.wait_for(lambda: second.connections_open == 0, "the connection to close")
    await ended(second)
    assert [request.path for request in second.requests] == ["/api/tags"]
    # The next caller asks for itself.
    responses, failure = await chained.stream(ask())
    assert failure is None
    assert "word60" in "".join(one.text_delta for one in responses)


@pytest.mark.parametrize("reply", [Reply(headers_seconds=600), Reply(pieces=WORDS, stall_after=3)])
async def test_while_the_next_model_goes_on(
    chained: Any, upstream: FakeOpenAI, second: FakeOpenAI, ask: Any, ended: Any, reply: Reply
) -> None:
    upstream.reply = Reply(pieces=WORDS, break_off_after=20, tokens_per_second=400)
    second.enqueue(Reply())
    second.reply = reply
    call = chained.generations.StreamGenerate(ask(), metadata=chained.metadata())
    await second.wait_for(lambda: len(second.requests) == 2, "the request to go on")
    call.cancel()
    await second.wait_for(lambda: second.connections_open == 0, "the connection to close")
    await ended(second)
    assert second.streams_cut == 1
    assert upstream.streams_open == 0


async def test_an_answer_that_is_asked_for_whole(chained: Any, upstream: FakeOpenAI, ask: Any, ended: Any) -> None:
    upstream.reply = Reply(stall_after=3)
    request = inference_service_pb2.GenerateRequest(messages=ask().messages)
    call = chained.generations.Generate(request, metadata=chained.metadata())
    await upstream.wait_for(lambda: upstream.deltas_sent == 3, "the answer to begin")
    call.cancel()
    await upstream.wait_for(lambda: upstream.connections_open == 0, "the connection to close")
    await ended(upstream, "Generate")
    assert upstream.streams_cut == 1

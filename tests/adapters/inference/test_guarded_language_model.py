"""Retries and the circuit breaker around a model whose server fails on order; nobody sleeps, and the test moves the clock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
from parley_inference.adapters.guarded_language_model import GuardedLanguageModel
from parley_inference.adapters.openai_compatible_model import OpenAICompatibleModel
from parley_inference.adapters.patience import Patience
from parley_inference.domain.circuit_breaker import FAILURES_TO_OPEN, FIRST_PAUSE_SECONDS
from parley_inference.domain.errors import (
    InferenceError,
    ProviderRateLimitedError,
    ProviderStalledError,
    ProviderUnavailableError,
)
from parley_inference.domain.generation import GenerationStarted, TextDelta
from parley_inference.domain.prompt import GenerationRequest, PromptMessage, Role
from parley_testing.fake_openai import FakeOpenAI, Reply, numbered_words

Connect = Callable[..., OpenAICompatibleModel]
ASKED = GenerationRequest((PromptMessage(Role.USER, "Go on."),), "fake-model")
WHOLE = "".join(numbered_words(200))
DOWN = Reply(status=503)


class Guarded:
    """A guarded model, its clock, and the pauses that it made, which take no time."""

    def __init__(self, model: OpenAICompatibleModel) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self.model = GuardedLanguageModel(model, "fake", clock=lambda: self.now, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def ask(self) -> tuple[list[Any], Exception | None]:
        """All events, and the error that ended them."""
        events: list[Any] = []
        try:
            async with aclosing(self.model.generate(ASKED)) as stream:
                async for event in stream:
                    events.append(event)  # noqa: PERF401 - what came before an error is looked at
        except InferenceError as error:
            return events, error
        return events, None


@pytest.fixture
def guarded(connect: Connect) -> Guarded:
    return Guarded(connect())


def text_of(events: list[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize(
    "failing",
    [DOWN, Reply(status=500), Reply(status=408), Reply(status=409), Reply(status=429), Reply(break_off_after=0)],
)
async def test_a_failure_before_the_first_token_is_tried_again(
    upstream: FakeOpenAI, guarded: Guarded, failing: Reply
) -> None:
    upstream.enqueue(failing, failing)
    events, error = await guarded.ask()
    assert error is None
    assert text_of(events) == WHOLE
    assert sum(isinstance(event, GenerationStarted) for event in events) == 1
    assert len(upstream.requests) == 3
    assert guarded.pauses[0] <= 0.25
    assert guarded.pauses[1] <= 0.5


async def test_a_third_failure_is_told(upstream: FakeOpenAI, guarded: Guarded) -> None:
    upstream.reply = DOWN
    _, error = await guarded.ask()
    assert isinstance(error, ProviderUnavailableError)
    assert len(upstream.requests) == 3


async def test_a_connection_that_cannot_be_made_is_tried_again(connect: Connect) -> None:
    guarded = Guarded(connect(base_url="http://127.0.0.1:1/v1"))
    _, error = await guarded.ask()
    assert isinstance(error, ProviderUnavailableError)
    assert len(guarded.pauses) == 2


@pytest.mark.parametrize("status", [429, 503])
async def test_a_short_retry_after_is_waited_for(upstream: FakeOpenAI, guarded: Guarded, status: int) -> None:
    upstream.enqueue(Reply(status=status, headers={"retry-after": "4"}))
    events, _ = await guarded.ask()
    assert text_of(events) == WHOLE
    assert 4 <= guarded.pauses[0] <= 4.25


async def test_a_long_retry_after_is_passed_on(upstream: FakeOpenAI, guarded: Guarded) -> None:
    upstream.reply = Reply(status=429, headers={"retry-after": "30"})
    _, error = await guarded.ask()
    assert isinstance(error, ProviderRateLimitedError)
    assert error.retry_after_seconds == 30
    assert len(upstream.requests) == 1


async def test_what_has_begun_is_not_begun_again(upstream: FakeOpenAI, guarded: Guarded) -> None:
    upstream.reply = Reply(break_off_after=3, tokens_per_second=200)
    events, error = await guarded.ask()
    assert text_of(events) == "word1 word2 word3 "
    assert isinstance(error, ProviderUnavailableError)
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 422])
async def test_refusals_are_told_at_once_and_open_no_breaker(
    upstream: FakeOpenAI, guarded: Guarded, status: int
) -> None:
    upstream.reply = Reply(status=status)
    for _ in range(2 * FAILURES_TO_OPEN):
        await guarded.ask()
    assert len(upstream.requests) == 2 * FAILURES_TO_OPEN
    assert guarded.pauses == []


async def test_rate_limits_open_no_breaker(upstream: FakeOpenAI, guarded: Guarded) -> None:
    upstream.reply = Reply(status=429, headers={"retry-after": "60"})
    for _ in range(2 * FAILURES_TO_OPEN):
        await guarded.ask()
    upstream.reply = Reply()
    events, _ = await guarded.ask()
    assert text_of(events) == WHOLE


async def test_a_provider_that_stays_away_is_left_alone_and_found_again_by_a_probe(
    upstream: FakeOpenAI, guarded: Guarded
) -> None:
    upstream.reply = DOWN
    while len(upstream.requests) < FAILURES_TO_OPEN:
        await guarded.ask()
    for _ in range(20):
        _, error = await guarded.ask()
        assert isinstance(error, ProviderUnavailableError)
        assert error.retry_after_seconds == FIRST_PAUSE_SECONDS
    assert len(upstream.requests) == FAILURES_TO_OPEN
    guarded.now += FIRST_PAUSE_SECONDS
    await guarded.ask()
    await guarded.ask()
    assert len(upstream.requests) == FAILURES_TO_OPEN + 1
    upstream.reply = Reply()
    guarded.now += 2 * FIRST_PAUSE_SECONDS
    for _ in range(3):
        events, _ = await guarded.ask()
        assert text_of(events) == WHOLE


async def test_answers_that_break_off_open_the_breaker_too(upstream: FakeOpenAI, guarded: Guarded) -> None:
    upstream.reply = Reply(break_off_after=3, tokens_per_second=200)
    for _ in range(FAILURES_TO_OPEN + 5):
        await guarded.ask()
    assert len(upstream.requests) == FAILURES_TO_OPEN


async def test_stalls_are_not_tried_again_and_open_the_breaker(upstream: FakeOpenAI, connect: Connect) -> None:
    guarded = Guarded(connect(Patience(first_token=0.05, idle=0.05, total=60)))
    upstream.reply = Reply(stall_after=0)
    for _ in range(FAILURES_TO_OPEN):
        _, error = await guarded.ask()
        assert isinstance(error, ProviderStalledError)
    assert len(upstream.requests) == FAILURES_TO_OPEN
    _, error = await guarded.ask()
    assert isinstance(error, ProviderUnavailableError)
    assert len(upstream.requests) == FAILURES_TO_OPEN


async def test_retries_end_with_their_budget(upstream: FakeOpenAI, guarded: Guarded) -> None:
    # One failure, one whole answer, …: the breaker stays closed, and half of all calls would be retried.
    for _ in range(20):
        upstream.enqueue(DOWN, DOWN, DOWN, Reply(pieces=("a",)))
        while upstream.requests and len(upstream.requests) % 4:
            await guarded.ask()
        await guarded.ask()
    calls = len(upstream.requests) - len(guarded.pauses)
    assert len(guarded.pauses) <= 3 + calls / 5


async def test_a_caller_who_leaves_the_probe_leaves_room_for_the_next(upstream: FakeOpenAI, guarded: Guarded) -> None:
    upstream.reply = DOWN
    while len(upstream.requests) < FAILURES_TO_OPEN:
        await guarded.ask()
    upstream.reply = Reply(stall_after=0)
    guarded.now += FIRST_PAUSE_SECONDS
    async with aclosing(guarded.model.generate(ASKED)) as stream:
        assert isinstance(await anext(stream), GenerationStarted)
    upstream.reply = Reply()
    events, _ = await guarded.ask()
    assert text_of(events) == WHOLE

"""Going on with an answer that was cut off: from its beginning where the server takes one, else asked in words."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing

import pytest
from parley_inference.adapters.completion_request import Prefill
from parley_inference.adapters.continued_language_model import GO_ON, ContinuedLanguageModel
from parley_inference.adapters.openai_compatible_model import OpenAICompatibleModel
from parley_inference.domain.errors import ProviderRejectedError, ProviderUnavailableError
from parley_inference.domain.generation import GenerationStarted, TextDelta
from parley_inference.domain.prompt import GenerationRequest, PromptMessage, Role
from parley_testing.fake_openai import FakeOpenAI, Reply, numbered_words

Connect = Callable[..., OpenAICompatibleModel]
WORDS = numbered_words(40)
SO_FAR = "".join(WORDS[:15])
REST = "".join(WORDS[15:])
ASKED = GenerationRequest((PromptMessage(Role.USER, "Count."),), "fake-model", answer_so_far=SO_FAR)
BEGINNING = {"role": "assistant", "content": SO_FAR}
IN_WORDS = {"role": "user", "content": GO_ON}


@pytest.fixture(autouse=True)
def counting(upstream: FakeOpenAI) -> None:
    upstream.reply = Reply(pieces=WORDS)


async def text_of(model: ContinuedLanguageModel, request: GenerationRequest = ASKED) -> str:
    async with aclosing(model.generate(request)) as stream:
        events = [event async for event in stream]
    assert sum(isinstance(event, GenerationStarted) for event in events) == 1
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def last_messages(upstream: FakeOpenAI) -> list[object]:
    return [request.body["messages"][-1] for request in upstream.requests]


@pytest.mark.parametrize("prefill", [Prefill.LAST, Prefill.PREFIX, Prefill.CONTINUE])
async def test_a_server_that_takes_a_beginning_is_given_it_and_no_words(
    upstream: FakeOpenAI, connect: Connect, prefill: Prefill
) -> None:
    model = ContinuedLanguageModel(connect(prefill=prefill), has_prefill=True)
    assert await text_of(model) == REST
    (sent,) = last_messages(upstream)
    assert isinstance(sent, dict)
    assert sent | BEGINNING == sent
    assert len(upstream.requests[0].body["messages"]) == 2


async def test_a_server_that_sends_the_beginning_once_more_is_cut(upstream: FakeOpenAI, connect: Connect) -> None:
    upstream.reply = Reply(pieces=WORDS, repeats_beginning=True)
    model = ContinuedLanguageModel(connect(prefill=Prefill.PREFIX), has_prefill=True)
    assert await text_of(model) == REST


async def test_what_follows_a_beginning_may_be_like_its_end(upstream: FakeOpenAI, connect: Connect) -> None:
    row = "| alpha | beta |\n"
    upstream.reply = Reply(pieces=(row, "end"))
    request = GenerationRequest(ASKED.messages, "fake-model", answer_so_far=f"Rows:\n{row}{row}")
    model = ContinuedLanguageModel(connect(prefill=Prefill.LAST), has_prefill=True)
    assert await text_of(model, request) == f"{row}end"


async def test_any_other_server_is_asked_in_words(upstream: FakeOpenAI, connect: Connect) -> None:
    for repeats in (False, True):
        upstream.reply = Reply(pieces=WORDS, repeats_beginning=repeats)
        assert await text_of(ContinuedLanguageModel(connect())) == REST
        assert upstream.requests[-1].body["messages"][-2:] == [BEGINNING, IN_WORDS]


async def test_a_model_that_is_refused_with_a_beginning_is_asked_in_words_from_then_on(
    upstream: FakeOpenAI, connect: Connect
) -> None:
    upstream.takes_prefill = False
    model = ContinuedLanguageModel(connect(prefill=Prefill.LAST), has_prefill=True)
    assert await text_of(model) == REST
    assert last_messages(upstream) == [BEGINNING, IN_WORDS]
    assert await text_of(model) == REST
    assert last_messages(upstream)[2:] == [IN_WORDS]
    other = GenerationRequest(ASKED.messages, "other-model", answer_so_far=SO_FAR)
    await text_of(model, other)
    assert last_messages(upstream)[3:] == [BEGINNING, IN_WORDS]


async def test_a_refusal_that_is_about_something_else_is_told_and_teaches_nothing(
    upstream: FakeOpenAI, connect: Connect
) -> None:
    upstream.enqueue(*[Reply(status=400, error={"message": "too long"})] * 2)
    model = ContinuedLanguageModel(connect(prefill=Prefill.LAST), has_prefill=True)
    with pytest.raises(ProviderRejectedError, match="too long"):
        await text_of(model)
    assert await text_of(model) == REST
    assert last_messages(upstream)[-1] == BEGINNING


async def test_a_server_that_fails_is_not_asked_in_words(upstream: FakeOpenAI, connect: Connect) -> None:
    upstream.reply = Reply(status=503)
    model = ContinuedLanguageModel(connect(prefill=Prefill.LAST), has_prefill=True)
    with pytest.raises(ProviderUnavailableError):
        await text_of(model)
    assert len(upstream.requests) == 1

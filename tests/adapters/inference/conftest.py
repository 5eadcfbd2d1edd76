"""Every language model, each behind the same door, and the upstreams that they talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
from parley_inference.adapters.anthropic_connection import AnthropicConnection
from parley_inference.adapters.anthropic_model import AnthropicModel
from parley_inference.adapters.completion_request import Prefill
from parley_inference.adapters.offline_model import OFFLINE, OfflineModel
from parley_inference.adapters.openai_compatible_model import OpenAICompatibleModel
from parley_inference.adapters.openai_connection import OpenAIConnection
from parley_inference.adapters.patience import Patience
from parley_inference.adapters.provider_connection import Endpoint
from parley_inference.domain.prompt import GenerationRequest, Passage, PromptMessage, Role, Tool
from parley_inference.ports.language_model import LanguageModel
from parley_testing.fake_anthropic import FakeAnthropic
from parley_testing.fake_openai import FakeOpenAI, FakeToolCall, Reply

KEY = "sk-test-0123456789"
PATIENT = Patience(first_token=20, idle=20, total=60)


def ask(text: str = "How do I start the engine?", **fields: object) -> GenerationRequest:
    """A request for the fake's model."""
    return GenerationRequest((PromptMessage(Role.USER, text),), "fake-model", **fields)  # type: ignore[arg-type]  # what a test names


@dataclass(frozen=True)
class Case:
    """An adapter of the port, with requests that get it to do what the suite looks at."""

    name: str
    provider: str
    model: LanguageModel
    answer: GenerationRequest
    """Is answered with text of some words."""
    tool_call: GenerationRequest
    """Is answered with a call of `create_task` whose title is "water the plants"."""


@pytest.fixture
async def upstream() -> AsyncIterator[FakeOpenAI]:
    """A fresh upstream."""
    async with FakeOpenAI() as running:
        yield running


@pytest.fixture
async def connect(upstream: FakeOpenAI) -> AsyncIterator[Callable[..., OpenAICompatibleModel]]:
    """Makes models that talk to the upstream."""
    connections: list[OpenAIConnection] = []

    def make(
        patience: Patience = PATIENT, *, base_url: str = "", key: str = KEY, prefill: Prefill = Prefill.NONE
    ) -> OpenAICompatibleModel:
        connections.append(OpenAIConnection(Endpoint("fake", base_url or upstream.base_url, key, 5)))
        return OpenAICompatibleModel(connections[-1], patience, prefill)

    yield make
    for connection in connections:
        await connection.close()


@pytest.fixture
async def anthropic() -> AsyncIterator[FakeAnthropic]:
    """A fresh upstream that speaks Anthropic's API."""
    async with FakeAnthropic() as running:
        yield running


@pytest.fixture
async def claude(anthropic: FakeAnthropic) -> AsyncIterator[Callable[..., AnthropicModel]]:
    """Makes models that talk to Anthropic's upstream."""
    connections: list[AnthropicConnection] = []

    def make(*, key: str = KEY, base_url: str = "", thinking_tokens: int = 0) -> AnthropicModel:
        connections.append(AnthropicConnection(Endpoint("fake", base_url or anthropic.base_url, key, 5)))
        most = 4000 if thinking_tokens else 1000
        return AnthropicModel(connections[-1], PATIENT, default_max_tokens=most, thinking_tokens=thinking_tokens)

    yield make
    for connection in connections:
        await connection.close()


@pytest.fixture(params=["openai_compatible", "anthropic", OFFLINE])
def case(request: pytest.FixtureRequest) -> Case:
    """Each adapter of the port in turn."""
    passage = Passage(1, "Manual", "Turn the key to start the engine. Then wait until the lamp goes out.")
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    tool = Tool("create_task", "Creates a task.", schema)
    answer = ask(passages=(passage,))
    wish = ask("Remind me to water the plants", tools=(tool,))
    if request.param == OFFLINE:
        return Case(OFFLINE, OFFLINE, OfflineModel(0), answer, wish)
    is_claude = request.param == "anthropic"
    upstream: FakeOpenAI = request.getfixturevalue("anthropic" if is_claude else "upstream")
    connect: Callable[[], LanguageModel] = request.getfixturevalue("claude" if is_claude else "connect")
    upstream.reply = Reply(pieces=("Turn ", "the ", "key ", "[1]."))
    if "tool" in request.node.name:
        upstream.reply = Reply(pieces=(), tool_calls=(FakeToolCall("create_task", '{"title": "water the plants"}'),))
    return Case(request.param, "fake", connect(), answer, wish)

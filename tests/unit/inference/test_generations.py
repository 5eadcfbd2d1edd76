"""Who goes on when a model fails, where no provider can be made to fail just there."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from parley_inference.domain.errors import GenerationTooLongError, InferenceError, ProviderUnavailableError
from parley_inference.domain.generation import GenerationEvent, GenerationStarted, ReasoningDelta, TextDelta
from parley_inference.domain.models import CHAT, Model, ModelReference, Naming
from parley_inference.domain.prompt import GenerationRequest, PromptMessage, Role, ToolCall
from parley_inference.operations.model_chain import Bill, ModelChain
from parley_inference.operations.models import Models
from parley_inference.operations.providers import Provider

ASKED = GenerationRequest((PromptMessage(Role.USER, "Go on."),))
CALL = ToolCall("call_1", "clock", "{}")


class Scripted:
    """Writes some events, and fails."""

    def __init__(self, name: str, error: InferenceError, *events: GenerationEvent) -> None:
        self.provider = Provider(name, self, models=(Model(f"{name}-model", name, CHAT),))
        self.asked: list[GenerationRequest] = []
        self._events = (GenerationStarted(f"{name}-model", name), *events)
        self._error = error

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent, None]:
        self.asked.append(request)
        for event in self._events:
            yield event
        raise self._error


def chain(*models: Scripted) -> ModelChain:
    providers = [model.provider for model in models]
    names = [f"{provider.name}/{provider.models[0].name}" for provider in providers]
    naming = Naming(ModelReference(""), fallbacks=tuple(names[1:]))
    return ModelChain(Models(providers, naming, clock=lambda: 0.0))


async def fails(with_models: ModelChain) -> tuple[list[GenerationEvent], InferenceError]:
    """All events, and the error that ended them."""
    events: list[GenerationEvent] = []
    try:
        async for event in with_models.write(ASKED, Bill()):
            events.append(event)  # noqa: PERF401 - what came before an error is looked at
    except InferenceError as error:
        return events, error
    raise AssertionError("it did not fail")


async def test_nobody_goes_on_once_a_tool_was_called() -> None:
    error = ProviderUnavailableError("one")
    first, second = Scripted("one", error, TextDelta("Wait. "), CALL), Scripted("two", error)
    events, raised = await fails(chain(first, second))
    assert raised is error
    assert events.count(CALL) == 1
    assert second.asked == []


async def test_nobody_goes_on_when_the_whole_took_too_long() -> None:
    first = Scripted("one", GenerationTooLongError(1), TextDelta("a"))
    second = Scripted("two", ProviderUnavailableError("two"))
    _, raised = await fails(chain(first, second))
    assert isinstance(raised, GenerationTooLongError)
    assert second.asked == []


async def test_every_model_of_the_chain_goes_on_from_all_the_text_before_it() -> None:
    models = [
        Scripted(name, ProviderUnavailableError(name), ReasoningDelta("hm"), TextDelta(f"{name}. "))
        for name in ("one", "two", "three")
    ]
    _, raised = await fails(chain(*models))
    assert isinstance(raised, ProviderUnavailableError)
    assert raised.provider == "three"
    assert [model.asked[0].answer_so_far for model in models] == ["", "one. ", "one. two. "]

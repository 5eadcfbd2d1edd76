"""Which model a name means."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import pytest
from parley_inference.domain.errors import ModelNotCapableError, ModelNotFoundError, ProviderUnavailableError
from parley_inference.domain.generation import GenerationEvent
from parley_inference.domain.models import CHAT, EMBEDDING, Capability, Model, ModelReference, Naming
from parley_inference.domain.prompt import GenerationRequest
from parley_inference.domain.provider_health import ProviderState
from parley_inference.operations.models import Models
from parley_inference.operations.providers import Provider


class NoModel:
    """Is never asked to write here."""

    def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent, None]:
        raise NotImplementedError


class Directory:
    """A provider's list that a test can change."""

    def __init__(self, *names: str) -> None:
        self.names: Sequence[str] | None = names
        self.questions = 0

    async def model_names(self) -> Sequence[str]:
        self.questions += 1
        if self.names is None:
            raise ProviderUnavailableError("ollama", "gone")
        return self.names


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def provider(name: str, *models: str, embedding: str = "", directory: Directory | None = None) -> Provider:
    known = [Model(model, name, CHAT) for model in models]
    known += [Model(embedding, name, EMBEDDING)] if embedding else []
    return Provider(name, NoModel(), models=known, directory=directory)


def models(
    *providers: Provider, default: str = "", embedding: str = "", clock: Clock | None = None, **aliases: str
) -> Models:
    naming = Naming(
        ModelReference(default),
        {"fast": ModelReference(aliases.get("fast", "")), "strong": ModelReference(aliases.get("strong", ""))},
        ModelReference(embedding) if embedding else None,
    )
    return Models(providers, naming, clock=clock or Clock())


async def meant(known: Models, name: str, capability: Capability = Capability.GENERATE) -> str:
    model = await known.resolve(name, capability)
    return f"{model.provider}/{model.name}"


TWO = (provider("openai", "big", "org/open", embedding="vectors"), provider("ollama", "small", "big"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "openai/big"),
        ("big", "openai/big"),
        ("small", "ollama/small"),
        ("ollama/big", "ollama/big"),
        ("org/open", "openai/org/open"),
        ("openai/org/open", "openai/org/open"),
        ("fast", "ollama/small"),
        ("strong", "openai/big"),
    ],
)
async def test_a_name_means_one_model(name: str, expected: str) -> None:
    assert await meant(models(*TWO, fast="ollama/small"), name) == expected


@pytest.mark.parametrize("name", ["medium", "ollama/org/open", "google/big", "openai/", "/big", "FAST"])
async def test_an_unknown_name_is_not_found(name: str) -> None:
    with pytest.raises(ModelNotFoundError) as raised:
        await models(*TWO).resolve(name, Capability.GENERATE)
    assert raised.value.model == name


async def test_the_default_may_belong_to_any_provider() -> None:
    assert await meant(models(*TWO, default="ollama/small"), "") == "ollama/small"


async def test_embedding_needs_a_model_that_embeds() -> None:
    known = models(*TWO, embedding="vectors")
    assert await meant(known, "", Capability.EMBED) == "openai/vectors"
    assert await meant(known, "embed", Capability.EMBED) == "openai/vectors"
    for name in ("big", "fast"):
        with pytest.raises(ModelNotCapableError):
            await known.resolve(name, Capability.EMBED)
    with pytest.raises(ModelNotCapableError):
        await known.resolve("embed", Capability.GENERATE)
    with pytest.raises(ModelNotCapableError):
        await models(*TWO).resolve("", Capability.EMBED)


async def test_the_list_begins_with_the_default_and_tells_aliases_in_order() -> None:
    listed = await models(*TWO, default="ollama/small", embedding="vectors", strong="big").listed()
    assert [(one.model.provider, one.model.name, one.aliases) for one in listed] == [
        ("ollama", "small", ("fast",)),
        ("openai", "big", ("strong",)),
        ("openai", "org/open", ()),
        ("openai", "vectors", ("embed",)),
        ("ollama", "big", ()),
    ]


async def test_a_provider_whose_models_nobody_named_offers_what_it_lists() -> None:
    directory = Directory("nomic-embed-text", "llama3.2:latest", "qwen3")
    known = models(provider("ollama", directory=directory))
    assert await meant(known, "") == "ollama/llama3.2:latest"
    assert await meant(known, "qwen3") == "ollama/qwen3"
    assert [one.model.name for one in await known.listed()] == ["llama3.2:latest", "nomic-embed-text", "qwen3"]
    with pytest.raises(ModelNotCapableError):
        await known.resolve("nomic-embed-text", Capability.GENERATE)
    assert directory.questions == 1


async def test_a_list_is_believed_for_a_while_and_then_read_again() -> None:
    clock, directory = Clock(), Directory("one")
    known = models(provider("ollama", directory=directory), clock=clock)
    assert await meant(known, "") == "ollama/one"
    directory.names = ("two",)
    assert await meant(known, "") == "ollama/one"
    clock.now += 61
    assert await meant(known, "") == "ollama/two"


async def test_a_silent_provider_hides_no_other_and_is_not_replaced_by_one() -> None:
    directory = Directory()
    directory.names = None
    known = models(provider("openai", "big"), provider("ollama", directory=directory))
    assert [one.model.name for one in await known.listed()] == ["big"]
    assert [one.health.state for one in known.providers()] == [ProviderState.UNKNOWN, ProviderState.FAILING]
    assert await meant(known, "") == "openai/big"
    with pytest.raises(ProviderUnavailableError):
        await models(provider("ollama", directory=directory), provider("openai", "big")).resolve(
            "", Capability.GENERATE
        )


async def test_a_provider_without_any_model_says_so() -> None:
    with pytest.raises(ModelNotFoundError) as raised:
        await models(provider("ollama", directory=Directory())).resolve("", Capability.GENERATE)
    assert raised.value.provider == "ollama"


async def test_an_unknown_name_is_told_with_the_nearest() -> None:
    known = models(*TWO, embedding="vectors")
    for name, nearest in (("bigg", "big"), ("smal", "small"), ("Fast", "fast"), ("ollama/smal", "ollama/small")):
        with pytest.raises(ModelNotFoundError) as raised:
            await known.resolve(name, Capability.GENERATE)
        assert raised.value.nearest[0] == nearest
        assert not raised.value.advice


async def test_a_model_that_its_user_has_to_pull_says_how() -> None:
    ollama = Provider("ollama", NoModel(), directory=Directory("llama3.2:latest"), pulls_models=True)
    for name in ("llama3.3", "ollama/llama3.3"):
        with pytest.raises(ModelNotFoundError) as raised:
            await models(ollama).resolve(name, Capability.GENERATE)
        assert "ollama pull llama3.3" in raised.value.advice
    with pytest.raises(ModelNotFoundError) as raised:
        await models(provider("openai", "big"), ollama).resolve("llama3.3", Capability.GENERATE)
    assert not raised.value.advice


async def test_a_chain_of_its_own_wins_over_the_one_for_all() -> None:
    naming = Naming(
        ModelReference("openai/big"),
        {"fast": ModelReference("ollama/small"), "strong": ModelReference("openai/org/open")},
        fallbacks=("everyone",),
        chains={"strong": ("one",), "ollama/small": ("two",), "openai/big": ("ollama/big", "openai/big")},
    )
    known = Models(TWO, naming, clock=Clock())
    expected = {
        "strong": ("one",),
        "openai/org/open": ("everyone",),
        "ollama/small": ("two",),
        "small": ("two",),
        "fast": ("two",),
        "": ("ollama/big", "openai/big"),
        "big": ("ollama/big", "openai/big"),
        "ollama/big": ("everyone",),
        "unknown": ("everyone",),
    }
    assert {name: tuple(known.fallbacks_of(name)) for name in expected} == expected
    listed = {f"{one.model.provider}/{one.model.name}": one.fallbacks for one in await known.listed()}
    unnamed = Models(TWO, Naming(ModelReference(""), fallbacks=("everyone",), chains=naming.chains), clock=Clock())
    assert tuple(unnamed.fallbacks_of("")) == ("ollama/big", "openai/big")
    # Nobody goes on after itself, and nothing after what embeds.
    assert listed["openai/big"] == ("ollama/big",)
    assert listed["openai/vectors"] == ()
    assert listed["ollama/big"] == ("everyone",)

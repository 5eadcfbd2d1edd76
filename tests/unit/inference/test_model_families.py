"""What names tell of models."""

from __future__ import annotations

import pytest
from parley_inference.domain.errors import PromptTooLongError
from parley_inference.domain.model_families import known_model
from parley_inference.domain.models import CHAT, EMBEDDING, Capability, Model, nearest_models
from parley_inference.domain.prompt import GenerationRequest, PromptMessage, Role
from parley_inference.domain.prompt_window import check_fits, fill_in_figures


@pytest.mark.parametrize(
    ("name", "window"),
    [
        ("gpt-5", 400_000),
        ("gpt-5-mini", 400_000),
        ("gpt-5.1", 400_000),
        ("gpt-4.1-nano", 1_047_576),
        ("gpt-4o-2024-08-06", 128_000),
        ("gpt-4-turbo", 128_000),
        ("o3-mini", 200_000),
        ("claude-3-5-haiku-20241022", 200_000),
        ("claude-sonnet-4-20250514", 200_000),
        ("claude-sonnet-4-5-20250929", 200_000),
        ("claude-opus-4-6", 1_000_000),
        # As gateways write it.
        ("anthropic/claude-sonnet-4.6", 1_000_000),
        ("anthropic/claude-sonnet-4.5", 200_000),
        ("openai/gpt-4o", 128_000),
        ("gpt-oss:20b", 131_072),
        # Of others nothing is assumed: a window that is too small would refuse what fits.
        ("gpt-50", 0),
        ("gpt-4-1106-preview", 0),
        ("claude-nova-9", 0),
        ("qwen3-32b", 0),
        ("", 0),
    ],
)
def test_the_window_is_that_of_the_longest_family_that_fits(name: str, window: int) -> None:
    assert known_model(name, "p").context_window_tokens == window


def test_what_a_model_can_do_is_told_by_its_family() -> None:
    assert Capability.IMAGES in known_model("gpt-4o-mini", "p").capabilities
    assert Capability.STRUCTURED_OUTPUT in known_model("claude-haiku-4-5", "p").capabilities
    assert Capability.STRUCTURED_OUTPUT not in known_model("claude-3-haiku-20240307", "p").capabilities
    assert Capability.IMAGES in known_model("llava:13b", "p").capabilities
    assert known_model("o3-mini", "p").capabilities == CHAT | {Capability.STRUCTURED_OUTPUT}
    assert known_model("llama3.2:latest", "p").capabilities == CHAT
    for name in (
        "text-embedding-3-small",
        "nomic-embed-text:latest",
        "BAAI/bge-m3",
        "all-minilm:l6",
        "intfloat/e5-large",
    ):
        assert known_model(name, "p") == Model(name, "p", EMBEDDING)


def test_the_nearest_names_are_told_as_they_are_written() -> None:
    known = ("gpt-5-mini", "gpt-5", "claude-sonnet-4-5", "Qwen3-32B", "fast")
    assert nearest_models("gtp-5-mini", known)[0] == "gpt-5-mini"
    assert nearest_models("qwen3-32b", known) == ("Qwen3-32B",)
    assert nearest_models("FAST", known) == ("fast",)
    assert nearest_models("completely different", known) == ()


def asked(characters: int) -> GenerationRequest:
    return GenerationRequest((PromptMessage(Role.USER, "x" * characters),), "m")


def test_only_a_prompt_that_plainly_does_not_fit_is_refused() -> None:
    model = Model("m", "p", CHAT, 1000)
    check_fits(asked(5000), model)
    with pytest.raises(PromptTooLongError) as raised:
        check_fits(asked(8000), model)
    assert (raised.value.tokens, raised.value.limit) == (2000, 1000)
    check_fits(asked(8000), Model("m", "p", CHAT))


def test_figures_that_a_provider_did_not_tell_are_filled_in_where_ours_do_not_contradict_it() -> None:
    known, unknown = Model("m", "p", CHAT, 1000), Model("m", "p", CHAT)
    for told, model, characters, expected in (
        ((9, 8), known, 8000, (9, 8)),
        ((0, 0), known, 8000, (2000, 1000)),
        ((0, 0), known, 400, (0, 1000)),
        ((0, 0), unknown, 400, (100, 0)),
        ((0, 500), unknown, 4000, (1000, 500)),
    ):
        error = PromptTooLongError(*told)
        fill_in_figures(error, asked(characters), model)
        assert (error.tokens, error.limit) == expected

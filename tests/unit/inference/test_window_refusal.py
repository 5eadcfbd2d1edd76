"""How providers say that a prompt is too long."""

from __future__ import annotations

import pytest
from parley_inference.adapters.window_refusal import prompt_too_long


@pytest.mark.parametrize(
    ("words", "kind", "figures"),
    [
        (
            "This model's maximum context length is 16385 tokens. However, your messages resulted in 33625 tokens.",
            "context_length_exceeded",
            (33_625, 16_385),
        ),
        (
            "This model's maximum context length is 4097 tokens. However, you requested 4120 tokens (3120 in the messages).",
            "BadRequestError",
            (4120, 4097),
        ),
        ("prompt is too long: 210,000 tokens > 200,000 maximum", "invalid_request_error", (210_000, 200_000)),
        (
            "request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it",
            "exceed_context_size_error",
            (9000, 8192),
        ),
        ("the request exceeds the available context size. try increasing the context size", "", (0, 0)),
        (
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            "",
            (1_200_000, 1_048_576),
        ),
        (
            "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            "",
            (40_000, 32_768),
        ),
        ("Zu lang.", "context_length_exceeded", (0, 0)),
        (
            "prompt is too long: 99999999999999 tokens > 200000 maximum",
            "",
            (2**31 - 1, 200_000),
        ),
    ],
)
def test_a_prompt_that_is_too_long_is_recognised(words: str, kind: str, figures: tuple[int, int]) -> None:
    found = prompt_too_long(words, kind)
    assert found is not None
    assert (found.tokens, found.limit) == figures


@pytest.mark.parametrize(
    "words",
    [
        "",
        "max_tokens is too large: 999999. This model supports at most 16384 completion tokens.",
        # It is the answer's limit that does not fit.
        "'max_tokens' is too large: 5000. This model's maximum context length is 4096 tokens and your request has 10 input tokens.",
        "Unsupported parameter: 'temperature'.",
        "image exceeds the maximum size",
    ],
)
def test_other_refusals_are_not_taken_for_it(words: str) -> None:
    assert prompt_too_long(words, "invalid_request_error") is None

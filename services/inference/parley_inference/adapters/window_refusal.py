"""What a provider says when a prompt is too long for a model: found in the words of its refusal, with the figures where it tells them.

There is no field for it that all would have: OpenAI has a code, llama.cpp a type, and the others have their words.
"""

from __future__ import annotations

import re

from parley_inference.domain.errors import PromptTooLongError
from parley_inference.domain.generation import MOST_TOKENS

_KINDS = ("context_length_exceeded", "exceed_context_size_error")
"""The codes and types that say it alone."""
_NUMBER = r"([\d,]{1,15})"
_SAID = tuple(
    re.compile(words, re.IGNORECASE)
    for words in (
        # OpenAI, DeepSeek, vLLM.
        (
            rf"maximum context length (?:is|of) (?P<limit>{_NUMBER}) tokens\b.{{0,120}}?"
            rf"(?:requested|resulted in|contains at least|has) (?:about )?(?P<tokens>{_NUMBER}) (?:input )?tokens"
        ),
        # Anthropic.
        rf"prompt is too long: (?P<tokens>{_NUMBER}) tokens > (?P<limit>{_NUMBER}) maximum",
        # llama.cpp.
        rf"request \((?P<tokens>{_NUMBER}) tokens\) exceeds the available context size \((?P<limit>{_NUMBER}) tokens\)",
        # Gemini's compatible door.
        rf"input token count \((?P<tokens>{_NUMBER})\) exceeds the maximum number of tokens allowed \((?P<limit>{_NUMBER})\)",
        # Mistral.
        rf"prompt contains (?P<tokens>{_NUMBER}) tokens\b.{{0,120}}?with (?P<limit>{_NUMBER}) maximum context length",
        # The same without figures.
        r"prompt is too long|exceeds? the (?:available|model's|maximum) context (?:size|length|window)|context length exceeded",
    )
)


def prompt_too_long(words: str, *kinds: str) -> PromptTooLongError | None:
    """The error when a refusal says so, by its words or by its code or type; None when it is about something else."""
    for pattern in _SAID:
        if (found := pattern.search(words)) is None:
            continue
        figures = found.groupdict()
        tokens, limit = _figure(figures.get("tokens")), _figure(figures.get("limit"))
        # Servers name the window also when it is the answer's limit that does not fit.
        return None if tokens and tokens <= limit else PromptTooLongError(tokens, limit)
    return PromptTooLongError(0, 0) if any(kind in _KINDS for kind in kinds) else None


def _figure(digits: str | None) -> int:
    return min(int(digits.replace(",", "") or 0), MOST_TOKENS) if digits else 0

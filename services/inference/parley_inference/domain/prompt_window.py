"""Whether a prompt fits into a model's context window, before anybody is asked. Only what plainly does not fit is refused: of what may
or may not, the provider knows more than an estimate does, and its refusal is told in the same way.
"""

from __future__ import annotations

from parley_inference.domain.errors import PromptTooLongError
from parley_inference.domain.generation import estimated_tokens
from parley_inference.domain.models import Model
from parley_inference.domain.prompt import GenerationRequest, characters_of

_MOST_CHARACTERS_PER_TOKEN = 5
"""What a token has at most, on the average of a long text in a European language. Others have fewer."""


def check_fits(request: GenerationRequest, model: Model) -> None:
    """Raises PromptTooLongError when the prompt alone has more tokens than the window, as far as the window is known."""
    characters = characters_of(request)
    limit = model.context_window_tokens
    if limit and characters > limit * _MOST_CHARACTERS_PER_TOKEN:
        raise PromptTooLongError(estimated_tokens(characters), limit)


def fill_in_figures(error: PromptTooLongError, request: GenerationRequest, model: Model) -> None:
    """Adds the figures that a provider did not tell when it found a prompt too long, as far as ours do not contradict it."""
    error.limit = error.limit or model.context_window_tokens
    estimate = estimated_tokens(characters_of(request))
    if not error.tokens and (not error.limit or estimate > error.limit):
        error.tokens = estimate

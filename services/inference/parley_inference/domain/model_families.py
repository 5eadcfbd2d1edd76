"""What is known of models by their names alone: the windows and the abilities of the families that are in wide use.

Lists of providers do not tell them (or each in its own words). What the operator says of a model in the configuration file wins; of a model
that no family fits, nothing is assumed but that it writes and may be given tools.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from parley_inference.domain.models import CHAT, EMBEDDING, Capability, Model

_SEES = CHAT | {Capability.IMAGES}
_STRUCTURES = CHAT | {Capability.STRUCTURED_OUTPUT}
_ALL = _SEES | _STRUCTURES


@dataclass(frozen=True, slots=True)
class Family:
    """Models whose names begin alike."""

    context_window_tokens: int
    """Tokens of prompt and answer together; 0 when it differs within the family or is not published."""
    capabilities: frozenset[Capability] = CHAT


FAMILIES = {
    # platform.openai.com/docs/models, "context window" of each model.
    "gpt-5": Family(400_000, _ALL),
    "gpt-4.1": Family(1_047_576, _ALL),
    "gpt-4o": Family(128_000, _ALL),
    "gpt-4-turbo": Family(128_000, _SEES),
    "gpt-4": Family(0),
    "gpt-3.5-turbo": Family(16_385),
    "gpt-oss": Family(131_072, _STRUCTURES),
    "o1": Family(200_000, _ALL),
    "o3": Family(200_000, _ALL),
    "o3-mini": Family(200_000, _STRUCTURES),
    "o4-mini": Family(200_000, _ALL),
    # platform.claude.com/docs, "Context windows" and "Structured outputs": all see pictures; 200,000 tokens up to 4.5 (more of Sonnet
    # needs a header that is not sent), 1,000,000 from 4.6 of Opus and Sonnet. Of what is newer than the newest here, no window is assumed.
    "claude": Family(0, _SEES),
    "claude-3": Family(200_000, _SEES),
    "claude-haiku-4-5": Family(200_000, _ALL),
    "claude-sonnet-4": Family(200_000, _SEES),
    "claude-sonnet-4-5": Family(200_000, _ALL),
    "claude-sonnet-4-6": Family(1_000_000, _ALL),
    "claude-sonnet-5": Family(1_000_000, _ALL),
    "claude-opus-4": Family(200_000, _SEES),
    "claude-opus-4-5": Family(200_000, _ALL),
    "claude-opus-4-6": Family(1_000_000, _ALL),
    "claude-opus-4-7": Family(1_000_000, _ALL),
    "claude-opus-4-8": Family(1_000_000, _ALL),
    "claude-opus-5": Family(1_000_000, _ALL),
    "claude-fable-5": Family(1_000_000, _ALL),
    # Open models that see. Their servers choose the window, so none is assumed.
    "llava": Family(0, frozenset({Capability.GENERATE, Capability.IMAGES})),
    "gemma3": Family(0, frozenset({Capability.GENERATE, Capability.IMAGES})),
    "llama3.2-vision": Family(0, frozenset({Capability.GENERATE, Capability.IMAGES})),
    "qwen2.5vl": Family(0, frozenset({Capability.GENERATE, Capability.IMAGES})),
    "qwen3-vl": Family(0, _SEES),
    "pixtral": Family(0, _SEES),
}
"""By how names begin; of several that fit, the longest."""

_EMBEDDERS = re.compile(r"embed|^(?:bge|e5|gte)-|minilm")
_UNKNOWN = Family(0)


def _plain(name: str) -> str:
    """The name as families are compared: without whose it is (`org/model`), and versions with dashes, as some gateways write dots."""
    return name.rpartition("/")[2].lower().replace(".", "-")


_BY_PLAIN_NAME = {_plain(name): family for name, family in FAMILIES.items()}


def family_of(name: str) -> Family:
    """What is known of a model by its name."""
    plain = _plain(name)
    fitting = (one for one in _BY_PLAIN_NAME if plain == one or plain.startswith((f"{one}-", f"{one}:", f"{one}@")))
    longest = max(fitting, key=len, default=None)
    return _UNKNOWN if longest is None else _BY_PLAIN_NAME[longest]


def is_blind(model: Model) -> bool:
    """Whether a model is known to see no pictures. Of a model that no family fits, nothing is known."""
    is_known = model.offline or family_of(model.name) is not _UNKNOWN
    return is_known and Capability.IMAGES not in model.capabilities


def known_model(name: str, provider: str) -> Model:
    """The model of this name, with all that its name tells. Embedding models mostly say so in theirs."""
    if _EMBEDDERS.search(_plain(name)):
        return Model(name, provider, EMBEDDING)
    family = family_of(name)
    return Model(name, provider, family.capabilities, family.context_window_tokens)

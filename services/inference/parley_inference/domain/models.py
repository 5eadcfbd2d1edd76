"""Models, and what a name in a request may mean. Who calls them is the operations' business."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Capability(StrEnum):
    """What a model can do."""

    GENERATE = "generate"
    TOOLS = "tools"
    EMBED = "embed"


CHAT = frozenset({Capability.GENERATE, Capability.TOOLS})
EMBEDDING = frozenset({Capability.EMBED})


@dataclass(frozen=True, slots=True)
class Model:
    """A model that a request may name."""

    name: str
    """As its provider names it."""
    provider: str
    capabilities: frozenset[Capability]
    context_window_tokens: int = 0
    """0 when it is not known."""
    offline: bool = False


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A name as an operator or a caller writes it: `model`, or `provider/model`."""

    text: str

    def parts(self, providers: Mapping[str, object]) -> tuple[str | None, str]:
        """The provider, None when it names none, and the model.

        Names of models hold slashes too (`org/model`), so only a provider that exists counts as one.
        """
        head, slash, rest = self.text.partition("/")
        return (head, rest) if slash and rest and head in providers else (None, self.text)


@dataclass(frozen=True, slots=True)
class Naming:
    """Which names mean which models. What a file of configuration will say one day, the environment says today."""

    default: ModelReference
    """Means the first provider's first model when its text is empty."""
    aliases: Mapping[str, ModelReference] = field(default_factory=dict)
    """`fast`, `strong`, … An alias whose text is empty means the default."""
    default_embedding: ModelReference | None = None
    """None when no embedding model is configured."""


CONTEXT_WINDOWS = {
    "gpt-5": 400_000,
    "gpt-4.1": 1_047_576,
    "gpt-4o": 128_000,
    "o3": 200_000,
    "o4-mini": 200_000,
}
"""Tokens of prompt and answer together, by how the names of a family begin, as their maker publishes them."""


def context_window_of(name: str) -> int:
    """The window of a model whose family is known; 0 for any other."""
    for family, tokens in CONTEXT_WINDOWS.items():
        if name == family or name.startswith((f"{family}-", f"{family}.")):
            return tokens
    return 0


def capabilities_of(name: str) -> frozenset[Capability]:
    """What a model that its provider lists can do. Lists do not tell, and embedding models say so in their names."""
    return EMBEDDING if "embed" in name.lower() else CHAT

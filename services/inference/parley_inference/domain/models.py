"""Models, and what a name in a request may mean. Who calls them is the operations' business."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum


class Capability(StrEnum):
    """What a model can do."""

    GENERATE = "generate"
    TOOLS = "tools"
    EMBED = "embed"
    IMAGES = "images"
    """Sees pictures."""
    STRUCTURED_OUTPUT = "structured_output"
    """Keeps to a JSON Schema by itself."""


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
    """Which names mean which models, and which go on when one fails: what the configuration file and the environment say."""

    default: ModelReference
    """Means the first provider's first model when its text is empty."""
    aliases: Mapping[str, ModelReference] = field(default_factory=dict)
    """`fast`, `strong`, … An alias whose text is empty means the default."""
    default_embedding: ModelReference | None = None
    """None when no embedding model is configured."""
    fallbacks: tuple[str, ...] = ()
    """The models or aliases that go on when one fails that has no chain of its own, in their order."""
    chains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The chains of their own, by alias or `provider/model`."""


_LEAST_LIKENESS = 0.5
_MOST_NEAREST = 3


def nearest_models(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """The names there are that look like this one, the nearest first; three at most, and often none."""
    # Case is what people get wrong first, and it says nothing about how much two names are alike.
    by_lower = {one.lower(): one for one in known}
    near = get_close_matches(name.lower(), by_lower, _MOST_NEAREST, _LEAST_LIKENESS)
    return tuple(by_lower[one] for one in near)

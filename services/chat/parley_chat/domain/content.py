"""Content that is written from templates: what can be asked for, and what a filled template says. The templates are inference's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from parley_chat.domain.conversation import Role
from parley_chat.domain.generation import Sampling
from parley_chat.domain.prompt import PromptLine


class FieldKind(StrEnum):
    """What kind of value a field of a template takes."""

    TEXT = "text"
    INTEGER = "integer"
    CHOICE = "choice"
    LINES = "lines"


class ContentLength(StrEnum):
    """How much is written."""

    SHORT = "short"
    MEDIUM = "medium"
    LONG = "long"


@dataclass(frozen=True, slots=True)
class ContentField:
    """A field of a template."""

    name: str
    description: str
    kind: FieldKind
    required: bool
    default_value: str
    choices: tuple[str, ...]
    max_length: int
    """Characters; 0 where it does not apply."""
    minimum: int | None
    maximum: int | None


@dataclass(frozen=True, slots=True)
class ContentTemplate:
    """A kind of content that can be written."""

    template_id: str
    title: str
    description: str
    fields: tuple[ContentField, ...]
    usual_words: int


@dataclass(frozen=True, slots=True)
class ContentOrder:
    """What a user asks to be written. Checked at the door, but for its values, which the template judges."""

    template_id: str
    custom_template: str
    """In place of a stored one; empty when there is none."""
    fields: Mapping[str, str]
    tone: str
    audience: str
    length: ContentLength
    language: str
    variants: int
    """1 or more."""
    model: str
    """The name or alias; the template's own when empty."""


@dataclass(frozen=True, slots=True)
class ContentPrompt:
    """A filled template."""

    instructions: str
    lines: tuple[PromptLine, ...]
    """Oldest first; the last is the user's."""
    model: str
    """The name or alias that the template asks for; empty for the default."""
    sampling: Sampling

    def variant(self, number: int, of: int) -> ContentPrompt:
        """The prompt of one of several texts, from 1: each is told to go its own way, since none knows the others."""
        if of == 1:
            return self
        words = (
            f"This is version {number} of {of}, each of which is written without knowledge of the others. "
            "Give it an opening, an angle and an order of its own. Do not mention that there are versions."
        )
        *before, last = self.lines
        seed = self.sampling.seed
        return replace(
            self,
            lines=(*before, PromptLine(Role.USER, f"{last.text}\n\n{words}")),
            sampling=replace(self.sampling, seed=None if seed is None else seed + number - 1),
        )

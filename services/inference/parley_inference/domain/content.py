"""Content: templates with typed fields, what a caller wants written, and the values that fit. The prompt is content_prompt.py's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from parley_inference.domain.placeholders import PlaceholderText

TEMPLATE_ID = re.compile(r"[a-z0-9_-]{1,64}")
TITLE_MOST = 100
DESCRIPTION_MOST = 1_000
FIELD_DESCRIPTION_MOST = 500
FIELDS_MOST = 50
VALUE_MOST = 20_000
CHOICES_MOST = 100
CHOICE_MOST = 200
USUAL_WORDS_MOST = 10_000
INSTRUCTIONS_MOST = 10_000
DEFAULT_MAX_LENGTH = 2_000
INTEGER_LEAST, INTEGER_MOST = -(2**63), 2**63 - 1

RESERVED_NAMES = frozenset({"tone", "audience", "length", "language"})
"""Of fields: every template takes these anyway."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")


class FieldKind(StrEnum):
    """What kind of value a field takes. The values are the words of the files."""

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
    required: bool = False
    default: str = ""
    choices: tuple[str, ...] = ()
    max_length: int = 0
    """Of a TEXT or LINES, characters; 0 for other kinds."""
    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class ContentTemplate:
    """A kind of content that can be written."""

    template_id: str
    title: str
    description: str
    instructions: PlaceholderText
    fields: tuple[ContentField, ...]
    """In the order in which a form shows them."""
    usual_words: int
    model: str = ""
    """A model or alias; empty for the default."""
    temperature: float | None = None
    """None leaves it to the provider."""


@dataclass(frozen=True, slots=True)
class ContentWish:
    """What a caller wants written."""

    template_id: str
    custom_template: str
    """In place of a stored one when it is not empty."""
    values: Mapping[str, str]
    tone: str = ""
    audience: str = ""
    length: ContentLength | None = None
    """None when it does not matter: as is usual."""
    language: str = ""


class UnfitValueError(Exception):
    """A value that does not fit its field. The message goes on from the field's name: "must be …"."""


def fitting_value(field: ContentField, given: str) -> str:
    """The value as it is written into a prompt; the default when it is blank. Raises UnfitValueError."""
    value = given.replace("\r\n", "\n").strip()
    if not value:
        if field.required:
            raise UnfitValueError("must be given")
        return field.default
    if "\x00" in value:
        raise UnfitValueError("must not hold U+0000")
    match field.kind:
        case FieldKind.INTEGER:
            return _integer(field, value)
        case FieldKind.CHOICE:
            for choice in field.choices:
                if choice.casefold() == value.casefold():
                    return choice
            raise UnfitValueError(f"must be one of {', '.join(field.choices)}")
        case FieldKind.LINES:
            _check_length(field, value)
            return "\n".join(line.strip() for line in value.split("\n") if line.strip())
        case FieldKind.TEXT:
            _check_length(field, value)
            return value


def _integer(field: ContentField, value: str) -> str:
    least = INTEGER_LEAST if field.minimum is None else field.minimum
    most = INTEGER_MOST if field.maximum is None else field.maximum
    if not _INTEGER.fullmatch(value) or not least <= int(value) <= most:
        bounds = {(False, False): "", (True, True): f" from {least} to {most}"}.get(
            (field.minimum is not None, field.maximum is not None),
            f" of at least {least}" if field.minimum is not None else f" of at most {most}",
        )
        raise UnfitValueError(f"must be a whole number{bounds}")
    return str(int(value))


def _check_length(field: ContentField, value: str) -> None:
    if len(value) > field.max_length:
        raise UnfitValueError(f"must have at most {field.max_length} characters; it has {len(value)}")

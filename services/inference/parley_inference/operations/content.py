"""Content: which templates there are, and the prompts that ask for it. What they ask is generated like anything else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from parley_inference.domain.content import VALUE_MOST, ContentTemplate, ContentWish, UnfitValueError, fitting_value
from parley_inference.domain.content_prompt import ContentPrompt, custom_prompt, prompt_for
from parley_inference.domain.errors import ContentFieldsError, TemplateNotFoundError
from parley_inference.domain.nearest_names import nearest_names
from parley_inference.domain.placeholders import PlaceholderError, PlaceholderText

MOST_CHARACTERS = 900_000
"""Of a filled template. One value may stand in many places, and a message has an end."""


class Content:
    """The templates that there are. They do not change while the service runs."""

    def __init__(self, templates: Iterable[ContentTemplate]) -> None:
        self._templates = {
            template.template_id: template for template in sorted(templates, key=lambda template: template.template_id)
        }

    def listed(self) -> Sequence[ContentTemplate]:
        """All of them, by their ids."""
        return list(self._templates.values())

    def rendered(self, wish: ContentWish) -> ContentPrompt:
        """The prompt that asks for it. Raises TemplateNotFoundError, and ContentFieldsError with all that does not fit."""
        if wish.custom_template:
            return _custom(wish)
        template = self._templates.get(wish.template_id)
        if template is None:
            raise TemplateNotFoundError(wish.template_id, nearest_names(wish.template_id, self._templates))
        values = _fitting_values(template, wish.values)
        _check_length(template.instructions, values, "fields")
        return prompt_for(template, values, wish)


def _custom(wish: ContentWish) -> ContentPrompt:
    try:
        instructions = PlaceholderText.parse(wish.custom_template)
    except PlaceholderError as error:
        raise ContentFieldsError([("custom_template", str(error))]) from None
    names = instructions.names
    problems = [(f"fields.{name}", "must be given: the template holds it") for name in sorted(names - set(wish.values))]
    for name, value in sorted(wish.values.items()):
        if name not in names:
            problems.append((f"fields.{name}", "is not known: the template does not hold it"))
        elif len(value) > VALUE_MOST:
            problems.append((f"fields.{name}", f"must have at most {VALUE_MOST} characters; it has {len(value)}"))
        elif "\x00" in value:
            problems.append((f"fields.{name}", "must not hold U+0000"))
    if problems:
        raise ContentFieldsError(problems)
    _check_length(instructions, wish.values, "custom_template")
    return custom_prompt(instructions, wish)


def _fitting_values(template: ContentTemplate, given: Mapping[str, str]) -> Mapping[str, str]:
    values: dict[str, str] = {}
    problems: list[tuple[str, str]] = []
    for field in template.fields:
        try:
            values[field.name] = fitting_value(field, given.get(field.name, ""))
        except UnfitValueError as error:
            problems.append((f"fields.{field.name}", str(error)))
    names = ", ".join(field.name for field in template.fields)
    problems += [
        (f"fields.{name}", f"is not known: {template.template_id} has {names}")
        for name in sorted(set(given) - set(values))
        if f"fields.{name}" not in dict(problems)
    ]
    if problems:
        raise ContentFieldsError(problems)
    return values


def _check_length(instructions: PlaceholderText, values: Mapping[str, str], field: str) -> None:
    length = instructions.length_with(values)
    if length > MOST_CHARACTERS:
        raise ContentFieldsError(
            [(field, f"must fill its template with at most {MOST_CHARACTERS} characters; it would have about {length}")]
        )

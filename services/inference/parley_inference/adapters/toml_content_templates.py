"""Templates of content from a folder of TOML files, one for each: `email.toml` is the template `email`.

    title = "E-mail"
    description = "What it writes."
    usual_words = 150
    instructions = "Write an e-mail to {recipient}. What it is about: {purpose}"
    model = "strong"            # optional, as temperature is

    [[fields]]
    name = "recipient"
    description = "Who gets it."
    kind = "text"               # or integer, choice, lines
    required = true             # optional, as what follows
    default = ""
    choices = []                # of a choice
    max_length = 2000           # of a text or lines
    minimum = 0                 # of an integer
    maximum = 10

A line of the instructions in which all placeholders are empty is left out. Which folders are read is bootstrap's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from parley_inference.adapters.toml_folder import Table, tables_in
from parley_inference.domain.content import (
    CHOICE_MOST,
    CHOICES_MOST,
    DEFAULT_MAX_LENGTH,
    DESCRIPTION_MOST,
    FIELD_DESCRIPTION_MOST,
    FIELDS_MOST,
    INSTRUCTIONS_MOST,
    INTEGER_LEAST,
    INTEGER_MOST,
    RESERVED_NAMES,
    TEMPLATE_ID,
    TITLE_MOST,
    USUAL_WORDS_MOST,
    VALUE_MOST,
    ContentField,
    ContentTemplate,
    FieldKind,
    UnfitValueError,
    fitting_value,
)
from parley_inference.domain.placeholders import NAME, PlaceholderError, PlaceholderText

_MODEL_MOST = 200
_TEXTS = frozenset({FieldKind.TEXT, FieldKind.LINES})


def read_content_templates(folder: Path) -> Sequence[ContentTemplate]:
    """The templates of a folder, by their ids. Raises FolderError."""
    return [
        _template(template_id, table)
        for template_id, table in tables_in(folder, TEMPLATE_ID, "1 to 64 of a-z 0-9 _ - (the template's id)")
    ]


def _template(template_id: str, table: Table) -> ContentTemplate:
    fields = tuple(_field(one) for one in table.tables("fields", most=FIELDS_MOST))
    names = [field.name for field in fields]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise table.wrong("fields", f"name {repeated} twice")
    try:
        instructions = PlaceholderText.parse(table.text("instructions", most=INSTRUCTIONS_MOST, one_line=False))
    except PlaceholderError as error:
        raise table.wrong("instructions", str(error)) from None
    if unknown := sorted(instructions.names - set(names)):
        raise table.wrong("instructions", f"hold {{{unknown[0]}}}, and there is no field {unknown[0]}")
    if unused := sorted(set(names) - instructions.names):
        raise table.wrong("instructions", f"do not hold the field {unused[0]}: write {{{unused[0]}}} where it belongs")
    template = ContentTemplate(
        template_id=template_id,
        title=table.text("title", most=TITLE_MOST),
        description=table.text("description", most=DESCRIPTION_MOST, one_line=False),
        instructions=instructions,
        fields=fields,
        usual_words=table.integer("usual_words", least=1, most=USUAL_WORDS_MOST, default=None) or 0,
        model=table.text("model", most=_MODEL_MOST, default=""),
        temperature=table.number("temperature", least=0, most=2),
    )
    if not template.usual_words:
        raise table.wrong("usual_words", "is missing")
    table.end()
    return template


def _field(table: Table) -> ContentField:
    name = table.text("name", most=64)
    if not NAME.fullmatch(name):
        raise table.wrong("name", "must be 1 to 64 of a-z 0-9 _")
    if name in RESERVED_NAMES:
        raise table.wrong("name", f"must not be {name}: every template takes that anyway")
    kind = FieldKind(table.choice("kind", [kind.value for kind in FieldKind], FieldKind.TEXT.value))
    for key, kinds in (
        ("choices", {FieldKind.CHOICE}),
        ("max_length", _TEXTS),
        ("minimum", {FieldKind.INTEGER}),
        ("maximum", {FieldKind.INTEGER}),
    ):
        if table.has(key) and kind not in kinds:
            raise table.wrong(key, f"is nothing for a field of the kind {kind.value}")
    longest = table.integer("max_length", least=1, most=VALUE_MOST, default=DEFAULT_MAX_LENGTH)
    field = ContentField(
        name=name,
        description=table.text("description", most=FIELD_DESCRIPTION_MOST, one_line=False),
        kind=kind,
        required=table.flag("required", default=False),
        choices=table.texts("choices", most=CHOICES_MOST, most_characters=CHOICE_MOST),
        max_length=longest or 0 if kind in _TEXTS else 0,
        minimum=table.integer("minimum", least=INTEGER_LEAST, most=INTEGER_MOST, default=None),
        maximum=table.integer("maximum", least=INTEGER_LEAST, most=INTEGER_MOST, default=None),
    )
    if kind is FieldKind.CHOICE and not field.choices:
        raise table.wrong("choices", "is missing")
    if field.minimum is not None and field.maximum is not None and field.minimum > field.maximum:
        raise table.wrong("minimum", "must not be more than maximum")
    default = table.text("default", most=VALUE_MOST, default="", one_line=False)
    if default and field.required:
        raise table.wrong("default", "is of no use in a field that is required")
    try:
        field = replace(field, default=fitting_value(replace(field, required=False), default))
    except UnfitValueError as error:
        raise table.wrong("default", str(error)) from None
    table.end()
    return field

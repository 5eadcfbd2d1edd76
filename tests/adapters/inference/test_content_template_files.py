"""Templates of content from a folder of files: the shipped ones, and what is wrong told with file, field and key."""

from __future__ import annotations

import re
from pathlib import Path

import parley_inference
import pytest
from parley_inference.adapters.toml_content_templates import read_content_templates
from parley_inference.adapters.toml_folder import FolderError
from parley_inference.domain.content import ContentField, ContentTemplate, FieldKind
from parley_inference.domain.placeholders import values_in
from parley_testing.tools import ROOT

SHIPPED = Path(parley_inference.__file__).parent / "content_templates"
HEAD = 'title = "T"\ndescription = "D"\nusual_words = 100\ninstructions = "About {topic}."\n'
FIELD = '[[fields]]\nname = "topic"\ndescription = "F"\n'


def template_of(folder: Path, text: str) -> ContentTemplate:
    (folder / "note.toml").write_text(text)
    (template,) = read_content_templates(folder)
    return template


def problem_of(folder: Path, text: str) -> str:
    with pytest.raises(FolderError) as raised:
        template_of(folder, text)
    return str(raised.value)


def test_six_templates_ship() -> None:
    assert [template.template_id for template in read_content_templates(SHIPPED)] == [
        "ad_copy",
        "blog_post",
        "email",
        "product_description",
        "social_post",
        "summary",
    ]


@pytest.mark.parametrize("template", read_content_templates(SHIPPED), ids=lambda template: template.template_id)
def test_a_shipped_template_asks_for_little_and_says_what_form_it_wants(template: ContentTemplate) -> None:
    required = [field.name for field in template.fields if field.required]
    assert 1 <= len(required) <= 2
    assert template.fields[0].required
    # Many models refuse a temperature.
    assert template.temperature is None
    # Without the values, nothing of the optional lines is left, and no line was cut in two.
    text = template.instructions.filled(dict.fromkeys(required, "x"), drops_lines=True)
    assert set(values_in(text)) == set(required)
    assert "\\" not in text
    assert not any(line.rstrip().endswith(":") for line in text.split("\n") if "this text" not in line)


def test_the_example_of_the_guide_is_a_template(tmp_path: Path) -> None:
    guide = (ROOT / "docs/guide/content.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    assert [field.name for field in template_of(tmp_path, example).fields] == ["thing", "word"]


def test_a_template_is_named_after_its_file(tmp_path: Path) -> None:
    template = template_of(tmp_path, HEAD + FIELD)
    assert (template.template_id, template.usual_words, template.model) == ("note", 100, "")
    assert template.fields == (ContentField("topic", "F", FieldKind.TEXT, max_length=2000),)


def test_every_key_is_read(tmp_path: Path) -> None:
    text = (
        HEAD.replace("{topic}", "{a} {b} {c} {d}")
        + 'model = "fast"\ntemperature = 0.5\n'
        + '[[fields]]\nname = "a"\ndescription = "A"\nrequired = true\nmax_length = 9\n'
        + '[[fields]]\nname = "b"\ndescription = "B"\nkind = "integer"\nminimum = -1\nmaximum = 5\ndefault = "+3"\n'
        + '[[fields]]\nname = "c"\ndescription = "C"\nkind = "choice"\nchoices = ["One", "Two"]\ndefault = "two"\n'
        + '[[fields]]\nname = "d"\ndescription = "D"\nkind = "lines"\ndefault = " x\\n\\n y "\n'
    )
    template = template_of(tmp_path, text)
    assert (template.model, template.temperature) == ("fast", 0.5)
    assert template.fields == (
        ContentField("a", "A", FieldKind.TEXT, required=True, max_length=9),
        ContentField("b", "B", FieldKind.INTEGER, default="3", minimum=-1, maximum=5),
        ContentField("c", "C", FieldKind.CHOICE, default="Two", choices=("One", "Two")),
        ContentField("d", "D", FieldKind.LINES, default="x\ny", max_length=2000),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HEAD, "note.toml: instructions hold {topic}, and there is no field topic"),
        (HEAD + FIELD + FIELD, "note.toml: fields name topic twice"),
        (
            HEAD + FIELD + FIELD.replace("topic", "more"),
            "note.toml: instructions do not hold the field more: write {more} where it belongs",
        ),
        (
            HEAD.replace("{topic}", "{Topic}") + FIELD,
            "note.toml: instructions has a brace in line 1 that begins no placeholder like {name}",
        ),
        (HEAD.replace("100", "0") + FIELD, "note.toml: usual_words must be a whole number from 1 to 10000"),
        (HEAD.replace("usual_words = 100\n", "") + FIELD, "note.toml: usual_words is missing"),
        (HEAD + "colour = 1\n" + FIELD, "note.toml: colour is not known; there are "),
        (HEAD + FIELD + "colour = 1", "note.toml: fields[0].colour is not known; there are "),
        (HEAD + FIELD + 'kind = "date"', "note.toml: fields[0].kind must be one of text, integer, choice, lines"),
        (HEAD + FIELD.replace("topic", "Topic"), "note.toml: fields[0].name must be 1 to 64 of a-z 0-9 _"),
        (
            HEAD.replace("topic", "tone") + FIELD.replace("topic", "tone"),
            "note.toml: fields[0].name must not be tone: every template takes that anyway",
        ),
        (HEAD + FIELD + 'kind = "choice"', "note.toml: fields[0].choices is missing"),
        (HEAD + FIELD + 'choices = ["a"]', "note.toml: fields[0].choices is nothing for a field of the kind text"),
        (HEAD + FIELD + "minimum = 1", "note.toml: fields[0].minimum is nothing for a field of the kind text"),
        (
            HEAD + FIELD + 'kind = "integer"\nmax_length = 1',
            "note.toml: fields[0].max_length is nothing for a field of the kind integer",
        ),
        (
            HEAD + FIELD + 'kind = "integer"\nminimum = 2\nmaximum = 1',
            "note.toml: fields[0].minimum must not be more than maximum",
        ),
        (
            HEAD + FIELD + 'kind = "integer"\nmaximum = 5\ndefault = "6"',
            "note.toml: fields[0].default must be a whole number of at most 5",
        ),
        (
            HEAD + FIELD + 'kind = "choice"\nchoices = ["a"]\ndefault = "b"',
            "note.toml: fields[0].default must be one of a",
        ),
        (
            HEAD + FIELD + 'required = true\ndefault = "b"',
            "note.toml: fields[0].default is of no use in a field that is required",
        ),
        (HEAD + FIELD + "max_length = 20001", "note.toml: fields[0].max_length must be a whole number from 1 to 20000"),
        (HEAD + "fields = 1", "note.toml: fields must be at most 50 tables, each begun with [[fields]]"),
    ],
)
def test_what_is_wrong_is_told_with_file_field_and_key(tmp_path: Path, text: str, problem: str) -> None:
    assert problem_of(tmp_path, text).startswith(problem)

"""What every file of the project keeps to: names, first lines, reasons, and nothing of the machine it was written on."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from parley_testing.source import hand_written_python, tracked_files
from parley_testing.tools import ROOT

# Put together from parts, so that this file passes its own test.
MACHINE = re.compile(
    "|".join(
        (
            "pypi" + r"\.org",
            "python" + r"hosted\.org",
            "registry" + r"\.(npmjs|yarnpkg)",
            "npmjs" + r"\.com",
            "proxy\\.golang" + r"\.org",
            "buf" + r"\.build/[a-z]",
            r"(?<![\w.$}])" + r"/(work|root|Users)/\w",
            r"(?<![\w.$}])" + r"/home/(?!parley\b|app\b)\w",
        )
    )
)
"""Hosts of package registries, and paths of somebody's machine."""

EMPTY_NAMES = {"common", "handler", "handlers", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}
"""Words that tell nothing about what is in a file."""

SUPPRESSION = re.compile(r"#\s*(noqa|type:\s*ignore|nosec|pragma)(?P<rest>.*)$")
CODES = re.compile(r"^(:\s*|\[)?[\w\-]*(\s*,\s*[\w\-]+)*\]?")


def complaints_about_text(text: str) -> list[str]:
    """Every place where a text names a registry's host or a path of a machine."""
    return [f"line {text.count(chr(10), 0, match.start()) + 1}: {match.group()}" for match in MACHINE.finditer(text)]


def complaints_about_name(path: Path) -> list[str]:
    """The parts of a path that tell nothing."""
    words = [re.split(r"[_\-.]", part.lower()) for part in path.parts]
    return [f"{path}: {word}" for part in words for word in part if word in EMPTY_NAMES]


def suppressions_without_reason(text: str) -> list[str]:
    """Lines that switch a rule off and say why neither there, nor in a comment above, nor where the same rule is off before."""
    lines = text.splitlines()
    found = []
    explained: set[str] = set()
    for number, line in enumerate(lines):
        if (match := SUPPRESSION.search(line)) is None:
            continue
        codes = CODES.match(match["rest"])
        code = codes.group() if codes else ""
        reason = match["rest"].removeprefix(code).strip(" #-–—:()")
        above = lines[number - 1].strip() if number else ""
        if reason or above.startswith("#"):
            explained.add(code)
        elif code not in explained:
            found.append(f"line {number + 1}: {line.strip()}")
    return found


def fields_without_docstring(text: str) -> list[str]:
    """Fields of dataclasses that no docstring follows."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ClassDef) or not any(
            "dataclass" in ast.unparse(one) for one in node.decorator_list
        ):
            continue
        for field, after in zip(node.body, [*node.body[1:], None], strict=True):
            told = (
                isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
                and isinstance(after.value.value, str)
            )
            if isinstance(field, ast.AnnAssign) and not told:
                found.append(f"line {field.lineno}: {node.name}.{ast.unparse(field.target)}")
    return found


def _texts() -> list[tuple[Path, str]]:
    texts = []
    for path in tracked_files():
        data = (ROOT / path).read_bytes()
        if b"\0" not in data:
            texts.append((path, data.decode("utf-8")))
    return texts


def _python() -> list[tuple[Path, str]]:
    return [(path, (ROOT / path).read_text(encoding="utf-8")) for path in hand_written_python()]


def test_no_file_names_a_registry_or_a_path_of_a_machine() -> None:
    found = [f"{path}: {complaint}" for path, text in _texts() for complaint in complaints_about_text(text)]
    assert found == []


def test_every_file_has_a_name_that_tells_what_is_in_it() -> None:
    paths = [path for path in tracked_files() if path.parts[0] != "gen"]
    assert [complaint for path in paths for complaint in complaints_about_name(path)] == []


def test_every_python_file_begins_by_saying_what_it_is() -> None:
    silent = [str(path) for path, text in _python() if text.strip() and not ast.get_docstring(ast.parse(text))]
    assert silent == []


def test_every_rule_that_is_switched_off_says_why() -> None:
    found = [f"{path}: {complaint}" for path, text in _python() for complaint in suppressions_without_reason(text)]
    assert found == []


@pytest.mark.parametrize("service", ["chat", "inference", "retrieval"])
def test_every_setting_of_a_service_says_what_it_is(service: str) -> None:
    path = ROOT / "services" / service / f"parley_{service}" / "settings.py"
    assert fields_without_docstring(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("service", ["chat", "inference", "retrieval"])
def test_the_readme_of_a_service_lists_every_setting_that_it_reads(service: str) -> None:
    folder = ROOT / "services" / service
    names = _variables(folder / f"parley_{service}" / "settings.py")
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert names, "settings.py reads no variable: the test looks in the wrong place"
    assert sorted(name for name in names if f"`{name}`" not in readme) == []


def test_the_guide_lists_every_setting_that_any_part_reads() -> None:
    guide = (ROOT / "docs" / "guide" / "settings.md").read_text(encoding="utf-8")
    files = [
        path for path in hand_written_python() if path.name == "settings.py" and path.parts[0] in {"services", "deploy"}
    ]
    assert len(files) >= 6
    assert sorted({name for path in files for name in _variables(ROOT / path) if f"`{name}`" not in guide}) == []


def _variables(settings: Path) -> set[str]:
    """The environment variables that a file names."""
    constants = (
        node.value
        for node in ast.walk(ast.parse(settings.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
    )
    return {value for value in constants if isinstance(value, str) and re.fullmatch(r"[A-Z]+(_[A-Z0-9]+)+", value)}


def test_generated_code_says_that_it_is_generated() -> None:
    unmarked = []
    for path in tracked_files():
        if path.parts[:3] in {("gen", "python", "parley"), ("gen", "ts", "src")} and path.suffix in {
            ".py",
            ".pyi",
            ".ts",
        }:
            text = (ROOT / path).read_text(encoding="utf-8")
            head = text[:400].lower()
            if text.strip() and not any(
                word in head for word in ("generated", "do not edit", "client and server classes corresponding")
            ):
                unmarked.append(str(path))
    assert unmarked == []


# ---- The rules bite.


@pytest.mark.parametrize(
    "text",
    [
        "index = https://" + "pypi" + ".org/simple",
        '"resolved"' + ': "https:' + "//registry" + ".npm" + 'js.org/x"',
        "data in /" + "work/main/x",
        "/" + "home/somebody/parley",
        "file:" + "///" + "Users/somebody",
    ],
)
def test_a_text_that_names_a_machine_is_found(text: str) -> None:
    assert len(complaints_about_text("first line\n" + text)) == 1
    assert complaints_about_text("first line\n" + text)[0].startswith("line 2")


@pytest.mark.parametrize(
    "text", ["/var/lib/parley", "web/src/root/page.ts", "the work/life balance", "${HOME}/root/x", "network/address"]
)
def test_a_text_without_a_machine_is_not_complained_about(text: str) -> None:
    assert complaints_about_text(text) == []


def test_a_name_that_tells_nothing_is_found() -> None:
    assert complaints_about_name(Path("services/chat/parley_chat/domain/turn_utils.py"))
    assert complaints_about_name(Path("web/src/helpers/text.ts"))
    assert not complaints_about_name(Path("services/chat/parley_chat/domain/turn.py"))


@pytest.mark.parametrize(
    "line", ["x = 1  # noqa: S105", "x = y  # type: ignore[attr-defined]", "x = 1  # noqa", "x = 1  # noqa: A001, A002"]
)
def test_a_switched_off_rule_without_a_reason_is_found(line: str) -> None:
    assert len(suppressions_without_reason(f"y = 2\n{line}\n")) == 1
    assert suppressions_without_reason(f"# Because of z.\n{line}\n") == []
    assert suppressions_without_reason(f"y = 2\n{line} - because of z\n") == []
    assert suppressions_without_reason(f"{line} - because of z\n\n{line}\n") == []
    assert suppressions_without_reason(f"z = 1  # noqa: B018 - because of z\n{line}\n") != []


def test_a_setting_without_a_docstring_is_found() -> None:
    text = '@dataclass(frozen=True)\nclass Settings:\n    a: int\n    """Told."""\n    b: int\n    c: int = 0\n'
    assert fields_without_docstring(text) == ["line 5: Settings.b", "line 6: Settings.c"]

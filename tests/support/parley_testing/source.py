"""Reading the project's own source: which files it keeps, and what each Python file imports.

It reads text and syntax trees and imports nothing, so that it also tells about code that could not be imported.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from parley_testing.tools import ROOT


@dataclass(frozen=True)
class Import:
    """One module that a file imports, at run time or for its types only."""

    line: int
    """Where the statement stands, from 1."""
    module: str
    """The absolute name, for example `parley_chat.domain.turn`."""

    @property
    def top(self) -> str:
        """The first part of the name, for example `parley_chat`."""
        return self.module.partition(".")[0]

    @property
    def is_standard_library(self) -> bool:
        """Whether Python brings it."""
        return self.top in sys.stdlib_module_names


def imports_of(path: Path, package_parent: Path) -> list[Import]:
    """Everything a file imports, relative imports made absolute. `package_parent` is the folder that holds its top package.

    `from a.b import c` counts as `a.b.c` when that is a module of the same tree, else as `a.b`.
    """
    module = path.relative_to(package_parent).with_suffix("").parts
    package = module if path.name == "__init__.py" else module[:-1]
    package = tuple(part for part in package if part != "__init__")
    found: list[Import] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            found += [Import(node.lineno, name.name) for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            for name in node.names:
                inner = package_parent.joinpath(*start.split("."), name.name)
                is_module = inner.is_dir() or inner.with_suffix(".py").is_file()
                found.append(Import(node.lineno, f"{start}.{name.name}" if is_module else start))
    return sorted(set(found), key=lambda found_import: (found_import.line, found_import.module))


def tracked_files() -> list[Path]:
    """The files that git keeps, or would keep at the next commit, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    paths = [Path(name) for name in listed.stdout.decode().split("\0") if name]
    return sorted(path for path in paths if (ROOT / path).is_file())


def hand_written_python() -> list[Path]:
    """The Python files that hands wrote, relative to the root: everything kept but the generated code."""
    return [path for path in tracked_files() if path.suffix == ".py" and path.parts[:2] != ("gen", "python")]

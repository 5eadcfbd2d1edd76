"""How much of the page a browser must have before anybody sees it: what is heavy must not creep into the first load."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from parley_testing.tools import ROOT, everything_is_required

DIST = ROOT / "web" / "dist"
MANIFEST = DIST / ".vite" / "manifest.json"
ALLOWED_KB = 250
"""Script and style, each file compressed with gzip, in thousands of bytes. Fonts are not counted: text shows without them."""
FIRST = ("index.html", "src/views/Workspace.tsx")
"""What is there when somebody who is signed in sees the page: the entry, and the part that it loads for them at once."""
LATER = ("src/parts/Markdown.tsx", "src/views/Tasks.tsx", "src/views/Documents.tsx", "src/views/CalendarPanel.tsx")
"""Some of what must come later."""


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    if not MANIFEST.exists():
        if everything_is_required():
            pytest.fail("the page is not built: make setup")
        pytest.skip("the page is not built: make setup")
    read: dict[str, Any] = json.loads(MANIFEST.read_text(encoding="utf-8"))
    return read


def needed(manifest: dict[str, Any], *names: str) -> set[str]:
    """The names of all parts that these need at once, themselves among them."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += manifest[name].get("imports", [])
    return found


def files_of(manifest: dict[str, Any], names: set[str]) -> set[Path]:
    """The script and the style of parts."""
    return {DIST / file for name in names for file in (manifest[name]["file"], *manifest[name].get("css", []))}


def test_the_first_load_stays_within_its_bound(manifest: dict[str, Any]) -> None:
    files = files_of(manifest, needed(manifest, *FIRST)) | {DIST / "theme.js"}
    sizes = {file.name: len(gzip.compress(file.read_bytes(), 6)) / 1000 for file in files}
    total = sum(sizes.values())
    largest = sorted(sizes.items(), key=lambda each: -each[1])
    assert 50 < total <= ALLOWED_KB, f"{total:.0f} kB: " + ", ".join(f"{name} {size:.0f}" for name, size in largest)


def test_what_is_heavy_comes_later(manifest: dict[str, Any]) -> None:
    first = needed(manifest, *FIRST)
    assert first.isdisjoint(LATER)
    assert all(manifest[name].get("isDynamicEntry") for name in LATER)

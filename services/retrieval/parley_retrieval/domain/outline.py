"""The headings of a text, with their places: what they are, and where they stand in Markdown.

Reads lines, not the whole of CommonMark: ATX and setext headings outside code fences, HTML comments and front matter.
What it takes for a heading decides how a text is cut and what a citation says above it, nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|\Z)")
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?$")
_ATX_CLOSING = re.compile(r"(?:^|[ \t]+)#+$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r"[ \t]*(?:(?:[-*+>]|\d{1,9}[.)])[ \t]+)*(`{3,}|~{3,})(.*)$")
_NO_PARAGRAPH = re.compile(r" {4}|\t| {0,3}(?:[-*+>|]|\d{1,9}[.)]|<)")
_LINK = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
_MARKS = re.compile(r"(?<!\\)[*`]+")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")

HEADING_CHARACTERS = 200
"""A longer line is no heading: nobody would want to read it above a citation."""
LEVELS = 6
"""How deep headings are nested at most."""
OUTLINE_HEADINGS = 1_000
"""How many headings are taken from the outline of a file."""
_FRONT_MATTER_LINES = 100


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading and where it stands."""

    level: int
    """1 to 6, 1 outermost."""
    title: str
    """Its words without the marks of emphasis, code and links. May be empty."""
    start: int
    """Its first character's place in the text."""
    end: int
    """The place after its last line."""


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    start: int
    end: int


def headings(markdown: str) -> list[Heading]:
    """The headings of a text in their order."""
    found: list[Heading] = []
    fence = ""
    commented = False
    paragraph: list[_Line] = []
    for line in _lines_after_front_matter(markdown):
        content = line.text
        if len(content) > HEADING_CHARACTERS or not content.strip():
            paragraph = []
            continue
        if fence:
            if _closes(content, fence):
                fence = ""
            continue
        if commented:
            commented = "-->" not in content
            continue
        if (opening := _FENCE.match(content)) and not (opening[1][0] == "`" and "`" in opening[2]):
            fence = opening[1]
            paragraph = []
        elif content.lstrip().startswith("<!--"):
            commented = "-->" not in content
            paragraph = []
        elif atx := _ATX.match(content):
            title = _ATX_CLOSING.sub("", (atx[2] or "").strip())
            found.append(Heading(len(atx[1]), _plain(title), line.start, line.end))
            paragraph = []
        elif paragraph and (underline := _SETEXT.match(content)):
            title = " ".join(above.text.strip() for above in paragraph)
            if len(title) <= HEADING_CHARACTERS:
                found.append(Heading(1 if underline[1][0] == "=" else 2, _plain(title), paragraph[0].start, line.end))
            paragraph = []
        elif paragraph or not _NO_PARAGRAPH.match(content):
            # A long paragraph cannot become a heading, so what is kept of it stays small.
            paragraph = [*paragraph, line] if len(paragraph) < 5 else []
    return found


def _lines_after_front_matter(markdown: str) -> Iterator[_Line]:
    lines = _lines(markdown)
    if not re.match(r"---[ \t]*[\r\n]", markdown):
        yield from lines
        return
    held = [next(lines)]
    for line in lines:
        held.append(line)
        if line.text.rstrip() in {"---", "..."}:
            held = []
            break
        if len(held) > _FRONT_MATTER_LINES:
            break
    yield from held
    yield from lines


def _lines(text: str) -> Iterator[_Line]:
    for match in _LINE.finditer(text):
        if match.end() > match.start():
            yield _Line(match[0].rstrip("\r\n"), match.start(), match.end())


def _closes(content: str, fence: str) -> bool:
    marks = content.lstrip("> \t").rstrip()
    return len(marks) >= len(fence) and marks == fence[0] * len(marks)


def _plain(title: str) -> str:
    words = _MARKS.sub("", _LINK.sub(r"\1", title))
    return " ".join(_ESCAPE.sub(r"\1", words).split())

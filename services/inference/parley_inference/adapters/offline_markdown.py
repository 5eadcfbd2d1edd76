"""Markdown of passages, cut into what can be quoted as a whole: paragraphs, lists, code, tables, each under its headings.

Not a parser of Markdown: it tells blocks from each other and leaves their text as it stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum, auto

from parley_inference.domain.prompt import Passage

_HEADING = re.compile(r" {0,3}(#{1,6})\s")
_HEADING_PATH = re.compile(r"\s[›>/]\s")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"\s{0,3}(?:[-*+]|\d{1,3}[.)])\s+\S")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]*_`]*\s+(?=[\"'“‘(\[*_`]*[^\W\d_a-z]|[`*\[(]|\d)")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|no|fig|dr|mr|mrs|ms|st|z\.B|d\.h|bzw)|\b[A-Z])\.$", re.IGNORECASE
)
MOST_CHARACTERS = 200_000
"""Of all passages together. Looking at more would take longer than anybody waits for an answer from quotes."""
_LONGEST_ABBREVIATION = 8
_INNER_LINK = re.compile(r"(?<!!)\[([^\[\]\n]{1,200})\]\((?!https?://)[^()\s]{1,300}\)")
_OWN_REFERENCE = re.compile(r"\[(\d{1,3})\]")


class BlockKind(Enum):
    """What a block is."""

    PARAGRAPH = auto()
    LIST = auto()
    CODE = auto()
    TABLE = auto()


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a passage that is quoted as a whole, or sentence by sentence when it is a paragraph."""

    kind: BlockKind
    text: str
    headings: tuple[str, ...]
    """The headings above it, the outermost first: the passage's own, then those that stand in its text."""
    passage: Passage
    position: int
    """Its place among all blocks of all passages."""

    @property
    def section(self) -> tuple[int, tuple[str, ...]]:
        """What tells its section from every other: blocks with the same one stand together."""
        return self.passage.number, self.headings


def blocks_of(passages: tuple[Passage, ...]) -> list[Block]:
    """All blocks, in the order of the passages. What lies beyond MOST_CHARACTERS is not looked at."""
    blocks: list[Block] = []
    room = MOST_CHARACTERS
    for passage in passages:
        blocks += _blocks_of(replace(passage, text=passage.text[:room]), len(blocks))
        room -= len(passage.text)
        if room <= 0:
            break
    return blocks


def sentences_of(paragraph: str) -> list[str]:
    """The sentences of a paragraph, its line breaks taken out."""
    text = " ".join(paragraph.split())
    sentences: list[str] = []
    start = looked = 0
    in_code = False
    for end in _SENTENCE_END.finditer(text):
        # Marks of code hold dots too; an odd number of them says that one is still open.
        in_code ^= text.count("`", looked, end.end()) % 2 == 1
        looked = end.end()
        if in_code or _ABBREVIATION.search(text[max(start, end.start() - _LONGEST_ABBREVIATION) : end.start()]):
            continue
        sentences.append(text[start : end.end()].strip())
        start = end.end()
    if text[start:].strip():
        sentences.append(text[start:].strip())
    return sentences


def rows_of(table: str) -> tuple[str, list[str]]:
    """The head of a table (empty when it has none) and its rows."""
    lines = table.split("\n")
    has_head = len(lines) > 2 and not lines[1].strip().strip("|-: ")
    return ("\n".join(lines[:2]), lines[2:]) if has_head else ("", lines)


def items_of(list_block: str) -> list[str]:
    """The items of a list, each with the lines that belong to it."""
    items: list[list[str]] = []
    for line in list_block.split("\n"):
        if _ITEM.match(line) and not (items and _indent(line) > _indent(items[0][0])):
            items.append([line])
        elif items:
            items[-1].append(line)
    return ["\n".join(item) for item in items]


def _blocks_of(passage: Passage, first_position: int) -> list[Block]:
    reader = _Reader(passage, first_position)
    for line in passage.text.replace("\r\n", "\n").split("\n"):
        reader.read(line)
    return reader.end()


class _Reader:
    """Reads one passage line by line."""

    def __init__(self, passage: Passage, first_position: int) -> None:
        self._passage = passage
        self._position = first_position
        self._own = tuple(part.strip() for part in _HEADING_PATH.split(passage.heading) if part.strip())
        self._within: list[tuple[int, str]] = []
        self._blocks: list[Block] = []
        self._kind = BlockKind.PARAGRAPH
        self._lines: list[str] = []
        self._fence = ""

    def read(self, line: str) -> None:
        """Takes the next line."""
        in_list = self._kind is BlockKind.LIST and bool(self._lines)
        if self._fence:
            self._lines.append(line)
            if line.strip().startswith(self._fence) and not line.strip().strip(self._fence[0]):
                self._close()
        elif (opened := _FENCE.match(line)) and not (in_list and line.startswith(" ")):
            self._close(BlockKind.CODE)
            self._fence = opened[1]
            self._lines.append(line)
        elif heading := _HEADING.match(line):
            self._close()
            level = len(heading[1])
            title = line[heading.end() :].strip().rstrip("#").rstrip()
            self._within = [*(above for above in self._within if above[0] < level), (level, title)]
        elif line.strip():
            self._read_text(line)
        elif in_list:
            # Items may stand apart; what does not belong to the list closes it.
            self._lines.append("")
        else:
            self._close()

    def end(self) -> list[Block]:
        """All blocks. Code that the passage's end cut off is closed."""
        if self._fence:
            self._lines.append(self._fence)
        self._close()
        return self._blocks

    def _read_text(self, line: str) -> None:
        is_item, is_row = bool(_ITEM.match(line)), line.lstrip().startswith("|")
        if not self._lines:
            goes_on = False
        elif self._kind is BlockKind.LIST:
            goes_on = is_item or line.startswith((" ", "\t")) or bool(self._lines[-1].strip())
        elif self._kind is BlockKind.TABLE:
            goes_on = is_row
        else:
            goes_on = not is_item and not is_row
        if not goes_on:
            self._close(BlockKind.LIST if is_item else BlockKind.TABLE if is_row else BlockKind.PARAGRAPH)
        self._lines.append(line)

    def _close(self, following: BlockKind = BlockKind.PARAGRAPH) -> None:
        text = "\n".join(self._lines).strip("\n").rstrip()
        if self._kind is not BlockKind.CODE:
            # Links within a document lead nowhere outside of it, and its own "[1]" would pass for a citation of ours.
            text = _OWN_REFERENCE.sub(r"(\1)", _INNER_LINK.sub(r"\1", text))
        if text.strip() and not _is_rule(text):
            inner = tuple(title for _, title in self._within if title not in self._own)
            position = self._position + len(self._blocks)
            self._blocks.append(Block(self._kind, text, self._own + inner, self._passage, position))
        self._lines, self._kind, self._fence = [], following, ""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _is_rule(text: str) -> bool:
    """Whether it is a line drawn across the page."""
    return "\n" not in text and len(text.strip()) >= 3 and not text.strip(" -*_")

"""How a document is cut into chunks, and what a found chunk is."""

from __future__ import annotations

import uuid
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile, zip_longest
from uuid import UUID

from parley_retrieval.domain.documents import Document, MediaType, sha256
from parley_retrieval.domain.outline import Heading, headings
from parley_retrieval.domain.snippets import Snippet
from parley_retrieval.domain.words import words

CHUNK_CHARACTERS = 1_100
"""The size up to which a piece of text is one chunk: about 250 tokens of English."""
PATH_SEPARATOR = " › "
"""Stands between the headings of a path."""

_CHUNKS = uuid.UUID("1f0a1d52-6a7e-4d5f-8f67-2d8f8f2b6f0e")
_BARE_HEADINGS_CHARACTERS = 400
_MANY_SECTIONS = 50
_SHORT_SECTION_CHARACTERS = 100
_GROUP_CHARACTERS = 400

Split = Callable[[str, MediaType], Sequence[tuple[int, int]]]
"""Cuts a text into pieces of at most `CHUNK_CHARACTERS`: start and end of each, in order, without overlap."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document, as it stands in it."""

    chunk_id: UUID
    """Made of the document's id, its text's hash and the number."""
    number: int
    """Its place among the document's chunks, from 0."""
    start: int
    """Its first character's place in the text (code points)."""
    end: int
    """The place after its last character."""
    heading: str
    """The headings above it, outermost first, joined with `PATH_SEPARATOR`; empty when there are none."""
    text: str
    """`document.text[start:end]`."""
    page_number: int = 0
    """The page of the document's file on which it starts, from 1; 0 where there are no pages."""

    @property
    def content_sha256(self) -> str:
        """Of the chunk's text, 64 hexadecimal digits."""
        return sha256(self.text)


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk together with what has to be known of its document to cite it."""

    chunk: Chunk
    """The piece of text."""
    document_id: str
    """Its document."""
    document_title: str
    """The document's title."""
    shared: bool
    """Whether the document is shared."""
    document_version: int = 1
    """The version of the document that it stands in; 0 for an item."""
    item_type: str = ""
    """What kind of item it is of, whose id `document_id` is then; empty for a document."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found, and how well it fits."""

    passage: Passage
    """What was found."""
    score: float
    """Above 0, higher is better; comparable within one answer only."""
    snippet: Snippet | None
    """The part of it that fits best; None when nobody asked for it."""


@dataclass(frozen=True, slots=True)
class _Section:
    path: tuple[str, ...]
    start: int
    body_start: int
    end: int


def chunks_of(document: Document, split: Split) -> list[Chunk]:
    """Cuts a document that has its text. None for a text without words.

    A section of Markdown, or of a file's outline, is never mixed with the next one, so that what stands above a chunk is true of all of it.
    Headings with nothing under them go with the section that follows.
    """
    text = document.text or ""
    if document.media_type.has_headings:
        pieces = _pieces_of_sections(text, headings(text), split, MediaType.MARKDOWN)
    elif document.outline:
        pieces = _pieces_of_sections(text, document.outline, split, MediaType.PLAIN_TEXT)
    else:
        pieces = ((start, end, "") for start, end in split(text, MediaType.PLAIN_TEXT))
    # A piece without a word, such as a row of dashes, can be neither found nor cited.
    worded = [(start, end, heading) for start, end, heading in pieces if _has_words(text[start:end])]
    return [
        Chunk(chunk_id(document, number), number, start, end, heading, text[start:end], page_number(document, start))
        for number, (start, end, heading) in enumerate(worded)
    ]


def chunk_id(document: Document, number: int) -> UUID:
    """The id of a document's chunk: the same whenever the same text of the same document is cut."""
    return uuid.uuid5(_CHUNKS, f"{document.document_id}/{document.content_sha256}/{number}")


def page_number(document: Document, place: int) -> int:
    """The page of the document's file to which a place in the text belongs, from 1; 0 where there are no pages."""
    return max(1, bisect_right(document.page_starts, place)) if document.page_starts else 0


def terms_text(document: Document, chunk: Chunk) -> str:
    """What a chunk is found by: its text, and the title and headings above it.

    Each counts once, the innermost heading twice: it says best what the chunk is about.
    """
    path = chunk.heading.split(PATH_SEPARATOR)
    above = dict.fromkeys([document.title, *path])
    return "\n".join([*above, path[-1], chunk.text])


def meaning_text(document: Document, chunk: Chunk) -> str:
    """What a chunk is embedded as: what stands above it, each once, and its text."""
    above = dict.fromkeys([document.title, *chunk.heading.split(PATH_SEPARATOR)])
    return "\n".join([*filter(None, above), chunk.text])


def _pieces_of_sections(
    text: str, found: Sequence[Heading], split: Split, media_type: MediaType
) -> Iterator[tuple[int, int, str]]:
    sections = list(_sections(text, found))
    if len(sections) > _MANY_SECTIONS and len(text) < _SHORT_SECTION_CHARACTERS * len(sections):
        # A megabyte of headings with a word under each is not worth a hundred thousand chunks.
        sections = list(_groups(sections))
    start: int | None = None
    for place, section in enumerate(sections):
        start = section.start if start is None else start
        bare = not _has_words(text[section.body_start : section.end])
        if bare and place + 1 < len(sections) and section.end - start <= _BARE_HEADINGS_CHARACTERS:
            continue
        heading = PATH_SEPARATOR.join(section.path)
        begin, end = _trim(text, start, section.end)
        if end - begin <= CHUNK_CHARACTERS or bare:
            yield begin, end, heading
        else:
            for piece_start, piece_end in split(text[section.body_start : section.end], media_type):
                yield (
                    begin if begin < section.body_start else section.body_start + piece_start,
                    (section.body_start + piece_end),
                    heading,
                )
                begin = section.end
        start = None


def _sections(text: str, found: Sequence[Heading]) -> Iterator[_Section]:
    start, body_start = 0, 0
    path: list[tuple[int, str]] = []
    for heading in found:
        if heading.start > start or path:
            yield _Section(tuple(title for _, title in path if title), start, body_start, heading.start)
        path = [(level, title) for level, title in path if level < heading.level]
        path.append((heading.level, heading.title))
        start, body_start = heading.start, heading.end
    yield _Section(tuple(title for _, title in path if title), start, body_start, len(text))


def _groups(sections: Sequence[_Section]) -> Iterator[_Section]:
    """Neighbours together until they are of a size, under the headings that they have in common."""
    first, path = sections[0], sections[0].path
    for section, after in zip_longest(sections, sections[1:]):
        path = tuple(
            one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(path, section.path, strict=False))
        )
        if after is None or section.end - first.start >= _GROUP_CHARACTERS:
            yield _Section(path, first.start, first.start, section.end)
            if after is not None:
                first, path = after, after.path


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return start + left, start + left + len(piece.strip())


def _has_words(text: str) -> bool:
    return next(words(text), None) is not None

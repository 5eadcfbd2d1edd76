"""How documents are cut: exact places, true headings, no piece without words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_retrieval.adapters.semantic_text_splitter import SemanticTextSplitter
from parley_retrieval.domain.chunks import CHUNK_CHARACTERS, Chunk, chunks_of, terms_text
from parley_retrieval.domain.documents import Document, MediaType, sha256

SPLIT = SemanticTextSplitter()
TIME = datetime(2025, 1, 1, tzinfo=UTC)


def document(text: str, media_type: MediaType = MediaType.MARKDOWN, title: str = "A title") -> Document:
    return Document(
        document_id=f"doc_{'1' * 32}",
        owner_id="usr_a",
        title=title,
        text=text,
        media_type=media_type,
        project="",
        source_uri="",
        content_sha256=sha256(text),
        size_bytes=len(text.encode()),
        chunk_count=0,
        create_time=TIME,
        update_time=TIME,
    )


def cut(text: str, media_type: MediaType = MediaType.MARKDOWN) -> list[Chunk]:
    return chunks_of(document(text, media_type), SPLIT)


def test_each_section_is_a_chunk_under_its_headings() -> None:
    chunks = cut("before\n\n# Guide\n\nintro\n\n## Install\n\nrun it\n\n## Use\n\n### Search\n\nask it\n\n# End\n\nbye")
    assert [(chunk.heading, chunk.text.splitlines()[-1]) for chunk in chunks] == [
        ("", "before"),
        ("Guide", "intro"),
        ("Guide › Install", "run it"),
        ("Guide › Use › Search", "ask it"),
        ("End", "bye"),
    ]


def test_a_heading_with_nothing_under_it_goes_with_what_follows() -> None:
    chunks = cut("# Guide\n\n## Use\n\n### Search\n\nask it")
    assert [chunk.text for chunk in chunks] == ["# Guide\n\n## Use\n\n### Search\n\nask it"]
    assert chunks[0].heading == "Guide › Use › Search"


def test_a_heading_with_nothing_after_it_is_still_found() -> None:
    assert [chunk.text for chunk in cut("text\n\n# The end")] == ["text", "# The end"]


def test_a_long_section_is_cut_and_its_heading_stays_with_its_first_piece() -> None:
    chunks = cut("# Long\n\n" + "\n\n".join(f"Paragraph {number}. " + "word " * 60 for number in range(12)))
    assert len(chunks) > 3
    assert chunks[0].text.startswith("# Long\n\nParagraph 0.")
    assert {chunk.heading for chunk in chunks} == {"Long"}
    assert all(chunk.text.startswith("Paragraph") for chunk in chunks[1:])
    assert max(len(chunk.text) for chunk in chunks) <= CHUNK_CHARACTERS + len("# Long\n\n")


def test_thousands_of_bare_headings_do_not_become_one_chunk() -> None:
    chunks = cut("# heading\n" * 5_000)
    assert max(len(chunk.text) for chunk in chunks) < CHUNK_CHARACTERS


def test_a_crowd_of_tiny_sections_is_cut_into_groups_under_their_common_headings() -> None:
    terms = "\n".join(f"### Term {number}\nis short\n" for number in range(2_000))
    chunks = cut(f"# Book\n\n## Glossary\n\n{terms}")
    assert 50 < len(chunks) < 200
    assert {chunk.heading for chunk in chunks[1:]} == {"Book › Glossary"}
    assert max(len(chunk.text) for chunk in chunks) < CHUNK_CHARACTERS


def test_a_handful_of_tiny_sections_stays_apart() -> None:
    assert len(cut("\n".join(f"## Term {number}\nis short\n" for number in range(20)))) == 20


@pytest.mark.parametrize("unit", ["漢", "a", "[", "> ", "a. ", "# a\n", "word\n\n"])
def test_the_longest_text_of_one_kind_is_cut_in_seconds_not_minutes(unit: str) -> None:
    # Fails by the time limit of every test: the splitter alone takes minutes for the first.
    chunks = cut((unit * 1_000_000)[:1_000_000])
    assert all(len(chunk.text) <= CHUNK_CHARACTERS for chunk in chunks)


@pytest.mark.parametrize("text", ["---\n\n***\n\n| - | - |", "… — !?", "#\n\n##"])
def test_a_text_without_words_has_no_chunks(text: str) -> None:
    assert cut(text) == []


def test_the_headings_of_plain_text_are_text() -> None:
    (chunk,) = cut("# not a heading\n\n# nor this", MediaType.PLAIN_TEXT)
    assert chunk.heading == ""


def test_the_same_text_of_the_same_document_has_the_same_chunk_ids_and_another_text_others() -> None:
    first, again, other = cut("one"), cut("one"), cut("two")
    assert first[0].chunk_id == again[0].chunk_id != other[0].chunk_id


def test_a_chunk_is_found_by_its_title_and_headings_and_the_innermost_counts_twice() -> None:
    whole = document("# Guide\n\n## Install\n\nrun it\n\nand wait", title="Guide")
    chunk = chunks_of(whole, SPLIT)[-1]
    assert terms_text(whole, chunk).split("\n")[:3] == ["Guide", "Install", "Install"]


@given(
    st.text(alphabet="# \n-=`ab.é漢🙂\r", max_size=3_000) | st.text(max_size=2_000),
    st.sampled_from(MediaType),
)
def test_chunks_are_exact_pieces_in_order(text: str, media_type: MediaType) -> None:
    end = 0
    for number, chunk in enumerate(cut(text, media_type)):
        assert chunk.number == number
        assert end <= chunk.start < chunk.end
        assert chunk.text == text[chunk.start : chunk.end]
        assert chunk.content_sha256 == sha256(chunk.text)
        end = chunk.end

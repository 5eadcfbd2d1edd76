"""Titles, likeness and visibility."""

from __future__ import annotations

import pytest
from parley_retrieval.domain.documents import MediaType, likeness, shared_document_id, title_of
from parley_retrieval.domain.visibility import SHARED_OWNER, Visibility


@pytest.mark.parametrize(
    ("text", "media_type", "title"),
    [
        ("intro\n\n# The `guide`\n\ntext", MediaType.MARKDOWN, "The guide"),
        ("#\n\n## Second", MediaType.MARKDOWN, "Second"),
        ("\n\n  first   line \nsecond", MediaType.MARKDOWN, "first line"),
        ("intro\n\n# no heading here", MediaType.PLAIN_TEXT, "intro"),
        ("x" * 1_000, MediaType.PLAIN_TEXT, "x" * 300),
        ("???", MediaType.MARKDOWN, "???"),
    ],
)
def test_a_text_without_a_title_is_called_by_its_first_heading_or_line(
    text: str, media_type: MediaType, title: str
) -> None:
    assert title_of(text, media_type) == title


def test_documents_of_a_user_are_alike_by_title_and_text_and_shared_ones_by_their_path() -> None:
    assert likeness("usr_a", "t", "hash", "here") == likeness("usr_a", "t", "hash", "there")
    assert likeness("usr_a", "t", "hash", "") != likeness("usr_a", "u", "hash", "")
    assert likeness(SHARED_OWNER, "t", "hash", "here") != likeness(SHARED_OWNER, "t", "hash", "there")


def test_a_shared_document_has_the_same_id_everywhere() -> None:
    assert shared_document_id("docs/a.md") == shared_document_id("docs/a.md") != shared_document_id("docs/b.md")


@pytest.mark.parametrize("user_id", ["", SHARED_OWNER])
def test_there_is_no_visibility_without_a_user(user_id: str) -> None:
    with pytest.raises(ValueError, match="user"):
        Visibility(user_id)


def test_a_user_sees_the_own_documents_and_the_shared_ones_unless_they_are_left_out() -> None:
    assert Visibility("usr_a").owners == ("usr_a", SHARED_OWNER)
    assert Visibility("usr_a", include_shared=False).owners == ("usr_a",)

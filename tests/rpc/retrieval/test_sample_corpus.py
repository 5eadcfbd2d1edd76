"""The shared documents follow the files of the sample corpus from start to start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    (folder / "docs").mkdir(parents=True)
    (folder / "README.md").write_text("# Parley\n\nTalks about pelicans.\n")
    (folder / "docs" / "guide.md").write_text("# The guide\n\nTalks about toucans.\n")
    return folder


async def listed(caller: Any) -> dict[str, Any]:
    return {document.source_uri: document for document in (await caller.page(include_shared=True)).documents}


async def test_the_files_are_shared_documents_that_everybody_finds(tmp_path: Path, corpus: Path, serve: Any) -> None:
    async with serve(tmp_path / "home", PARLEY_RETRIEVAL_SAMPLE_CORPUS=str(corpus)) as retrieval:
        for caller in (retrieval.caller(), retrieval.caller()):
            documents = await listed(caller)
            assert {path: document.title for path, document in documents.items()} == {
                "README.md": "Parley",
                "docs/guide.md": "The guide",
            }
            (hit,) = await caller.search("toucan")
            assert hit.shared
            assert hit.document_id == documents["docs/guide.md"].document_id
            assert (await caller.page()).documents == []


async def test_the_next_start_takes_in_what_changed_and_leaves_the_rest_alone(
    tmp_path: Path, corpus: Path, serve: Any
) -> None:
    (corpus / "old.md").write_text("# Old\n\nTalks about dodos.\n")
    async with serve(tmp_path / "home", PARLEY_RETRIEVAL_SAMPLE_CORPUS=str(corpus)) as retrieval:
        before = await listed(retrieval.caller())
        own = (await retrieval.caller(f"usr_{'1' * 32}").create("Talks about auks.")).document
    (corpus / "old.md").unlink()
    (corpus / "docs" / "guide.md").write_text("# The guide\n\nTalks about condors.\n")
    (corpus / "new.md").write_text("# New\n\nTalks about kiwis.\n")
    async with serve(tmp_path / "home", PARLEY_RETRIEVAL_SAMPLE_CORPUS=str(corpus)) as retrieval:
        caller = retrieval.caller()
        after = await listed(caller)
        assert sorted(after) == ["README.md", "docs/guide.md", "new.md"]
        assert after["README.md"] == before["README.md"]
        assert after["docs/guide.md"].document_id == before["docs/guide.md"].document_id
        assert after["docs/guide.md"].create_time == before["docs/guide.md"].create_time
        assert after["docs/guide.md"].update_time != before["docs/guide.md"].update_time
        found = {word: len(await caller.search(word)) for word in ("dodos", "toucans", "condors", "kiwis", "pelicans")}
        assert found == {"dodos": 0, "toucans": 0, "condors": 1, "kiwis": 1, "pelicans": 1}
        owner = retrieval.caller(f"usr_{'1' * 32}")
        assert (await owner.get(own.document_id)).document.text == "Talks about auks."


async def test_without_a_corpus_the_shared_documents_go(tmp_path: Path, corpus: Path, serve: Any) -> None:
    async with serve(tmp_path / "home", PARLEY_RETRIEVAL_SAMPLE_CORPUS=str(corpus)) as retrieval:
        assert len(await listed(retrieval.caller())) == 2
    async with serve(tmp_path / "home") as retrieval:
        caller = retrieval.caller()
        assert await listed(caller) == {}
        assert await caller.search("pelicans") == []


async def test_two_files_that_say_the_same_are_two_documents(tmp_path: Path, corpus: Path, serve: Any) -> None:
    (corpus / "copy.md").write_text((corpus / "README.md").read_text())
    async with serve(tmp_path / "home", PARLEY_RETRIEVAL_SAMPLE_CORPUS=str(corpus)) as retrieval:
        assert len(await retrieval.caller().search("pelicans")) == 2

"""Which files the sample corpus takes, and what it calls them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from parley_retrieval.adapters.folder_corpus import FolderCorpus
from parley_retrieval.domain.documents import TEXT_CHARACTERS


async def read(*entries: Path) -> dict[str, str]:
    return {file.path: file.text async for file in FolderCorpus(entries).files()}


def write(path: Path, data: bytes = b"# Text") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


async def test_no_entry_is_no_corpus() -> None:
    assert await read() == {}


async def test_markdown_files_of_a_folder_are_called_by_their_paths_in_it(tmp_path: Path) -> None:
    write(tmp_path / "a.md", "# Ä".encode())
    write(tmp_path / "deep" / "er" / "b.MD", b"\xef\xbb\xbf# B")
    write(tmp_path / "c.txt")
    write(tmp_path / ".hidden" / "d.md")
    write(tmp_path / ".e.md")
    write(tmp_path / "node_modules" / "f" / "README.md")
    assert await read(tmp_path) == {"a.md": "# Ä", "deep/er/b.MD": "# B"}


async def test_files_and_folders_are_called_by_their_paths_in_what_holds_them_all(tmp_path: Path) -> None:
    readme = write(tmp_path / "README.md")
    write(tmp_path / "docs" / "README.md")
    write(tmp_path / "docs" / "a.md")
    assert sorted(await read(readme, tmp_path / "docs", readme)) == ["README.md", "docs/README.md", "docs/a.md"]
    assert sorted(await read(readme)) == ["README.md"]


async def test_a_link_that_leads_out_is_left_out(tmp_path: Path) -> None:
    outside = write(tmp_path / "secret.md")
    write(tmp_path / "docs" / "a.md")
    (tmp_path / "docs" / "link.md").symlink_to(outside)
    assert sorted(await read(tmp_path / "docs")) == ["a.md"]


@pytest.mark.parametrize(
    "data", [b"\xff\xfe# no UTF-8", b"a" * (TEXT_CHARACTERS + 1), b"a" * (4 * TEXT_CHARACTERS + 1), b"# a\0b"]
)
async def test_what_cannot_be_a_document_is_logged_and_left_out(
    tmp_path: Path, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "bad.md", data)
    write(tmp_path / "good.md")
    with caplog.at_level(logging.WARNING):
        assert sorted(await read(tmp_path)) == ["good.md"]
    assert len(caplog.records) == 1


async def test_an_empty_file_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / "blank.md", b" \n\t")
    assert await read(tmp_path) == {}

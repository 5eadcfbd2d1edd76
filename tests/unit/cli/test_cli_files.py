"""Which files `parley ingest` takes, and why it refuses the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from parley_cli.commands.ingest import RefusedFileError, find_files, read_text


def test_folders_are_searched_in_order_and_hidden_things_left_out(tmp_path: Path) -> None:
    for name in ["b.md", "a.txt", "c.PNG", ".hidden.md", "sub/d.markdown", ".git/e.md", "sub/UPPER.MD"]:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("x")
    found = [path.relative_to(tmp_path).as_posix() for path in find_files([tmp_path])]
    assert found == ["a.txt", "b.md", "sub/UPPER.MD", "sub/d.markdown"]


def test_a_file_that_is_named_is_taken_at_its_word(tmp_path: Path) -> None:
    missing = tmp_path / "missing.pdf"
    assert list(find_files([missing])) == [missing]


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"\xef\xbb\xbf# Title\r\n")
    assert read_text(tmp_path / "a.md") == "# Title\r\n"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.pdf", b"x", "only .md, .markdown and .txt"),
        ("a.md", b"", "it is empty"),
        ("a.md", b" \n\t ", "it is empty"),
        ("a.txt", b"caf\xe9", "not UTF-8 text: byte 0xe9 at 3"),
        ("a.md", b"x" * 1_000_001, "1,000,001 characters; a document has at most 1,000,000"),
        ("a.md", b"x" * 4_000_004, "4,000,004 bytes; a document has at most 1,000,000 characters"),
    ],
)
def test_a_file_is_refused_with_its_reason(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RefusedFileError, match=words):
        read_text(tmp_path / name)


def test_a_million_characters_are_a_document_however_many_bytes_they_take(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("𝄞" * 1_000_000, encoding="utf-8")
    assert len(read_text(tmp_path / "a.md")) == 1_000_000


def test_a_missing_file_and_a_folder_with_a_suffix_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedFileError, match="no such file"):
        read_text(tmp_path / "a.md")
    (tmp_path / "b.md").mkdir()
    with pytest.raises(RefusedFileError, match="cannot be read"):
        read_text(tmp_path / "b.md")

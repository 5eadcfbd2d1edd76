"""`parley leads`: what is read of files and options, before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from parley_cli.commands.leads import read_csv, read_kinds, read_leads
from parley_cli.place import CommandError


def test_a_file_of_leads_is_read_by_its_names(tmp_path: Path) -> None:
    file = tmp_path / "open.csv"
    file.write_bytes('\ufeffsize,notes\r\n12,"two, or ""three"""\r\n\r\n,x\r\n'.encode())
    assert read_leads(file) == [{"size": "12", "notes": 'two, or "three"'}, {"size": "", "notes": "x"}]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has no rows below its line of names"),
        (b"size\n", "has no rows below its line of names"),
        (b"size,notes\n1,2\n3\n", "line 3 has 1 fields, not 2"),
        (b'size\n"1\n', "line 2"),
        (b"size\n\xff\n", "no UTF-8 text"),
        (b"x" * 3_000_001, "3,000,001 bytes"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused_with_what_is_wrong(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "open.csv"
    file.write_bytes(content)
    with pytest.raises(CommandError, match=words) as raised:
        read_leads(file)
    assert raised.value.exit_code == 2


def test_a_file_that_is_not_there_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        read_csv(tmp_path / "nowhere.csv")


def test_kinds_of_columns_are_read_and_wrong_ones_refused() -> None:
    assert read_kinds(["zip=categorical", "a=b=text"]) == {"zip": "categorical", "a=b": "text"}
    for wrong in ("zip", "=text", "zip=words"):
        with pytest.raises(CommandError, match="COLUMN=KIND"):
            read_kinds([wrong])

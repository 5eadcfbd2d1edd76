"""The folder of files: what is kept is whole, and nothing else stays."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from parley_retrieval.adapters.folder_blob_store import FolderBlobStore
from parley_retrieval.ports.blob_store import FILE

OWNER, JOB, OTHER = "usr_a", f"job_{'1' * 32}", f"job_{'2' * 32}"


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobStore:
    store = FolderBlobStore(tmp_path / "files")
    store.open()
    return store


def all_files(tmp_path: Path) -> list[str]:
    return sorted(str(path.relative_to(tmp_path / "files")) for path in tmp_path.rglob("*") if path.is_file())


async def keep(blobs: FolderBlobStore, job_id: str, content: bytes = b"content") -> None:
    async with blobs.upload() as upload:
        await upload.write(content[:3])
        await upload.write(content[3:])
        await upload.keep(OWNER, job_id)


async def test_a_kept_upload_is_the_jobs_file_and_only_its_owner_can_open_the_folder(
    blobs: FolderBlobStore, tmp_path: Path
) -> None:
    await keep(blobs, JOB)
    assert blobs.path(OWNER, JOB, FILE).read_bytes() == b"content"
    assert all_files(tmp_path) == [f"{OWNER}/{JOB}/file"]
    assert (tmp_path / "files").stat().st_mode & 0o077 == 0


async def test_an_upload_that_is_not_kept_or_fails_leaves_nothing(blobs: FolderBlobStore, tmp_path: Path) -> None:
    async with blobs.upload() as upload:
        await upload.write(b"half")

    async def cut() -> None:
        async with blobs.upload() as upload:
            await upload.write(b"half")
            raise RuntimeError("cut")

    with pytest.raises(RuntimeError, match="cut"):
        await cut()
    assert all_files(tmp_path) == []


async def test_an_upload_whose_caller_goes_while_its_file_is_made_leaves_nothing(
    blobs: FolderBlobStore, tmp_path: Path
) -> None:
    async def upload() -> None:
        async with blobs.upload():
            await asyncio.Event().wait()

    for moment in range(60):
        begun = asyncio.create_task(upload())
        for _ in range(moment % 6):
            await asyncio.sleep(0)
        begun.cancel()
        with pytest.raises(asyncio.CancelledError):
            await begun
    assert list((tmp_path / "files" / "uploads").iterdir()) == []


async def test_blobs_are_written_whole_read_and_removed(blobs: FolderBlobStore, tmp_path: Path) -> None:
    await keep(blobs, JOB)
    await blobs.write(OWNER, JOB, "text.json", b"one")
    await blobs.write(OWNER, JOB, "text.json", b"two")
    assert await blobs.read(OWNER, JOB, "text.json") == b"two"
    assert await blobs.read(OWNER, JOB, "vectors.64") is None
    await blobs.remove(OWNER, JOB, "text.json", "vectors.64")
    assert all_files(tmp_path) == [f"{OWNER}/{JOB}/file"]
    await blobs.remove(OWNER, JOB)
    await blobs.remove(OWNER, JOB)
    assert all_files(tmp_path) == []


@pytest.mark.parametrize(
    ("owner", "job_id", "name"),
    [("../a", JOB, FILE), ("", JOB, FILE), (OWNER, "..", FILE), (OWNER, JOB, "../file"), (OWNER, JOB, "")],
)
def test_no_name_is_a_way_out_of_the_folder(blobs: FolderBlobStore, owner: str, job_id: str, name: str) -> None:
    with pytest.raises(ValueError, match=r"path|name"):
        blobs.path(owner, job_id, name)


async def test_sweeping_takes_what_is_old_and_of_no_job_and_what_dead_uploads_left(
    blobs: FolderBlobStore, tmp_path: Path
) -> None:
    await keep(blobs, JOB)
    await keep(blobs, OTHER)
    abandoned = tmp_path / "files" / "uploads" / "dead"
    abandoned.mkdir()
    (abandoned / FILE).write_bytes(b"half")
    async with blobs.upload() as living:
        await living.write(b"content")
        assert await blobs.sweep([JOB]) == 0, "what is young may be about to be written"
        past = time.time() - 7_200
        for folder in [*(tmp_path / "files" / "uploads").iterdir(), *(tmp_path / "files" / OWNER).iterdir()]:
            os.utime(folder, (past, past))
        assert await blobs.sweep([JOB]) == 2
        await living.keep(OWNER, f"job_{'3' * 32}")
    assert all_files(tmp_path) == [f"{OWNER}/{JOB}/file", f"{OWNER}/job_{'3' * 32}/file"]

"""`BlobStore` in a folder: `<owner>/<job>/file`, and beside it what the job has made of it. The folder may be shared by processes.

A file is named after its job and not after its bytes: the ledger says whose bytes are known already, and a file that is
deleted can then never be the one that somebody uploads again in the same moment.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shutil
import threading
import time
import uuid
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from parley_retrieval.ports.blob_store import FILE

_UPLOADS = "uploads"
_OLD_SECONDS = 3_600.0
_YOUNG_SECONDS = 60.0
_OWNER = re.compile(r"[A-Za-z0-9_-]{1,100}")
_JOB = re.compile(r"job_[0-9a-f]{32}")
_NAME = re.compile(r"[a-z]{1,30}(?:\.[a-z0-9]{1,10})?")


class FolderBlobStore:
    """The port `BlobStore`. Every call works in a thread: a disk may be slow."""

    def __init__(self, folder: Path) -> None:
        """The folder is made when it is missing, for its owner alone."""
        self._folder = folder.absolute()

    def open(self) -> None:
        """Makes the folder. Raises OSError when it cannot be used."""
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        for folder in (self._folder, self._folder / _UPLOADS):
            folder.mkdir(mode=0o700, exist_ok=True)

    @asynccontextmanager
    async def upload(self) -> AsyncIterator[FolderUpload]:
        """See `BlobStore`."""
        upload = FolderUpload(self, self._folder / _UPLOADS / uuid.uuid4().hex)
        try:
            # Inside, because a caller who goes now leaves a thread behind that makes the file.
            await asyncio.to_thread(upload.begin)
            yield upload
        finally:
            # Also when the caller has gone: what follows is short, and must be done.
            await asyncio.shield(asyncio.to_thread(upload.discard))

    def path(self, owner_id: str, job_id: str, name: str) -> Path:
        """See `BlobStore`."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a blob")
        return self.folder_of(owner_id, job_id) / name

    def folder_of(self, owner_id: str, job_id: str) -> Path:
        """Where the blobs of a job are."""
        if not _OWNER.fullmatch(owner_id) or not _JOB.fullmatch(job_id):
            raise ValueError("neither owner nor job may be a path")
        return self._folder / owner_id / job_id

    async def read(self, owner_id: str, job_id: str, name: str) -> bytes | None:
        """See `BlobStore`."""
        path = self.path(owner_id, job_id, name)

        def read() -> bytes | None:
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

        return await asyncio.to_thread(read)

    async def write(self, owner_id: str, job_id: str, name: str, data: bytes) -> None:
        """See `BlobStore`."""
        path = self.path(owner_id, job_id, name)

        def write() -> None:
            unfinished = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
            try:
                with unfinished.open("wb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)

        await asyncio.to_thread(write)

    async def remove(self, owner_id: str, job_id: str, *names: str) -> None:
        """See `BlobStore`."""
        folder = self.folder_of(owner_id, job_id)
        paths = [self.path(owner_id, job_id, name) for name in names]

        def remove() -> None:
            for path in paths:
                path.unlink(missing_ok=True)
            if not paths:
                _delete(folder)
                with suppress(OSError):
                    folder.parent.rmdir()  # when it was the owner's last

        await asyncio.to_thread(remove)

    async def jobs_of(self, owner_id: str) -> dict[str, datetime]:
        """See `BlobStore`."""
        if not _OWNER.fullmatch(owner_id):
            raise ValueError("no owner may be a path")

        def jobs_of() -> dict[str, datetime]:
            found: dict[str, datetime] = {}
            for folder in _entries(self._folder / owner_id):
                with suppress(FileNotFoundError):
                    if _JOB.fullmatch(folder.name):
                        found[folder.name] = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
            return found

        return await asyncio.to_thread(jobs_of)

    async def sweep(self, kept_jobs: Collection[str]) -> int:
        """See `BlobStore`."""
        return await asyncio.to_thread(self._sweep, frozenset(kept_jobs))

    def _sweep(self, kept_jobs: Collection[str]) -> int:
        swept = 0
        for path in _entries(self._folder / _UPLOADS):
            if _is_abandoned(path):
                _delete(path)
                swept += 1
        youngest = time.time() - _OLD_SECONDS
        for owner in _entries(self._folder):
            if owner.name == _UPLOADS or not owner.is_dir():
                continue
            for folder in _entries(owner):
                with suppress(FileNotFoundError):
                    # A young one may belong to an upload whose row is about to be written.
                    if folder.name not in kept_jobs and folder.stat().st_mtime < youngest:
                        _delete(folder)
                        swept += 1
        return swept


class FolderUpload:
    """The port `Upload`: a folder that becomes the job's. It is locked while its process lives."""

    def __init__(self, store: FolderBlobStore, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self._stream: BinaryIO | None = None
        self._kept = False
        self._discarded = False
        # Who discards waits for who begins or keeps: a caller may go in the middle of it.
        self._ending = threading.Lock()

    def begin(self) -> None:
        """Makes the empty file, unless it was discarded before that."""
        with self._ending:
            if self._discarded:
                return
            self._folder.mkdir(mode=0o700, parents=True)
            self._stream = (self._folder / FILE).open("wb")
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)

    async def write(self, data: bytes) -> None:
        """See `Upload`."""
        assert self._stream is not None  # noqa: S101 - for the type checker: it was begun
        await asyncio.to_thread(self._stream.write, data)

    async def keep(self, owner_id: str, job_id: str) -> None:
        """See `Upload`."""
        await asyncio.to_thread(self._keep, self._store.folder_of(owner_id, job_id))

    def _keep(self, folder: Path) -> None:
        with self._ending:
            self._move(folder)

    def _move(self, folder: Path) -> None:
        assert self._stream is not None  # noqa: S101 - for the type checker: it was begun
        self._stream.flush()
        os.fsync(self._stream.fileno())
        for _ in range(10):
            # The last job of this owner may be deleted in the same moment, and the owner's folder with it.
            folder.parent.mkdir(mode=0o700, exist_ok=True)
            with suppress(FileNotFoundError):
                self._folder.rename(folder)
                break
        else:
            raise FileNotFoundError(folder.parent)
        self._kept = True
        _sync(folder.parent)
        _sync(folder.parent.parent)

    def discard(self) -> None:
        """Closes the file, and deletes it unless it was kept."""
        with self._ending:
            self._discarded = True
            if self._stream is not None:
                self._stream.close()
            if not self._kept:
                _delete(self._folder)


def _is_abandoned(folder: Path) -> bool:
    """Whether an upload's process is dead: a living one holds the lock, or is about to take it."""
    try:
        if folder.stat().st_mtime > time.time() - _YOUNG_SECONDS:
            return False
        with (folder / FILE).open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        # Between two steps of its making, or of its deletion.
        with suppress(FileNotFoundError):
            return folder.stat().st_mtime < time.time() - _OLD_SECONDS
        return False
    return True


def _entries(folder: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        yield from sorted(folder.iterdir())


def _delete(folder: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

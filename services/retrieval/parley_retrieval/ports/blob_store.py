"""Where files are kept, and beside each what its job has made of it so far. One folder a job: what goes, goes as a whole."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

FILE = "file"
"""The name of the file itself among a job's blobs."""


class Upload(Protocol):
    """A file that is being written. What is not kept is gone."""

    async def write(self, data: bytes) -> None:
        """Adds to its end."""
        ...

    async def keep(self, owner_id: str, job_id: str) -> None:
        """Makes it the job's file. It survives a loss of power from then on."""
        ...


class BlobStore(Protocol):
    """Keeps files of any size without holding them in memory."""

    def upload(self) -> AbstractAsyncContextManager[Upload]:
        """Begins a file. At the end of the block nothing is left of it unless it was kept."""
        ...

    def path(self, owner_id: str, job_id: str, name: str) -> Path:
        """Where a process on this machine finds a job's blob."""
        ...

    async def read(self, owner_id: str, job_id: str, name: str) -> bytes | None:
        """All of a job's blob; None when there is none."""
        ...

    async def write(self, owner_id: str, job_id: str, name: str, data: bytes) -> None:
        """Writes a job's blob, whole or not at all."""
        ...

    async def remove(self, owner_id: str, job_id: str, *names: str) -> None:
        """Deletes these blobs of a job, or the job's file and all when none is named. What is not there is no error."""
        ...

    async def jobs_of(self, owner_id: str) -> Mapping[str, datetime]:
        """The jobs for which there is anything of an owner, and when that was last added to or taken from, UTC."""
        ...

    async def sweep(self, kept_jobs: Collection[str]) -> int:
        """Deletes what is old and of none of these jobs, and uploads that died; tells how many there were."""
        ...

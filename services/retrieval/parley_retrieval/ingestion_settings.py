"""What can be told of files and their jobs. The rest of retrieval's settings is in `settings.py`, which reads these with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from parley_shared.settings import Environment


@dataclass(frozen=True)
class IngestionSettings:
    """The settings of files and jobs."""

    files_folder: Path
    """`PARLEY_RETRIEVAL_FILES_FOLDER`: where uploaded files are kept, by default `<home>/retrieval/files`. Processes of one database
    share it."""

    job_workers: int
    """`PARLEY_RETRIEVAL_JOB_WORKERS`: how many jobs this process runs at the same time. 0 to 64; with 0 it leaves them to others."""

    job_lease_seconds: float
    """`PARLEY_RETRIEVAL_JOB_LEASE_SECONDS`: after so long without a sign of its process, a job is taken over by another. 1 to 300."""

    job_retry_seconds: float
    """`PARLEY_RETRIEVAL_JOB_RETRY_SECONDS`: how long a job waits after its first failure that may pass; twice as long after each further
    one, 300 s at most. 0.01 to 300."""

    jobs_per_user: int
    """`PARLEY_RETRIEVAL_JOBS_PER_USER`: how many unfinished jobs one user may have. 1 to 100000."""

    bytes_per_user: int
    """`PARLEY_RETRIEVAL_BYTES_PER_USER`: how many bytes of files and texts one user may have. 1000000 to 10000000000000."""

    read_seconds: float
    """`PARLEY_RETRIEVAL_READ_SECONDS`: how long the text of one file may take to be read. 0.1 to 3600."""

    read_memory_bytes: int
    """`PARLEY_RETRIEVAL_READ_MEMORY_BYTES`: how much memory that may take. 134217728 (128 MiB) to 17179869184 (16 GiB)."""

    text_characters: int
    """`PARLEY_RETRIEVAL_FILE_TEXT_CHARACTERS`: how long the text of one file may be. 1000 to 100000000."""

    @classmethod
    def read(cls, environment: Environment, home: Path) -> IngestionSettings:
        """Reads the settings. Raises SettingsError, naming the variable, for the first that is out of its bounds."""
        return cls(
            files_folder=environment.path("PARLEY_RETRIEVAL_FILES_FOLDER", home / "retrieval" / "files"),
            job_workers=environment.integer("PARLEY_RETRIEVAL_JOB_WORKERS", 2, least=0, most=64),
            job_lease_seconds=environment.number("PARLEY_RETRIEVAL_JOB_LEASE_SECONDS", 10, least=1, most=300),
            job_retry_seconds=environment.number("PARLEY_RETRIEVAL_JOB_RETRY_SECONDS", 2, least=0.01, most=300),
            jobs_per_user=environment.integer("PARLEY_RETRIEVAL_JOBS_PER_USER", 100, least=1, most=100_000),
            bytes_per_user=environment.integer(
                "PARLEY_RETRIEVAL_BYTES_PER_USER", 5_000_000_000, least=1_000_000, most=10_000_000_000_000
            ),
            read_seconds=environment.number("PARLEY_RETRIEVAL_READ_SECONDS", 120, least=0.1, most=3_600),
            read_memory_bytes=environment.integer(
                "PARLEY_RETRIEVAL_READ_MEMORY_BYTES", 1 << 30, least=128 << 20, most=16 << 30
            ),
            text_characters=environment.integer(
                "PARLEY_RETRIEVAL_FILE_TEXT_CHARACTERS", 20_000_000, least=1_000, most=100_000_000
            ),
        )

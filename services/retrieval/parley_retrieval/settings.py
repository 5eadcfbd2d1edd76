"""What the retrieval service can be told from outside, and the one place that reads it from the environment.

Not the settings of a model: those belong to inference.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from parley_shared.settings import Environment, Secret, ServiceSettings, SettingsError
from parley_shared.sql import default_database_url

SERVICE = "retrieval"
DEFAULT_PORT = 50053
_MODEL_CHARACTERS = 200
_COLLECTION = re.compile(r"[A-Za-z0-9_-]{1,64}")


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


@dataclass(frozen=True)
class RetrievalSettings:
    """The settings of one retrieval process."""

    service: ServiceSettings
    """What every Parley service can be told: home, address, tokens, logs, telemetry."""

    database_url: str = field(repr=False)  # It may hold a password.
    """`PARLEY_RETRIEVAL_DATABASE_URL`: `sqlite:///path` or `postgresql://user:password@host/name`; by default a file in
    the home folder. What is shown of it has no password."""

    index_folder: Path
    """`PARLEY_RETRIEVAL_INDEX_FOLDER`: where the embedded vector index is, by default `<home>/retrieval/index`. One
    process has it at a time."""

    sample_corpus: tuple[Path, ...]
    """`PARLEY_RETRIEVAL_SAMPLE_CORPUS`: files and folders of Markdown that become the shared documents, joined with the
    system's path separator (`:`). Empty by default: no shared documents."""

    chat_address: str
    """`PARLEY_CHAT_ADDRESS`: host and port of the chat service, which knows the personal access tokens that were revoked."""

    inference_address: str
    """`PARLEY_INFERENCE_ADDRESS`: host and port of the inference service, which embeds."""

    embedding_model: str
    """`PARLEY_RETRIEVAL_EMBEDDING_MODEL`: the model or alias of inference (`embed`) that says what passages and questions mean. Empty by
    default: passages are found by their words alone. 0 to 200 characters. Another one makes the index anew, in the background."""

    qdrant_url: str
    """`PARLEY_RETRIEVAL_QDRANT_URL`: the gRPC port of a Qdrant server that keeps the index, `http://host:6334`, or `https` for TLS.
    Empty by default: the index is in a folder of this process."""

    qdrant_api_key: Secret | None
    """`PARLEY_RETRIEVAL_QDRANT_API_KEY`: the key of that server, which may need none."""

    qdrant_collection: str
    """`PARLEY_RETRIEVAL_QDRANT_COLLECTION`: the alias of the index in that server; what else Parley keeps there begins with it. 1 to 64 of
    A-Z a-z 0-9 _ -."""

    service_key_file: Path
    """`PARLEY_RETRIEVAL_SERVICE_KEY_FILE`: the private key with which retrieval calls inference on its own account, by default
    `<home>/keys/retrieval.pem`. It is made when a model is named and there is none."""

    service_jwks_file: Path
    """`PARLEY_RETRIEVAL_SERVICE_JWKS_FILE`: where the public half of that key is written, for inference; by default beside it, with the
    ending `.jwks.json`."""

    language: str
    """`PARLEY_RETRIEVAL_LANGUAGE`: the language whose word forms are brought together: its English name in small letters,
    of those that the Snowball stemmers know. Another one makes the index anew at the next start."""

    documents_per_user: int
    """`PARLEY_RETRIEVAL_DOCUMENTS_PER_USER`: how many documents one user may have. 1 to 1000000."""

    ingestion: IngestionSettings
    """What can be told of files and their jobs."""

    flush_seconds: float
    """`PARLEY_RETRIEVAL_FLUSH_SECONDS`: how often the index is synced to the disk while it changes. Until then the
    database remembers what to index again after a loss of power. 1 to 3600."""

    @classmethod
    def read(cls, environment: Environment) -> RetrievalSettings:
        """Reads the settings. Raises SettingsError, naming the variable, for the first that is out of its bounds."""
        service = ServiceSettings.read(environment, service=SERVICE, default_port=DEFAULT_PORT)
        key_file = environment.path("PARLEY_RETRIEVAL_SERVICE_KEY_FILE", service.home / "keys" / "retrieval.pem")
        return cls(
            service=service,
            database_url=environment.text("PARLEY_RETRIEVAL_DATABASE_URL", default_database_url(service.home, SERVICE)),
            index_folder=environment.path("PARLEY_RETRIEVAL_INDEX_FOLDER", service.home / "retrieval" / "index"),
            sample_corpus=_existing_paths(environment, "PARLEY_RETRIEVAL_SAMPLE_CORPUS"),
            chat_address=environment.text("PARLEY_CHAT_ADDRESS", "127.0.0.1:50051"),
            inference_address=environment.text("PARLEY_INFERENCE_ADDRESS", "127.0.0.1:50052"),
            embedding_model=_embedding_model(environment),
            qdrant_url=_qdrant_url(environment),
            qdrant_api_key=environment.secret("PARLEY_RETRIEVAL_QDRANT_API_KEY"),
            qdrant_collection=_qdrant_collection(environment),
            service_key_file=key_file,
            service_jwks_file=environment.path(
                "PARLEY_RETRIEVAL_SERVICE_JWKS_FILE", key_file.with_suffix(".jwks.json")
            ),
            language=environment.text("PARLEY_RETRIEVAL_LANGUAGE", "english"),
            documents_per_user=environment.integer(
                "PARLEY_RETRIEVAL_DOCUMENTS_PER_USER", 10_000, least=1, most=1_000_000
            ),
            ingestion=IngestionSettings.read(environment, service.home),
            flush_seconds=environment.number("PARLEY_RETRIEVAL_FLUSH_SECONDS", 30, least=1, most=3_600),
        )


def _embedding_model(environment: Environment) -> str:
    name = "PARLEY_RETRIEVAL_EMBEDDING_MODEL"
    model = environment.text(name, "")
    if len(model) > _MODEL_CHARACTERS:
        raise SettingsError(name, f"{name} must have at most {_MODEL_CHARACTERS} characters.")
    return model


def _qdrant_url(environment: Environment) -> str:
    name = "PARLEY_RETRIEVAL_QDRANT_URL"
    url = environment.text(name, "")
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and not parts.username
    except ValueError:
        good = False
    if url and not good:
        # The address is not repeated: a key may stand in it.
        raise SettingsError(
            name, f"{name} must be http://host:port or https://host:port, without a name or a password."
        )
    return url


def _qdrant_collection(environment: Environment) -> str:
    name = "PARLEY_RETRIEVAL_QDRANT_COLLECTION"
    collection = environment.text(name, "parley")
    if not _COLLECTION.fullmatch(collection):
        raise SettingsError(name, f"{name} must be 1 to 64 of A-Z a-z 0-9 _ -.")
    return collection


def _existing_paths(environment: Environment, name: str) -> tuple[Path, ...]:
    paths = tuple(Path(path).expanduser() for path in environment.text(name, "").split(os.pathsep) if path.strip())
    for path in paths:
        if not path.exists():
            raise SettingsError(name, f"{name} names {path}, and there is no such file or folder.")
    return paths

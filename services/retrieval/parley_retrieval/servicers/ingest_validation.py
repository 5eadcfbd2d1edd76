"""The bounds of IngestService's requests, as the contract states them. Each check names all fields that break one."""

from __future__ import annotations

import re

from parley.retrieval.v1 import document_pb2, ingest_service_pb2, job_pb2
from parley_shared.validation import Violations

from parley_retrieval.domain.documents import TITLE_CHARACTERS
from parley_retrieval.domain.jobs import FileFacts
from parley_retrieval.servicers.packing import media_type_of

CHUNK_BYTES = 1_000_000
"""The largest chunk over gRPC."""
FILENAME_CHARACTERS = 300
"""The longest name of a file."""

_PROJECT_CHARACTERS = 100
_SOURCE_CHARACTERS = 2_000
_TOKEN_CHARACTERS = 512
_PAGE_SIZE = 100
_LABELS = 20
_LABEL_NAME = re.compile(r"[a-z0-9_]{1,64}")
_LABEL_CHARACTERS = 500


def check_ingest(metadata: ingest_service_pb2.IngestMetadata) -> FileFacts:
    """Checks what is said of a file, and gives it back."""
    violations = Violations()
    violations.stored_text("metadata.filename", metadata.filename, most=FILENAME_CHARACTERS)
    violations.stored_text("metadata.title", metadata.title, most=TITLE_CHARACTERS)
    violations.stored_text("metadata.project", metadata.project, most=_PROJECT_CHARACTERS)
    violations.stored_text("metadata.source_uri", metadata.source_uri, most=_SOURCE_CHARACTERS)
    violations.choice("metadata.media_type", metadata.media_type, document_pb2.MediaType.values())
    if len(metadata.labels) > _LABELS:
        violations.add("metadata.labels", f"must have at most {_LABELS} entries; it has {len(metadata.labels)}")
    else:
        for name, value in metadata.labels.items():
            if not _LABEL_NAME.fullmatch(name):
                violations.add("metadata.labels", "must have names of 1 to 64 of `a-z 0-9 _`")
            violations.stored_text("metadata.labels", value, most=_LABEL_CHARACTERS)
    violations.check()
    return FileFacts(
        filename=metadata.filename,
        title=metadata.title,
        project=metadata.project,
        source_uri=metadata.source_uri,
        media_type=media_type_of(metadata.media_type) if metadata.media_type else None,
        labels=dict(metadata.labels),
    )


def check_job_id(job_id: str) -> None:
    """Checks GetJob, WatchJob, CancelJob and RetryJob."""
    violations = Violations()
    violations.identifier("job_id", job_id, "job_")
    violations.check()


def check_jobs(request: ingest_service_pb2.ListJobsRequest) -> None:
    """Checks ListJobs."""
    violations = Violations()
    violations.integer("page_size", request.page_size, least=0, most=_PAGE_SIZE)
    violations.text("page_token", request.page_token, most=_TOKEN_CHARACTERS)
    states = frozenset(job_pb2.JobState.values()) - {job_pb2.JOB_STATE_UNSPECIFIED}
    for state in request.states[: len(states) + 1]:
        violations.choice("states", state, states)
    if len(request.states) > len(states):
        violations.add("states", "must name each state once")
    violations.check()

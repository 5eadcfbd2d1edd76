"""What can go wrong, as facts. How it is told to a caller is `servicers/status.py`'s business."""

from __future__ import annotations


class RetrievalError(Exception):
    """Any error that this service names."""


class DocumentNotFoundError(RetrievalError):
    """No document of this id is visible to the user."""

    def __init__(self, document_id: str) -> None:
        super().__init__(f"document {document_id} not found")
        self.document_id = document_id


class DocumentSharedError(RetrievalError):
    """A shared document cannot be changed by a user."""

    def __init__(self, document_id: str) -> None:
        super().__init__(f"document {document_id} is shared")
        self.document_id = document_id


class DocumentExistsError(RetrievalError):
    """The owner has another document with this title and text."""

    def __init__(self, document_id: str) -> None:
        super().__init__(f"the owner of document {document_id} has its like")
        self.document_id = document_id


class ItemOutdatedError(RetrievalError):
    """An item is there, or was deleted, in this version or a newer one."""

    def __init__(self, item_type: str, item_id: str) -> None:
        super().__init__(f"{item_type} {item_id} has a newer version")


class TooManyDocumentsError(RetrievalError):
    """The user has as many documents as one may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} documents")
        self.limit = limit


class TooManyBytesError(RetrievalError):
    """The user has as many bytes of files and texts as one may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes")
        self.limit = limit


class TooManyJobsError(RetrievalError):
    """The user has as many unfinished jobs as one may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} unfinished jobs")
        self.limit = limit


class TooManyUploadsError(RetrievalError):
    """The user has as many uploads under way as one may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} uploads at once")
        self.limit = limit


class JobNotFoundError(RetrievalError):
    """No job of this id is the user's."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id} not found")
        self.job_id = job_id


class JobStateError(RetrievalError):
    """What was asked cannot be done with a job that is as this one is."""

    def __init__(self, job_id: str, state: str, *, file_kept: bool) -> None:
        super().__init__(f"job {job_id} is {state}")
        self.job_id = job_id
        self.state = state
        self.file_kept = file_kept


class JobStillRunsError(RetrievalError):
    """A job was cancelled, and whoever runs it has not stopped yet."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id} still runs")
        self.job_id = job_id


class JobLostError(RetrievalError):
    """Another worker has the job, or it has ended: whoever meets this writes nothing more of it."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id} is another's")
        self.job_id = job_id


class FileTooLargeError(RetrievalError):
    """An upload is longer than a file may be."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes")
        self.limit = limit


class UploadMalformedError(RetrievalError):
    """The body of an upload is not what its content type says. Holds words for its sender, and the field that they are about."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field = field
        self.words = words


class UploadCutError(RetrievalError):
    """An upload ended before its end, or stood still for too long."""

    def __init__(self, idle_seconds: float) -> None:
        super().__init__(f"nothing came for {idle_seconds:g} seconds")
        self.idle_seconds = idle_seconds


class IndexFailedError(RetrievalError):
    """The vector index could not do what it was asked. Holds the engine's words, which never leave the service."""


class IndexInUseError(RetrievalError):
    """Another process has the vector index open."""


class SpaceChangedError(RetrievalError):
    """A query's meaning is of another space than the index: the index has been made anew in between."""


class CatalogItemNotFoundError(RetrievalError):
    """The user's catalog has no item of this id."""

    def __init__(self, item_id: str) -> None:
        super().__init__(f"item {item_id} not found")
        self.item_id = item_id


class TooManyItemsError(RetrievalError):
    """The catalog would have more items than one may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} items")
        self.limit = limit


class EmbeddingUnavailableError(RetrievalError):
    """Nothing can be embedded now. It may pass."""

    def __init__(self, detail: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        """What happened, for the log."""
        self.retry_after_seconds = retry_after_seconds
        """When to ask again; None when nobody said."""


class EmbeddingRefusedError(RetrievalError):
    """Nothing is embedded until somebody mends it: the model is not configured, unknown, none that embeds, or refused to us."""

    def __init__(self, detail: str, words: str = "The embedding model is not set up as it should be.") -> None:
        super().__init__(detail)
        self.detail = detail
        """What happened, for the log."""
        self.words = words
        """What happened, for the user whose file it is."""

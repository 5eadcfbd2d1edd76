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


class TooManyDocumentsError(RetrievalError):
    """The user has as many documents as one may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} documents")
        self.limit = limit


class IndexFailedError(RetrievalError):
    """The vector index could not do what it was asked. Holds the engine's words, which never leave the service."""


class IndexInUseError(RetrievalError):
    """Another process has the vector index open."""

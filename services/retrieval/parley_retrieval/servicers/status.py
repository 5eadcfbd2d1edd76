"""Turns domain errors into statuses: the words for people are written here, once."""

from __future__ import annotations

import grpc
from parley_shared.status import StatusError, not_found, service_unavailable

from parley_retrieval.domain.errors import (
    CatalogItemNotFoundError,
    DocumentExistsError,
    DocumentNotFoundError,
    DocumentSharedError,
    EmbeddingUnavailableError,
    TooManyDocumentsError,
    TooManyItemsError,
)
from parley_retrieval.servicers.ingest_status import ingest_status_error


def to_status_error(error: Exception) -> StatusError | None:
    """The status of an error that this service names. None for every other: those are INTERNAL."""
    match error:
        case DocumentNotFoundError():
            return not_found("document")
        case DocumentSharedError():
            return StatusError(
                grpc.StatusCode.PERMISSION_DENIED,
                "ERROR_REASON_DOCUMENT_SHARED",
                "This document is shared with everybody and cannot be changed.",
            )
        case DocumentExistsError():
            words = "You have another document with this title and text."
            return StatusError(
                grpc.StatusCode.INVALID_ARGUMENT,
                "ERROR_REASON_INVALID_FIELD",
                words,
                metadata={"field": "text"},
                violations=[("text", words)],
            )
        case EmbeddingUnavailableError():
            return service_unavailable("inference")
        case CatalogItemNotFoundError():
            return not_found("item")
        case TooManyItemsError():
            return StatusError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "ERROR_REASON_LIMIT_EXCEEDED",
                f"A catalog has at most {error.limit} items. Delete some first.",
                metadata={"limit": str(error.limit)},
            )
        case TooManyDocumentsError():
            return StatusError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "ERROR_REASON_LIMIT_EXCEEDED",
                f"You have {error.limit} documents, which is as many as one user may have. Delete some first.",
                metadata={"limit": str(error.limit)},
            )
    return ingest_status_error(error)

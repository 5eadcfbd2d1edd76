"""The bounds of every request, as the contract states them. One function per rpc; each names all fields that break one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal

from parley.retrieval.v1 import document_pb2, document_service_pb2, search_service_pb2
from parley_shared.validation import Violations

from parley_retrieval.domain.documents import TEXT_CHARACTERS, TITLE_CHARACTERS

_PROJECT_CHARACTERS = 100
_SOURCE_CHARACTERS = 2_000
_QUERY_CHARACTERS = 2_000
_TOKEN_CHARACTERS = 512
_VERSION = 2**31 - 1
_PAGE_SIZE = 100
_SEARCH_LIMIT = 50
_SEARCH_DOCUMENTS = 100
_SEARCH_LABELS = 20
_LABEL_NAME = re.compile(r"[a-z0-9_]{1,64}")
_LABEL_CHARACTERS = 500
_TimeField = Literal["update_time_from", "update_time_until"]

CHANGEABLE = ("title", "text", "project", "source_uri")
"""The fields that an update may name."""


def check_create(request: document_service_pb2.CreateDocumentRequest) -> None:
    """Checks CreateDocument."""
    violations = Violations()
    violations.stored_text("title", request.title, most=TITLE_CHARACTERS)
    violations.stored_text("text", request.text, least=1, most=TEXT_CHARACTERS, not_blank=True)
    violations.choice("media_type", request.media_type, document_pb2.MediaType.values())
    if request.media_type in {document_pb2.MEDIA_TYPE_HTML, document_pb2.MEDIA_TYPE_PDF, document_pb2.MEDIA_TYPE_DOCX}:
        violations.add("media_type", "is one of a file, which Ingest takes")
    violations.stored_text("project", request.project, most=_PROJECT_CHARACTERS)
    violations.stored_text("source_uri", request.source_uri, most=_SOURCE_CHARACTERS)
    violations.check()


def check_list(request: document_service_pb2.ListDocumentsRequest) -> None:
    """Checks ListDocuments."""
    violations = Violations()
    violations.integer("page_size", request.page_size, least=0, most=_PAGE_SIZE)
    violations.text("page_token", request.page_token, most=_TOKEN_CHARACTERS)
    violations.stored_text("project", request.project, most=_PROJECT_CHARACTERS)
    violations.check()


def check_get(request: document_service_pb2.GetDocumentRequest) -> None:
    """Checks GetDocument."""
    violations = Violations()
    violations.identifier("document_id", request.document_id, "doc_")
    violations.integer("version", request.version, least=0, most=_VERSION)
    violations.check()


def check_document_id(document_id: str) -> None:
    """Checks ListDocumentVersions and DeleteDocument."""
    violations = Violations()
    violations.identifier("document_id", document_id, "doc_")
    violations.check()


def check_update(request: document_service_pb2.UpdateDocumentRequest) -> frozenset[str]:
    """Checks UpdateDocument and tells which fields it changes."""
    violations = Violations()
    violations.identifier("document_id", request.document_id, "doc_")
    named = frozenset(request.update_mask.paths) or frozenset(field for field in CHANGEABLE if getattr(request, field))
    if not named.issubset(CHANGEABLE):
        violations.add("update_mask", f"must name only {', '.join(CHANGEABLE)}")
    checks: Mapping[str, Callable[[str], None]] = {
        "title": lambda value: violations.stored_text("title", value, least=1, most=TITLE_CHARACTERS, not_blank=True),
        "text": lambda value: violations.stored_text("text", value, least=1, most=TEXT_CHARACTERS, not_blank=True),
        "project": lambda value: violations.stored_text("project", value, most=_PROJECT_CHARACTERS),
        "source_uri": lambda value: violations.stored_text("source_uri", value, most=_SOURCE_CHARACTERS),
    }
    for field, check in checks.items():
        if field in named:
            check(getattr(request, field))
    violations.check()
    return named


def check_search(request: search_service_pb2.SearchRequest) -> None:
    """Checks Search."""
    violations = Violations()
    violations.text("query", request.query, least=1, most=_QUERY_CHARACTERS, not_blank=True)
    violations.integer("limit", request.limit, least=0, most=_SEARCH_LIMIT)
    violations.stored_text("project", request.project, most=_PROJECT_CHARACTERS)
    violations.choice("mode", request.mode, search_service_pb2.SearchMode.values())
    violations.count("document_ids", request.document_ids, most=_SEARCH_DOCUMENTS)
    for place, document_id in enumerate(request.document_ids[:_SEARCH_DOCUMENTS]):
        violations.identifier(f"document_ids[{place}]", document_id, "doc_")
    kinds = [value for value in document_pb2.MediaType.values() if value]
    violations.count("media_types", request.media_types, most=len(kinds))
    for place, media_type in enumerate(request.media_types[: len(kinds)]):
        violations.choice(f"media_types[{place}]", media_type, kinds)
    violations.count("labels", request.labels, most=_SEARCH_LABELS)
    for name in sorted(request.labels)[:_SEARCH_LABELS]:
        # A name may hold anything here, so the error does not repeat it.
        violations.pattern("labels", name, _LABEL_NAME, "named with 1 to 64 of a-z 0-9 _")
        violations.stored_text("labels", request.labels[name], most=_LABEL_CHARACTERS)
    _time(violations, "update_time_from", request)
    _time(violations, "update_time_until", request)
    violations.text("page_token", request.page_token, most=_TOKEN_CHARACTERS)
    violations.check()


def _time(violations: Violations, field: _TimeField, request: search_service_pb2.SearchRequest) -> None:
    """A time that a calendar has: protobuf takes any number of seconds."""
    if not request.HasField(field):
        return
    try:
        getattr(request, field).ToDatetime()
    except (ValueError, OverflowError):
        violations.add(field, "must be a time from year 1 to year 9999")

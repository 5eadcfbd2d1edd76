"""The bounds of every request, as the contract states them. One function per rpc; each names all fields that break one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from parley.retrieval.v1 import document_pb2, document_service_pb2, search_service_pb2
from parley_shared.validation import Violations

from parley_retrieval.domain.documents import TEXT_CHARACTERS, TITLE_CHARACTERS

_PROJECT_CHARACTERS = 100
_SOURCE_CHARACTERS = 2_000
_QUERY_CHARACTERS = 2_000
_TOKEN_CHARACTERS = 512
_PAGE_SIZE = 100
_SEARCH_LIMIT = 50

CHANGEABLE = ("title", "text", "project", "source_uri")
"""The fields that an update may name."""


def check_create(request: document_service_pb2.CreateDocumentRequest) -> None:
    """Checks CreateDocument."""
    violations = Violations()
    _text(violations, "title", request.title, most=TITLE_CHARACTERS)
    _text(violations, "text", request.text, least=1, most=TEXT_CHARACTERS, not_blank=True)
    violations.choice("media_type", request.media_type, document_pb2.MediaType.values())
    if request.media_type in {document_pb2.MEDIA_TYPE_HTML, document_pb2.MEDIA_TYPE_PDF, document_pb2.MEDIA_TYPE_DOCX}:
        violations.add("media_type", "is one of a file, which Ingest takes")
    _text(violations, "project", request.project, most=_PROJECT_CHARACTERS)
    _text(violations, "source_uri", request.source_uri, most=_SOURCE_CHARACTERS)
    violations.check()


def check_list(request: document_service_pb2.ListDocumentsRequest) -> None:
    """Checks ListDocuments."""
    violations = Violations()
    violations.integer("page_size", request.page_size, least=0, most=_PAGE_SIZE)
    violations.text("page_token", request.page_token, most=_TOKEN_CHARACTERS)
    _text(violations, "project", request.project, most=_PROJECT_CHARACTERS)
    violations.check()


def check_document_id(document_id: str) -> None:
    """Checks GetDocument and DeleteDocument."""
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
        "title": lambda value: _text(violations, "title", value, least=1, most=TITLE_CHARACTERS, not_blank=True),
        "text": lambda value: _text(violations, "text", value, least=1, most=TEXT_CHARACTERS, not_blank=True),
        "project": lambda value: _text(violations, "project", value, most=_PROJECT_CHARACTERS),
        "source_uri": lambda value: _text(violations, "source_uri", value, most=_SOURCE_CHARACTERS),
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
    _text(violations, "project", request.project, most=_PROJECT_CHARACTERS)
    violations.check()


def _text(
    violations: Violations, field: str, value: str, *, least: int = 0, most: int, not_blank: bool = False
) -> None:
    violations.text(field, value, least=least, most=most, not_blank=not_blank)
    if "\0" in value:
        # PostgreSQL stores no such text, and no text needs it.
        violations.add(field, "must not hold the character U+0000")

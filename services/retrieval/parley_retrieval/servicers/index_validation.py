"""The bounds of IndexService's requests, as the contract states them. Each check names all fields that break one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from parley.retrieval.v1 import index_service_pb2
from parley_shared.validation import Violations

from parley_retrieval.domain.documents import TITLE_CHARACTERS

_ITEMS = 100
_ITEM_TYPE = re.compile(r"[a-z0-9_]{1,32}")
_ITEM_ID_CHARACTERS = 100
_TEXT_CHARACTERS = 20_000
_PROJECT_CHARACTERS = 100
_VERSION_MOST = (1 << 63) - 1
_PAGE_SIZE = 1_000
_TOKEN_CHARACTERS = 512


def check_put(request: index_service_pb2.PutItemsRequest) -> None:
    """Checks PutItems."""
    violations = Violations()
    _names(violations, request.items)
    for place, item in enumerate(request.items[:_ITEMS]):
        field = f"items[{place}]"
        violations.stored_text(f"{field}.title", item.title, least=1, most=TITLE_CHARACTERS)
        violations.stored_text(f"{field}.text", item.text, most=_TEXT_CHARACTERS)
        violations.stored_text(f"{field}.project", item.project, most=_PROJECT_CHARACTERS)
        if not item.HasField("update_time"):
            violations.add(f"{field}.update_time", "must be set")
            continue
        try:
            item.update_time.ToDatetime()
        except (ValueError, OverflowError):
            # Protobuf takes any number of seconds; a calendar does not.
            violations.add(f"{field}.update_time", "must be a time from year 1 to year 9999")
    violations.check()


def check_delete(request: index_service_pb2.DeleteItemsRequest) -> None:
    """Checks DeleteItems."""
    violations = Violations()
    _names(violations, request.items)
    violations.check()


def check_list_items(request: index_service_pb2.ListItemsRequest) -> None:
    """Checks ListItems."""
    violations = Violations()
    violations.integer("page_size", request.page_size, least=0, most=_PAGE_SIZE)
    violations.text("page_token", request.page_token, most=_TOKEN_CHARACTERS)
    violations.check()


def _names(
    violations: Violations, items: Sequence[index_service_pb2.IndexItem | index_service_pb2.DeletedItem]
) -> None:
    violations.count("items", items, least=1, most=_ITEMS)
    seen: set[tuple[str, str]] = set()
    for place, item in enumerate(items[:_ITEMS]):
        field = f"items[{place}]"
        violations.pattern(f"{field}.item_type", item.item_type, _ITEM_TYPE, "1 to 32 of a-z 0-9 _")
        violations.stored_text(f"{field}.item_id", item.item_id, least=1, most=_ITEM_ID_CHARACTERS)
        violations.integer(f"{field}.version", item.version, least=1, most=_VERSION_MOST)
        if (item.item_type, item.item_id) in seen:
            violations.add(f"{field}.item_id", "must be another one than those before it")
        seen.add((item.item_type, item.item_id))

"""SearchService."""

from __future__ import annotations

import json
from typing import Any

from parley.retrieval.v1 import search_service_pb2, search_service_pb2_grpc
from parley_shared.paging import decode_page_token, encode_page_token, invalid_page_token
from parley_shared.tokens import current_principal

from parley_retrieval.domain.documents import sha256
from parley_retrieval.domain.visibility import Visibility
from parley_retrieval.operations.search import PASSAGES_MOST, Search, SearchMode, SearchPlace
from parley_retrieval.servicers.packing import found_message, narrowing_of, search_mode_of
from parley_retrieval.servicers.validation import check_search

_LIMIT = 5
_POSITION_MOST = 1 << 20


class SearchServicer(search_service_pb2_grpc.SearchServiceServicer):
    """Unpacks, checks, calls `Search`, packs."""

    def __init__(self, search: Search) -> None:
        """The use case."""
        self._search = search

    async def Search(
        self, request: search_service_pb2.SearchRequest, _context: Any
    ) -> search_service_pb2.SearchResponse:
        """See the contract."""
        check_search(request)
        list_name = _list_name(request)
        found = await self._search.find(
            Visibility(
                current_principal().user_id,
                include_shared=not request.exclude_shared,
                include_items=request.include_items,
            ),
            request.query,
            limit=request.limit or _LIMIT,
            narrowing=narrowing_of(request),
            mode=search_mode_of(request.mode),
            place=_place(decode_page_token(list_name, request.page_token)),
            with_snippets=not request.without_snippets,
        )
        end = found.next_place
        token = encode_page_token(list_name, [end.mode.value, end.position, end.passages]) if end else ""
        return found_message(found, token)


def _list_name(request: search_service_pb2.SearchRequest) -> str:
    """What a page token belongs to: everything that was asked but how many to a page, and what is told of each."""
    asked = [
        request.query,
        request.project,
        request.exclude_shared,
        request.mode,
        sorted(set(request.document_ids)),
        sorted(set(request.media_types)),
        sorted(request.labels.items()),
        request.update_time_from.ToNanoseconds() if request.HasField("update_time_from") else None,
        request.update_time_until.ToNanoseconds() if request.HasField("update_time_until") else None,
        request.include_items,
    ]
    return f"search/{sha256(json.dumps(asked))}"


def _place(values: list[str | int] | None) -> SearchPlace | None:
    if values is None:
        return None
    # A page token is not signed: what it holds is as foreign as any other field.
    match values:
        case [int(mode), int(position), int(passages)] if (
            mode in {one.value for one in SearchMode}
            and 0 < position <= _POSITION_MOST
            and 0 <= passages < PASSAGES_MOST
        ):
            return SearchPlace(SearchMode(mode), position, passages)
    raise invalid_page_token()

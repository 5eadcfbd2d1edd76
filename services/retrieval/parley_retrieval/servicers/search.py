"""SearchService."""

from __future__ import annotations

from typing import Any

from parley.retrieval.v1 import search_service_pb2, search_service_pb2_grpc
from parley_shared.tokens import current_principal

from parley_retrieval.domain.visibility import Visibility
from parley_retrieval.operations.search import Search
from parley_retrieval.servicers.packing import hit_message
from parley_retrieval.servicers.validation import check_search

_LIMIT = 5


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
        visibility = Visibility(current_principal().user_id, include_shared=not request.exclude_shared)
        hits = await self._search.find(
            visibility, request.query, project=request.project, limit=request.limit or _LIMIT
        )
        return search_service_pb2.SearchResponse(hits=[hit_message(hit) for hit in hits])

"""RecommendationService."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from parley.retrieval.v1 import recommendation_service_pb2 as pb
from parley.retrieval.v1 import recommendation_service_pb2_grpc
from parley_shared.tokens import current_principal

from parley_retrieval.domain.catalog import CatalogItem
from parley_retrieval.operations.recommendations import Recommendations
from parley_retrieval.servicers.recommendation_validation import (
    check_delete_items,
    check_interactions,
    check_list,
    check_person,
    check_put_items,
    check_similar,
    interaction_of,
)

_LIMIT = 10
_DIVERSITY = 0.3


class RecommendationServicer(recommendation_service_pb2_grpc.RecommendationServiceServicer):
    """Unpacks, checks, calls `Recommendations`, packs."""

    def __init__(self, recommendations: Recommendations) -> None:
        """The use cases."""
        self._recommendations = recommendations

    async def PutCatalogItems(self, request: pb.PutCatalogItemsRequest, _context: Any) -> pb.PutCatalogItemsResponse:
        """See the contract."""
        check_put_items(request)
        items = [
            CatalogItem(item.item_id, item.title, item.text, item.category, dict(item.labels)) for item in request.items
        ]
        await self._recommendations.put_items(current_principal().user_id, items)
        return pb.PutCatalogItemsResponse()

    async def DeleteCatalogItems(
        self, request: pb.DeleteCatalogItemsRequest, _context: Any
    ) -> pb.DeleteCatalogItemsResponse:
        """See the contract."""
        check_delete_items(request)
        count = await self._recommendations.delete_items(current_principal().user_id, request.item_ids)
        return pb.DeleteCatalogItemsResponse(deleted_count=count)

    async def RecordInteractions(
        self, request: pb.RecordInteractionsRequest, _context: Any
    ) -> pb.RecordInteractionsResponse:
        """See the contract."""
        now = datetime.now(UTC)
        check_interactions(request, now)
        done = [interaction_of(interaction, now) for interaction in request.interactions]
        count = await self._recommendations.record(current_principal().user_id, done)
        return pb.RecordInteractionsResponse(recorded_count=count)

    async def ListRecommendations(
        self, request: pb.ListRecommendationsRequest, _context: Any
    ) -> pb.ListRecommendationsResponse:
        """See the contract."""
        check_list(request)
        given = await self._recommendations.recommend(
            current_principal().user_id,
            request.person_id,
            limit=request.limit or _LIMIT,
            labels=dict(request.labels),
            include_seen=request.include_seen,
            diversity=request.diversity if request.HasField("diversity") else _DIVERSITY,
        )
        return pb.ListRecommendationsResponse(
            recommendations=[
                pb.Recommendation(
                    item=_item_message(item),
                    score=recommended.score,
                    reason=recommended.reason,
                    because_of_item_ids=recommended.because_of,
                )
                for item, recommended in given.items
            ],
            is_new_person=given.is_new_person,
        )

    async def ListSimilarItems(self, request: pb.ListSimilarItemsRequest, _context: Any) -> pb.ListSimilarItemsResponse:
        """See the contract."""
        check_similar(request)
        found = await self._recommendations.similar(
            current_principal().user_id, request.item_id, request.limit or _LIMIT
        )
        return pb.ListSimilarItemsResponse(
            items=[pb.SimilarItem(item=_item_message(item), score=score) for item, score in found]
        )

    async def DeletePerson(self, request: pb.DeletePersonRequest, _context: Any) -> pb.DeletePersonResponse:
        """See the contract."""
        check_person(request.person_id)
        count = await self._recommendations.delete_person(current_principal().user_id, request.person_id)
        return pb.DeletePersonResponse(deleted_count=count)


def _item_message(item: CatalogItem) -> pb.CatalogItem:
    return pb.CatalogItem(
        item_id=item.item_id, title=item.title, text=item.text, category=item.category, labels=item.labels
    )

"""What a product recommends to its people: `parley.retrieval.v1.RecommendationService`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from parley.retrieval.v1 import recommendation_service_pb2 as pb

from parley_client.rpc import Rpc

if TYPE_CHECKING:
    from parley_client.connection import Connection

_NO_LABELS: Mapping[str, str] = MappingProxyType({})

_SERVICE = pb.DESCRIPTOR.services_by_name["RecommendationService"]
PUT_CATALOG_ITEMS = Rpc(_SERVICE, "PutCatalogItems", pb.PutCatalogItemsRequest, pb.PutCatalogItemsResponse)
DELETE_CATALOG_ITEMS = Rpc(_SERVICE, "DeleteCatalogItems", pb.DeleteCatalogItemsRequest, pb.DeleteCatalogItemsResponse)
RECORD_INTERACTIONS = Rpc(_SERVICE, "RecordInteractions", pb.RecordInteractionsRequest, pb.RecordInteractionsResponse)
LIST_RECOMMENDATIONS = Rpc(
    _SERVICE, "ListRecommendations", pb.ListRecommendationsRequest, pb.ListRecommendationsResponse
)
LIST_SIMILAR_ITEMS = Rpc(_SERVICE, "ListSimilarItems", pb.ListSimilarItemsRequest, pb.ListSimilarItemsResponse)
DELETE_PERSON = Rpc(_SERVICE, "DeletePerson", pb.DeletePersonRequest, pb.DeletePersonResponse)


class Recommendations:
    """`client.recommendations`: the user's catalog and its people. Raises ParleyError; NotFoundError for an item that is not there."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def put_items(self, items: Iterable[pb.CatalogItem]) -> None:
        """Puts up to 100 items into the catalog, in place of what is there under their ids."""
        await self._connection.call(PUT_CATALOG_ITEMS, pb.PutCatalogItemsRequest(items=items))

    async def delete_items(self, item_ids: Iterable[str]) -> int:
        """Deletes up to 100 items with the interactions with them, and tells how many there were."""
        request = pb.DeleteCatalogItemsRequest(item_ids=item_ids)
        return (await self._connection.call(DELETE_CATALOG_ITEMS, request)).deleted_count

    async def record(self, interactions: Iterable[pb.Interaction]) -> int:
        """Records up to 1,000 interactions, all or none, and tells how many were new.

        Those with an `interaction_id` may be sent again. The client does not do so by itself: it cannot know whether all have one.
        """
        request = pb.RecordInteractionsRequest(interactions=interactions)
        return (await self._connection.call(RECORD_INTERACTIONS, request)).recorded_count

    async def list(
        self,
        person_id: str,
        *,
        limit: int = 0,
        labels: Mapping[str, str] = _NO_LABELS,
        include_seen: bool = False,
        diversity: float | None = None,
    ) -> pb.ListRecommendationsResponse:
        """What fits a person, the best first, each with a reason.

        limit: how many at most, up to 100; 10 by default.
        labels: only items that have all these.
        diversity: 0 for the best ones however alike, 1 for as different ones as can be; 0.3 by default.
        """
        request = pb.ListRecommendationsRequest(
            person_id=person_id, limit=limit, labels=labels, include_seen=include_seen, diversity=diversity
        )
        return await self._connection.call(LIST_RECOMMENDATIONS, request)

    async def similar(self, item_id: str, *, limit: int = 0) -> Sequence[pb.SimilarItem]:
        """The items that are most like one, the most similar first; 10 by default, 100 at most."""
        request = pb.ListSimilarItemsRequest(item_id=item_id, limit=limit)
        return tuple((await self._connection.call(LIST_SIMILAR_ITEMS, request)).items)

    async def delete_person(self, person_id: str) -> int:
        """Forgets a person and tells how many interactions were deleted."""
        return (await self._connection.call(DELETE_PERSON, pb.DeletePersonRequest(person_id=person_id))).deleted_count

"""RecommendationService over a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from parley.retrieval.v1 import recommendation_service_pb2 as pb
from parley.retrieval.v1 import recommendation_service_pb2_grpc
from parley_shared.status import status_error_from

SCOPES = ("recommendations:read", "recommendations:write")
NOW = datetime.now(UTC)

BOOKS = [
    ("dune", "Dune", "A desert planet, its spice, and the young duke who rides the worms.", "novel"),
    ("hyperion", "Hyperion", "Pilgrims cross a planet in a far empire among the stars.", "novel"),
    ("sand", "Worms of the desert", "A desert planet, its spice and its worms, seen by a duke's cook.", "novel"),
    ("bread", "Bread at home", "Flour, water, salt and yeast: how to knead, bake and keep a loaf.", "cookbook"),
    ("cake", "Cakes", "Flour, sugar, butter and eggs: how to bake a cake.", "cookbook"),
    ("soup", "Soups", "Broth, vegetables and salt: soups for the winter.", "cookbook"),
    ("hike", "Walks in the Alps", "Paths, huts and passes, with maps.", "travel"),
    ("sea", "Sailing alone", "Wind, waves and a small boat around the world.", "travel"),
]


@dataclass(frozen=True)
class Product:
    """A user who has a catalog."""

    stub: recommendation_service_pb2_grpc.RecommendationServiceAsyncStub
    metadata: tuple[tuple[str, str], ...]

    async def put(self, *items: pb.CatalogItem) -> None:
        await self.stub.PutCatalogItems(pb.PutCatalogItemsRequest(items=items), metadata=self.metadata)

    async def delete(self, *item_ids: str) -> int:
        request = pb.DeleteCatalogItemsRequest(item_ids=item_ids)
        return (await self.stub.DeleteCatalogItems(request, metadata=self.metadata)).deleted_count

    async def record(self, *interactions: pb.Interaction) -> int:
        request = pb.RecordInteractionsRequest(interactions=interactions)
        return (await self.stub.RecordInteractions(request, metadata=self.metadata)).recorded_count

    async def listed(self, person_id: str = "ann", **fields: Any) -> pb.ListRecommendationsResponse:
        request = pb.ListRecommendationsRequest(person_id=person_id, **fields)
        return await self.stub.ListRecommendations(request, metadata=self.metadata)

    async def ids(self, person_id: str = "ann", **fields: Any) -> list[str]:
        return ids_of((await self.listed(person_id, **fields)).recommendations)

    async def similar(self, item_id: str, limit: int = 0) -> list[pb.SimilarItem]:
        request = pb.ListSimilarItemsRequest(item_id=item_id, limit=limit)
        return list((await self.stub.ListSimilarItems(request, metadata=self.metadata)).items)

    async def forget(self, person_id: str) -> int:
        request = pb.DeletePersonRequest(person_id=person_id)
        return (await self.stub.DeletePerson(request, metadata=self.metadata)).deleted_count


def ids_of(recommendations: Sequence[Any]) -> list[str]:
    return [each.item.item_id for each in recommendations]


def did(person_id: str, kind: str, item_id: str, days_ago: float = 0, **fields: Any) -> pb.Interaction:
    time = Timestamp()
    time.FromDatetime(NOW - timedelta(days=days_ago))
    number = pb.InteractionKind.Value(f"INTERACTION_KIND_{kind.upper()}")
    return pb.Interaction(person_id=person_id, item_id=item_id, kind=number, time=time, **fields)


def books() -> list[pb.CatalogItem]:
    return [
        pb.CatalogItem(item_id=item_id, title=title, text=text, category=category, labels={"kind": category})
        for item_id, title, text, category in BOOKS
    ]


@pytest.fixture
def product(retrieval: Any) -> Product:
    """A user without a catalog."""
    caller = retrieval.caller(scopes=SCOPES)
    return Product(recommendation_service_pb2_grpc.RecommendationServiceStub(retrieval.channel), caller.metadata)


@pytest.fixture
async def shop(product: Product) -> Product:
    """A user whose catalog has the books."""
    await product.put(*books())
    return product


# Taste ---------------------------------------------------------------------------------------------------------------


async def test_what_a_person_likes_decides_and_the_reason_names_it(shop: Product) -> None:
    await shop.record(did("ann", "purchase", "dune"), did("bob", "like", "bread"))
    for_ann, for_bob = await shop.listed("ann"), await shop.listed("bob")
    assert not for_ann.is_new_person
    first = for_ann.recommendations[0]
    assert first.item == next(item for item in books() if item.item_id == "sand")
    assert first.reason == "like “Dune”, which they bought"
    assert first.because_of_item_ids == ["dune"]
    assert 0 < first.score <= 1
    assert for_bob.recommendations[0].item.item_id == "cake"
    assert for_bob.recommendations[0].reason == "like “Bread at home”, which they liked"


async def test_scores_are_from_0_to_1_and_fall_where_nothing_is_spread(shop: Product) -> None:
    await shop.record(did("ann", "like", "dune"), did("ann", "like", "bread"), did("bob", "like", "soup"))
    scores = [each.score for each in (await shop.listed(diversity=0, include_seen=True)).recommendations]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


async def test_a_dislike_pushes_away_what_is_like_it(shop: Product) -> None:
    await shop.record(did("ann", "like", "hyperion"))
    before = await shop.ids(diversity=0)
    assert before.index("sand") < before.index("cake")
    await shop.record(did("ann", "dislike", "dune"))
    assert "sand" not in await shop.ids()
    assert "cake" in await shop.ids()


async def test_who_only_disliked_something_gets_what_is_popular_and_not_like_it(shop: Product) -> None:
    await shop.record(did("ann", "dislike", "dune"), did("bob", "like", "sand"), did("bob", "like", "cake"))
    answer = await shop.listed()
    assert not answer.is_new_person
    assert answer.recommendations[0].item.item_id == "cake"
    assert answer.recommendations[0].reason == "popular with others: 1 person"
    assert "sand" not in ids_of(answer.recommendations)


async def test_what_is_newer_counts_more(shop: Product) -> None:
    await shop.record(did("ann", "like", "dune", days_ago=200), did("ann", "like", "bread"))
    assert (await shop.ids(diversity=0))[0] == "cake"
    await shop.record(did("bob", "like", "dune"), did("bob", "like", "bread", days_ago=200))
    assert (await shop.ids("bob", diversity=0))[0] == "sand"


async def test_a_custom_weight_counts_for_and_against(shop: Product) -> None:
    await shop.record(did("ann", "custom", "dune", weight=10), did("bob", "custom", "dune", weight=-10))
    assert (await shop.listed("ann")).recommendations[0].reason == "like “Dune”, which they know"
    assert "sand" not in await shop.ids("bob")
    await shop.record(did("cleo", "custom", "dune", weight=0))
    assert (await shop.listed("cleo")).is_new_person, "a weight of 0 says nothing"


async def test_people_who_chose_the_same_speak_for_what_else_they_chose(shop: Product) -> None:
    # Sailing has no word in common with Dune.
    others = [did(f"other{n}", "like", item_id) for n in range(4) for item_id in ("dune", "sea")]
    await shop.record(did("ann", "like", "dune"), *others)
    found = {each.item.item_id: each for each in (await shop.listed(diversity=0)).recommendations}
    assert found["sea"].reason == "chosen by people who chose “Dune”, which they liked"
    assert found["sea"].because_of_item_ids == ["dune"]
    assert found["sea"].score > found["hike"].score


async def test_what_was_seen_is_left_out_unless_asked_for(shop: Product) -> None:
    await shop.record(did("ann", "view", "dune"), did("ann", "dislike", "soup"))
    assert {"dune", "soup"}.isdisjoint(await shop.ids())
    again = await shop.listed(include_seen=True)
    assert again.recommendations[0].item.item_id == "dune"
    assert again.recommendations[0].reason == "they looked at it before"
    assert "soup" not in ids_of(again.recommendations), "which they dislike"


# New people ----------------------------------------------------------------------------------------------------------


async def test_a_new_person_gets_what_is_popular_from_each_category_in_turn(shop: Product) -> None:
    likes = {"dune": 5, "sand": 4, "hyperion": 3, "bread": 2, "hike": 1}
    await shop.record(*(did(f"p{n}", "like", item_id) for item_id, count in likes.items() for n in range(count)))
    answer = await shop.listed("nobody")
    assert answer.is_new_person
    assert ids_of(answer.recommendations)[:3] == ["dune", "bread", "hike"]
    assert answer.recommendations[0].reason == "popular with others: 5 people"
    assert not any(each.because_of_item_ids for each in answer.recommendations)
    assert len(answer.recommendations) == len(BOOKS), "what is new fills up"
    assert answer.recommendations[-1].reason == "new in the catalog"
    assert (await shop.ids("nobody", diversity=0))[:5] == ["dune", "sand", "hyperion", "bread", "hike"]


async def test_popularity_fades(shop: Product) -> None:
    await shop.record(
        *(did(f"p{n}", "like", "dune", days_ago=150) for n in range(5)), *(did(f"p{n}", "like", "bread") for n in "ab")
    )
    assert (await shop.ids("nobody"))[0] == "bread"


async def test_without_anything_recorded_there_are_items_of_each_category(shop: Product) -> None:
    answer = await shop.listed(limit=3)
    assert answer.is_new_person
    assert {each.item.category for each in answer.recommendations} == {"novel", "cookbook", "travel"}


async def test_an_empty_catalog_recommends_nothing(product: Product) -> None:
    answer = await product.listed()
    assert answer.is_new_person
    assert not answer.recommendations


# Diversity, labels, limits -------------------------------------------------------------------------------------------


async def test_diversity_puts_other_things_among_the_best(product: Product) -> None:
    many = [
        pb.CatalogItem(item_id=f"t{n}", title=f"Tea {n}", text="Green tea from the hills", category="tea")
        for n in range(9)
    ]
    await product.put(
        *many, pb.CatalogItem(item_id="pot", title="A pot for tea", text="Of iron, in black", category="pots")
    )
    await product.record(did("ann", "purchase", "t0"))
    assert "pot" not in (await product.ids(limit=3, diversity=0))
    assert "pot" in (await product.ids(limit=3, diversity=0.9))


async def test_only_items_with_all_labels_are_recommended(shop: Product) -> None:
    await shop.put(
        pb.CatalogItem(item_id="red", title="Red desert", text="A planet", labels={"kind": "novel", "colour": "red"})
    )
    await shop.record(did("ann", "like", "dune"), did("bob", "like", "bread"))
    assert set(await shop.ids(labels={"kind": "cookbook"})) == {"bread", "cake", "soup"}
    assert await shop.ids(labels={"kind": "novel", "colour": "red"}) == ["red"]
    assert await shop.ids("nobody", labels={"kind": "novel", "colour": "red"}) == ["red"]
    assert await shop.ids(labels={"kind": "Novel"}) == []


async def test_ten_come_unless_another_number_is_asked_for(product: Product) -> None:
    await product.put(*(pb.CatalogItem(item_id=f"t{n}", title=f"Tea number {n}") for n in range(30)))
    await product.record(did("ann", "like", "t1"))
    for person in ("ann", "new"):
        assert len(await product.ids(person)) == 10
        assert len(await product.ids(person, limit=1)) == 1
        assert len(set(await product.ids(person, limit=25))) == 25
    assert len(await product.ids("ann", limit=100)) == 29
    assert len(await product.similar("t1")) == 10
    assert len(await product.similar("t1", limit=3)) == 3


# Items ---------------------------------------------------------------------------------------------------------------


async def test_similar_items_share_words_and_come_in_order(shop: Product) -> None:
    similar = await shop.similar("dune")
    assert similar[0].item.item_id == "sand"
    assert "dune" not in ids_of(similar)
    assert "bread" not in ids_of(similar)
    scores = [each.score for each in similar]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)


async def test_an_item_that_is_put_again_is_known_by_its_new_words_and_keeps_its_fans(shop: Product) -> None:
    await shop.record(did("bob", "like", "soup"), did("ann", "like", "dune"))
    await shop.put(pb.CatalogItem(item_id="soup", title="Spice of the desert planet", text="Worms and a duke"))
    assert "soup" in ids_of(await shop.similar("dune"))
    assert not {"cake", "bread"} & set(ids_of(await shop.similar("soup")))
    (first,) = (await shop.listed("nobody", limit=1, diversity=0)).recommendations
    assert first.reason == "popular with others: 1 person"
    assert (await shop.listed()).recommendations[
        0
    ].item.title == "Spice of the desert planet" or "soup" in await shop.ids()


async def test_a_deleted_item_is_gone_with_what_was_done_with_it(shop: Product) -> None:
    await shop.record(did("ann", "purchase", "dune"), did("bob", "like", "sand"))
    assert (await shop.ids())[0] == "sand"
    assert await shop.delete("sand", "sand", "never") == 1
    assert "sand" not in await shop.ids()
    assert "sand" not in ids_of(await shop.similar("dune"))
    await shop.delete("dune")
    assert (await shop.listed()).is_new_person
    assert await shop.forget("ann") == 0
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await shop.similar("dune")
    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND
    assert status_error_from(refusal.value).metadata == {"resource": "item"}


async def test_an_item_without_words_does_no_harm(shop: Product) -> None:
    await shop.put(pb.CatalogItem(item_id="🎈", title="🎈"), pb.CatalogItem(item_id="the", title="The the"))
    await shop.record(did("ann", "like", "🎈"))
    answer = await shop.listed(limit=100)
    assert not answer.is_new_person
    assert len(answer.recommendations) == len(BOOKS) + 1
    assert await shop.similar("🎈") == []


async def test_another_language_gives_items_other_terms(serve: Any, tmp_path: Path) -> None:
    async def service(language: str, check: Callable[[Product], Awaitable[None]]) -> None:
        async with serve(tmp_path, PARLEY_RETRIEVAL_LANGUAGE=language) as started:
            metadata = started.caller("usr_" + "a" * 32, scopes=SCOPES).metadata
            stub = recommendation_service_pb2_grpc.RecommendationServiceStub(started.channel)
            await check(Product(stub, metadata))

    async def put(product: Product) -> None:
        await product.put(
            pb.CatalogItem(item_id="eins", title="Häuser"),
            pb.CatalogItem(item_id="zwei", title="Haus"),
            pb.CatalogItem(item_id="drei", title="Boot"),
        )
        assert await product.similar("eins") == [], "an English stemmer knows no German plurals"

    async def find(product: Product) -> None:
        deadline = asyncio.get_running_loop().time() + 60
        while ids_of(await product.similar("eins")) != ["zwei"]:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.05)

    await service("english", put)
    await service("german", find)


# Interactions --------------------------------------------------------------------------------------------------------


async def test_an_interaction_with_an_id_is_recorded_once(shop: Product) -> None:
    once = did("ann", "like", "dune", interaction_id="i1")
    assert await shop.record(once, once, did("ann", "view", "dune"), did("ann", "view", "dune")) == 3
    assert await shop.record(once, did("ann", "like", "cake", interaction_id="i2")) == 1
    results = await asyncio.gather(*(shop.record(did("bob", "like", "cake", interaction_id="i3")) for _ in range(8)))
    assert sorted(results) == [0] * 7 + [1]
    assert await shop.forget("ann") == 4


async def test_all_interactions_are_recorded_or_none(shop: Product) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await shop.record(did("ann", "like", "dune"), did("ann", "like", "never"))
    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND
    assert (await shop.listed()).is_new_person
    assert await shop.forget("ann") == 0


async def test_a_thousand_at_once_are_taken(shop: Product) -> None:
    assert await shop.record(*(did(f"p{n}", "view", BOOKS[n % 8][0]) for n in range(1_000))) == 1_000
    assert (await shop.listed("nobody")).recommendations[0].reason == "popular with others: 125 people"


async def test_a_forgotten_person_leaves_nothing(shop: Product) -> None:
    await shop.record(did("ann", "like", "dune"), did("ann", "purchase", "dune"), did("bob", "like", "dune"))
    await shop.record(did("ann", "like", "cake"))
    assert await shop.forget("ann") == 3
    assert await shop.forget("ann") == 0
    assert (await shop.listed("ann")).is_new_person
    reasons = {each.item.item_id: each.reason for each in (await shop.listed("new")).recommendations}
    assert reasons["dune"] == "popular with others: 1 person"
    assert reasons["cake"] == "new in the catalog"


async def test_old_times_and_a_clock_that_is_a_little_ahead_are_taken(shop: Product) -> None:
    ancient = pb.Interaction(person_id="ann", item_id="dune", kind=pb.INTERACTION_KIND_LIKE)
    ancient.time.FromDatetime(datetime(1, 1, 1, tzinfo=UTC))
    ahead = did("bob", "like", "dune", days_ago=-10 / 86_400)
    assert await shop.record(
        ancient, ahead, pb.Interaction(person_id="c", item_id="cake", kind=pb.INTERACTION_KIND_VIEW)
    )
    assert (await shop.listed("bob")).recommendations[0].item.item_id == "sand"
    assert (await shop.listed("c")).recommendations[0].item.item_id == "bread"


# Whose ---------------------------------------------------------------------------------------------------------------


async def test_a_catalog_is_seen_by_its_user_alone(shop: Product, retrieval: Any) -> None:
    await shop.record(did("ann", "like", "dune", interaction_id="i1"))
    other = Product(shop.stub, retrieval.caller(scopes=SCOPES).metadata)
    assert await other.ids() == []
    assert await other.delete("dune") == 0
    assert await other.forget("ann") == 0
    for call in (other.similar("dune"), other.record(did("ann", "like", "dune"))):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await call
        assert refusal.value.code() is grpc.StatusCode.NOT_FOUND
    await other.put(pb.CatalogItem(item_id="dune", title="Something else"))
    assert await other.record(did("ann", "like", "dune", interaction_id="i1")) == 1
    assert (await shop.listed()).recommendations[0].item.item_id == "sand"
    assert await other.ids() == []


@pytest.mark.parametrize(
    "rpc", [method.name for method in pb.DESCRIPTOR.services_by_name["RecommendationService"].methods]
)
async def test_reading_and_writing_ask_for_a_scope_each(retrieval: Any, rpc: str) -> None:
    method = pb.DESCRIPTOR.services_by_name["RecommendationService"].methods_by_name[rpc]
    wrong = SCOPES[1] if rpc.startswith("List") else SCOPES[0]
    path = f"/parley.retrieval.v1.RecommendationService/{method.name}"
    call = retrieval.channel.unary_unary(path, request_serializer=bytes, response_deserializer=bytes)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call(b"", metadata=retrieval.caller(scopes=(wrong,)).metadata)
    assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED


# Bounds --------------------------------------------------------------------------------------------------------------

ITEM = {"item_id": "a", "title": "A"}
LIKE: dict[str, Any] = {"person_id": "p", "item_id": "a", "kind": pb.INTERACTION_KIND_LIKE}
LABELS = {f"l{n}": "" for n in range(21)}


def items(**fields: Any) -> pb.PutCatalogItemsRequest:
    return pb.PutCatalogItemsRequest(items=[pb.CatalogItem(**{**ITEM, **fields})])


def interactions(**fields: Any) -> pb.RecordInteractionsRequest:
    return pb.RecordInteractionsRequest(interactions=[pb.Interaction(**{**LIKE, **fields})])


BAD: list[tuple[str, Any, str]] = [
    ("PutCatalogItems", pb.PutCatalogItemsRequest(), "items"),
    ("PutCatalogItems", pb.PutCatalogItemsRequest(items=[pb.CatalogItem(item_id=str(n), title="A") for n in range(101)]), "items"),
    ("PutCatalogItems", pb.PutCatalogItemsRequest(items=[pb.CatalogItem(item_id="a", title="A")] * 2), "items[1].item_id"),
    ("PutCatalogItems", items(item_id=""), "items[0].item_id"),
    ("PutCatalogItems", items(item_id="x" * 101), "items[0].item_id"),
    ("PutCatalogItems", items(item_id="a\0"), "items[0].item_id"),
    ("PutCatalogItems", items(title=""), "items[0].title"),
    ("PutCatalogItems", items(title="x" * 301), "items[0].title"),
    ("PutCatalogItems", items(text="x" * 20_001), "items[0].text"),
    ("PutCatalogItems", items(text="\0"), "items[0].text"),
    ("PutCatalogItems", items(category="x" * 101), "items[0].category"),
    ("PutCatalogItems", items(labels=LABELS), "items[0].labels"),
    ("PutCatalogItems", items(labels={"A": ""}), "items[0].labels"),
    ("PutCatalogItems", items(labels={"a": "x" * 501}), "items[0].labels"),
    ("DeleteCatalogItems", pb.DeleteCatalogItemsRequest(), "item_ids"),
    ("DeleteCatalogItems", pb.DeleteCatalogItemsRequest(item_ids=["a"] * 101), "item_ids"),
    ("DeleteCatalogItems", pb.DeleteCatalogItemsRequest(item_ids=["a", ""]), "item_ids[1]"),
    ("RecordInteractions", pb.RecordInteractionsRequest(), "interactions"),
    ("RecordInteractions", pb.RecordInteractionsRequest(interactions=[pb.Interaction(**LIKE)] * 1_001), "interactions"),
    ("RecordInteractions", interactions(person_id=""), "interactions[0].person_id"),
    ("RecordInteractions", interactions(person_id="x" * 101), "interactions[0].person_id"),
    ("RecordInteractions", interactions(item_id=""), "interactions[0].item_id"),
    ("RecordInteractions", interactions(item_id="x" * 101), "interactions[0].item_id"),
    ("RecordInteractions", interactions(kind=0), "interactions[0].kind"),
    ("RecordInteractions", interactions(kind=99), "interactions[0].kind"),
    ("RecordInteractions", interactions(kind=5, weight=10.1), "interactions[0].weight"),
    ("RecordInteractions", interactions(kind=5, weight=float("nan")), "interactions[0].weight"),
    ("RecordInteractions", interactions(interaction_id="x" * 101), "interactions[0].interaction_id"),
    ("RecordInteractions", interactions(time=Timestamp(seconds=4_000_000_000)), "interactions[0].time"),
    ("RecordInteractions", interactions(time=Timestamp(seconds=1 << 60)), "interactions[0].time"),
    ("ListRecommendations", pb.ListRecommendationsRequest(), "person_id"),
    ("ListRecommendations", pb.ListRecommendationsRequest(person_id="x" * 101), "person_id"),
    ("ListRecommendations", pb.ListRecommendationsRequest(person_id="a", limit=101), "limit"),
    ("ListRecommendations", pb.ListRecommendationsRequest(person_id="a", limit=-1), "limit"),
    ("ListRecommendations", pb.ListRecommendationsRequest(person_id="a", labels=LABELS), "labels"),
    ("ListRecommendations", pb.ListRecommendationsRequest(person_id="a", labels={"?": ""}), "labels"),
    ("ListRecommendations", pb.ListRecommendationsRequest(person_id="a", diversity=1.1), "diversity"),
    ("ListRecommendations", pb.ListRecommendationsRequest(person_id="a", diversity=-0.1), "diversity"),
    ("ListSimilarItems", pb.ListSimilarItemsRequest(), "item_id"),
    ("ListSimilarItems", pb.ListSimilarItemsRequest(item_id="x" * 101), "item_id"),
    ("ListSimilarItems", pb.ListSimilarItemsRequest(item_id="a", limit=101), "limit"),
    ("DeletePerson", pb.DeletePersonRequest(), "person_id"),
    ("DeletePerson", pb.DeletePersonRequest(person_id="x" * 101), "person_id"),
]  # fmt: skip


@pytest.mark.parametrize(("rpc", "request_", "field"), BAD, ids=lambda value: value if isinstance(value, str) else "")
async def test_a_field_out_of_bounds_is_refused_by_its_name(
    product: Product, rpc: str, request_: Any, field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await getattr(product.stub, rpc)(request_, metadata=product.metadata)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in [violation[0] for violation in status_error_from(refusal.value).violations]


async def test_the_longest_of_everything_is_taken(product: Product) -> None:
    item_id, person_id, text = "🎈" * 100, "人" * 100, ("🎈 word " * 3_000)[:20_000]
    longest = pb.CatalogItem(
        item_id=item_id,
        title="é" * 300,
        text=text,
        category="漢" * 100,
        labels={f"{n:02}".ljust(64, "x"): "🎈" * 500 for n in range(20)},
    )
    await product.put(longest)
    assert await product.record(did(person_id, "custom", item_id, weight=-10, interaction_id="🎈" * 100)) == 1
    (only,) = (await product.listed("new", labels=longest.labels)).recommendations
    assert only.item == longest

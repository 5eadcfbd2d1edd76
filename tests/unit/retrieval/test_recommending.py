"""How candidates are found in memory, and how an answer is chosen among them."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from parley_retrieval.domain.bm25 import SparseVector
from parley_retrieval.domain.catalog import (
    TERMS_MOST,
    Interaction,
    InteractionKind,
    ItemFacts,
    decay,
    strongest_terms,
)
from parley_retrieval.domain.catalog_index import CatalogIndex
from parley_retrieval.domain.recommendations import Candidate, companions_by_item, likeness, spread
from parley_retrieval.domain.tastes import opinions, product, taste, unit

NOW = datetime(2026, 5, 6, tzinfo=UTC)


def vector(*terms: int) -> SparseVector:
    return SparseVector(terms, tuple(1.0 for _ in terms))


def did(item_id: str, weight: float, days_ago: float = 0, kind: InteractionKind = InteractionKind.LIKE) -> Interaction:
    return Interaction("p", item_id, kind, weight, NOW - timedelta(days=days_ago))


def candidate(item_id: str, score: float, category: str = "", *terms: int) -> Candidate:
    facts = ItemFacts(item_id, item_id, category, vector(*terms), 0.0, 0)
    return Candidate(facts, unit(facts.terms, dict.fromkeys(terms, 1.0)), score)


def ids(candidates: list[Candidate]) -> list[str]:
    return [each.facts.item_id for each in candidates]


def test_the_index_finds_the_items_nearest_to_a_taste_first() -> None:
    source = random.Random(7)
    items = {f"i{n}": vector(*source.sample(range(40), 6)) for n in range(300)}
    index = CatalogIndex()
    # In pieces, as they are read: the lengths that were reckoned with few items are put right.
    rows = [(version, item_id, terms) for version, (item_id, terms) in enumerate(items.items(), start=1)]
    for start in range(0, len(rows), 50):
        index.take_in(rows[start : start + 50])
    rarities = index.rarities(range(40))
    vectors = {item_id: unit(terms, rarities) for item_id, terms in items.items()}
    wanted = vectors["i3"]
    best = sorted(items, key=lambda item_id: -product(vectors[item_id], wanted))
    found = index.candidates(wanted, among=None, without={"i3"}, most=20)
    assert len(found) == 20
    assert {best[1], best[2], best[3]} <= set(found)
    assert index.candidates(wanted, among={"i3", best[5]}, without=(), most=20) == ["i3", best[5]]


def test_the_index_follows_changes_and_passes_over_what_is_older() -> None:
    index = CatalogIndex()
    index.take_in([(1, "a", vector(1)), (2, "b", vector(2))])
    index.take_in([(3, "a", vector(2)), (4, "c", vector(9))])
    index.take_in([(2, "b", vector(9))])
    assert set(index.candidates({2: 1.0}, among=None, without=(), most=9)) == {"a", "b"}
    assert index.candidates({1: 1.0}, among=None, without=(), most=9) == []
    assert (len(index), index.cursor) == (3, 4)
    index.keep({"a", "c"})
    assert index.candidates({2: 1.0}, among=None, without=(), most=9) == ["a"]
    assert len(index) == 2


def test_an_index_of_items_that_are_gone_is_worn() -> None:
    index = CatalogIndex()
    index.take_in((version, f"i{version}", vector(1)) for version in range(1, 1_500))
    assert not index.worn
    index.keep({"i1"})
    assert index.worn


def test_what_is_not_liked_by_its_words_is_no_candidate() -> None:
    index = CatalogIndex()
    index.take_in([(1, "for", vector(1, 2)), (2, "against", vector(2, 3)), (3, "neither", vector(4))])
    assert index.candidates({1: 1.0, 3: -1.0}, among=None, without=(), most=9) == ["for"]


def test_an_opinion_is_the_sum_of_what_is_left_of_all_that_was_done() -> None:
    found = opinions([did("a", 4, days_ago=30), did("a", -1), did("b", -3), did("c", 1), did("c", -1)], NOW)
    assert [(each.item_id, each.weight) for each in found] == [("b", -3.0), ("a", pytest.approx(1.0))]
    assert decay(NOW - timedelta(days=60), NOW) == pytest.approx(0.25)


def test_a_taste_leans_to_what_weighs_more_and_away_from_dislikes() -> None:
    vectors = {"a": {1: 1.0}, "b": {2: 1.0}, "c": {3: 1.0}}
    found = taste(opinions([did("a", 5), did("b", 1), did("c", -3)], NOW), vectors)
    assert found[1] > found[2] > 0 > found[3]
    assert sum(weight * weight for weight in found.values()) == pytest.approx(1)
    assert taste([], {}) == {}


def test_popularity_halves_in_thirty_days_whenever_it_is_told() -> None:
    pulls = [did("a", 3, days_ago=days).pull for days in (0, 30, 60, 3_000)]
    assert pulls[0] == pytest.approx(2 * pulls[1]) == pytest.approx(4 * pulls[2])
    assert pulls[3] == pytest.approx(pulls[0] / 2**100)
    assert did("a", -3).pull == 0
    latest = Interaction("p", "a", InteractionKind.CUSTOM, 10, datetime(2100, 1, 1, tzinfo=UTC))
    assert latest.pull < float("inf")


def test_a_long_text_keeps_its_strongest_terms_and_no_words_are_no_terms() -> None:
    counts = SparseVector(tuple(range(500)), tuple(3.0 if term == 400 else 1.0 for term in range(500)))
    kept = strongest_terms(counts)
    assert kept.indices == (400, *range(TERMS_MOST - 1))
    assert kept.values[0] > kept.values[1]
    assert strongest_terms(None) == SparseVector((), ())


def test_people_in_common_make_items_alike() -> None:
    pairs = [("p", "a"), ("p", "x"), ("q", "a"), ("q", "x"), ("q", "b"), ("r", "y"), ("r", "b")]
    assert companions_by_item(pairs, {"a", "b"}, 9) == {
        "x": {"a": 2, "b": 1},
        "y": {"b": 1},
        "a": {"b": 1},
        "b": {"a": 1},
    }
    assert companions_by_item(pairs, {"a", "b"}, 1) == {"x": {"a": 2, "b": 1}}
    assert likeness(2, 2, 2) == 1
    assert likeness(2, 4, 16) == pytest.approx(0.25)
    assert likeness(0, 4, 16) == 0
    assert likeness(3, 1, 0) == 1, "a count that is behind does no harm"


def test_without_diversity_the_best_come_and_with_it_what_is_different() -> None:
    alike = [candidate("a", 1.0, "", 1, 2), candidate("b", 0.9, "", 1, 2), candidate("c", 0.8, "", 1, 2)]
    other = candidate("z", 0.2, "", 9)
    assert ids(spread([*alike, other], 2, 0.0, over_categories=False)) == ["a", "b"]
    assert ids(spread([*alike, other], 2, 0.9, over_categories=False)) == ["a", "z"]
    assert ids(spread([*alike, other], 9, 1.0, over_categories=False))[:2] == ["a", "z"]


def test_a_category_counts_as_likeness() -> None:
    many = [candidate("a", 1.0, "novel", 1), candidate("b", 0.8, "novel", 2), candidate("c", 0.75, "map", 3)]
    assert ids(spread(many, 2, 0.0, over_categories=False)) == ["a", "b"]
    assert ids(spread(many, 2, 0.3, over_categories=False)) == ["a", "c"]


def test_categories_take_turns_for_who_is_new() -> None:
    many = [candidate(f"n{n}", 1 - n / 10, "novel", n) for n in range(5)] + [candidate("m", 0.1, "map", 99)]
    assert ids(spread(many, 3, 0.1, over_categories=True)) == ["n0", "m", "n1"]
    assert ids(spread(many, 3, 0.0, over_categories=True)) == ["n0", "n1", "n2"]

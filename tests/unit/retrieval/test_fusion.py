"""What was found by words and what was found by meaning become one order."""

from __future__ import annotations

import pytest
from parley_retrieval.domain.fusion import MEANING_WEIGHT, fused


def order(scores: dict[str, float]) -> str:
    return "".join(sorted(scores, key=lambda key: -scores[key]))


def test_what_is_best_in_both_ways_scores_one_and_everything_above_nothing() -> None:
    scores = fused({"a": 9.0, "b": 3.0}, {"a": 0.8, "c": 0.7, "d": 0.1})
    assert scores["a"] == pytest.approx(1)
    assert set(scores) == set("abcd")
    assert min(scores.values()) > 0


def test_the_only_passage_with_the_words_comes_before_the_nearest_in_meaning() -> None:
    assert order(fused({"n": 7.5}, {"a": 0.9, "b": 0.5, "c": 0.2})) == "nabc"


def test_by_how_much_one_is_better_counts() -> None:
    # By rank the two orders are each other's mirror; by score a is far ahead in one way and hardly behind in the other.
    assert order(fused({"a": 10.0, "b": 2.0}, {"b": 0.71, "a": 0.70, "c": 0.2})) == "abc"
    assert order(fused({"a": 10.0, "b": 9.9}, {"b": 0.9, "a": 0.3, "c": 0.2})) == "bac"


def test_where_a_model_puts_its_vectors_says_nothing() -> None:
    wide, narrow = {"a": 0.9, "b": 0.5, "c": 0.1}, {"a": 0.82, "b": 0.80, "c": 0.78}
    assert fused({"b": 1.0}, wide) == pytest.approx(fused({"b": 1.0}, narrow))


@pytest.mark.parametrize("alike", [{"a": 0.3}, {"a": 0.3, "b": 0.3}])
def test_what_is_alike_in_meaning_is_as_near_as_can_be(alike: dict[str, float]) -> None:
    assert fused({}, alike) == pytest.approx(dict.fromkeys(alike, MEANING_WEIGHT))


def test_nothing_found_is_no_order() -> None:
    assert fused({}, {}) == {}
    assert fused({"a": 2.0, "b": 1.0}, {}) == pytest.approx({"a": 0.6, "b": 0.3})

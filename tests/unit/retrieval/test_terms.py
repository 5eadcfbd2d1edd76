"""How texts become weighted terms."""

from __future__ import annotations

import math

import pytest
from parley_retrieval.adapters.murmur_term_hash import MurmurTermHash
from parley_retrieval.adapters.snowball_stemmer import SnowballStemmer
from parley_retrieval.domain.bm25 import SparseVector, passage_vector
from parley_retrieval.operations.terms import QueryTerms, TermEncoder

ENCODER = TermEncoder(SnowballStemmer("english"), MurmurTermHash())


def terms(vector: SparseVector | QueryTerms | None) -> dict[int, float]:
    assert vector is not None
    vector = vector.terms if isinstance(vector, QueryTerms) else vector
    return dict(zip(vector.indices, vector.values, strict=True))


def test_forms_of_a_word_are_one_term() -> None:
    assert terms(ENCODER.query("adding providers")).keys() == terms(ENCODER.query("add provider")).keys()


def test_a_query_counts_its_words() -> None:
    assert sorted(terms(ENCODER.query("index the index shard")).values()) == [1.0, 2.0]


def test_stop_words_count_only_in_a_query_that_has_no_others() -> None:
    assert len(terms(ENCODER.query("How do I add it?"))) == 1
    assert len(terms(ENCODER.query("to be or not to be"))) == 4
    assert (
        terms(ENCODER.query("to be or not to be")).keys()
        <= terms(ENCODER.passage("To be, or not to be").weighed()).keys()
    )


def test_stop_words_beside_other_words_weigh_little_and_are_told_apart() -> None:
    asked = ENCODER.query("What is Parley?")
    assert asked is not None
    assert asked.nuances is not None
    assert len(asked.terms.indices) == 1
    assert len(asked.nuances.indices) == 2
    assert max(asked.nuances.values) < min(asked.terms.values)
    words_only = ENCODER.query("Parley")
    assert words_only is not None
    assert words_only.nuances is None


def test_stop_words_that_hold_any_sentence_together_do_not_order_passages() -> None:
    asked = ENCODER.query("the puppy at the inn")
    assert asked is not None
    assert len(asked.terms.indices) == 2
    assert asked.nuances is None
    assert terms(ENCODER.query("at the")).keys() == terms(ENCODER.passage("the at").weighed()).keys()


def test_a_query_without_words_has_no_terms() -> None:
    assert ENCODER.query("?! …") is None


def test_stop_words_do_not_make_a_passage_long() -> None:
    short, padded = (
        ENCODER.passage("vector index").weighed(),
        ENCODER.passage("it is the vector index that there is of it").weighed(),
    )
    assert set(terms(short).items()) <= set(terms(padded).items())


def test_more_of_a_term_weighs_more_but_less_and_less() -> None:
    once, twice, often = (terms(passage_vector({1: count}, 50))[1] for count in (1, 2, 20))
    assert once < twice < often
    assert twice - once > (often - twice) / 18


def test_a_term_of_a_long_passage_weighs_less() -> None:
    assert terms(passage_vector({1: 1}, 10))[1] > terms(passage_vector({1: 1}, 200))[1]


def test_a_language_without_stop_words_counts_every_word() -> None:
    german = TermEncoder(SnowballStemmer("german"), MurmurTermHash())
    assert len(terms(german.query("was ist der Index"))) == 4
    assert german.encoding != ENCODER.encoding


@pytest.mark.parametrize(
    ("indices", "values"),
    [
        ((1, 2), (1.0,)),
        ((1, 1), (1.0, 2.0)),
        ((-1,), (1.0,)),
        ((2**32,), (1.0,)),
        ((1,), (math.nan,)),
        ((1,), (math.inf,)),
        ((1,), (0.0,)),
    ],
)
def test_nonsense_is_no_sparse_vector(indices: tuple[int, ...], values: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="sparse vector"):
        SparseVector(indices, values)

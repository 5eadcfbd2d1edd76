"""Turns texts into the terms of the index: the words, stemmed and numbered, weighed as BM25 does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from parley_retrieval.domain import bm25, stop_words
from parley_retrieval.domain.bm25 import SparseVector
from parley_retrieval.domain.words import words
from parley_retrieval.ports.terms import Stemmer, TermHash

_NUANCE = 0.1
"""What a stop word weighs in a question, against 1 for another word."""
_ENCODING_VERSION = 1
"""Goes up when the same text gives other terms or weights than before."""


@dataclass(frozen=True, slots=True)
class QueryTerms:
    """What a question asks for."""

    terms: SparseVector
    """What a passage must have one of: the words that are no stop words; the stop words if there are no others."""
    nuances: SparseVector | None
    """The stop words beside other words: "what is it" tells the passage that says what it is from those that mention it. Not those which
    hold any sentence together, such as "the" and "at"."""


@dataclass(frozen=True, slots=True)
class PassageTerms:
    """What a passage says."""

    counts: Mapping[int, int]
    """How often it has which term."""
    length: int
    """How many words it has that are no stop words."""

    def weighed(self, expected_length: float = bm25.AVERAGE_LENGTH) -> SparseVector:
        """What each term weighs where passages are expected to have so many words."""
        return bm25.passage_vector(self.counts, self.length, expected_length)


class TermEncoder:
    """Gives passages and queries the same terms. Safe to use from several threads."""

    def __init__(self, stem: Stemmer, number: TermHash) -> None:
        """Words of a language without a list of stop words all count."""
        self._stop_words = stop_words.ENGLISH if stem.language == "english" else frozenset[str]()
        self.encoding = (
            f"bm25/{_ENCODING_VERSION} {stem.language} k={bm25.SATURATION} b={bm25.LENGTH_WEIGHT} "
            f"average={bm25.AVERAGE_LENGTH}"
        )
        """What vectors depend on besides their text: vectors of different encodings cannot be compared."""

        @lru_cache(maxsize=65_536)
        def term(word: str) -> int:
            return number(word if word in self._stop_words else stem(word))

        self._term = term

    def term(self, word: str) -> int:
        """The term of a word as `words()` gives it."""
        return self._term(word)

    def passage(self, text: str) -> PassageTerms:
        """The terms of a passage. It keeps its stop words, for the queries that have nothing else."""
        counts: Counter[int] = Counter()
        length = 0
        for word in words(text):
            counts[self._term(word)] += 1
            length += word not in self._stop_words
        return PassageTerms(counts, length)

    def query(self, text: str) -> QueryTerms | None:
        """The terms of a query. None for a text without words."""
        said = list(words(text))
        counts = Counter(self._term(word) for word in said if word not in self._stop_words)
        stops = Counter(self._term(word) for word in said if word in self._stop_words)
        if not counts:
            return QueryTerms(bm25.query_vector(stops), None) if stops else None
        nuances = Counter(
            self._term(word) for word in said if word in self._stop_words and word not in stop_words.ENGLISH_GLUE
        )
        for term in counts.keys() & nuances.keys():
            del nuances[term]
        return QueryTerms(bm25.query_vector(counts), bm25.query_vector(nuances, _NUANCE) if nuances else None)

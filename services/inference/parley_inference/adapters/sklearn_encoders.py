"""How columns become numbers, as scikit-learn's transformers: learned within the folds, and small enough to be written down afterwards.

Imported in the worker's process only. What scores later is `domain/lead_model.py`, which does the same without any library.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import TfidfVectorizer

_OUTLYING = 0.5
"""Percent at each end that is held within bounds: one typing error must not squeeze all others together."""
_MANY_ROWS = 200
_LONG_TAIL = 10.0
"""How many times the median the top of a column is, from which on its logarithm is taken: money and counts are like that."""


class NumericEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Missing values become the median and tell so in a column of their own; long tails their logarithm; then bounds and scaling.

    The output is the scaled columns, and after them one column of 0 and 1 for each that had missing values in training.
    """

    def fit(self, table: Any, labels: Any = None) -> NumericEncoder:
        """Learns medians, bounds and scales."""
        del labels
        given = np.asarray(table, dtype=float)
        missing = np.isnan(given)
        self.missing_columns_ = np.flatnonzero(missing.any(axis=0))
        self.medians_ = np.array([_median(column) for column in given.T])
        self.logarithmic_ = np.array([_has_long_tail(column) for column in given.T], dtype=bool)
        filled = self._filled(given)
        self.least_, self.most_ = _bounds(filled)
        held = np.clip(filled, self.least_, self.most_)
        self.means_ = held.mean(axis=0)
        deviations = held.std(axis=0)
        self.scales_ = np.where(deviations > 0, deviations, 1.0)
        return self

    def transform(self, table: Any) -> Any:
        """The numbers of a table of floats, in which NaN is missing."""
        given = np.asarray(table, dtype=float)
        scaled = (np.clip(self._filled(given), self.least_, self.most_) - self.means_) / self.scales_
        return np.hstack([scaled, np.isnan(given[:, self.missing_columns_]).astype(float)])

    def _filled(self, given: Any) -> Any:
        filled = np.where(np.isnan(given), self.medians_, given)
        return np.where(self.logarithmic_, np.log1p(np.maximum(filled, 0.0)), filled)


class WordEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """TF-IDF over lists of words, with a bounded vocabulary. Where no word comes often enough, there are no columns."""

    def __init__(self, rows_least: int = 2, words_most: int = 1000) -> None:
        self.rows_least = rows_least
        self.words_most = words_most

    def fit(self, texts: Any, labels: Any = None) -> WordEncoder:
        """Learns the vocabulary and how rare its words are."""
        del labels
        vectorizer = TfidfVectorizer(
            analyzer=_as_they_are, sublinear_tf=True, min_df=self.rows_least, max_features=self.words_most
        )
        try:
            self.vectorizer_ = vectorizer.fit(list(texts))
        except ValueError:  # its way to say that no word is left
            self.vectorizer_ = None
        return self

    def transform(self, texts: Any) -> Any:
        """A row of word weights for each text, of length 1 or empty."""
        if self.vectorizer_ is None:
            return csr_matrix((len(texts), 0))
        return self.vectorizer_.transform(list(texts))

    @property
    def rarities(self) -> dict[str, float]:
        """How rare each word is, in the order of the columns."""
        if self.vectorizer_ is None:
            return {}
        words = self.vectorizer_.get_feature_names_out()
        return {str(word): float(rarity) for word, rarity in zip(words, self.vectorizer_.idf_, strict=True)}


def _as_they_are(words: list[str]) -> list[str]:
    return words


def _median(column: Any) -> float:
    present = column[~np.isnan(column)]
    return float(np.median(present)) if present.size else 0.0


def _has_long_tail(column: Any) -> bool:
    present = column[~np.isnan(column)]
    positive = present[present > 0]
    if not positive.size or present.min() < 0:
        return False
    return bool(np.percentile(positive, 99) > _LONG_TAIL * np.median(positive))


def _bounds(table: Any) -> tuple[Any, Any]:
    least, most = table.min(axis=0), table.max(axis=0)
    if len(table) >= _MANY_ROWS:
        inner = np.percentile(table, [_OUTLYING, 100 - _OUTLYING], axis=0)
        # A flag that is rarely set lies outside as a whole.
        has_inner = inner[0] < inner[1]
        least, most = np.where(has_inner, inner[0], least), np.where(has_inner, inner[1], most)
    return least, most

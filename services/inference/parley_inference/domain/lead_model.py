"""A linear model of leads as plain numbers, and how it scores: column by column, with what each contributed. Not how it is learned.

The log-odds of a lead are `base` and one contribution for each column; a calibration makes a probability of them. A contribution is counted
from the mean of the training rows: 0 says what the average lead says.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from parley_inference.domain.lead_values import category_of, is_missing, is_no_number, number_of, shown, words_of
from parley_inference.domain.scoring import Contribution, LeadScore, Value

_NOTHING = 0.005
"""Below which log-odds a column is said to say nothing."""
_WORDS_NAMED = 3
_SHOWN_IN_WORDS = 60


@dataclass(frozen=True)
class NumericColumn:
    """Moves the log-odds in one direction: missing is the median, then the logarithm when `logarithmic`, held within bounds, scaled."""

    name: str
    median: float
    logarithmic: bool
    least: float
    most: float
    mean: float
    scale: float
    weight: float
    missing_weight: float
    """What a missing value adds beside its median."""
    centre: float

    def log_odds(self, value: Value) -> float:
        """What the value adds, counted from the mean of the training rows."""
        number = number_of(value)
        added = self.missing_weight if number is None else 0.0
        number = self.median if number is None else number
        if self.logarithmic:
            number = math.log1p(max(number, 0.0))
        return (min(max(number, self.least), self.most) - self.mean) / self.scale * self.weight + added - self.centre

    def words(self, value: Value, verdict: str) -> str:
        """What is told of the value."""
        if number_of(value) is None:
            return f"{shown(self.name)} is missing, which {verdict}"
        return f"{shown(self.name)} = {shown(value, _SHOWN_IN_WORDS)} {verdict}"


@dataclass(frozen=True)
class CategoricalColumn:
    """A weight for each category. Missing is the category with the empty name."""

    name: str
    weights: Mapping[str, float]
    other_weight: float
    """Of categories that were rare in training, or not there."""
    centre: float

    def log_odds(self, value: Value) -> float:
        """What the value adds, counted from the mean of the training rows."""
        return self.weights.get(category_of(value), self.other_weight) - self.centre

    def words(self, value: Value, verdict: str) -> str:
        """What is told of the value."""
        if is_missing(value):
            return f"{shown(self.name)} is missing, which {verdict}"
        rare = "" if category_of(value) in self.weights else " (rare or new)"
        return f"{shown(self.name)} = {shown(value, _SHOWN_IN_WORDS)}{rare} {verdict}"


@dataclass(frozen=True)
class TextColumn:
    """A weight for each known word, by TF-IDF: 1 + ln(count), times the word's rarity, scaled to a length of 1."""

    name: str
    rarities: Mapping[str, float]
    weights: Mapping[str, float]
    """Of the same words."""
    centre: float

    def log_odds(self, value: Value) -> float:
        """What the value adds, counted from the mean of the training rows."""
        return sum(self._parts(value).values()) - self.centre

    def words(self, value: Value, verdict: str) -> str:
        """What is told of the value: the words that moved it most in the direction of the whole."""
        if is_missing(value):
            return f"{shown(self.name)} is missing, which {verdict}"
        sign = math.copysign(1.0, self.log_odds(value))
        parts = sorted(((part * sign, word) for word, part in self._parts(value).items()), reverse=True)
        named = ", ".join(f"`{word}`" for part, word in parts[:_WORDS_NAMED] if part > _NOTHING)
        return f"{shown(self.name)} ({named}) {verdict}" if named else f"{shown(self.name)} {verdict}"

    def _parts(self, value: Value) -> dict[str, float]:
        known = Counter(word for word in words_of(value) if word in self.rarities)
        sizes = {word: (1 + math.log(count)) * self.rarities[word] for word, count in known.items()}
        length = math.sqrt(sum(size * size for size in sizes.values()))
        return {word: size / length * self.weights[word] for word, size in sizes.items()} if length else {}


ModelColumn: TypeAlias = NumericColumn | CategoricalColumn | TextColumn


@dataclass(frozen=True)
class SigmoidCalibration:
    """1 / (1 + e^-(slope · log-odds + intercept))."""

    slope: float
    """0 or more: a higher score never becomes a lower one."""
    intercept: float

    def probability(self, log_odds: float) -> float:
        """The calibrated score, 0 to 1."""
        at = self.slope * log_odds + self.intercept
        # Two forms of the same, neither of which overflows.
        return 1 / (1 + math.exp(-at)) if at >= 0 else math.exp(at) / (1 + math.exp(at))


@dataclass(frozen=True)
class IsotonicCalibration:
    """Straight lines between points that only go up, and level beyond them."""

    log_odds: tuple[float, ...]
    """Going up."""
    shares: tuple[float, ...]
    """Going up, one for each, 0 to 1."""

    def probability(self, log_odds: float) -> float:
        """The calibrated score, 0 to 1."""
        at = bisect_right(self.log_odds, log_odds)
        if at == 0:
            return self.shares[0]
        if at == len(self.shares):
            return self.shares[-1]
        low, high = self.log_odds[at - 1], self.log_odds[at]
        return self.shares[at - 1] + (self.shares[at] - self.shares[at - 1]) * (log_odds - low) / (high - low)


@dataclass(frozen=True)
class LeadModel:
    """What scores."""

    base: float
    """The log-odds of the average lead, before calibration."""
    columns: tuple[ModelColumn, ...]
    calibration: SigmoidCalibration | IsotonicCalibration

    def score(self, lead: Mapping[str, Value], contribution_limit: int) -> LeadScore:
        """Scores a lead; columns that it lacks count as missing. Tells the `contribution_limit` strongest contributions.

        ValueError when the model's numbers give no score, which no trained model's do.
        """
        parts = [(column, lead.get(column.name)) for column in self.columns]
        added = [column.log_odds(value) for column, value in parts]
        log_odds = self.base + sum(added)
        if not math.isfinite(log_odds):
            raise ValueError("the model gives no finite score")
        strongest = sorted(range(len(parts)), key=lambda index: -abs(added[index]))[:contribution_limit]
        return LeadScore(
            self.calibration.probability(log_odds),
            log_odds,
            tuple(_contribution(*parts[index], added[index]) for index in strongest),
        )


def _contribution(column: ModelColumn, value: Value, log_odds: float) -> Contribution:
    verdict = "says little" if abs(log_odds) < _NOTHING else "speaks for it" if log_odds > 0 else "speaks against it"
    absent = is_no_number(value) if isinstance(column, NumericColumn) else is_missing(value)
    return Contribution(column.name, log_odds, "" if absent else shown(value), column.words(value, verdict))


def score_leads(model: LeadModel, leads: Sequence[Mapping[str, Value]], contribution_limit: int) -> list[LeadScore]:
    """Scores leads, in their order."""
    return [model.score(lead, contribution_limit) for lead in leads]

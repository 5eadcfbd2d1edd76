"""Ranks the items that may be recommended to a person, spreads them, and says why each is there.

An item fits a person by three things:

- its words: the cosine between its vector and the person's taste, which is the sum of what they did with items, times the items' vectors
  (Rocchio's relevance feedback, 1971);
- other people: item-based collaborative filtering (Sarwar, Karypis, Konstan and Riedl, "Item-based collaborative filtering recommendation
  algorithms", 2001). Two items are alike when the same people chose both: how many did, by the geometric mean of how many chose each. An
  item is as near to a person as it is, on average, to what they chose, each counted as its weight;
- its popularity, a little, so that something decides where the first two say nothing.

The answer is chosen one by one, each time the item that fits best and is least like those that were chosen (maximal marginal relevance,
Carbonell and Goldstein 1998). It does not read the database and does not find candidates.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from parley_retrieval.domain.catalog import InteractionKind, ItemFacts
from parley_retrieval.domain.tastes import Opinion, Vector, product

CANDIDATES_MOST = 300
"""Among how many items the answer is chosen: those that fit best."""
REASONS_MOST = 3
"""How many items are named that speak for another."""

_BY_WORDS = 0.6
_BY_OTHERS = 0.35
_BY_POPULARITY = 0.05
_SAME_CATEGORY = 0.4
"""How like two items of one category are, at least."""
_TITLE_CHARACTERS = 80
_DID = {
    InteractionKind.VIEW: "looked at",
    InteractionKind.LIKE: "liked",
    InteractionKind.PURCHASE: "bought",
    InteractionKind.CUSTOM: "know",
    InteractionKind.DISLIKE: "know",  # In sum they are for it: what else they did weighs more.
}


@dataclass(frozen=True, slots=True)
class Recommended:
    """An item that is recommended."""

    item_id: str
    score: float
    """0 to 1."""
    reason: str
    because_of: tuple[str, ...] = ()
    """The items that speak for it, the strongest first."""


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of who is to get something."""

    opinions: Sequence[Opinion]
    taste: Vector
    facts: Mapping[str, ItemFacts]
    """Of the items that they have an opinion of."""
    vectors: Mapping[str, Vector]
    """Of these items."""
    likeness: Mapping[str, Mapping[str, float]]
    """How many others chose both, by the geometric mean of how many chose each: by candidate, by item they are for."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item that may be recommended, and how it fits."""

    facts: ItemFacts
    vector: Vector
    score: float
    """Higher fits better; below 0 it fits a dislike."""


def companions_by_item(
    pairs: Iterable[tuple[str, str]], chosen: AbstractSet[str], most: int
) -> dict[str, dict[str, int]]:
    """How many people chose an item together with each of those that a person chose: by item, by chosen item.

    pairs: who chose what, each once.
    most: how many items are told: those that have most people in common with the person's.
    """
    by_person: dict[str, list[str]] = defaultdict(list)
    for person_id, item_id in pairs:
        by_person[person_id].append(item_id)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for items in by_person.values():
        common = [item_id for item_id in items if item_id in chosen]
        for item_id in items:
            counter = counts[item_id]
            for other in common:
                if other != item_id:
                    counter[other] += 1
    totals = {item_id: counter.total() for item_id, counter in counts.items()}
    best = sorted((item_id for item_id in totals if totals[item_id]), key=lambda item_id: (-totals[item_id], item_id))
    return {item_id: dict(counts[item_id]) for item_id in best[:most]}


def likeness(together: int, one: int, other: int) -> float:
    """How alike two items are by who chose them: 0 to 1. `one` and `other` are how many people chose each."""
    return min(1.0, together / math.sqrt(max(one, together) * max(other, together))) if together else 0.0


def judge(person: Person, items: Iterable[ItemFacts], vectors: Mapping[str, Vector]) -> list[Candidate]:
    """How items fit a person, the best first. What fits their dislikes more than anything else is left out."""
    facts = list(items)
    top = max((each.popularity for each in facts), default=0.0)
    chosen = sum(opinion.weight for opinion in person.opinions if opinion.weight > 0)
    found = []
    for each in facts:
        vector = vectors.get(each.item_id, {})
        score = (
            _BY_WORDS * product(vector, person.taste)
            + _BY_OTHERS * _by_others(person, each.item_id, chosen)
            + _BY_POPULARITY * _share(each.popularity, top)
        )
        if score >= 0:
            found.append(Candidate(each, vector, min(score, 1.0)))
    return sorted(found, key=lambda candidate: (-candidate.score, candidate.facts.item_id))[:CANDIDATES_MOST]


def judge_for_anybody(items: Iterable[ItemFacts], vectors: Mapping[str, Vector]) -> list[Candidate]:
    """How popular items are, the most popular first and 1."""
    facts = list(items)
    top = max((each.popularity for each in facts), default=0.0)
    found = [Candidate(each, vectors.get(each.item_id, {}), _share(each.popularity, top)) for each in facts]
    return sorted(found, key=lambda candidate: (-candidate.score, candidate.facts.item_id))[:CANDIDATES_MOST]


def spread(candidates: Sequence[Candidate], limit: int, diversity: float, *, over_categories: bool) -> list[Candidate]:
    """Chooses at most `limit`: with a diversity of 0 the best ones, with 1 as different ones as can be.

    over_categories: takes from each category in turn, unless the diversity is 0.
    """
    if not diversity:
        return list(candidates[:limit])
    left = list(candidates)
    top = max((candidate.score for candidate in left), default=0.0) or 1.0
    alike = [0.0] * len(left)
    taken: Counter[str] = Counter()
    chosen: list[Candidate] = []
    while left and len(chosen) < limit:
        fewest = min(taken[candidate.facts.category] for candidate in left) if over_categories else 0
        best = max(
            (
                place
                for place, candidate in enumerate(left)
                if not over_categories or taken[candidate.facts.category] == fewest
            ),
            key=lambda place: ((1 - diversity) * left[place].score / top - diversity * alike[place], -place),
        )
        alike.pop(best)
        chosen.append(left.pop(best))
        taken[chosen[-1].facts.category] += 1
        alike = [max(known, _alike(chosen[-1], other)) for known, other in zip(alike, left, strict=True)]
    return chosen


def explain(candidate: Candidate, person: Person | None) -> Recommended:
    """Says in words why an item is recommended; without a person, to anybody."""
    facts, score = candidate.facts, candidate.score
    if person is not None:
        for opinion in person.opinions:
            if opinion.item_id == facts.item_id and opinion.weight > 0:
                return Recommended(facts.item_id, score, f"they {_DID[opinion.kind]} it before", (facts.item_id,))
        speakers = _speakers(candidate, person)
        if speakers:
            return Recommended(
                facts.item_id,
                score,
                _because(facts.item_id, speakers[0], person),
                tuple(opinion.item_id for opinion, _, _ in speakers[:REASONS_MOST]),
            )
    if facts.person_count:
        people = "1 person" if facts.person_count == 1 else f"{facts.person_count} people"
        return Recommended(facts.item_id, score, f"popular with others: {people}")
    return Recommended(facts.item_id, score, "new in the catalog")


def _speakers(candidate: Candidate, person: Person) -> list[tuple[Opinion, float, float]]:
    """The opinions that speak for an item, the strongest first: by its words, and by other people."""
    known = person.likeness.get(candidate.facts.item_id, {})
    chosen = sum(opinion.weight for opinion in person.opinions if opinion.weight > 0)
    most = max(abs(opinion.weight) for opinion in person.opinions)
    found = []
    for opinion in person.opinions:
        if opinion.weight > 0:
            by_words = (
                _BY_WORDS * opinion.weight / most * product(candidate.vector, person.vectors.get(opinion.item_id, {}))
            )
            by_others = _BY_OTHERS * opinion.weight / chosen * known.get(opinion.item_id, 0.0)
            if by_words + by_others > 0:
                found.append((opinion, by_words, by_others))
    return sorted(found, key=lambda each: (-each[1] - each[2], each[0].item_id))


def _because(item_id: str, speaker: tuple[Opinion, float, float], person: Person) -> str:
    opinion, by_words, by_others = speaker
    title = person.facts[opinion.item_id].title
    named = f"“{title if len(title) <= _TITLE_CHARACTERS else title[: _TITLE_CHARACTERS - 1] + '…'}”"
    if by_words >= by_others:
        return f"like {named}, which they {_DID[opinion.kind]}"
    return f"chosen by people who chose {named}, which they {_DID[opinion.kind]}"


def _by_others(person: Person, item_id: str, chosen: float) -> float:
    known = person.likeness.get(item_id)
    if not known or not chosen:
        return 0.0
    return (
        sum(opinion.weight * known.get(opinion.item_id, 0.0) for opinion in person.opinions if opinion.weight > 0)
        / chosen
    )


def _share(popularity: float, top: float) -> float:
    return popularity / top if top else 0.0


def _alike(one: Candidate, other: Candidate) -> float:
    category = one.facts.category
    at_least = _SAME_CATEGORY if category and category == other.facts.category else 0.0
    return max(at_least, product(one.vector, other.vector))

"""How well is found: nDCG@10 of words, of meaning and of both, beside the package bm25s on the same tokens.

Two collections: Parley's guide (see `guide.py`), and a handbook of very short passages with questions that were written for it. Each with
vectors that need no download (latent semantic analysis of the guide; for the handbook the deterministic ones of the fake provider, which
knows a few synonyms), and with those of a small trained model (see `trained.py`).

Parley's weights differ from those of bm25s in two ways on purpose: the expected length of a passage is learned, to within a quarter, and
some stop words count a little. The row "as bm25s weighs" leaves both out, so that a difference of design is not taken for one of the sums.
"""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import bm25s  # type: ignore[import-untyped]  # The package has no types.
from parley_retrieval.adapters.murmur_term_hash import MurmurTermHash
from parley_retrieval.adapters.snowball_stemmer import SnowballStemmer
from parley_retrieval.domain.bm25 import passage_vector
from parley_retrieval.domain.stop_words import ENGLISH
from parley_retrieval.domain.visibility import Visibility
from parley_retrieval.domain.words import words
from parley_retrieval.operations.search import SearchMode
from parley_retrieval.operations.terms import TermEncoder
from parley_testing.fake_openai import vector_of
from retrieval import guide, trained
from retrieval.rooms import Rooms, document, opened

DEPTH = 10
DIMENSIONS = 256
USER = "usr_bench"
TITLE = "Handbook"
_STEM = SnowballStemmer("english")
HERE = Path(__file__).parent


def lines(name: str) -> list[tuple[str, str]]:
    """The lines of a file of the bench, cut at their bar."""
    kept = [
        line for line in (HERE / name).read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")
    ]
    return [(left.strip(), right.strip()) for left, _, right in (line.partition(" | ") for line in kept)]


def judgments() -> list[tuple[str, dict[str, int]]]:
    """Every question with how well which passage fits."""
    return [
        (question, {name: int(grade) for name, _, grade in (one.partition(":") for one in fitting.split())})
        for question, fitting in lines("questions.txt")
    ]


def ndcg(ranking: Sequence[str], grades: Mapping[str, int]) -> float:
    """Normalized discounted cumulative gain of the first ten: 1 for the best order there can be."""

    def gain(order: Sequence[int]) -> float:
        gains = [float(2**grade - 1) / math.log2(place + 2) for place, grade in enumerate(order[:DEPTH])]
        return math.fsum(gains)

    best = gain(sorted(grades.values(), reverse=True))
    return gain([grades.get(name, 0) for name in ranking]) / best


@dataclass(frozen=True)
class Collection:
    """Passages, questions, and vectors for both."""

    name: str
    passages: Mapping[str, str]
    asked: Sequence[tuple[str, Mapping[str, int]]]
    """Every question with how well which passage fits."""
    vector: Callable[[str], Sequence[float]]
    dimensions: int


def collections() -> list[Collection]:
    """Each collection with the vectors that need nothing, and, where it can be had, with those of a trained model."""
    handbook, asked_of_it = dict(lines("harbour.txt")), judgments()
    sections, asked = guide.sections()
    stand_in = partial(vector_of, dimensions=DIMENSIONS)
    found = [
        Collection("guide, latent", sections, asked, guide.latent_vectors(sections), guide.DIMENSIONS),
        Collection("handbook, stand-in", handbook, asked_of_it, stand_in, DIMENSIONS),
    ]
    model = trained.vectors()
    if model is not None:
        found += [
            Collection("guide, trained", sections, asked, model, trained.DIMENSIONS),
            Collection("handbook, trained", handbook, asked_of_it, model, trained.DIMENSIONS),
        ]
    return found


async def measured(collection: Collection) -> dict[str, float]:
    """The mean nDCG@10 of each way to search."""
    passages, asked = collection.passages, collection.asked
    unknown = {name for _, grades in asked for name in grades} - passages.keys()
    if unknown:
        raise ValueError(f"judgments of passages that are not there: {unknown}")
    figures = {"bm25s, same tokens": _mean([ndcg(order, grades) for order, grades in _peer(passages, asked)])}
    figures["Parley's terms, as bm25s weighs"] = _mean(
        [ndcg(order, grades) for order, grades in _alike(passages, asked)]
    )
    with tempfile.TemporaryDirectory() as folder:
        async with opened(Path(folder), collection.vector, collection.dimensions) as rooms:
            names: dict[str, str] = {}
            for name, text in passages.items():
                # A title is part of what is found by, and the names would give the answers away.
                made = document(USER, TITLE, text)
                names[made.document_id] = name
                await rooms.indexing.put(made)
            # What the service does in the background.
            await rooms.weighing.round()
            for mode in (SearchMode.KEYWORD, SearchMode.SEMANTIC, SearchMode.HYBRID):
                orders = [(await _order(rooms, question, mode, names), grades) for question, grades in asked]
                figures[f"Parley, {mode.name.lower()}"] = _mean([ndcg(order, grades) for order, grades in orders])
    return figures


async def _order(rooms: Rooms, question: str, mode: SearchMode, names: Mapping[str, str]) -> list[str]:
    found = await rooms.search.find(Visibility(USER), question, limit=DEPTH, mode=mode)
    if found.mode is not mode:
        raise RuntimeError(f"searched {found.mode} and not {mode}")
    # A passage that was cut in two counts where its first part is found.
    return list(dict.fromkeys(names[hit.passage.document_id] for hit in found.hits))


def _peer(
    passages: Mapping[str, str], asked: Sequence[tuple[str, Mapping[str, int]]]
) -> list[tuple[list[str], Mapping[str, int]]]:
    names = list(passages)
    index = bm25s.BM25(k1=1.5, b=0.75)
    index.index([_tokens(f"{TITLE}\n{text}") for text in passages.values()], show_progress=False)
    orders = []
    for question, grades in asked:
        places, scores = index.retrieve([_tokens(question)], k=DEPTH, show_progress=False)
        order = [names[place] for place, score in zip(places[0], scores[0], strict=True) if score > 0]
        orders.append((order, grades))
    return orders


def _alike(
    passages: Mapping[str, str], asked: Sequence[tuple[str, Mapping[str, int]]]
) -> list[tuple[list[str], Mapping[str, int]]]:
    """Parley's own weights with the passages' true mean length and without what stop words add."""
    encoder = TermEncoder(_STEM, MurmurTermHash())
    said = {name: _tokens(f"{TITLE}\n{text}") for name, text in passages.items()}
    length = sum(map(len, said.values())) / len(said)
    vectors = {}
    for name, tokens in said.items():
        counts = Counter(encoder.term(word) for word in tokens)
        vector = passage_vector(counts, len(tokens), length)
        vectors[name] = dict(zip(vector.indices, vector.values, strict=True))
    having = Counter(term for vector in vectors.values() for term in vector)
    orders = []
    for question, grades in asked:
        terms = Counter(encoder.term(word) for word in _tokens(question))
        rarity = {term: math.log((len(said) - having[term] + 0.5) / (having[term] + 0.5) + 1) for term in terms}
        scores = {
            name: math.fsum(count * vector.get(term, 0.0) * rarity[term] for term, count in terms.items())
            for name, vector in vectors.items()
        }
        order = [name for name in sorted(scores, key=lambda name: -scores[name]) if scores[name] > 0]
        orders.append((order[:DEPTH], grades))
    return orders


def _tokens(text: str) -> list[str]:
    return [_STEM(word) for word in words(text) if word not in ENGLISH]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)

"""Shortens a text to the sentences that say the most, word for word and in their order. Extractive: it writes no sentence of its own.

A sentence is worth what its words are worth: a word that many sentences have is what the text is about. Once a sentence is taken, its
words are worth less, so that the next one says something else.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from parley_inference.adapters.offline_markdown import BlockKind, blocks_of, items_of, sentences_of
from parley_inference.adapters.offline_words import plain_words, terms
from parley_inference.domain.prompt import Passage

_WISH = re.compile(
    r"^(?:please\s+|can you\s+|could you\s+)*(?:summari[sz]e|shorten|sum up|give me (?:a|the) (?:summary|gist)|tl;?dr)\b"
    r"[^:\n]{0,80}[:\n]\s*",
    re.IGNORECASE,
)
_MARK = re.compile(r"^\s*(?:[-*+]|\d{1,3}[.)])\s+")
_LEANS_BACK = re.compile(
    r"(?:it|its|this|these|that|those|they|he|she|there|then|but|so|both|such|also|however|therefore|er|sie|es|das|dies\w*|aber)\b",
    re.IGNORECASE,
)
_LEAST_WORDS_OF_A_SENTENCE = 4
_POLITE = re.compile(
    r"(?:thanks|thank you|hi|hello|dear|hallo|liebe[rs]?|danke|vielen dank|(?:kind|best|warm) (?:regards|wishes)|cheers)\b",
    re.IGNORECASE,
)
_USUAL_TERMS = 12
"""A sentence with more terms than these gains little by each further one: else the longest would always win."""
_LONGEST_POLITENESS = 80
_FIRST_BONUS = 2.0
_FIRST_OF_PARAGRAPH_BONUS = 1.15
_LEANING_SHARE = 0.6
_RARE = 0.2
"""What a word is worth that only one sentence of a longer text has."""
_TAKEN_SHARE = 0.25
"""What a word is worth once a sentence with it is taken."""
_WORDS_OF_A_ROOT = 6
"""A summary grows with the root of its text: 85 words of 200, 190 of 1,000."""
_LEAST_WORDS, _MOST_WORDS = 30, 250
_MOST_OF_THE_TEXT = 0.6
_OVER = 1.3
"""A sentence may be longer than the room that is left by so much."""
_LEAST_OF_THE_HIGHEST = 0.12
"""What a further sentence has to be worth, measured by the best one: a summary need not use its room."""
_MOST_TOO_LONG = 2
"""So many good sentences that do not fit are passed over."""
_MOST_SENTENCES = 10
_SHORT_ENOUGH = 2
"""So many sentences are their own summary."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The sentences of a text that say the most, in their order."""

    sentences: Sequence[str]
    of: int
    """How many the text has."""


@dataclass(frozen=True, slots=True)
class _Sentence:
    position: int
    text: str
    words: int
    terms: frozenset[str]
    bonus: float


def without_wish(text: str) -> str:
    """The text behind "Summarize this:" and the like; all of it when nothing of the kind stands there."""
    rest = text[found.end() :] if (found := _WISH.match(text.lstrip())) else text
    return rest if rest.strip() else text


def summary_of(text: str, words: int = 0, most_sentences: int = _MOST_SENTENCES) -> Summary | None:
    """The summary in about so many words, as many as fit the length of the text when 0; None when there is no sentence in it."""
    sentences = _sentences(text)
    if not sentences:
        return None
    if len(sentences) <= _SHORT_ENOUGH and most_sentences >= len(sentences):
        return Summary([sentence.text for sentence in sentences], len(sentences))
    total = sum(sentence.words for sentence in sentences)
    room = words or min(max(round(_WORDS_OF_A_ROOT * math.sqrt(total)), _LEAST_WORDS), _MOST_WORDS)
    taken = _best(sentences, min(room, round(total * _MOST_OF_THE_TEXT)), most_sentences)
    return Summary([sentence.text for sentence in sorted(taken, key=lambda one: one.position)], len(sentences))


def _best(sentences: Sequence[_Sentence], room: int, most: int) -> list[_Sentence]:
    """The sentences that say the most in so much room, the best first; one at least."""
    counts = Counter(term for sentence in sentences for term in sentence.terms)
    worth = {term: math.log1p(count) for term, count in counts.items() if count > 1 or len(sentences) < 8}
    taken: list[_Sentence] = []
    left = list(sentences)
    too_long = 0
    highest = 0.0
    while left and len(taken) < most:
        positions = {sentence.position for sentence in taken}

        def score(sentence: _Sentence, positions: set[int] = positions) -> float:
            value = sentence.bonus * sum(worth.get(term, _RARE) for term in sentence.terms)
            # What leans on the sentence before it says half of it without that one.
            if _LEANS_BACK.match(sentence.text) and sentence.position - 1 not in positions:
                value *= _LEANING_SHARE
            return value / float(max(len(sentence.terms), _USUAL_TERMS) ** 0.95)

        best = max(left, key=score)
        highest = max(highest, score(best))
        if score(best) < _LEAST_OF_THE_HIGHEST * highest:
            break
        left.remove(best)
        if taken and best.words > room * _OVER:
            # What fits into the last gap by being short says little: better nothing.
            too_long += 1
            if too_long > _MOST_TOO_LONG:
                break
            continue
        taken.append(best)
        room -= best.words
        for term in best.terms:
            worth[term] = worth.get(term, _RARE) * _TAKEN_SHARE
    return taken


def _sentences(text: str) -> list[_Sentence]:
    """The sentences of paragraphs and the items of lists. Headings, code and tables are no sentences, nor are greetings, unless there
    is nothing else.
    """
    pieces: list[tuple[str, bool]] = []
    for block in blocks_of((Passage(1, "", text),)):
        if block.kind is BlockKind.PARAGRAPH:
            found = sentences_of(block.text)
        elif block.kind is BlockKind.LIST:
            found = [" ".join(_MARK.sub("", item).split()) for item in items_of(block.text)]
        else:
            continue
        pieces += [(piece, index == 0) for index, piece in enumerate(found)]
    whole = [one for one in pieces if _says_something(one[0])] or pieces
    leads = dict(reversed(whole))
    return [
        _Sentence(
            position,
            piece,
            len(plain_words(piece)),
            frozenset(terms(piece)),
            _FIRST_BONUS if position == 0 else _FIRST_OF_PARAGRAPH_BONUS if leads[piece] else 1.0,
        )
        for position, piece in enumerate(dict.fromkeys(piece for piece, _ in whole))
    ]


def _says_something(sentence: str) -> bool:
    """Whether it is more than "Hi all," and "Thanks for the call"."""
    return len(plain_words(sentence)) >= _LEAST_WORDS_OF_A_SENTENCE and not (
        _POLITE.match(sentence) and len(sentence) < _LONGEST_POLITENESS
    )

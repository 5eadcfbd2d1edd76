"""Answers a question with the sentences of the passages that fit it best, as Markdown that cites them.

Extractive: every statement stands in a passage, word for word. What is here decides which, and says so when there is none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from parley_inference.adapters.offline_markdown import Block, BlockKind, blocks_of, items_of, rows_of, sentences_of
from parley_inference.adapters.offline_words import terms
from parley_inference.domain.prompt import Passage

_LEAST_COVERAGE = 0.34
"""How much of what the question is about a section has to speak of, headings included, to count as an answer."""
_SECTION_COVERAGE = 0.5
"""How much of it the headings of a section have to name for the section to be quoted as a whole; and no less than any statement."""
_HEADING_WEIGHT = 0.7
_TITLE_WEIGHT = 0.35
_EARLIER_QUESTION_WEIGHT = 0.3
_BUDGET_CHARACTERS = 1500
_MOST_CHARACTERS_OF_A_BLOCK = 2500
_MOST_STATEMENTS = 4
_STATEMENT_SHARE = 0.6
"""How good a further statement has to be, measured by the best one."""
_SEE_ALSO_SHARE = 0.6
_MOST_SEE_ALSO = 2
_TOO_ALIKE = 0.6
_LEANS_BACK = re.compile(
    r"(?:it|its|this|these|that|those|they|he|she|there|then|but|so|both|such|also)\b", re.IGNORECASE
)
_ORDINAL = re.compile(r"^\s*\d{1,3}[.)]\s+")
_IS = re.compile(r"\s(?:is|are)\s")
_LONGEST_SUBJECT = 80
_DEFINITION = re.compile(r"\s*(?:what|who)(?:'s|\s+is|\s+are)\b", re.IGNORECASE)


def answer_from(passages: tuple[Passage, ...], question: str, earlier_question: str = "") -> str | None:
    """The answer in Markdown; None when the passages say nothing about it.

    `earlier_question` helps to understand a short one that goes on from it ("And on Windows?").
    """
    blocks = blocks_of(passages)
    sought = _Sought.of(question, earlier_question, blocks)
    if not blocks or not sought.weights:
        return None
    sections = [_Section(list(group), sought) for _, group in groupby(blocks, key=lambda block: block.section)]
    best = max(sections, key=lambda section: section.score)
    if best.coverage < _LEAST_COVERAGE:
        return None
    statements = [statement for block in blocks for statement in _statements_of(block, sought)]
    closest = max((statement.coverage for statement in statements), default=0.0)
    if any(statement.defines for statement in statements):
        return _quote(statements, blocks)
    if best.heading_coverage >= max(_SECTION_COVERAGE, closest) or not closest:
        return _whole_section(best, sections)
    return _quote(statements, blocks)


@dataclass(frozen=True, slots=True)
class _Sought:
    """What the question is about: its terms, each with how much it tells. A term that few blocks have tells the most."""

    weights: dict[str, float]
    total: float
    asks_what_something_is: bool

    @classmethod
    def of(cls, question: str, earlier_question: str, blocks: Sequence[Block]) -> _Sought:
        wanted = dict.fromkeys(terms(question), 1.0)
        if len(wanted) < 3:
            wanted = {**dict.fromkeys(terms(earlier_question), _EARLIER_QUESTION_WEIGHT), **wanted}
        found = [set(terms(block.text)) | set(terms(" ".join(block.headings))) for block in blocks]
        weights = {
            term: share * math.log(1 + (len(blocks) + 1) / (0.5 + sum(term in words for words in found)))
            for term, share in wanted.items()
        }
        return cls(weights, sum(weights.values()) or 1.0, _DEFINITION.match(question) is not None)

    def share(self, words: Iterable[str]) -> float:
        """How much of the question these words speak of, from 0 to 1."""
        present = set(words)
        return sum(weight for term, weight in self.weights.items() if term in present) / self.total

    def is_defined_by(self, sentence: str) -> bool:
        """Whether the sentence begins with what is asked for, and then "is" or "are"."""
        verb = _IS.search(sentence, 0, _LONGEST_SUBJECT)
        return verb is not None and set(terms(sentence[: verb.start()])) == set(self.weights)

    def fit(self, text: Iterable[str], headings: Iterable[str], title: Iterable[str]) -> float:
        """The same for a text under headings; what only they name counts less."""
        own, above, top = set(text), set(headings), set(title)
        found = 0.0
        for term, weight in self.weights.items():
            if term in own:
                found += weight
            elif term in above:
                found += weight * _HEADING_WEIGHT
            elif term in top:
                found += weight * _TITLE_WEIGHT
        return found / self.total


class _Section:
    """The blocks under one heading of one passage, and how well they fit."""

    def __init__(self, blocks: list[Block], sought: _Sought) -> None:
        self.blocks = blocks
        self.passage = blocks[0].passage
        self.headings = blocks[0].headings
        body = [term for block in blocks for term in terms(block.text)]
        headings = terms(" ".join(self.headings))
        title = terms(self.passage.title)
        nearest = terms(self.headings[-1]) if self.headings else []
        self.heading_coverage = sought.share(headings)
        self.coverage = sought.fit(body, headings, title)
        # The nearest heading says what exactly the section is about: naming just that is better than naming it among others.
        precision = len(set(nearest) & set(sought.weights)) / len(set(nearest)) if nearest else 0.0
        self.score = (
            1.2 * sought.share(nearest) + 0.4 * self.heading_coverage + 0.8 * sought.share(body) + 0.3 * precision
        ) * _standing(self.passage)


def _standing(passage: Passage) -> float:
    """Passages come with the best first, by somebody who knows more of their documents."""
    return max(0.7, 1.0 - 0.03 * (passage.number - 1))


def _whole_section(best: _Section, sections: Sequence[_Section]) -> str:
    parts: list[str] = []
    spent = 0
    is_cut = False
    written: set[str] = set()
    under = len(best.headings)
    headings = best.headings
    for section in _with_what_belongs_to(best, sections):
        for block in section.blocks:
            text = block.text if len(block.text) <= _MOST_CHARACTERS_OF_A_BLOCK else _beginning(block)
            if " ".join(text.split()) in written:
                continue
            if parts and spent + len(text) > _BUDGET_CHARACTERS:
                is_cut = True
                break
            if block.headings != headings:
                headings = block.headings
                if headings[under:]:
                    parts.append(f"**{' › '.join(headings[under:])}**")
            parts.append(_cited(block, text, leads=not parts or parts[-1].endswith(f"[{block.passage.number}]:")))
            written.add(" ".join(text.split()))
            spent += len(text)
        if is_cut:
            break
    # A lead-in whose list or code no longer had room promises what does not come.
    while len(parts) > 1 and (parts[-1].endswith("]:") or (parts[-1].startswith("**") and parts[-1].endswith("**"))):
        parts.pop()
        is_cut = True
    place = _place(best.passage, best.headings)
    lead = f"{place} says [{best.passage.number}]:"
    also = _see_also(best, sections, written)
    more = f"There is more under {place}." if is_cut else ""
    return "\n\n".join(part for part in (lead, *parts, more, also) if part)


def _with_what_belongs_to(best: _Section, sections: Sequence[_Section]) -> list[_Section]:
    """The section, what stands under it, and the rest of it where its document was cut into several passages."""
    same = [best]
    for section in sections:
        inside = bool(best.headings) and section.headings[: len(best.headings)] == best.headings
        if section is not best and inside and section.passage.title == best.passage.title:
            same.append(section)
    return same


def _see_also(best: _Section, sections: Sequence[_Section], written: set[str]) -> str:
    places: dict[str, int] = {}
    for section in sorted(sections, key=lambda section: -section.score):
        told = all(" ".join(block.text.split()) in written for block in section.blocks)
        place = _place(section.passage, section.headings)
        if told or section.score < _SEE_ALSO_SHARE * best.score or place == _place(best.passage, best.headings):
            continue
        places.setdefault(place, section.passage.number)
    listed = [f"{place} [{number}]" for place, number in list(places.items())[:_MOST_SEE_ALSO]]
    return f"See also {' and '.join(listed)}." if listed else ""


def _place(passage: Passage, headings: Sequence[str]) -> str:
    title = passage.title.strip()
    inner = [heading for heading in headings if heading.casefold() != title.casefold()]
    where = " › ".join(inner[-2:])
    if title and where:
        return f"*{title}*, “{where}”"
    return f"*{title}*" if title else f"“{where}”" if where else "The document"


@dataclass(frozen=True, slots=True)
class _Statement:
    """A sentence, an item, or a whole block of code or table, that may be quoted."""

    block: Block
    index: int
    """Its place in the block."""
    text: str
    words: frozenset[str]
    coverage: float
    """How much of the question it speaks of in its own words."""
    score: float
    defines: bool = False
    """Whether it begins to say what the question asks for ("Parley is …")."""


def _quote(statements: Sequence[_Statement], blocks: Sequence[Block]) -> str:
    """The best statements: the passage that has the best of all first, within a passage in the order in which they stand there."""
    ranked = sorted(statements, key=lambda one: -one.score)
    best = ranked[0]
    chosen: list[_Statement] = []
    for candidate in ranked:
        if candidate.score < _STATEMENT_SHARE * best.score or not candidate.score or len(chosen) == _MOST_STATEMENTS:
            break
        if all(_alikeness(candidate.words, other.words) < _TOO_ALIKE for other in chosen):
            chosen.append(candidate)

    def place(statement: _Statement) -> tuple[bool, int, int]:
        is_elsewhere = statement.block.passage.number != best.block.passage.number
        return is_elsewhere, statement.block.position, statement.index

    following = {block.position: after for block, after in pairwise(blocks) if block.section == after.section}
    parts: list[str] = []
    for position, group in groupby(sorted(chosen, key=place), key=lambda one: one.block.position):
        taken = list(group)
        parts.append(_quoted(taken))
        after = following.get(position)
        # "… like this:" needs what follows, unless that is chosen anyway.
        leads_on = taken[-1].text.endswith(":") and after is not None
        if leads_on and after is not None and all(one.block is not after for one in chosen):
            parts.append(after.text if len(after.text) <= _MOST_CHARACTERS_OF_A_BLOCK else _beginning(after))
    return "\n\n".join(parts)


def _statements_of(block: Block, sought: _Sought) -> list[_Statement]:
    headings, title = terms(" ".join(block.headings)), terms(block.passage.title)
    match block.kind:
        case BlockKind.PARAGRAPH:
            texts = sentences_of(block.text)
        case BlockKind.LIST:
            texts = items_of(block.text)
        case BlockKind.TABLE:
            texts = rows_of(block.text)[1]
        case _:
            texts = [block.text]
    statements = []
    for index, text in enumerate(texts):
        words = terms(text)
        own = sought.share(words)
        score = sought.fit(words, headings, title) * _standing(block.passage) / (1 + 0.002 * max(0, len(text) - 240))
        defines = sought.asks_what_something_is and sought.is_defined_by(text)
        if defines:
            score *= 2
        if block.kind is BlockKind.CODE:
            # It answers together with the sentence that leads to it, and seldom alone.
            score *= 0.6
        statements.append(_Statement(block, index, text, frozenset(words), own, score if own else 0.0, defines))
    return statements


def _quoted(taken: Sequence[_Statement]) -> str:
    """Statements of one block, with the sentence before one that leans on it ("It …")."""
    block = taken[0].block
    number = block.passage.number
    if block.kind is BlockKind.PARAGRAPH:
        sentences = sentences_of(block.text)
        wanted = {one.index for one in taken}
        wanted |= {one.index - 1 for one in taken if one.index and _LEANS_BACK.match(one.text.lstrip('*_`"“'))}
        # A definition seldom says it all in its first sentence.
        wanted |= {one.index + 1 for one in taken if one.defines and one.index + 1 < len(sentences)}
        return " ".join(_marked(sentences[index], number) for index in sorted(wanted))
    if block.kind is BlockKind.LIST:
        # Out of their list, the numbers of items tell nothing.
        return "\n".join(_marked(_ORDINAL.sub("- ", one.text), number) for one in taken)
    if block.kind is BlockKind.TABLE:
        head = rows_of(block.text)[0]
        if not head:
            # The head stands in a passage that was not found, and rows without one are no table.
            return "\n".join(_marked(_row_as_item(one.text), number) for one in taken)
        rows = "\n".join([head, *(one.text for one in taken)])
        return f"{_place(block.passage, block.headings)} [{number}]:\n\n{rows}"
    return _cited(block, block.text, leads=False)


def _row_as_item(row: str) -> str:
    return "- " + " · ".join(cell.strip() for cell in row.strip().strip("|").split("|") if cell.strip())


def _cited(block: Block, text: str, *, leads: bool) -> str:
    """A block with its citation. After a sentence that leads to it and carries the citation already, it stands as it is."""
    number = block.passage.number
    if block.kind in {BlockKind.CODE, BlockKind.TABLE}:
        return text if leads else f"Like this [{number}]:\n\n{text}"
    return text if leads and block.kind is BlockKind.LIST else _marked(text, number)


def _marked(text: str, number: int) -> str:
    """The text with its citation before the mark that ends it."""
    text = text.rstrip()
    inner = text.rstrip('*_)"”’').rstrip(".!?…:")
    ending = text[len(inner) :]
    if not inner or not ending.strip('*_)"”’') or "\n" in ending:
        return f"{text} [{number}]"
    return f"{inner} [{number}]{ending}"


def _beginning(block: Block) -> str:
    """As much of a very long block as may be quoted, cut where a sentence, an item or a line ends."""
    if block.kind is BlockKind.PARAGRAPH:
        pieces, joint = sentences_of(block.text), " "
    elif block.kind is BlockKind.LIST:
        pieces, joint = items_of(block.text), "\n"
    else:
        pieces, joint = block.text.split("\n"), "\n"
    kept: list[str] = []
    for piece in pieces:
        if kept and sum(map(len, kept)) + len(piece) > _MOST_CHARACTERS_OF_A_BLOCK:
            break
        kept.append(piece[:_MOST_CHARACTERS_OF_A_BLOCK])
    if block.kind is BlockKind.CODE and kept[-1] != pieces[-1]:
        kept.append(pieces[-1])
    return joint.join(kept)


def _alikeness(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 1.0

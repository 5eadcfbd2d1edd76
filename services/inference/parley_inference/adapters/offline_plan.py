"""Numbers what a message wants done: its lines, else its sentences, else the parts of its one sentence. Adds no step of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass

from parley_inference.adapters.offline_markdown import sentences_of
from parley_inference.adapters.offline_words import plain_words

_MOST_CHARACTERS = 20_000
_MOST_STEPS = 30
_MARK = re.compile(r"^\s*(?:(?:[-*+•]|\d{1,3}[.)])\s+(?:\[[ xX]?\]\s+)?|\[[ xX]?\]\s+)")
_CONJUNCTION = re.compile(
    r"\s*;\s*|\s*,?\s+(?:and\s+)?(?:then|after that|afterwards|finally|und dann|danach)\s+", re.IGNORECASE
)
_ENUMERATION = re.compile(r"\s*,\s*(?:and\s+|und\s+)?|\s+(?:and|und)\s+")
_OPENING = re.compile(
    r"^(?:(?:please|first(?:ly)?|second(?:ly)?|third(?:ly)?|then|next|also|and|after that|finally|lastly|ok|so)\b[,:]?\s+)+",
    re.IGNORECASE,
)
_DUTY = re.compile(
    r"^(?:i|we|you|they)\s+(?:(?:also\s+)?(?:need|have|want|would like|plan|intend|must|should|will|'d like)(?:\s+to)?)\s+"
    r"|^(?:we'll|i'll|let's|we've got to|i've got to)\s+",
    re.IGNORECASE,
)
_PLAN_FOR = re.compile(
    r"^(?:(?:please|can you|could you)\s+)*(?:(?:make|write|give|create|draw up)\s+(?:me\s+|us\s+)?)?(?:an?\s+|the\s+)?"
    r"(?:plan|break(?:\s+it)?\s+down)\b(?:\s+(?:for|to|of))?[:\s]*",
    re.IGNORECASE,
)
_LEAST_PARTS = 3
"""Of an enumeration in one sentence: "bread and butter" is none."""
_MOST_WORDS_OF_A_PART = 14


@dataclass(frozen=True, slots=True)
class Plan:
    """A goal, empty when none was named apart from the steps, and the steps in their order."""

    goal: str
    steps: tuple[str, ...]


def plan_of(text: str) -> Plan:
    """The goal and the steps that a message names. Steps may be none."""
    lines = [line for line in text[:_MOST_CHARACTERS].splitlines() if line.strip()]
    goal, rest = _goal_and_rest(lines)
    pieces = rest if len(rest) > 1 else [part for line in rest for part in _parts(line)]
    steps = tuple(step for step in map(_step, pieces) if step)
    if len(steps) == 1 and not goal:
        return Plan(_step(_PLAN_FOR.sub("", steps[0])) or steps[0], ())
    return Plan(goal, steps[:_MOST_STEPS])


def _goal_and_rest(lines: list[str]) -> tuple[str, list[str]]:
    """A first line that leads to the others is the goal: it ends with a colon, or they are a list and it is not; or it holds both."""
    if len(lines) > 1:
        leads = lines[0].rstrip().endswith(":") or (not _MARK.match(lines[0]) and all(map(_MARK.match, lines[1:])))
        return (_goal(lines[0]), lines[1:]) if leads else ("", lines)
    if lines and ": " in lines[0]:
        head, _, tail = lines[0].partition(": ")
        if len(_parts(tail)) > 1 and len(plain_words(head)) <= 20:
            return _goal(head), [tail]
    return "", lines


def _goal(line: str) -> str:
    return _step(_PLAN_FOR.sub("", _MARK.sub("", line).strip().rstrip(":"))) or "Plan"


def _parts(line: str) -> list[str]:
    """The sentences of a line; of a single one, what it joins with "then", or enumerates."""
    sentences = [part for sentence in sentences_of(line) for part in _CONJUNCTION.split(sentence) if part.strip()]
    if len(sentences) > 1:
        return sentences
    parts = [part for part in _ENUMERATION.split(line) if part.strip()]
    short = all(len(plain_words(part)) <= _MOST_WORDS_OF_A_PART for part in parts)
    return parts if len(parts) >= _LEAST_PARTS and short else sentences


def _step(piece: str) -> str:
    """What is to be done, without the words around it."""
    text = " ".join(_MARK.sub("", piece).split())
    text = _DUTY.sub("", _OPENING.sub("", text)).strip().rstrip(".,;!")
    return text[:1].upper() + text[1:]

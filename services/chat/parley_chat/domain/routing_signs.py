"""Finds in a message the signs that a route is chosen by. What they weigh is routing.py's."""

from __future__ import annotations

import re
from collections.abc import Sequence

from parley_chat.domain.routing_words import (
    DOCUMENT_ENDINGS,
    FILLERS,
    NAMES,
    NAMES_AFTER_GREETINGS,
    OPENERS,
    PHRASES,
    WHOLE,
    Phrase,
    Sign,
    words_of,
)

READ_CHARACTERS = 2000
"""How much of a message is looked at: what follows changes nothing, except that the message is long."""
LONG_CHARACTERS = 400
SHORT_CHARACTERS = 140
"""Up to here a message can be about common knowledge alone."""
OPENED_WORDS = 10
"""Up to here a message that begins with “and” goes on from what was said before."""

Seen = dict[Sign, list[str]]
"""The signs of a message, each with the words that it was seen by, in their order. None for a sign that is no word."""

_CODE = re.compile(
    r"```|`[^`\n]{2,}`"
    r"|\b[A-Za-z_][\w.]*\((?:\)|[^()\n]{0,80}[=,\"'\[][^()\n]{0,80}\))"  # a call
    r"|\b[a-z0-9]+_[a-z0-9_]+\b|\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b|\b[a-z]{2,}[A-Z][a-z]+\w*"  # names of programs' things
    r"|(?<!\S)--[a-z][\w-]+"
    r"|\b[\w-]+\.(?:py|ts|tsx|js|jsx|java|go|rs|cpp|cs|rb|php|sh|sql|json|ya?ml|toml|html|css|proto)\b"
    r"|\bTraceback\b|\b[A-Z]\w*(?:Error|Exception)\b|\bSegmentation fault\b"
    r"|=>|->|==|!=|&&|</\w+>|\{\s*\"\w"
    r"|^\s*(?:def \w+\(|class \w+[:({]|import [\w.]+$|from [\w.]+ import\b|#include\b|fn \w+\(|\$ \w"
    r"|(?:const|let|var) \w+\s*=|public (?:static|class|void)\b)"
    r"|\bSELECT\b.{1,200}\bFROM\b|\bINSERT INTO\b",
    re.MULTILINE,
)
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_ARITHMETIC = re.compile(r"(?<![\w.])\d[\d.,]*\s*(?:[-+*/x×÷^]|% (?:of|von))\s*\d")
_TABLE_LINE = re.compile(r"^[^\n]*(?:\|[^\n|]*\||\t[^\n\t]*\t|(?:[;,][^\n;,]{0,40}){2,}\d[^\n]*)[^\n]*$", re.MULTILINE)
_LIST_LINE = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+\S", re.MULTILINE)
_QUESTION_END = re.compile(r"[?？]+")


def see(message: str) -> Seen:
    """Finds the signs of a message."""
    text = message[:READ_CHARACTERS]
    words = words_of(text)
    seen = _see_phrases(words)
    _see_form(text, seen)
    if len(message) > LONG_CHARACTERS:
        seen.setdefault(Sign.LONG, [])
    if len(message) > SHORT_CHARACTERS:
        seen.pop(Sign.COMMON, None)
        seen.pop(Sign.SELF, None)
    elif _ARITHMETIC.search(text) and Sign.CODE not in seen:
        seen.setdefault(Sign.COMMON, [])
    if not is_small_talk(text, words):
        seen.pop(Sign.SMALL_TALK, None)
    elif follow_up_words(message):
        # “Thanks. And then?”: what is left of it is more than small talk.
        seen.pop(Sign.SMALL_TALK, None)
    elif Sign.SMALL_TALK not in seen:
        # Signs and pictures only.
        seen[Sign.SMALL_TALK] = []
    return seen


def follow_up_words(message: str) -> str:
    """The words by which a message goes on from what was said before; empty when it stands for itself."""
    if len(message) > SHORT_CHARACTERS:
        return ""
    words = words_of(message)
    spoken = _without_small_talk(words)
    if not spoken:
        # “?”, which nobody says to begin with.
        return message.strip() if not words and _QUESTION_END.search(message) else ""
    for said in (spoken, [word for word in spoken if word not in {"please", "bitte"}]):
        if tuple(said) in WHOLE:
            return " ".join(said)
    # “Bye, and see you soon” goes on from nothing.
    if len(spoken) <= OPENED_WORDS and not is_small_talk("", spoken):
        for opener in OPENERS:
            if tuple(spoken[: len(opener)]) == opener:
                return " ".join(spoken[:4])
    return ""


def is_small_talk(text: str, words: Sequence[str]) -> bool:
    """Whether a message is small talk and nothing else: greetings, thanks, names, signs and pictures."""
    if not words:
        return bool(text.strip()) and not _QUESTION_END.search(text)
    rest: list[str] = []
    phrases = 0
    place = 0
    while place < len(words):
        phrase = _phrase_at(words, place)
        if phrase is not None and phrase.sign is Sign.SMALL_TALK:
            phrases += 1
            place += len(phrase.words)
        elif name := _name_at(words, place, (*NAMES, *NAMES_AFTER_GREETINGS) if phrases else NAMES):
            phrases += 1
            place += name
        else:
            if words[place] not in FILLERS:
                rest.append(words[place])
            place += 1
    if not phrases:
        return False
    # One word more may be whom it is said to: “Hello Anna”.
    return not rest or (len(rest) == 1 and len(words) <= 4 and "?" not in text and rest[0] not in PHRASES)


def _see_phrases(words: Sequence[str]) -> Seen:
    seen: Seen = {}
    place = 0
    while place < len(words):
        phrase = _phrase_at(words, place)
        if phrase is not None:
            _note(seen, phrase.sign, " ".join(phrase.words))
            place += len(phrase.words)
            continue
        word = words[place]
        if len(word) > 9 and word.endswith(DOCUMENT_ENDINGS):
            _note(seen, Sign.DOCUMENTS, word)
        place += 1
    return seen


def _see_form(text: str, seen: Seen) -> None:
    if code := _CODE.search(text):
        mark = " ".join(code.group().split())
        seen[Sign.CODE] = [mark] if "`" not in mark and len(mark) <= 24 else []
    if len(_TABLE_LINE.findall(text)) > 1:
        seen[Sign.TABLE] = []
    elif len(_NUMBER.findall(text)) > 3:
        seen[Sign.FIGURES] = []
    if len(_QUESTION_END.findall(text)) > 1 or len(_LIST_LINE.findall(text)) > 1:
        seen[Sign.PARTS] = []


def _note(seen: Seen, sign: Sign, words: str) -> None:
    found = seen.setdefault(sign, [])
    if words not in found:
        found.append(words)


def _phrase_at(words: Sequence[str], place: int) -> Phrase | None:
    for phrase in PHRASES.get(words[place], ()):
        if len(phrase.words) == 1 or tuple(words[place : place + len(phrase.words)]) == phrase.words:
            return phrase
    return None


def _name_at(words: Sequence[str], place: int, introductions: Sequence[tuple[str, ...]]) -> int:
    """How many words an introduction takes that begins here, the name included; 0 when none does."""
    for words_before in introductions:
        end = place + len(words_before)
        if tuple(words[place:end]) == words_before and end < len(words) and words[end] not in PHRASES:
            return len(words_before) + 1
    return 0


def _without_small_talk(words: Sequence[str]) -> list[str]:
    """What is left when greetings and thanks before the rest are taken away."""
    place = 0
    while place < len(words):
        if tuple(words[place:]) in WHOLE:
            break
        phrase = _phrase_at(words, place)
        if phrase is None or phrase.sign is not Sign.SMALL_TALK:
            break
        place += len(phrase.words)
    return list(words[place:])

"""Words of questions and documents, made comparable: lower case, without the words that say nothing, cut to their stems.

Small on purpose: it serves the built-in model, which has some passages and one question, not a search engine.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_POSSESSIVE = re.compile(r"['’]s?$")
_LEAST_STEM = 3

_STOP_WORDS = frozenset(
    """
    a about above after again all also am an and any are as at be because been before being below between both but by
    can could d did do does doing done down during each either else ever few for from further get gets getting give
    gives go going got had has have having he her here hers him his how however i if in into is it its itself just know
    let like ll m make many may me might mine more most much must my need no nor not now of off on once one only or
    other our ours out over own please possible re s same shall she should show so some such t tell than that the their
    them then there these they thing things this those through to too under until up upon us use using ve very want was
    way we well were what when where whether which while who whom whose why will with within without would you your
    yours explain describe question answer mean means work works exactly actually wants able aber als auch auf aus bei
    bin bis das dass dem den der des die dies doch du ein eine einem einen einer es für hat ich ihr im ist kann man mein
    mit nach nicht noch nur oder sein sich sie sind über und uns vom von vor war wenn wer wie wir wird wo zu zum zur au
    aux avec ce ces comment dans de elle en est et il je la le les leur ma mais mes mon ne nous ou où par pas pour que
    quel quelle qui sa se ses son sont sur ta te tu un une vos votre vous como con cual del donde el esta este las lo
    los mi o para pero por qué si su sus una y happen happens happened
    """.split()  # noqa: SIM905 - as a list of literals these would be three hundred lines
)
"""English in full; of German, French and Spanish the words that every sentence has."""

_SUFFIXES = (
    ("izations", ""),
    ("ization", ""),
    ("ations", ""),
    ("ation", ""),
    ("ments", ""),
    ("ment", ""),
    ("ingly", ""),
    ("edly", ""),
    ("ings", ""),
    ("ing", ""),
    ("ies", "y"),
    ("ied", "y"),
    ("ers", ""),
    ("er", ""),
    ("ors", ""),
    ("or", ""),
    ("ions", ""),
    ("ion", ""),
    ("ed", ""),
    ("es", ""),
    ("ly", ""),
    ("s", ""),
    ("e", ""),
)


def stem(word: str) -> str:
    """The part of a word that its forms have in common, roughly: `adding`, `added` and `adds` give `add`."""
    if not word.isascii() or len(word) <= _LEAST_STEM or word.endswith("ss"):
        return word
    for suffix, replacement in _SUFFIXES:
        rest = word[: -len(suffix)]
        if word.endswith(suffix) and len(rest) >= _LEAST_STEM:
            if replacement:
                return rest + replacement
            # `running` → `run`, but `calling` → `call`.
            doubled = len(rest) > _LEAST_STEM and rest[-1] == rest[-2] and rest[-1] not in "lszo"
            return rest[:-1] if doubled else rest.removesuffix("e") if len(rest) > _LEAST_STEM else rest
    return word


def terms(text: str) -> list[str]:
    """The stems of the words that say something, in their order. `snake_case` and `CamelCase` are the words within them."""
    return [
        stem(word)
        for word in (_POSSESSIVE.sub("", found.lower()) for found in _WORD.findall(_CAMEL.sub(" ", text)))
        if word not in _STOP_WORDS and (len(word) > 1 or word.isdigit())
    ]


def plain_words(text: str) -> list[str]:
    """All words in lower case, as they stand."""
    return [word.lower().replace("’", "'") for word in _WORD.findall(text)]

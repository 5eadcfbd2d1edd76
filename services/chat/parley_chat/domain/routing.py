"""Chooses the way a message is answered: by weighing what can be seen in it, and saying what decided. It asks nobody.

Which words are looked for is routing_words.py's, how they are found routing_signs.py's. docs/guide/routes.md has the table for people.
"""

from __future__ import annotations

from dataclasses import dataclass

from parley_chat.domain.conversation import Route
from parley_chat.domain.routing_signs import Seen, follow_up_words, see
from parley_chat.domain.routing_words import Sign

WEIGHTS = {
    Sign.CODE: 3.0,
    Sign.CODING: 3.0,
    Sign.ANALYSIS: 3.0,
    Sign.DOCUMENTS: 3.0,
    Sign.TASK: 3.0,
    Sign.AI: 2.5,
    Sign.SUMMARY: 2.5,
    Sign.TABLE: 2.5,
    Sign.EXPLANATION: 2.0,
    Sign.LONG: 2.0,
    Sign.OURS: 1.5,
    Sign.FIGURES: 1.5,
    Sign.PARTS: 1.0,
    Sign.LOOKUP: 0.5,
    Sign.SELF: -3.0,
    Sign.COMMON: -3.0,
    Sign.SMALL_TALK: -10.0,
}
"""What a sign weighs, however often it is seen. At 0 or above a message goes the enhanced way: a search that was not needed costs less than
one that was missed."""

_WORDS = {
    Sign.CODE: "holds code",
    Sign.CODING: "is about programming",
    Sign.ANALYSIS: "asks for analysis",
    Sign.DOCUMENTS: "asks about documents",
    Sign.TASK: "is about something to be done",
    Sign.AI: "is about AI",
    Sign.SUMMARY: "asks for a summary",
    Sign.TABLE: "holds a table",
    Sign.EXPLANATION: "asks for an explanation",
    Sign.LONG: "is long",
    Sign.OURS: "is about something of yours",
    Sign.FIGURES: "holds figures",
    Sign.PARTS: "asks for several things",
    Sign.LOOKUP: "asks for something that the documents may hold",
    Sign.SELF: "is about the assistant itself",
    Sign.COMMON: "needs common knowledge only",
    Sign.SMALL_TALK: "is small talk",
}
_STRONG = 2.5
"""A sign of this weight decides for itself, also in a message that goes on from what was said before."""
_TOLD_SIGNS = 3
_TOLD_WORDS = 3
_TOLD_CHARACTERS = 30


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """A route that is taken, and why."""

    route: Route
    reason: str
    """In a few words for a person. Quotes words of the message: for its user, not for logs and traces."""
    signs: tuple[str, ...] = ()
    """What decided, without any word of the message: names of signs."""


def choose_route(message: str, wished: Route, previous: Route | None = None) -> RouteDecision:
    """Takes the wished route; on AUTOMATIC, the one that the signs in the message speak for.

    `previous` is the route of the answer that the message follows; None when there is none. A message that only makes sense after another
    one (see `goes_on`) goes the same way.
    """
    if wished is not Route.AUTOMATIC:
        return RouteDecision(wished, "asked for by the request")
    seen = see(message)
    if (
        previous is not None
        and Sign.SMALL_TALK not in seen
        and (words := follow_up_words(message))
        and not _decides(seen)
    ):
        told = f"goes on from the answer before, which went the {previous} way: {_quoted([words])}"
        return RouteDecision(previous, told, (Sign.FOLLOW_UP,))
    route = Route.ENHANCED if sum(WEIGHTS[sign] for sign in seen) >= 0 else Route.STANDARD
    deciding = sorted((sign for sign in seen if _speaks_for(sign, route)), key=lambda sign: -abs(WEIGHTS[sign]))
    if not deciding:
        return RouteDecision(route, "may need the documents: nothing says that it does not")
    told = "; ".join(_told(sign, seen[sign]) for sign in deciding[:_TOLD_SIGNS])
    return RouteDecision(route, told, tuple(deciding))


def goes_on(message: str) -> bool:
    """Whether a message may make sense only after another one, so that the route of that one's answer is worth knowing."""
    return bool(follow_up_words(message))


def _decides(seen: Seen) -> bool:
    return any(WEIGHTS[sign] >= _STRONG for sign in seen)


def _speaks_for(sign: Sign, route: Route) -> bool:
    return (WEIGHTS[sign] > 0) is (route is Route.ENHANCED)


def _told(sign: Sign, words: list[str]) -> str:
    return f"{_WORDS[sign]}: {_quoted(words[:_TOLD_WORDS])}" if words else _WORDS[sign]


def _quoted(words: list[str]) -> str:
    return ", ".join(f"“{word[:_TOLD_CHARACTERS]}”" for word in words)

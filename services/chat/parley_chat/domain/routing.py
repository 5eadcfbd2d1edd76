"""Chooses the way a message is answered. A small classifier that says its reason; it asks nobody."""

from __future__ import annotations

import re
from dataclasses import dataclass

from parley_chat.domain.conversation import Route

_SMALL_TALK = re.compile(
    r"\W*("
    r"(hi|hey|hello|hallo)( there)?|good (morning|afternoon|evening|night)|how are you( today)?( doing)?"
    r"|(thanks|thank you|thx)( (so|very) much| a lot)?|ok(ay)?|great|nice|cool|bye|goodbye|see you( later)?"
    r"|(who|what) are you|what can you do|nice to meet you"
    r")\W*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """A route that is taken, and why, in a few words for a person."""

    route: Route
    reason: str


def choose_route(message: str, wished: Route) -> RouteDecision:
    """Takes the wished route; on AUTOMATIC, small talk goes the standard way and everything else the enhanced one."""
    if wished is not Route.AUTOMATIC:
        return RouteDecision(wished, "asked for by the request")
    if len(message) <= 80 and _SMALL_TALK.fullmatch(" ".join(message.split())):
        return RouteDecision(Route.STANDARD, "small talk needs no search")
    return RouteDecision(Route.ENHANCED, "a question may be answered by the documents")

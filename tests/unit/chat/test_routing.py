"""The way that a message is answered: how often the choice is right, what it says of itself, and how little it costs."""

from __future__ import annotations

from pathlib import Path

import pytest
from parley_chat.domain.conversation import Route
from parley_chat.domain.routing import WEIGHTS, choose_route, goes_on
from parley_chat.domain.routing_signs import see
from parley_chat.domain.routing_words import PHRASES, Sign

MESSAGES = Path(__file__).parent / "routing_messages"
RIGHT = 0.95
GUIDE = Path(__file__).parents[3] / "docs" / "guide" / "routes.md"


def labelled(part: str) -> list[tuple[Route, str]]:
    """Reads `route<TAB>message` lines; `\\n` in a message is a line break."""
    lines = (MESSAGES / f"{part}.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t", 1) for line in lines]
    return [(Route(route), message.replace("\\n", "\n")) for route, message in rows]


def route_of(message: str, previous: Route | None = None) -> Route:
    return choose_route(message, Route.AUTOMATIC, previous).route


@pytest.mark.parametrize("part", ["development", "held_out"])
def test_labelled_messages_go_the_right_way(part: str) -> None:
    # The words were chosen with `development` in view. `held_out` was written before it was first measured, and nothing was changed for it.
    rows = labelled(part)
    wrong = [(route, message) for route, message in rows if route_of(message) is not route]
    accuracy = 1 - len(wrong) / len(rows)
    print(f"{part}: {accuracy:.1%} of {len(rows)} messages; wrong: {wrong}")
    assert accuracy >= RIGHT, wrong


def test_the_labelled_messages_are_many_and_no_two_are_the_same() -> None:
    messages = [message for part in ("development", "held_out") for _, message in labelled(part)]
    assert len(messages) >= 200
    assert len(set(messages)) == len(messages)


@pytest.mark.parametrize("part", ["development", "held_out"])
def test_no_labelled_message_that_needs_a_search_goes_without(part: str) -> None:
    missed = [m for route, m in labelled(part) if route is Route.ENHANCED and route_of(m) is Route.STANDARD]
    assert missed == []


@pytest.mark.parametrize("wished", [Route.STANDARD, Route.ENHANCED])
def test_a_route_that_is_asked_for_is_taken(wished: Route) -> None:
    for message in ("Hi!", "How do I add a provider?"):
        decision = choose_route(message, wished, Route.ENHANCED)
        assert (decision.route, decision.reason, decision.signs) == (wished, "asked for by the request", ())


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Compare the trade-offs", "asks for analysis: “compare”, “trade offs”"),
        ("Hi!", "is small talk: “hi”"),
        ("Tell me a joke", "needs common knowledge only: “joke”"),
        ("```\nx\n```", "holds code"),
        ("Das steht im Mietvertrag.", "asks about documents: “steht im”, “mietvertrag”"),
        ("xyzzy", "may need the documents: nothing says that it does not"),
    ],
)
def test_the_reason_names_what_decided(message: str, reason: str) -> None:
    assert choose_route(message, Route.AUTOMATIC).reason == reason


def test_a_reason_tells_the_weightiest_signs_first_and_stays_short() -> None:
    everything = " ".join(phrase.words[0] for phrases in PHRASES.values() for phrase in phrases)
    decision = choose_route(f"Explain and compare our documents. {everything}"[:4000], Route.AUTOMATIC)
    weights = [WEIGHTS[Sign(sign)] for sign in decision.signs]
    assert weights == sorted(weights, reverse=True)
    assert len(decision.reason) < 400


@pytest.mark.parametrize(
    ("message", "route", "signs"),
    [
        ("Write a poem about the report in my documents", Route.ENHANCED, (Sign.DOCUMENTS,)),
        ("How do I add a provider? Write a haiku about it.", Route.STANDARD, (Sign.COMMON,)),
    ],
)
def test_what_speaks_for_the_other_route_is_no_reason(message: str, route: Route, signs: tuple[Sign, ...]) -> None:
    assert set(signs) < set(see(message))
    decision = choose_route(message, Route.AUTOMATIC)
    assert (decision.route, decision.signs) == (route, signs)


def test_signs_hold_no_word_of_the_message() -> None:
    decision = choose_route("Compare my contract with Acme's", Route.AUTOMATIC)
    assert decision.signs == ("analysis", "documents")


@pytest.mark.parametrize("previous", [Route.STANDARD, Route.ENHANCED])
@pytest.mark.parametrize(
    "message",
    [
        "and why?",
        "Why?",
        "Und warum?",
        "yes please",
        "go on",
        "mehr",
        "What about the second one?",
        "Thanks. And then?",
        "?",
        "ja",
    ],
)
def test_a_follow_up_goes_the_way_of_the_answer_before(message: str, previous: Route) -> None:
    assert goes_on(message)
    decision = choose_route(message, Route.AUTOMATIC, previous)
    assert decision.route is previous
    assert decision.reason.startswith(f"goes on from the answer before, which went the {previous} way: “")
    assert decision.signs == ("follow_up",)


@pytest.mark.parametrize(
    ("message", "previous", "route"),
    [
        ("Thanks!", Route.ENHANCED, Route.STANDARD),
        ("And compare it with our contract", Route.STANDARD, Route.ENHANCED),
        ("Und jetzt als Python-Skript", Route.STANDARD, Route.ENHANCED),
        ("Why is the build broken since the last release of the client?", Route.STANDARD, Route.ENHANCED),
        ("and why?", None, Route.ENHANCED),
        ("yes", None, Route.ENHANCED),
    ],
)
def test_what_a_message_says_itself_weighs_more_than_what_was_before(
    message: str, previous: Route | None, route: Route
) -> None:
    assert route_of(message, previous) is route


@pytest.mark.parametrize("message", ["Hi!", "Thanks!", "How do I add a provider?", "Compare A and B", ""])
def test_what_stands_for_itself_goes_on_from_nothing(message: str) -> None:
    assert not goes_on(message)


def test_a_greeting_before_a_question_changes_nothing() -> None:
    for greeting in ("Hi! ", "Good morning, ", "Danke! ", "Thanks a lot. "):
        assert route_of(f"{greeting}Where is the lease?") is Route.ENHANCED


def test_a_long_message_is_never_common_knowledge() -> None:
    assert (
        route_of("Tell me a joke. " + "It should be about the weather in the town where I grew up. " * 4)
        is Route.ENHANCED
    )


@pytest.mark.parametrize(
    "message",
    [
        "a(" * 16_000,
        "aa_" * 10_000,
        "| " * 16_000,
        "1," * 16_000,
        "?" * 32_000,
        "ß" * 32_000,
        "and " * 8_000,
        "\n- a" * 8_000,
    ],
)
def test_any_message_gets_a_route_and_a_reason(message: str) -> None:
    # A pattern that goes back and forth would not end here.
    decision = choose_route(message, Route.AUTOMATIC, Route.STANDARD)
    assert decision.reason


def test_the_guide_has_a_row_for_every_sign_with_its_weight() -> None:
    rows = {
        cells[1].strip("` "): float(cells[2].replace("−", "-"))
        for line in GUIDE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `") and len(cells := line.split("|")) > 3
    }
    assert rows == {str(sign): weight for sign, weight in WEIGHTS.items()}

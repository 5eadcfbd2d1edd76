"""What of a trace a user may see: what was done for them, what led to it, and nothing that was done for somebody else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from parley_chat.domain.traces import SPANS_MOST, Span, SpanKind, of_user

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def span(span_id: str, parent: str = "", user: str = "", *, after: float = 0) -> Span:
    start = NOON + timedelta(seconds=after)
    attributes = {"user.id": user} if user else {}
    return Span(span_id, parent, "chat", f"span {span_id}", SpanKind.INTERNAL, start, start, False, attributes)


def ids(spans: list[Span]) -> str:
    return " ".join(each.span_id for each in spans)


def test_a_call_is_shown_with_its_stages_and_with_the_edge_above_it() -> None:
    edge, hop = span("edge"), span("hop", "edge", after=1)
    call, stage, inner = span("call", "hop", "ada", after=2), span("stage", "call", after=3), span("inner", "stage")
    assert ids(of_user([inner, stage, call, hop, edge], "ada")) == "edge hop call stage inner"


def test_what_is_done_for_others_is_not_shown_and_neither_is_what_is_above_it_alone() -> None:
    mine = [span("edge"), span("call", "edge", "ada")]
    others = [span("edge2", after=1), span("call2", "edge2", "bob"), span("stage2", "call2")]
    assert ids(of_user([*mine, *others], "ada")) == "edge call"
    assert ids(of_user([*mine, *others], "bob")) == "edge2 call2 stage2"
    assert of_user([*mine, *others], "eve") == []


def test_a_call_that_was_hung_under_somebody_elses_shows_nothing_of_theirs() -> None:
    theirs = [span("edge"), span("call", "edge", "ada"), span("stage", "call")]
    spans = [*theirs, span("forged", "stage", "eve"), span("own", "forged")]
    assert ids(of_user(spans, "eve")) == "forged own"
    assert ids(of_user(spans, "ada")) == "edge call stage"


def test_a_call_for_nobody_is_shown_only_above_one_for_the_user() -> None:
    assert ids(of_user([span("edge"), span("idle", "edge")], "ada")) == ""
    assert ids(of_user([span("turn"), span("generate", "turn"), span("call", "generate", "ada")], "ada")) == (
        "turn generate call"
    )


def test_spans_whose_parent_is_elsewhere_twice_there_or_in_a_circle_end_well() -> None:
    call = span("call", "browser", "ada")
    assert ids(of_user([call, call], "ada")) == "call"
    circle = [span("one", "two", "ada"), span("two", "one")]
    assert {each.span_id for each in of_user(circle, "ada")} <= {"one", "two"}


def test_a_part_comes_after_its_whole_also_when_its_clock_is_ahead() -> None:
    spans = [span("call", "", "ada", after=5), span("late", "call", after=9), span("early", "call", after=1)]
    assert ids(of_user(spans, "ada")) == "call early late"


def test_no_more_are_shown_than_the_contract_says() -> None:
    spans = [span("call", "", "ada"), *(span(f"{number:04}", "call") for number in range(2 * SPANS_MOST))]
    assert len(of_user(spans, "ada")) == SPANS_MOST

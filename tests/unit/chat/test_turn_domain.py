"""The rules of turns, prompts and routes, without a world."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from parley_chat.domain.conversation import Message, MessageState, Role, snippet_of, title_of
from parley_chat.domain.prompt import estimate_tokens, fit_history
from parley_chat.domain.turn import (
    Notice,
    NoticeKind,
    ReasoningDelta,
    TextDelta,
    TurnEvent,
    TurnEventBody,
    merge_deltas,
    request_digest,
    text_of,
)

MESSAGE = Message(
    "msg_1", "ses_1", "", Role.USER, "Hello", MessageState.COMPLETED, datetime(2026, 1, 1, tzinfo=UTC), "trn_1"
)

bodies = st.one_of(
    st.builds(TextDelta, st.text(min_size=1, max_size=5)),
    st.builds(ReasoningDelta, st.text(min_size=1, max_size=5)),
    st.just(Notice(NoticeKind.OFFLINE_MODEL, "words")),
)


@given(st.lists(bodies, max_size=40), st.integers(0, 100))
def test_merging_keeps_the_text_the_order_and_a_sequence_without_gaps(kinds: list[TurnEventBody], after: int) -> None:
    events = [TurnEvent(after + place, after + place, body) for place, body in enumerate(kinds, start=1)]
    merged = merge_deltas(events)
    assert text_of(merged) == text_of(events)
    assert [type(event.body) for event in merged] == [
        kind
        for place, kind in enumerate(map(type, kinds))
        if place == 0 or kind is Notice or kind is not type(kinds[place - 1])
    ]
    last = after
    for event in merged:
        assert event.first_sequence == last + 1
        assert event.sequence >= event.first_sequence
        last = event.sequence
    assert last == after + len(events)


def test_history_is_the_newest_part_that_fits_and_says_when_it_is_not_all() -> None:
    messages = [replace(MESSAGE, text=f"{number} " + "x" * 38) for number in range(10)]
    everything = fit_history(messages, budget_tokens=1000)
    assert [line.text[0] for line in everything.lines] == list("9876543210")
    assert not everything.trimmed
    some = fit_history(messages, budget_tokens=45)
    assert [line.text[0] for line in some.lines] == ["2", "1", "0"]
    assert some.trimmed


def test_answers_without_text_are_no_history() -> None:
    silent = replace(MESSAGE, role=Role.ASSISTANT, text="", state=MessageState.FAILED)
    running = replace(MESSAGE, role=Role.ASSISTANT, text="", state=MessageState.STREAMING)
    assert (
        fit_history([running, silent, MESSAGE], budget_tokens=100).lines
        == fit_history([MESSAGE], budget_tokens=100).lines
    )


def test_a_title_is_the_first_line_cut_at_a_word() -> None:
    assert title_of("\n  How do I add a provider?\nI tried.") == "How do I add a provider?"
    long = title_of("word " * 40)
    assert len(long) <= 60
    assert long.endswith("word…")
    assert len(title_of("x" * 500)) <= 60


def test_a_snippet_shows_the_words_within_its_bound() -> None:
    snippet = snippet_of("before " * 100 + "the Needle here " + "after " * 100, ["needle"])
    assert "Needle" in snippet
    assert len(snippet) <= 200
    assert snippet.startswith("…")
    assert snippet.endswith("…")
    assert snippet_of("short needle", ["needle"]) == "short needle"


def test_digests_tell_requests_apart_also_where_their_fields_run_together() -> None:
    assert request_digest(("ab", "c")) != request_digest(("a", "bc"))
    assert request_digest(("ab", "c")) == request_digest(("ab", "c"))


def test_tokens_are_estimated_upwards() -> None:
    assert [estimate_tokens(text) for text in ("", "a", "abcd", "abcde")] == [0, 1, 1, 2]

"""Page tokens: they come back as they were given, to the list they were given for, and only undamaged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_shared.paging import decode_page_token, encode_page_token
from parley_shared.status import StatusError

cursors = st.lists(st.one_of(st.text(max_size=50), st.integers()), max_size=5)


@given(cursors)
def test_a_cursor_comes_back_as_it_was(cursor: list[str | int]) -> None:
    token = encode_page_token("sessions", cursor)
    assert token
    assert decode_page_token("sessions", token) == cursor


def test_no_token_is_the_first_page() -> None:
    assert decode_page_token("sessions", "") is None


def test_a_token_of_another_list_is_refused() -> None:
    token = encode_page_token("sessions", [1])
    with pytest.raises(StatusError) as caught:
        decode_page_token("messages", token)
    assert caught.value.reason == "ERROR_REASON_INVALID_PAGE_TOKEN"
    assert caught.value.violations[0][0] == "page_token"


@given(st.text(min_size=1, max_size=3000))
def test_anything_else_is_refused_and_nothing_breaks(token: str) -> None:
    with pytest.raises(StatusError):
        decode_page_token("sessions", token)


def test_a_token_with_one_character_changed_is_refused() -> None:
    token = encode_page_token("sessions", ["ses_1", 5])
    for place, letter in enumerate(token):
        changed = token[:place] + ("A" if letter != "A" else "B") + token[place + 1 :]
        with pytest.raises(StatusError):
            decode_page_token("sessions", changed)

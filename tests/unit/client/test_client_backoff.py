"""How long the client waits before it tries again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley_client import Backoff


@given(failures=st.integers(1, 10_000))
def test_a_pause_is_within_its_bound_however_often_it_failed(failures: int) -> None:
    backoff = Backoff(attempts=20_000, first_seconds=0.1, most_seconds=5.0)
    pause = backoff.pause_seconds(failures)
    assert pause is not None
    assert 0 <= pause <= min(5.0, 0.1 * 2 ** min(failures - 1, 60))


def test_pauses_are_spread_over_the_whole_range() -> None:
    backoff = Backoff(attempts=10, first_seconds=1.0, most_seconds=1.0)
    pauses = [backoff.pause_seconds(1) or 0.0 for _ in range(500)]
    assert min(pauses) < 0.1
    assert max(pauses) > 0.9


def test_the_last_attempt_has_no_pause_after_it() -> None:
    assert Backoff(attempts=3).pause_seconds(2) is not None
    assert Backoff(attempts=3).pause_seconds(3) is None
    assert Backoff(attempts=1).pause_seconds(1) is None


def test_what_the_server_asks_for_is_the_least() -> None:
    pauses = [Backoff(first_seconds=0.1).pause_seconds(1, 2.0) for _ in range(100)]
    assert all(pause is not None and 2.0 <= pause <= 2.1 for pause in pauses)
    assert len(set(pauses)) > 1, "all who were turned away at once must not come back at once"


def test_a_server_that_asks_for_too_much_is_not_waited_for() -> None:
    assert Backoff(most_asked_seconds=30).pause_seconds(1, 31) is None


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="attempts"):
        Backoff(attempts=0)
    with pytest.raises(ValueError, match="negative"):
        Backoff(most_seconds=-1)

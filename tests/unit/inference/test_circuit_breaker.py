"""The circuit breaker of a provider, with a clock that only the test moves."""

from __future__ import annotations

import pytest
from parley_inference.domain.circuit_breaker import (
    FAILURES_TO_OPEN,
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    Admission,
    BreakerState,
    CircuitBreaker,
)


class Bench:
    """A breaker, its clock, and what it told."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.told: list[BreakerState] = []
        self.breaker = CircuitBreaker(lambda: self.now, on_change=self.told.append)

    def admit(self) -> Admission:
        admission = self.breaker.admit()
        assert admission is not None
        return admission

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            self.admit().failed()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_it_opens_after_failures_one_after_the_other_and_lets_nobody_through(bench: Bench) -> None:
    bench.fail(FAILURES_TO_OPEN - 1)
    assert bench.breaker.state is BreakerState.CLOSED
    bench.fail()
    assert bench.breaker.admit() is None
    assert bench.breaker.retry_after_seconds == FIRST_PAUSE_SECONDS
    assert bench.told == [BreakerState.OPEN]


def test_an_answer_in_between_starts_the_count_anew(bench: Bench) -> None:
    for _ in range(5):
        bench.fail(FAILURES_TO_OPEN - 1)
        bench.admit().succeeded()
    assert bench.breaker.state is BreakerState.CLOSED


def test_a_refusal_counts_for_neither(bench: Bench) -> None:
    bench.fail(FAILURES_TO_OPEN - 1)
    bench.admit().answered()
    assert bench.breaker.admit() is not None
    bench.fail()
    assert bench.breaker.admit() is None


def test_after_its_pause_one_call_at_a_time_finds_out(bench: Bench) -> None:
    bench.fail(FAILURES_TO_OPEN)
    bench.now += FIRST_PAUSE_SECONDS
    probe = bench.admit()
    assert bench.breaker.admit() is None
    assert bench.breaker.retry_after_seconds > 0
    probe.answered()
    bench.admit()
    bench.admit()
    assert bench.told == [BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED]


def test_a_probe_that_its_caller_leaves_makes_room_for_the_next(bench: Bench) -> None:
    bench.fail(FAILURES_TO_OPEN)
    bench.now += FIRST_PAUSE_SECONDS
    bench.admit().left()
    bench.admit()


def test_pauses_grow_until_a_call_is_answered_to_its_end(bench: Bench) -> None:
    bench.fail(FAILURES_TO_OPEN)
    pauses = []
    for _ in range(6):
        pauses.append(bench.breaker.retry_after_seconds)
        bench.now += pauses[-1]
        bench.fail()
    assert pauses == [5, 10, 20, 40, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]
    bench.now += LONGEST_PAUSE_SECONDS
    bench.admit().answered()
    bench.fail(FAILURES_TO_OPEN)
    assert bench.breaker.retry_after_seconds == LONGEST_PAUSE_SECONDS
    bench.now += LONGEST_PAUSE_SECONDS
    bench.admit().succeeded()
    bench.fail(FAILURES_TO_OPEN)
    assert bench.breaker.retry_after_seconds == FIRST_PAUSE_SECONDS


def test_calls_from_before_it_opened_change_nothing(bench: Bench) -> None:
    early, other = bench.admit(), bench.admit()
    bench.fail(FAILURES_TO_OPEN)
    early.failed()
    other.succeeded()
    assert bench.breaker.state is BreakerState.OPEN
    assert bench.breaker.retry_after_seconds == FIRST_PAUSE_SECONDS

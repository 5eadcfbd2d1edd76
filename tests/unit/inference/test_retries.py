"""When a call is made again, and when it is not, with a clock and chance that only the test decides."""

from __future__ import annotations

import pytest
from parley_inference.domain.errors import (
    ProviderCredentialsError,
    ProviderError,
    ProviderRateLimitedError,
    ProviderRejectedError,
    ProviderStalledError,
    ProviderUnavailableError,
)
from parley_inference.domain.retries import RetryBudget, delay_before_retry

DOWN = ProviderUnavailableError("p")


def test_delays_grow_and_lie_anywhere_below_their_bound() -> None:
    assert [delay_before_retry(DOWN, retries, lambda: 1.0) for retries in range(3)] == [0.25, 0.5, None]
    assert [delay_before_retry(DOWN, retries, lambda: 0.0) for retries in range(3)] == [0.0, 0.0, None]


@pytest.mark.parametrize("kind", [ProviderRateLimitedError, ProviderUnavailableError])
def test_a_provider_that_says_when_is_not_asked_sooner(kind: type[ProviderUnavailableError]) -> None:
    assert delay_before_retry(kind("p", retry_after_seconds=3), 0, lambda: 0.0) == 3
    assert delay_before_retry(kind("p", retry_after_seconds=10), 0, lambda: 1.0) == 10.25


def test_a_provider_that_wants_a_long_wait_is_not_tried_again() -> None:
    assert delay_before_retry(ProviderRateLimitedError("p", retry_after_seconds=11), 0, lambda: 0.0) is None


@pytest.mark.parametrize(
    "error", [ProviderStalledError("p", 1), ProviderCredentialsError("p"), ProviderRejectedError("p")]
)
def test_what_another_try_would_not_mend_is_not_tried_again(error: ProviderError) -> None:
    assert delay_before_retry(error, 0, lambda: 0.0) is None


def test_retries_are_a_fifth_of_the_calls() -> None:
    budget = RetryBudget(lambda: 0.0)
    while budget.take():
        pass
    taken = 0
    for _ in range(100):
        budget.called()
        taken += budget.take()
    assert 18 <= taken <= 20


def test_quiet_times_give_a_few_retries_back_and_no_more() -> None:
    now = 0.0
    budget = RetryBudget(lambda: now)
    while budget.take():
        pass
    now += 3600
    assert [budget.take() for _ in range(4)] == [True, True, True, False]


def test_many_calls_save_up_no_more_than_a_few_retries() -> None:
    budget = RetryBudget(lambda: 0.0)
    for _ in range(10_000):
        budget.called()
    assert sum(budget.take() for _ in range(100)) == 10

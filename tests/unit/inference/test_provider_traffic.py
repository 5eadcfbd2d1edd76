"""The calls of a provider during the last minute."""

from __future__ import annotations

from parley_inference.domain.errors import ProviderRejectedError, ProviderStalledError
from parley_inference.domain.provider_traffic import ProviderTraffic, RecentCalls


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 5_000.0

    def __call__(self) -> float:
        return self.seconds


def test_failures_are_the_provider_s_own_and_not_refusals_or_callers_that_left() -> None:
    clock = Clock()
    traffic = ProviderTraffic(clock)
    ends: list[BaseException | None] = [
        None,
        ProviderStalledError("cloud", 3.0),
        ProviderRejectedError("cloud", "no such model"),
        GeneratorExit(),
        ValueError("a fault of ours"),
    ]
    for _ in range(6):
        traffic.begin()
    for error in ends:
        traffic.end(error)
    clock.seconds += 30
    assert traffic.recent() == RecentCalls(window_seconds=30, calls=5, errors=2, running=1, first_token_seconds=0.0)


def test_the_time_to_the_first_token_is_the_median_of_calls_that_wrote() -> None:
    traffic = ProviderTraffic(Clock())
    for first in (0.1, None, 0.3, 9.0):
        traffic.begin()
        traffic.end(None, first)
    assert traffic.recent().first_token_seconds == 0.3


def test_what_is_more_than_a_minute_old_is_counted_no_more() -> None:
    clock = Clock()
    traffic = ProviderTraffic(clock)
    for _ in range(3):
        traffic.begin()
        traffic.end(None, 0.5)
        clock.seconds += 25
    assert traffic.recent().calls == 2
    clock.seconds += 60
    assert traffic.recent() == RecentCalls(window_seconds=60, calls=0, errors=0, running=0, first_token_seconds=0.0)

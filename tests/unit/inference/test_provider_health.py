"""How a provider does, by its calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from parley_inference.domain.errors import (
    GenerationTooLongError,
    InferenceError,
    ModelNotFoundError,
    PromptTooLongError,
    ProviderCredentialsError,
    ProviderQueueFullError,
    ProviderQuotaError,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from parley_inference.domain.provider_health import Circuit, ProviderHealth, ProviderState

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def test_nothing_is_known_before_the_first_call() -> None:
    health = ProviderHealth()
    assert (health.state, health.changed_at, health.last_failure_reason) == (ProviderState.UNKNOWN, None, "")


def test_the_time_is_that_of_the_change_and_not_of_the_last_call() -> None:
    health = ProviderHealth(now=Clock())
    health.went_well()
    health.went_well()
    assert health.changed_at == START + timedelta(seconds=1)
    health.failed(ProviderQuotaError("p"))
    assert (health.state, health.last_failure_reason) == (ProviderState.FAILING, "ProviderQuotaError")
    health.failed(ProviderCredentialsError("p"))
    assert health.changed_at == START + timedelta(seconds=2)
    health.went_well()
    assert health.state is ProviderState.HEALTHY
    assert health.last_failure_reason == "ProviderCredentialsError"


def test_a_refusal_of_what_was_asked_is_an_answer_and_our_own_doing_says_nothing() -> None:
    answers: list[InferenceError] = [ProviderRejectedError("p"), ModelNotFoundError("m"), PromptTooLongError(2, 1)]
    for error in answers:
        health = ProviderHealth()
        health.failed(error)
        assert (health.state, health.last_failure_reason) == (ProviderState.HEALTHY, "")
    own: list[InferenceError] = [ProviderQueueFullError("p"), GenerationTooLongError(1)]
    for error in own:
        health = ProviderHealth()
        health.failed(error)
        assert (health.state, health.last_failure_reason) == (ProviderState.UNKNOWN, "")


def test_a_provider_that_is_left_alone_stays_so_whatever_calls_from_before_say() -> None:
    health = ProviderHealth()
    health.left_alone(60)
    health.failed(ProviderUnavailableError("p"))
    health.went_well()
    assert (health.state, health.last_failure_reason) == (ProviderState.OPEN, "ProviderUnavailableError")
    states = []
    for happens in (health.tried_again, health.went_well):
        happens()
        states.append(health.state)
    assert states == [ProviderState.FAILING, ProviderState.HEALTHY]


def test_a_provider_is_left_alone_for_its_while_and_no_longer() -> None:
    now = [START]
    health = ProviderHealth(now=lambda: now[0])
    health.left_alone(5)
    states = []
    for seconds in (0, 4, 5, 600):
        now[0] = START + timedelta(seconds=seconds)
        states.append(health.state)
    assert states == [ProviderState.OPEN, ProviderState.OPEN, ProviderState.FAILING, ProviderState.FAILING]
    assert health.changed_at == START + timedelta(seconds=5)


def test_the_circuit_is_told_with_the_time_at_which_it_lets_a_call_through_again() -> None:
    now = START
    health = ProviderHealth(now=lambda: now)
    assert (health.circuit, health.retry_time) == (Circuit.CLOSED, None)
    health.left_alone(5)
    assert (health.circuit, health.retry_time) == (Circuit.OPEN, START + timedelta(seconds=5))
    now = START + timedelta(seconds=5)
    assert (health.circuit, health.retry_time) == (Circuit.HALF_OPEN, None), "also when nobody has called it since"
    health.tried_again()
    assert (health.circuit, health.retry_time) == (Circuit.HALF_OPEN, None)
    health.left_alone(10)
    assert (health.circuit, health.retry_time) == (Circuit.OPEN, START + timedelta(seconds=15))
    health.called_again()
    assert (health.circuit, health.retry_time) == (Circuit.CLOSED, None)

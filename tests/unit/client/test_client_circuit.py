"""When the circuit of a side opens and closes, by a clock that the test moves."""

from __future__ import annotations

import grpc
import pytest
from parley_client import Failover
from parley_client.circuit import Circuit, CircuitPolicy
from parley_client.errors import ClientClosedError, ParleyError, error_class
from parley_client.features import feature_of, parts_of
from parley_client.side_health import SideHealth

POLICY = CircuitPolicy(failures=3, successes=2, stay_seconds=10.0)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> Circuit:
    circuit = Circuit(POLICY, clock)
    circuit.failed(at_once=True)
    return circuit


def error(code: grpc.StatusCode, reason: str = "", *, refused: bool = False) -> ParleyError:
    made = error_class(code)("words", code=code, reason=reason)
    made.unsent = made.refused = refused
    return made


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    circuit = Circuit(POLICY, Clock())
    for _ in range(2):
        circuit.failed(at_once=False)
    circuit.answered()
    for _ in range(2):
        circuit.failed(at_once=False)
    assert not circuit.is_open
    circuit.failed(at_once=False)
    assert circuit.is_open


def test_it_closes_after_so_many_good_probes_in_a_row_and_not_before_its_time() -> None:
    clock = Clock()
    circuit = opened(clock)
    for _ in range(5):
        circuit.probed(good=True)
    assert circuit.is_open
    clock.now += 10.0
    circuit.probed(good=False)
    circuit.probed(good=True)
    assert circuit.is_open
    circuit.probed(good=True)
    assert not circuit.is_open


def test_a_side_that_fails_again_soon_has_to_be_good_for_longer() -> None:
    clock = Clock()
    circuit = opened(clock)
    waits = []
    for _ in range(8):
        waited = 0.0
        while circuit.is_open:
            clock.now += 5.0
            waited += 5.0
            circuit.probed(good=True)
        waits.append(waited)
        circuit.failed(at_once=True)
    assert waits == [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0]


def test_a_side_that_was_good_for_long_is_forgiven() -> None:
    clock = Clock()
    circuit = opened(clock)
    for _ in range(2):
        clock.now += 10.0
        circuit.probed(good=True)
    clock.now += 3600.0
    circuit.failed(at_once=True)
    clock.now += 10.0
    for _ in range(2):
        circuit.probed(good=True)
    assert not circuit.is_open


@pytest.mark.parametrize(
    ("failure", "connected"),
    [
        (error(grpc.StatusCode.UNAVAILABLE), True),
        (error(grpc.StatusCode.INTERNAL), True),
        (error(grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_SERVICE_UNAVAILABLE"), True),
        (error(grpc.StatusCode.DEADLINE_EXCEEDED), False),
    ],
)
def test_failures_of_the_way_and_of_parley_count(failure: ParleyError, connected: bool) -> None:
    health = SideHealth(POLICY, Clock())
    for _ in range(3):
        health.failed("chat", failure, connected=connected)
    assert health.is_open("chat")
    assert not health.is_open("documents")


@pytest.mark.parametrize(
    "answer",
    [
        error(grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_INVALID_FIELD"),
        error(grpc.StatusCode.RESOURCE_EXHAUSTED),
        error(grpc.StatusCode.UNAUTHENTICATED),
        error(grpc.StatusCode.NOT_FOUND),
        error(grpc.StatusCode.INTERNAL, "ERROR_REASON_INTERNAL"),
        error(grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_PROVIDER_UNAVAILABLE"),
        error(grpc.StatusCode.DEADLINE_EXCEEDED),
        ClientClosedError(),
    ],
    ids=lambda answer: f"{answer.code.name}-{answer.reason}",
)
def test_answers_and_the_callers_own_deadlines_do_not(answer: ParleyError) -> None:
    health = SideHealth(POLICY, Clock())
    for _ in range(20):
        health.failed("chat", answer, connected=True)
    assert not health.any_open


def test_a_refused_connection_is_of_all_features_at_once() -> None:
    health = SideHealth(POLICY, Clock())
    told: list[bool] = []
    health.on_change = lambda: told.append(health.any_open)
    health.failed("chat", error(grpc.StatusCode.UNAVAILABLE, refused=True), connected=False)
    assert health.is_open("documents")
    assert told == [True]


@pytest.mark.parametrize(
    "wrong",
    [
        {"failures": 0},
        {"successes": 0},
        {"stay_seconds": -1.0},
        {"probe_timeout_seconds": 0.0},
        {"features": {"chat": "tertiary"}},
    ],
    ids=str,
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must|cannot"):
        Failover(**wrong)  # type: ignore[arg-type] # that is what is tried


def test_a_feature_is_known_by_its_service() -> None:
    assert feature_of("parley.chat.v1.ChatService") == "chat"
    assert feature_of("DocumentService") == "documents"
    assert feature_of("parley.other.v1.NewService") == "NewService"
    assert parts_of("documents") == {"retrieval"}
    assert parts_of("tasks") == {"chat"}

"""Every error of inference's domain has a status with a reason of the contract."""

from __future__ import annotations

import inspect

from parley.errors.v1 import error_reason_pb2
from parley_inference.domain import errors
from parley_inference.servicers import status


def concrete() -> set[type[errors.InferenceError]]:
    classes = [one for _, one in inspect.getmembers(errors, inspect.isclass)]
    found = {one for one in classes if issubclass(one, errors.InferenceError)}
    return found - {errors.InferenceError, errors.ProviderError}


def example(kind: type[Exception]) -> Exception:
    parameters = list(inspect.signature(kind).parameters.values())
    odd = {"seconds": 1.5, "nearest": ("near",), "problems": (("fields.tone", "must be a word"),)}
    values = [
        odd.get(parameter.name, parameter.name)
        for parameter in parameters
        if parameter.kind is not parameter.KEYWORD_ONLY
    ]
    return kind(*values)


def test_every_error_becomes_a_status() -> None:
    assert concrete()
    for kind in concrete():
        found = status.to_status_error(example(kind))
        assert found is not None, kind
        assert found.reason in error_reason_pb2.ErrorReason.keys()  # noqa: SIM118 - a protobuf enum is not a mapping
        assert found.message.endswith((".", "?", "detail"))


def test_what_a_caller_may_try_again_says_when() -> None:
    for kind in (errors.ProviderUnavailableError, errors.ProviderStalledError, errors.ProviderRateLimitedError):
        found = status.to_status_error(example(kind))
        assert found is not None
        assert found.retry_after_seconds


def test_only_a_refused_request_repeats_the_words_of_the_provider() -> None:
    for kind in concrete():
        found = status.to_status_error(example(kind))
        assert found is not None
        assert ("detail" in found.message) == (kind is errors.ProviderRejectedError)


def test_other_errors_are_not_known() -> None:
    assert status.to_status_error(ValueError("x")) is None

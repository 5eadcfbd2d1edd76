"""The table of errors is whole, and says which failures are cuts."""

from __future__ import annotations

import grpc
import parley_client
import pytest
from parley_client import ParleyError, errors
from parley_client.errors import error_class, error_from

FAILURES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


@pytest.mark.parametrize("code", FAILURES, ids=lambda code: code.name)
def test_every_status_has_a_class_of_its_own_and_a_row_in_the_printed_table(code: grpc.StatusCode) -> None:
    kind = error_class(code)
    assert issubclass(kind, ParleyError)
    assert [other for other in FAILURES if error_class(other) is kind] == [code]
    rows = [line.split() for line in (errors.__doc__ or "").splitlines()]
    assert [kind.__name__, code.name] in [row[:2] for row in rows]
    assert kind.__name__ in parley_client.__all__


@pytest.mark.parametrize("code", FAILURES, ids=lambda code: code.name)
def test_a_status_without_details_becomes_its_class(code: grpc.StatusCode) -> None:
    error = error_from(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details="words"))
    assert type(error) is error_class(code)
    assert (error.code, error.message, error.reason, error.trace_id) == (code, "words", "", "")
    assert error.retry_after is None


def test_details_that_were_mangled_on_the_way_do_not_hide_the_error() -> None:
    metadata = grpc.aio.Metadata(("grpc-status-details-bin", b"\xff\xff\xff"), ("retry-after", "soon"))
    error = error_from(grpc.aio.AioRpcError(grpc.StatusCode.NOT_FOUND, grpc.aio.Metadata(), metadata, details="gone"))
    assert (type(error).__name__, error.message, error.retry_after) == ("NotFoundError", "gone", None)


@pytest.mark.parametrize(
    ("message", "violations", "words"),
    [
        ("message must not be empty.", [("message", "must not be empty")], "message must not be empty."),
        ("a must be 1 (1 more).", [("a", "must be 1"), ("b", "must be 2")], "a must be 1; b must be 2."),
        ("You have it already.", [("text", "You have it already.")], "You have it already."),
        ("page_token belongs elsewhere.", [("page_token", "must be of this list")], "page_token belongs elsewhere."),
        ("That is not valid.", [("scopes[1]", "must be known")], "That is not valid. (scopes[1] must be known)"),
    ],
)
def test_an_error_in_words_names_each_field_once(message: str, violations: list[tuple[str, str]], words: str) -> None:
    code = grpc.StatusCode.INVALID_ARGUMENT
    found = tuple(parley_client.FieldViolation(field, description) for field, description in violations)
    assert str(ParleyError(message, code=code, field_violations=found)) == words


def test_every_error_is_exported() -> None:
    public = {name for name in vars(errors) if name.endswith("Error") and not name.startswith("_")}
    assert public - {"DecodeError"} <= set(parley_client.__all__)


def test_all_public_names_exist_and_are_sorted() -> None:
    assert parley_client.__all__ == sorted(parley_client.__all__)
    assert all(hasattr(parley_client, name) for name in parley_client.__all__)

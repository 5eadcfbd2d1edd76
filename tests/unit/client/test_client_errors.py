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


def test_every_error_is_exported() -> None:
    public = {name for name in vars(errors) if name.endswith("Error") and not name.startswith("_")}
    assert public - {"DecodeError"} <= set(parley_client.__all__)


def test_all_public_names_exist_and_are_sorted() -> None:
    assert parley_client.__all__ == sorted(parley_client.__all__)
    assert all(hasattr(parley_client, name) for name in parley_client.__all__)

"""Bounds: at their edges, and all broken ones in one error."""

from __future__ import annotations

import re
from collections.abc import Callable

import grpc
import pytest
from parley_shared.status import StatusError
from parley_shared.validation import Violations

Check = Callable[[Violations], None]


def violations_of(*checks: Check) -> list[tuple[str, str]]:
    violations = Violations()
    for check in checks:
        check(violations)
    try:
        violations.check()
    except StatusError as error:
        return list(error.violations)
    return []


@pytest.mark.parametrize(
    "check",
    [
        lambda v: v.text("f", "", most=3),
        lambda v: v.text("f", "äöü", least=1, most=3),
        lambda v: v.text("f", " a ", most=3, not_blank=True),
        lambda v: v.integer("f", 1, least=1, most=3),
        lambda v: v.integer("f", 3, least=1, most=3),
        lambda v: v.number("f", 0.0, least=0, most=2),
        lambda v: v.identifier("f", "ses_" + "0f" * 16, "ses_"),
        lambda v: v.identifier("f", "ses_" + "0f" * 16, "ses"),
        lambda v: v.pattern("f", "ab", re.compile("[a-z]+"), "lower case"),
        lambda v: v.count("f", [1, 2], least=1, most=2),
        lambda v: v.choice("f", 2, {1, 2}),
    ],
)
def test_what_is_within_its_bounds_passes(check: Check) -> None:
    assert violations_of(check) == []


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (lambda v: v.text("f", "abcd", most=3), "must have at most 3 characters; it has 4"),
        (lambda v: v.text("f", "", least=1, most=3), "must have 1 to 3 characters; it has 0"),
        (lambda v: v.text("f", " \n ", least=1, most=3, not_blank=True), "must not be blank"),
        (lambda v: v.integer("f", 4, least=1, most=3), "must be from 1 to 3; it is 4"),
        (lambda v: v.number("f", float("nan"), least=0, most=2), "must be from 0 to 2; it is nan"),
        (lambda v: v.number("f", float("inf"), least=0, most=2), "must be from 0 to 2; it is inf"),
        (
            lambda v: v.identifier("f", "ses_" + "0F" * 16, "ses_"),
            "must be ses_ and 32 hexadecimal digits in lower case",
        ),
        (
            lambda v: v.identifier("f", "trn_" + "0f" * 16, "ses_"),
            "must be ses_ and 32 hexadecimal digits in lower case",
        ),
        (
            lambda v: v.identifier("f", "ses_" + "0f" * 16 + "\n", "ses_"),
            "must be ses_ and 32 hexadecimal digits in lower case",
        ),
        (lambda v: v.pattern("f", "ab\n", re.compile("[a-z]+"), "lower case"), "must be lower case"),
        (lambda v: v.count("f", [1, 2, 3], most=2), "must have at most 2 entries; it has 3"),
        (lambda v: v.choice("f", 3, {1, 2}), "must be one of the values that its description lists; 3 is not"),
    ],
)
def test_what_is_out_of_its_bounds_is_named_with_them(check: Check, words: str) -> None:
    assert violations_of(check) == [("f", words)]


def test_all_broken_bounds_are_in_one_error_that_tells_the_first_in_words() -> None:
    violations = Violations()
    violations.add("one", "is wrong")
    violations.text("two", "abc", most=1)
    with pytest.raises(StatusError) as caught:
        violations.check()
    assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.reason == "ERROR_REASON_INVALID_FIELD"
    assert caught.value.metadata == {"field": "one"}
    assert caught.value.message == "one is wrong (1 more)."
    assert [field for field, _ in caught.value.violations] == ["one", "two"]

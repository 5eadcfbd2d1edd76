"""Feature flags: for whom they are on, and how the operator writes them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from parley_chat.domain.flags import (
    ALL_BASIS_POINTS,
    EvaluatedFlag,
    Flag,
    FlagReason,
    FlagSet,
    bucket_of,
    evaluate,
    flags_of_settings,
)

USERS = [f"usr_{number:032x}" for number in range(20_000)]


@pytest.mark.parametrize(
    ("name", "user_id", "bucket"),
    [
        ("new-editor", "usr_00000000000000000000000000000000", 5704),
        ("new-editor", "usr_0123456789abcdef0123456789abcdef", 1910),
        ("new-editor", "usr_ffffffffffffffffffffffffffffffff", 9214),
        ("search-v2", "usr_0123456789abcdef0123456789abcdef", 3695),
        ("a", "b", 4043),
        ("beta.x_1", "zoë@example.org", 70),
    ],
)
def test_a_users_place_in_a_rollout_is_the_same_for_ever_and_in_every_language(
    name: str, user_id: str, bucket: int
) -> None:
    assert bucket_of(name, user_id) == bucket


@pytest.mark.parametrize("basis_points", [1, 100, 2_500, 5_000, 9_999])
def test_a_rollout_has_about_its_part_of_the_users(basis_points: int) -> None:
    flag = Flag("new-editor", enabled=True, rollout_basis_points=basis_points)
    on = sum(evaluate(flag, user_id).enabled for user_id in USERS)
    expected = len(USERS) * basis_points / ALL_BASIS_POINTS
    # Five times the standard deviation; the users are the same each time, so that this is no matter of luck.
    assert abs(on - expected) <= 5 * (expected * (1 - basis_points / ALL_BASIS_POINTS)) ** 0.5 + 1


def test_the_buckets_are_filled_evenly() -> None:
    tenths = [0] * 10
    for user_id in USERS:
        tenths[bucket_of("new-editor", user_id) // 1000] += 1
    assert all(1_800 <= count <= 2_200 for count in tenths), tenths


def test_raising_a_rollout_takes_the_flag_from_nobody() -> None:
    before: set[str] = set()
    for basis_points in (0, 1, 50, 1_000, 1_001, 5_000, 9_999, ALL_BASIS_POINTS):
        flag = Flag("new-editor", enabled=True, rollout_basis_points=basis_points)
        on = {user_id for user_id in USERS[:3000] if evaluate(flag, user_id).enabled}
        assert before <= on
        before = on
    assert before == set(USERS[:3000]), "100 % is everybody"


def test_nobody_is_in_a_rollout_of_nothing() -> None:
    flag = Flag("new-editor", enabled=True, rollout_basis_points=0)
    assert {evaluate(flag, user_id).reason for user_id in USERS} == {FlagReason.OUT_OF_ROLLOUT}


def test_two_flags_choose_their_users_apart() -> None:
    half = 5_000
    both = sum(bucket_of("one", user_id) < half and bucket_of("two", user_id) < half for user_id in USERS)
    assert abs(both - len(USERS) / 4) <= 400


def test_the_first_rule_that_applies_decides() -> None:
    flag = Flag("f", enabled=True, rollout_basis_points=0, users_on=("usr_on",), users_off=("usr_off",), value="v")
    assert evaluate(flag, "usr_on") == EvaluatedFlag("f", True, "v", FlagReason.USER_ON, 0)
    everybody = replace(flag, rollout_basis_points=ALL_BASIS_POINTS)
    assert evaluate(everybody, "usr_off") == EvaluatedFlag("f", False, "", FlagReason.USER_OFF, 0)
    assert evaluate(everybody, "usr_else").reason is FlagReason.IN_ROLLOUT
    assert evaluate(flag, "usr_else").reason is FlagReason.OUT_OF_ROLLOUT
    for user_id in ("usr_on", "usr_off", "usr_else"):
        assert evaluate(replace(everybody, enabled=False), user_id).reason is FlagReason.DISABLED


def test_what_is_set_counts_and_not_the_settings() -> None:
    defaults = {"b": Flag("b", enabled=True), "a": Flag("a", enabled=True)}
    stored = Flag("b", enabled=False, revision=7)
    assert FlagSet(7, (stored,)).over(defaults) == FlagSet(7, (defaults["a"], stored))


def test_two_flags_say_the_same_when_only_their_bookkeeping_differs() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    flag = Flag("f", enabled=True, users_on=("u",))
    assert flag.says_the_same_as(replace(flag, revision=3, create_time=now, update_time=now))
    assert not flag.says_the_same_as(replace(flag, users_on=()))
    assert not flag.says_the_same_as(replace(flag, value="x"))


def test_the_operator_writes_flags_in_one_line() -> None:
    assert flags_of_settings("new-editor=on, old=off ,search=12.5:fast,half=50,x=on: a b,") == {
        "new-editor": Flag("new-editor", enabled=True),
        "old": Flag("old", enabled=False),
        "search": Flag("search", enabled=True, rollout_basis_points=1250, value="fast"),
        "half": Flag("half", enabled=True, rollout_basis_points=5000),
        "x": Flag("x", enabled=True, value="a b"),
    }
    assert flags_of_settings("") == {}
    assert flags_of_settings("a=0.01")["a"].rollout_basis_points == 1
    assert flags_of_settings("a=100")["a"].rollout_basis_points == ALL_BASIS_POINTS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Loud=on", "names a flag 'Loud'"),
        ("=on", "names a flag ''"),
        ("a", "must say of a"),
        ("a=maybe", "must say of a"),
        ("a=100.01", "must say of a"),
        ("a=1.234", "must say of a"),
        ("a=-1", "must say of a"),
        ("a=101", "must say of a"),
        ("a=on:" + "x" * 201, "gives a a value"),
        ("a=on:b\x07", "gives a a value"),
        ("a=on,b=on,a=off", "names a twice"),
        (",".join(f"f{number}=on" for number in range(201)), "names 201 flags"),
    ],
)
def test_what_the_operator_cannot_mean_is_told_in_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        flags_of_settings(text)

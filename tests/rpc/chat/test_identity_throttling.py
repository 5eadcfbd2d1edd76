"""Sign-ins that fail make one wait, a little, and tell nothing; over real gRPC."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from grpc import StatusCode
from parley.identity.v1 import identity_service_pb2 as pb
from parley_chat.adapters.sql_schema import sign_in_failures
from parley_chat.adapters.sql_sign_in_failures import SqlSignInFailures
from parley_chat.domain.sign_in_delays import FORGOTTEN_AFTER, OF_AN_ACCOUNT, OF_AN_ADDRESS, failure_keys
from parley_shared.status import status_error_from
from parley_testing.identity import PASSWORD, SignedUp, new_email, refused
from parley_testing.running_chat import RunningChat
from sqlalchemy import func, select

HERE, THERE = (("x-parley-address", "192.0.2.1"),), (("x-parley-address", "192.0.2.2"),)


async def guess(chat: RunningChat, email: str, metadata: tuple[tuple[str, str], ...] = HERE) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await chat.identity.SignIn(pb.SignInRequest(email=email, password="not it"), metadata=metadata)
    return raised.value


@pytest.mark.parametrize("has_account", [True, False])
async def test_after_a_few_failures_one_waits_and_is_told_how_long_whether_or_not_there_is_an_account(
    chat: RunningChat, ada: SignedUp, has_account: bool
) -> None:
    email = ada.user.email if has_account else new_email()
    # The last of the failures that are free begins the wait; a run so slow that it is over begins one again, and a longer one.
    for _ in range(OF_AN_ADDRESS.free * 4):
        error = await guess(chat, email)
        if error.code() is StatusCode.RESOURCE_EXHAUSTED:
            break
        assert error.code() is StatusCode.UNAUTHENTICATED
    told = status_error_from(error)
    assert (told.code, told.reason) == (StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_LIMIT_EXCEEDED")
    assert told.retry_after_seconds is not None
    assert 0 < told.retry_after_seconds <= OF_AN_ADDRESS.most_seconds
    assert email not in told.message


async def test_who_signs_in_from_elsewhere_need_not_wait(chat: RunningChat, ada: SignedUp) -> None:
    for _ in range(OF_AN_ADDRESS.free + 1):
        await guess(chat, ada.user.email)
    await chat.identity.SignIn(pb.SignInRequest(email=ada.user.email, password=PASSWORD), metadata=THERE)


async def test_while_one_waits_the_right_password_is_no_different_and_the_wait_grows_no_longer(
    chat: RunningChat, ada: SignedUp
) -> None:
    failures, keys = SqlSignInFailures(chat.app.database), failure_keys(ada.user.email, "192.0.2.1")
    # As if it had gone on for an hour, a year from now: nothing depends on how fast this runs.
    later = datetime.now(UTC) + timedelta(days=365)
    for _ in range(OF_AN_ADDRESS.free + 10):
        await failures.add(keys, later)
    request = pb.SignInRequest(email=ada.user.email, password=PASSWORD)
    for _ in range(3):
        seen = await refused(chat.identity.SignIn(request, metadata=HERE))
        assert seen.code is StatusCode.RESOURCE_EXHAUSTED
    assert await failures.wait_seconds(keys, later) == OF_AN_ADDRESS.most_seconds


async def test_a_sign_in_begins_the_count_anew(chat: RunningChat, ada: SignedUp) -> None:
    request = pb.SignInRequest(email=ada.user.email, password=PASSWORD)
    for _ in range(3):
        for _ in range(OF_AN_ADDRESS.free - 1):
            assert (await guess(chat, ada.user.email)).code() is StatusCode.UNAUTHENTICATED
        await chat.identity.SignIn(request, metadata=HERE)


async def test_failures_are_counted_once_each_when_they_come_at_once_and_old_ones_are_forgotten(
    chat: RunningChat,
) -> None:
    failures, keys = SqlSignInFailures(chat.app.database), failure_keys(new_email(), "192.0.2.9")
    now = datetime.now(UTC)
    await asyncio.gather(*(failures.add(keys, now) for _ in range(OF_AN_ADDRESS.free)))
    assert await failures.wait_seconds(keys, now) == 1.0
    assert await failures.wait_seconds(keys, now + timedelta(seconds=2)) == 0.0
    await failures.add(failure_keys(new_email(), ""), now + FORGOTTEN_AFTER + timedelta(minutes=1))
    names = [key.name for key in keys]
    async with chat.app.database.read() as connection:
        query = select(func.count()).where(sign_in_failures.c.key.in_(names))
        assert (await connection.execute(query)).scalar_one() == 0


def test_the_wait_doubles_up_to_a_bound() -> None:
    assert [OF_AN_ADDRESS.seconds_after(failures) for failures in (0, 4, 5, 6, 7, 10, 11, 1000)] == [
        0,
        0,
        1,
        2,
        4,
        32,
        60,
        60,
    ]
    assert OF_AN_ACCOUNT.seconds_after(10_000) == 15.0


def test_what_is_counted_tells_no_address() -> None:
    keys = failure_keys("ada@example.org", "192.0.2.1")
    assert all(len(key.name) == 64 and "ada" not in key.name for key in keys)
    assert keys[1] == failure_keys("ada@example.org", "192.0.2.2")[1]
    assert keys[0] != failure_keys("ada@example.org", "192.0.2.2")[0]

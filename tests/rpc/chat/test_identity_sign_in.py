"""Signing up, in and out, and refreshing: each sentence of the contract, over real gRPC."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import argon2
import grpc
import jwt
import pytest
from grpc import StatusCode
from parley.identity.v1 import identity_service_pb2 as pb
from parley_chat.adapters.sql_accounts import SqlAccounts
from parley_chat.adapters.sql_schema import refresh_tokens
from parley_chat.domain.tokens import refresh_token_hash
from parley_shared.channels import bearer
from parley_testing.identity import PASSWORD, SignedUp, new_email, refused, sign_up
from parley_testing.running_chat import RunningChat, running_chat
from sqlalchemy import update

NOWHERE = "127.0.0.1:1"


async def refresh(chat: RunningChat, token: str) -> pb.RefreshTokensResponse:
    return await chat.identity.RefreshTokens(pb.RefreshTokensRequest(refresh_token=token))


async def assert_sign_in_ended(chat: RunningChat, token: str) -> None:
    refusal = await refused(refresh(chat, token))
    assert (refusal.code, refusal.reason) == (StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


# SignUp --------------------------------------------------------------------------------------------------------------


async def test_sign_up_makes_an_account_and_signs_it_in(chat: RunningChat) -> None:
    email = new_email()
    response = await chat.identity.SignUp(
        pb.SignUpRequest(email=email.upper(), password=PASSWORD, display_name=" Ada L. ")
    )
    assert response.user.user_id.startswith("usr_")
    assert len(response.user.user_id) == 36
    assert response.user.email == email
    assert response.user.display_name == "Ada L."
    assert abs(response.user.create_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=1)
    me = await chat.identity.GetCurrentUser(pb.GetCurrentUserRequest(), metadata=bearer(response.tokens.access_token))
    assert me.user == response.user


async def test_a_user_without_a_display_name_is_called_like_the_address(chat: RunningChat) -> None:
    email = new_email()
    response = await chat.identity.SignUp(pb.SignUpRequest(email=email, password=PASSWORD))
    assert response.user.display_name == email.split("@")[0]


async def test_an_address_has_one_account_whatever_its_case(chat: RunningChat, ada: SignedUp) -> None:
    request = pb.SignUpRequest(email=ada.user.email.upper(), password="another password")
    refusal = await refused(chat.identity.SignUp(request))
    assert (refusal.code, refusal.reason) == (StatusCode.ALREADY_EXISTS, "EMAIL_TAKEN")
    assert refusal.metadata == {"field": "email"}
    await chat.identity.SignIn(pb.SignInRequest(email=ada.user.email, password=PASSWORD))


async def test_of_sign_ups_at_once_with_one_address_exactly_one_succeeds(chat: RunningChat) -> None:
    request = pb.SignUpRequest(email=new_email(), password=PASSWORD)
    results = await asyncio.gather(*(chat.identity.SignUp(request) for _ in range(4)), return_exceptions=True)
    made = [result for result in results if isinstance(result, pb.SignUpResponse)]
    codes = [result.code() for result in results if isinstance(result, grpc.aio.AioRpcError)]
    assert len(made) == 1
    assert codes == [StatusCode.ALREADY_EXISTS] * 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", ""),
        ("email", "ab"),
        ("email", "no-at-sign"),
        ("email", "two@at@signs"),
        ("email", "@example.org"),
        ("email", "ada@"),
        ("email", "ada @example.org"),
        ("email", "ada@example.org\x00"),
        ("email", "a" * 243 + "@example.org"),
        ("email", "\ufdfa" * 100 + "@example.org"),
        ("password", ""),
        ("password", "x" * 7),
        ("password", "x" * 257),
        ("display_name", "x" * 101),
        ("display_name", "two\nlines"),
        ("display_name", "nothing\x00"),
    ],
)
async def test_sign_up_names_the_field_that_is_out_of_its_bounds(chat: RunningChat, field: str, value: str) -> None:
    request = pb.SignUpRequest(**{"email": new_email(), "password": PASSWORD, field: value})
    refusal = await refused(chat.identity.SignUp(request))
    assert (refusal.code, refusal.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert set(refusal.fields) == {field}


async def test_sign_up_takes_values_at_their_bounds(chat: RunningChat) -> None:
    request = pb.SignUpRequest(
        email=f"{uuid.uuid4().hex}{'a' * 210}@example.org", password="x" * 256, display_name="n" * 100
    )
    assert len(request.email) == 254
    await chat.identity.SignUp(request)
    await chat.identity.SignIn(pb.SignInRequest(email=request.email, password=request.password))
    await chat.identity.SignUp(pb.SignUpRequest(email=new_email(), password="x" * 8))


async def test_all_fields_that_are_wrong_are_named_at_once(chat: RunningChat) -> None:
    refusal = await refused(chat.identity.SignUp(pb.SignUpRequest(display_name="x" * 101)))
    assert set(refusal.fields) == {"email", "password", "display_name"}


async def test_nobody_signs_up_where_sign_up_is_closed_and_who_has_an_account_signs_in(tmp_path: Path) -> None:
    async with running_chat(tmp_path, inference=NOWHERE) as opened:
        ada = await sign_up(opened.identity)
    async with running_chat(tmp_path, inference=NOWHERE, PARLEY_CHAT_SIGN_UP="false") as closed:
        refusal = await refused(closed.identity.SignUp(pb.SignUpRequest(email=new_email(), password=PASSWORD)))
        assert refusal.code is StatusCode.PERMISSION_DENIED
        assert "sign up" in refusal.message
        await closed.identity.SignIn(pb.SignInRequest(email=ada.user.email, password=PASSWORD))


# SignIn --------------------------------------------------------------------------------------------------------------


async def test_sign_in_gives_the_user_and_a_new_pair(chat: RunningChat, ada: SignedUp) -> None:
    response = await chat.identity.SignIn(pb.SignInRequest(email=ada.user.email.upper(), password=PASSWORD))
    assert response.user == ada.user
    assert response.tokens.refresh_token != ada.tokens.refresh_token
    now = datetime.now(UTC)
    access_life = response.tokens.access_token_expire_time.ToDatetime(UTC) - now
    refresh_life = response.tokens.refresh_token_expire_time.ToDatetime(UTC) - now
    assert timedelta(minutes=14) < access_life <= timedelta(minutes=15)
    assert timedelta(days=29, hours=23) < refresh_life <= timedelta(days=30)


async def test_an_access_token_ends_when_it_says(chat: RunningChat, ada: SignedUp) -> None:
    claims = jwt.decode(ada.tokens.access_token, options={"verify_signature": False})
    assert claims["exp"] == ada.tokens.access_token_expire_time.seconds
    assert ada.tokens.access_token_expire_time.nanos == 0
    assert (claims["iss"], claims["aud"], claims["sub"]) == ("parley", "parley", ada.user.user_id)
    assert "act" not in claims


async def test_an_unknown_address_and_a_wrong_password_are_told_in_the_same_words(
    chat: RunningChat, ada: SignedUp
) -> None:
    wrong = await refused(chat.identity.SignIn(pb.SignInRequest(email=ada.user.email, password="wrong password")))
    unknown = await refused(chat.identity.SignIn(pb.SignInRequest(email=new_email(), password=PASSWORD)))
    no_address = await refused(chat.identity.SignIn(pb.SignInRequest(email="no address\x00", password=PASSWORD)))
    assert wrong == unknown == no_address
    assert (wrong.code, wrong.reason) == (StatusCode.UNAUTHENTICATED, "CREDENTIALS_WRONG")


@pytest.mark.parametrize(
    ("field", "value"),
    [("email", ""), ("email", "ab"), ("email", "a" * 255), ("password", ""), ("password", "x" * 257)],
)
async def test_sign_in_names_the_field_that_is_out_of_its_bounds(chat: RunningChat, field: str, value: str) -> None:
    request = pb.SignInRequest(**{"email": new_email(), "password": PASSWORD, field: value})
    refusal = await refused(chat.identity.SignIn(request))
    assert (refusal.code, refusal.reason, refusal.fields) == (
        StatusCode.INVALID_ARGUMENT,
        "INVALID_FIELD",
        (field,),
    )


async def test_a_password_is_stored_as_an_argon2id_hash_and_hashed_anew_when_parameters_change(
    chat: RunningChat, ada: SignedUp
) -> None:
    accounts = SqlAccounts(chat.app.database)
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
    await accounts.set_password_hash(ada.user.user_id, weak)
    request = pb.SignInRequest(email=ada.user.email, password=PASSWORD)
    await chat.identity.SignIn(request)
    account = await accounts.by_email(ada.user.email)
    assert account is not None
    assert account.password_hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    await chat.identity.SignIn(request)


async def test_a_password_is_the_same_from_every_keyboard_over_the_wire(chat: RunningChat) -> None:
    email = new_email()
    await chat.identity.SignUp(pb.SignUpRequest(email=email, password="caf\u00e9 au lait"))
    await chat.identity.SignIn(pb.SignInRequest(email=email, password="cafe\u0301 au lait"))


# RefreshTokens -------------------------------------------------------------------------------------------------------


async def test_a_refresh_token_buys_a_new_pair_that_works(chat: RunningChat, ada: SignedUp) -> None:
    second = (await refresh(chat, ada.tokens.refresh_token)).tokens
    me = await chat.identity.GetCurrentUser(pb.GetCurrentUserRequest(), metadata=bearer(second.access_token))
    assert me.user == ada.user
    third = (await refresh(chat, second.refresh_token)).tokens
    assert len({ada.tokens.refresh_token, second.refresh_token, third.refresh_token}) == 3


async def test_a_refresh_token_used_again_ends_every_token_of_its_sign_in_and_of_no_other(
    chat: RunningChat, ada: SignedUp
) -> None:
    other = (await chat.identity.SignIn(pb.SignInRequest(email=ada.user.email, password=PASSWORD))).tokens
    second = (await refresh(chat, ada.tokens.refresh_token)).tokens
    third = (await refresh(chat, second.refresh_token)).tokens
    await assert_sign_in_ended(chat, ada.tokens.refresh_token)
    await assert_sign_in_ended(chat, third.refresh_token)
    await refresh(chat, other.refresh_token)


async def test_of_uses_at_once_of_one_refresh_token_at_most_one_succeeds_and_the_sign_in_ends(
    chat: RunningChat, ada: SignedUp
) -> None:
    results = await asyncio.gather(*(refresh(chat, ada.tokens.refresh_token) for _ in range(4)), return_exceptions=True)
    (winner,) = [result for result in results if isinstance(result, pb.RefreshTokensResponse)]
    await assert_sign_in_ended(chat, winner.tokens.refresh_token)


@pytest.mark.parametrize("token", ["unknown", "prt_" + "x" * 43, "\x00", "é" * 512])
async def test_a_refresh_token_that_never_was_is_refused(chat: RunningChat, token: str) -> None:
    await assert_sign_in_ended(chat, token)


async def test_an_access_token_is_no_refresh_token(chat: RunningChat, ada: SignedUp) -> None:
    refusal = await refused(refresh(chat, ada.tokens.access_token[:512]))
    assert refusal.reason == "TOKEN_INVALID"


async def test_a_refresh_token_whose_time_is_over_is_refused(chat: RunningChat, ada: SignedUp) -> None:
    async with chat.app.database.write() as connection:
        await connection.execute(
            update(refresh_tokens)
            .where(refresh_tokens.c.token_hash == refresh_token_hash(ada.tokens.refresh_token))
            .values(expire_time=datetime.now(UTC))
        )
    await assert_sign_in_ended(chat, ada.tokens.refresh_token)


@pytest.mark.parametrize("token", ["", "x" * 513])
async def test_a_refresh_token_out_of_its_bounds_names_its_field(chat: RunningChat, token: str) -> None:
    for call in (
        refresh(chat, token),
        chat.identity.SignOut(pb.SignOutRequest(refresh_token=token)),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.fields) == (StatusCode.INVALID_ARGUMENT, ("refresh_token",))


# SignOut -------------------------------------------------------------------------------------------------------------


async def test_sign_out_with_any_token_of_the_sign_in_ends_them_all_and_no_other_sign_in(
    chat: RunningChat, ada: SignedUp
) -> None:
    other = (await chat.identity.SignIn(pb.SignInRequest(email=ada.user.email, password=PASSWORD))).tokens
    second = (await refresh(chat, ada.tokens.refresh_token)).tokens
    await chat.identity.SignOut(pb.SignOutRequest(refresh_token=ada.tokens.refresh_token))
    await assert_sign_in_ended(chat, second.refresh_token)
    await refresh(chat, other.refresh_token)


async def test_sign_out_succeeds_also_when_the_sign_in_had_ended_or_never_was(chat: RunningChat, ada: SignedUp) -> None:
    request = pb.SignOutRequest(refresh_token=ada.tokens.refresh_token)
    await chat.identity.SignOut(request)
    await chat.identity.SignOut(request)
    await chat.identity.SignOut(pb.SignOutRequest(refresh_token="never was"))


async def test_an_access_token_that_is_out_lives_on_after_sign_out(chat: RunningChat, ada: SignedUp) -> None:
    await chat.identity.SignOut(pb.SignOutRequest(refresh_token=ada.tokens.refresh_token))
    await chat.identity.GetCurrentUser(pb.GetCurrentUserRequest(), metadata=ada.metadata)

"""What depends on the database in identity, over real gRPC on PostgreSQL: races, and text that it cannot hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from grpc import StatusCode
from parley.identity.v1 import identity_service_pb2 as pb
from parley_testing.identity import PASSWORD, new_email, refused, sign_up
from parley_testing.postgres import PostgresServer
from parley_testing.running_chat import RunningChat, running_chat


@pytest.fixture(scope="module")
async def on_postgresql(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[RunningChat]:
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.new_database_url()
    home = tmp_path_factory.mktemp("home")
    async with running_chat(home, inference="127.0.0.1:1", PARLEY_CHAT_DATABASE_URL=url) as chat:
        yield chat


async def test_of_sign_ups_at_once_with_one_address_exactly_one_succeeds_on_postgresql(
    on_postgresql: RunningChat,
) -> None:
    request = pb.SignUpRequest(email=new_email(), password=PASSWORD)
    results = await asyncio.gather(*(on_postgresql.identity.SignUp(request) for _ in range(4)), return_exceptions=True)
    codes = [result.code() for result in results if isinstance(result, grpc.aio.AioRpcError)]
    assert codes == [StatusCode.ALREADY_EXISTS] * 3


async def test_a_refresh_token_used_twice_at_once_ends_its_sign_in_on_postgresql(on_postgresql: RunningChat) -> None:
    ada = await sign_up(on_postgresql.identity)
    request = pb.RefreshTokensRequest(refresh_token=ada.tokens.refresh_token)
    results = await asyncio.gather(
        *(on_postgresql.identity.RefreshTokens(request) for _ in range(4)), return_exceptions=True
    )
    (winner,) = [result for result in results if isinstance(result, pb.RefreshTokensResponse)]
    again = pb.RefreshTokensRequest(refresh_token=winner.tokens.refresh_token)
    assert (await refused(on_postgresql.identity.RefreshTokens(again))).reason == "TOKEN_INVALID"


async def test_a_zero_byte_never_reaches_postgresql(on_postgresql: RunningChat) -> None:
    ada = await sign_up(on_postgresql.identity)
    identity = on_postgresql.identity
    refusals = [
        await refused(identity.SignUp(pb.SignUpRequest(email="a\x00@b", password=PASSWORD))),
        await refused(identity.SignUp(pb.SignUpRequest(email=new_email(), password=PASSWORD, display_name="\x00"))),
        await refused(identity.SignIn(pb.SignInRequest(email="a\x00@b", password=PASSWORD))),
        await refused(identity.RefreshTokens(pb.RefreshTokensRequest(refresh_token="\x00"))),
        await refused(identity.CreateAccessToken(pb.CreateAccessTokenRequest(name="\x00"), metadata=ada.metadata)),
        await refused(
            identity.RevokeAccessToken(pb.RevokeAccessTokenRequest(access_token_id="tok_\x00"), metadata=ada.metadata)
        ),
    ]
    assert [refusal.reason for refusal in refusals] == [
        "INVALID_FIELD",
        "INVALID_FIELD",
        "CREDENTIALS_WRONG",
        "TOKEN_INVALID",
        "INVALID_FIELD",
        "INVALID_FIELD",
    ]
    await identity.SignOut(pb.SignOutRequest(refresh_token="\x00"))


async def test_a_password_may_hold_what_the_database_cannot(on_postgresql: RunningChat) -> None:
    email, password = new_email(), "zero \x00 byte"
    await on_postgresql.identity.SignUp(pb.SignUpRequest(email=email, password=password))
    await on_postgresql.identity.SignIn(pb.SignInRequest(email=email, password=password))
    request = pb.SignInRequest(email=email, password="zero ")
    assert (await refused(on_postgresql.identity.SignIn(request))).reason == "CREDENTIALS_WRONG"

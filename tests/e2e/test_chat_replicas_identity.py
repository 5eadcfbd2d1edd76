"""Who somebody is, at two replicas of chat: signed up at one, known at the other, and refused at both."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeAlias

import grpc
import pytest
from parley.identity.v1 import identity_service_pb2 as pb
from parley.identity.v1 import identity_service_pb2_grpc
from parley_shared.channels import bearer, open_channel
from parley_testing.identity import PASSWORD, refused, sign_up
from parley_testing.mesh import Mesh

Stub: TypeAlias = "identity_service_pb2_grpc.IdentityServiceAsyncStub"
"""Of the generated types only: there is no such class at run time."""


@pytest.fixture
async def replicas(replicated: Mesh) -> AsyncIterator[tuple[Stub, Stub]]:
    """Identity, straight at each replica."""
    async with (
        open_channel(replicated.address("chat")) as one,
        open_channel(replicated.address("chat-2")) as other,
    ):
        yield (
            identity_service_pb2_grpc.IdentityServiceStub(one),
            identity_service_pb2_grpc.IdentityServiceStub(other),
        )


async def user_id(replica: Stub, token: str) -> str:
    response = await replica.GetCurrentUser(pb.GetCurrentUserRequest(), metadata=bearer(token))
    return response.user.user_id


async def test_who_signs_up_at_one_replica_signs_in_at_the_other_and_refreshes_at_either(
    replicas: tuple[Stub, Stub],
) -> None:
    one, other = replicas
    person = await sign_up(one)
    signed_in = await other.SignIn(pb.SignInRequest(email=person.user.email, password=PASSWORD))
    assert signed_in.user == person.user
    for replica in replicas:
        assert await user_id(replica, person.tokens.access_token) == person.user.user_id
    again = await one.RefreshTokens(pb.RefreshTokensRequest(refresh_token=signed_in.tokens.refresh_token))
    assert await user_id(other, again.tokens.access_token) == person.user.user_id
    # Each refresh token works once, wherever; one that comes back ends the sign-in at both.
    used = pb.RefreshTokensRequest(refresh_token=signed_in.tokens.refresh_token)
    assert (await refused(other.RefreshTokens(used))).code is grpc.StatusCode.UNAUTHENTICATED
    newest = pb.RefreshTokensRequest(refresh_token=again.tokens.refresh_token)
    assert (await refused(one.RefreshTokens(newest))).code is grpc.StatusCode.UNAUTHENTICATED


async def test_one_refresh_token_at_both_replicas_at_once_works_once(replicas: tuple[Stub, Stub]) -> None:
    person = await sign_up(replicas[0])
    request = pb.RefreshTokensRequest(refresh_token=person.tokens.refresh_token)
    answers = await asyncio.gather(
        *(replica.RefreshTokens(request) for replica in replicas * 4), return_exceptions=True
    )
    assert sum(isinstance(answer, pb.RefreshTokensResponse) for answer in answers) == 1


async def test_a_token_that_is_revoked_at_one_replica_is_refused_at_the_other(replicas: tuple[Stub, Stub]) -> None:
    one, other = replicas
    person = await sign_up(one)
    made = await one.CreateAccessToken(pb.CreateAccessTokenRequest(name="laptop"), metadata=person.metadata)
    for replica in replicas:
        assert await user_id(replica, made.token) == person.user.user_id
    revoke = pb.RevokeAccessTokenRequest(access_token_id=made.access_token.access_token_id)
    await one.RevokeAccessToken(revoke, metadata=person.metadata)
    assert (await refused(user_id(one, made.token))).code is grpc.StatusCode.UNAUTHENTICATED
    # The other believes its own answer for a second.
    async with asyncio.timeout(30):
        while await gets_in(other, made.token):  # noqa: ASYNC110 - only asking again tells
            await asyncio.sleep(0.05)
    assert (await refused(user_id(other, made.token))).code is grpc.StatusCode.UNAUTHENTICATED


async def test_retrieval_asks_the_other_replica_about_a_token_when_the_first_is_away(replicated: Mesh) -> None:
    person = await asyncio.to_thread(replicated.sign_up)
    pid = await asyncio.to_thread(replicated.kill, "chat")
    async with asyncio.timeout(60):
        while Path(f"/proc/{pid}").exists():  # noqa: ASYNC110, ASYNC240 - a process that is not ours tells nobody
            await asyncio.sleep(0.01)

    def documents_of_a_new_token() -> int:
        owner = {"authorization": person.authorization}
        made = replicated.request("POST", "/api/v2/identity/access-tokens", {"name": "laptop"}, headers=owner)
        token = {"authorization": f"Bearer {json.loads(made[1])['token']}"}
        return replicated.request("GET", "/api/v1/documents", headers=token)[0]

    assert await asyncio.to_thread(documents_of_a_new_token) == 200
    await asyncio.to_thread(replicated.wait_until_back, "chat", pid)


async def gets_in(replica: Stub, token: str) -> bool:
    try:
        await user_id(replica, token)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
            raise
        return False
    return True


async def test_replicas_whose_first_run_was_together_have_one_key_and_one_local_user(
    replicated: Mesh, replicas: tuple[Stub, Stub]
) -> None:
    local = json.loads((replicated.home / "keys" / "local-user.json").read_text(encoding="utf-8"))
    keys = [await replica.GetJsonWebKeySet(pb.GetJsonWebKeySetRequest()) for replica in replicas]
    assert keys[0] == keys[1]
    assert len(keys[0].keys) == 1
    for replica in replicas:
        signed_in = await replica.SignIn(pb.SignInRequest(email=local["email"], password=local["password"]))
        assert signed_in.user.user_id == local["user_id"]

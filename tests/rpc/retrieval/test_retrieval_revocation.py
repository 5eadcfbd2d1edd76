"""Personal access tokens that were revoked: retrieval asks chat, and lets nobody in when it cannot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from parley.identity.v1 import identity_service_pb2
from parley_shared import token_revocation

GOOD, REVOKED = f"tok_{'a' * 32}", f"tok_{'b' * 32}"


class Identity:
    """Chat's part in this: one token is good."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.good = {GOOD}

    async def check(
        self, request: identity_service_pb2.CheckAccessTokenRequest, context: Any
    ) -> identity_service_pb2.CheckAccessTokenResponse:
        self.asked.append(request.access_token_id)
        return identity_service_pb2.CheckAccessTokenResponse(good=request.access_token_id in self.good)


@pytest.fixture
async def identity() -> AsyncIterator[tuple[Identity, str]]:
    server, servicer = grpc.aio.server(), Identity()
    handler = grpc.unary_unary_rpc_method_handler(
        servicer.check,
        request_deserializer=identity_service_pb2.CheckAccessTokenRequest.FromString,
        response_serializer=identity_service_pb2.CheckAccessTokenResponse.SerializeToString,
    )
    name = "parley.identity.v1.IdentityService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"CheckAccessToken": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield servicer, f"127.0.0.1:{port}"
    await server.stop(None)


def with_token(retrieval: Any, token_id: str) -> Any:
    caller = retrieval.caller()
    token = retrieval.keys.mint(caller.user_id, ("documents:read", "documents:write"), jti=token_id)
    return type(caller)(retrieval, caller.user_id, (("authorization", f"Bearer {token}"),))


async def code_of(caller: Any) -> grpc.StatusCode:
    try:
        await caller.page()
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def test_a_good_token_gets_in_and_a_revoked_one_does_not(
    serve: Any, tmp_path: Path, identity: tuple[Identity, str]
) -> None:
    chat, address = identity
    async with serve(tmp_path, PARLEY_CHAT_ADDRESS=address) as retrieval:
        assert await code_of(with_token(retrieval, GOOD)) is grpc.StatusCode.OK
        assert await code_of(with_token(retrieval, REVOKED)) is grpc.StatusCode.UNAUTHENTICATED
        assert chat.asked == [GOOD, REVOKED]
        assert await code_of(with_token(retrieval, GOOD)) is grpc.StatusCode.OK
        assert chat.asked == [GOOD, REVOKED], "an answer is believed for a few seconds"


async def test_a_token_that_is_revoked_later_is_refused_when_the_answer_is_old(
    serve: Any, tmp_path: Path, identity: tuple[Identity, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chat, address = identity
    monkeypatch.setattr(token_revocation, "BELIEVED_SECONDS", 0.0)
    async with serve(tmp_path, PARLEY_CHAT_ADDRESS=address) as retrieval:
        caller = with_token(retrieval, GOOD)
        assert await code_of(caller) is grpc.StatusCode.OK
        chat.good.clear()
        assert await code_of(caller) is grpc.StatusCode.UNAUTHENTICATED


async def test_without_chat_a_personal_token_does_not_get_in_and_others_do(serve: Any, tmp_path: Path) -> None:
    async with serve(tmp_path, PARLEY_CHAT_ADDRESS="127.0.0.1:1") as retrieval:
        assert await code_of(with_token(retrieval, GOOD)) is grpc.StatusCode.UNAVAILABLE
        assert await code_of(retrieval.caller()) is grpc.StatusCode.OK

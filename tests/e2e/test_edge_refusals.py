"""What the edge refuses, and in which words: the status of the protocol, and for REST a JSON body like the services' own."""

from __future__ import annotations

import json
from collections.abc import Callable

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2, chat_service_pb2_grpc
from parley.identity.v1 import identity_service_pb2
from parley_testing import grpc_web
from parley_testing.mesh import Mesh

SESSIONS = "/api/v2/chat/sessions"
LIST_SESSIONS = "/parley.chat.v1.ChatService/ListSessions"
FORGED = (
    "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c3JfMSIsImlzcyI6InBhcmxleSIsImF1ZCI6InBhcmxleSIsImV4cCI6OTk5OTk5OTk5OX0."
)


def error_of(body: bytes) -> tuple[int, str]:
    """The code and the reason of a JSON error, which must have words and the trace id too."""
    error = json.loads(body)
    assert error["message"]
    (info,) = [detail for detail in error["details"] if detail["@type"].endswith("google.rpc.ErrorInfo")]
    assert info["domain"] == "parley"
    assert len(info["metadata"]["trace_id"]) == 32
    return error["code"], info["reason"]


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        (None, "ERROR_REASON_TOKEN_MISSING"),
        ("Bearer nonsense", "ERROR_REASON_TOKEN_INVALID"),
        ("Basic dTpw", "ERROR_REASON_TOKEN_INVALID"),
        (FORGED, "ERROR_REASON_TOKEN_INVALID"),
    ],
)
def test_no_token_or_a_wrong_one_is_401_and_unauthenticated(mesh: Mesh, authorization: str | None, reason: str) -> None:
    headers = {"authorization": authorization} if authorization else {}
    status, received, body = mesh.exchange("GET", SESSIONS, headers=headers)
    assert (status, received["content-type"], error_of(body)) == (401, "application/json", (16, reason))
    assert json.loads(body)["details"][0]["metadata"]["trace_id"] == received["x-trace-id"]
    web = grpc_web.call(mesh.grpc_address, LIST_SESSIONS, chat_service_pb2.ListSessionsRequest(), headers=headers)
    assert web.status == grpc.StatusCode.UNAUTHENTICATED.value[0]


async def test_no_token_is_unauthenticated_over_grpc(mesh: Mesh) -> None:
    async with grpc.aio.insecure_channel(mesh.grpc_address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await chat_service_pb2_grpc.ChatServiceStub(channel).ListSessions(chat_service_pb2.ListSessionsRequest())
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("path", ["/api/v2/no/such/thing", "/api", "/health/x", "/.well-known/openid-configuration"])
def test_an_unknown_rest_path_is_404_in_json_and_never_the_page(guarded_mesh: Mesh, path: str) -> None:
    status, received, body = guarded_mesh.exchange("GET", path)
    assert (status, received["content-type"]) == (404, "application/json")
    assert error_of(body) == (5, "ERROR_REASON_RESOURCE_NOT_FOUND")


async def test_an_unknown_service_is_unimplemented(mesh: Mesh) -> None:
    user = mesh.sign_up()
    async with grpc.aio.insecure_channel(mesh.grpc_address) as channel:
        for path in ("/parley.nothing.v1.NoService/Call", "/parley.chat.v1.ChatService/NoSuchCall"):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await channel.unary_unary(path, request_serializer=bytes)(b"", metadata=user.metadata)
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("body", [b'{"title": ', b'{"title": {}}', b"[1]"])
def test_malformed_json_is_400_in_json(mesh: Mesh, body: bytes) -> None:
    user = mesh.sign_up()
    status, received, answer = mesh.exchange("POST", SESSIONS, body, headers={"authorization": user.authorization})
    assert (status, received["content-type"]) == (400, "application/json")
    assert error_of(answer)[0] == 3


@pytest.mark.parametrize("path", [SESSIONS, "/api/v2/chat/send"])
def test_a_body_that_is_too_large_is_413_in_json(guarded_mesh: Mesh, path: str) -> None:
    user = guarded_mesh.sign_up()
    message = {"title": "x" * 310_000, "message": "x" * 310_000}
    status, received, body = guarded_mesh.exchange("POST", path, message, headers={"authorization": user.authorization})
    assert (status, received["content-type"], error_of(body)) == (
        413,
        "application/json",
        (8, "ERROR_REASON_LIMIT_EXCEEDED"),
    )


@pytest.mark.parametrize("size", [220_000, 400_000, 5_000_000])
async def test_a_message_that_is_too_large_is_resource_exhausted(guarded_mesh: Mesh, size: int) -> None:
    """Whoever refuses it: the service, which takes 200 kB here, or the edge, which lets 300 kB through."""
    user = guarded_mesh.sign_up()
    request = chat_service_pb2.CreateSessionRequest(title="x" * size)
    async with grpc.aio.insecure_channel(guarded_mesh.grpc_address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await chat_service_pb2_grpc.ChatServiceStub(channel).CreateSession(request, metadata=user.metadata)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    headers = {"authorization": user.authorization}
    web = grpc_web.call(
        guarded_mesh.grpc_address, "/parley.chat.v1.ChatService/CreateSession", request, headers=headers
    )
    assert web.status == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


def until_refused(call: Callable[[], int], refusal: int, *, most: int) -> None:
    """Calls until it is refused. A bucket refills while one calls, so it takes somewhat more than the bucket holds."""
    for _ in range(most):
        if call() == refusal:
            return
    pytest.fail(f"never refused in {most} calls")


def test_a_user_who_calls_too_often_is_told_when_to_come_back_and_others_are_not_held_up(guarded_mesh: Mesh) -> None:
    eager, calm = guarded_mesh.sign_up(), guarded_mesh.sign_up()
    headers = {"authorization": eager.authorization}
    until_refused(lambda: guarded_mesh.request("GET", SESSIONS, headers=headers)[0], 429, most=200)
    status, received, body = guarded_mesh.exchange("GET", SESSIONS, headers=headers)
    assert (status, received["content-type"], error_of(body)) == (
        429,
        "application/json",
        (8, "ERROR_REASON_LIMIT_EXCEEDED"),
    )
    assert int(received["retry-after"]) >= 1
    web = grpc_web.call(
        guarded_mesh.grpc_address, LIST_SESSIONS, chat_service_pb2.ListSessionsRequest(), headers=headers
    )
    assert web.status == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert guarded_mesh.request("GET", SESSIONS, headers={"authorization": calm.authorization})[0] == 200


def test_guessing_passwords_is_limited_by_address(guarded_mesh: Mesh) -> None:
    guess = {"email": "somebody@example.com", "password": "a wrong password"}
    until_refused(lambda: guarded_mesh.request("POST", "/api/v2/identity/sign-in", guess)[0], 429, most=60)
    request = identity_service_pb2.SignInRequest(**guess)
    web = grpc_web.call(guarded_mesh.grpc_address, "/parley.identity.v1.IdentityService/SignIn", request)
    assert web.status == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    # Reading the keys needs no token either, and is not a guess.
    assert guarded_mesh.request("GET", "/.well-known/jwks.json")[0] == 200

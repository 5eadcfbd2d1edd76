"""One port, many doors: what a call gets is the same through each."""

from __future__ import annotations

import json
import subprocess

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2, chat_service_pb2_grpc
from parley.identity.v1 import identity_service_pb2
from parley.retrieval.v1 import search_service_pb2, search_service_pb2_grpc
from parley.system.v1 import system_service_pb2, system_service_pb2_grpc
from parley_testing import grpc_web
from parley_testing.mesh import Mesh
from parley_testing.tools import require_tool

SESSIONS = "/api/v2/chat/sessions"


async def test_a_unary_rpc_answers_over_grpc(mesh: Mesh) -> None:
    user = mesh.sign_up()
    async with grpc.aio.insecure_channel(mesh.grpc_address) as channel:
        chat = chat_service_pb2_grpc.ChatServiceStub(channel)
        made = await chat.CreateSession(
            chat_service_pb2.CreateSessionRequest(title="over gRPC"), metadata=user.metadata
        )
        listed = await chat.ListSessions(chat_service_pb2.ListSessionsRequest(), metadata=user.metadata)
    assert [session.session_id for session in listed.sessions] == [made.session.session_id]


def test_a_unary_rpc_answers_over_grpc_web_on_http_1(mesh: Mesh) -> None:
    user = mesh.sign_up()
    answer = grpc_web.call(
        mesh.grpc_address,
        "/parley.identity.v1.IdentityService/GetCurrentUser",
        identity_service_pb2.GetCurrentUserRequest(),
        headers={"authorization": user.authorization},
    )
    assert (answer.http_status, answer.status) == (200, 0)
    response = identity_service_pb2.GetCurrentUserResponse.FromString(answer.messages[0])
    assert response.user.user_id == user.user_id


def test_a_unary_rpc_answers_over_rest(mesh: Mesh) -> None:
    user = mesh.sign_up()
    headers = {"authorization": user.authorization}
    status, body = mesh.request("POST", SESSIONS, {"title": "over REST"}, headers=headers)
    assert status == 200
    session = json.loads(body)["session"]
    assert session["title"] == "over REST"
    status, body = mesh.request("GET", f"{SESSIONS}/{session['session_id']}", headers=headers)
    assert (status, json.loads(body)["session"]) == (200, session)
    status, body = mesh.request("DELETE", f"{SESSIONS}/{session['session_id']}", headers=headers)
    assert (status, json.loads(body)) == (200, {})


def test_rest_prints_what_is_empty_and_names_enums(mesh: Mesh) -> None:
    user = mesh.sign_up()
    _, body = mesh.request("GET", SESSIONS, headers={"authorization": user.authorization})
    assert json.loads(body) == {"sessions": [], "next_page_token": ""}
    _, body = mesh.request("GET", "/health")
    assert json.loads(body) == {"state": "SERVING_STATE_SERVING"}


async def test_every_service_answers_behind_the_edge(mesh: Mesh) -> None:
    user = mesh.sign_up()
    async with grpc.aio.insecure_channel(mesh.grpc_address) as channel:
        search = search_service_pb2_grpc.SearchServiceStub(channel)
        request = search_service_pb2.SearchRequest(query="edge")
        found = await search.Search(request, metadata=user.metadata)
        system = system_service_pb2_grpc.SystemServiceStub(channel)
        status = await system.GetStatus(system_service_pb2.GetStatusRequest(), metadata=user.metadata)
    assert isinstance(found, search_service_pb2.SearchResponse)
    assert [(service.service, service.state) for service in status.services] == [
        (name, system_service_pb2.SERVING_STATE_SERVING) for name in ("chat", "inference", "retrieval")
    ]


async def test_the_edge_itself_can_be_probed(mesh: Mesh) -> None:
    assert mesh.request("GET", "/healthz") == (200, b"")


def test_the_keys_of_tokens_are_served_as_a_json_web_key_set(mesh: Mesh) -> None:
    status, body = mesh.request("GET", "/.well-known/jwks.json")
    keys = json.loads(body)["keys"]
    assert status == 200
    assert {(key["kty"], key["crv"], key["alg"], key["use"]) for key in keys} == {("EC", "P-256", "ES256", "sig")}
    assert not any("d" in key for key in keys), "a private key"


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", ""])
def test_send_answers_as_events_when_the_body_asks_for_a_stream(mesh: Mesh, content_type: str) -> None:
    user = mesh.sign_up()
    headers = {"authorization": user.authorization, "content-type": content_type}
    message = {"message": "Hello there", "stream": True}
    status, received, body = mesh.exchange("POST", "/api/v2/chat/send", message, headers=headers)
    assert (status, received["content-type"]) == (200, "text/event-stream")
    events = [json.loads(line.removeprefix("data: "))["event"] for line in body.decode().splitlines() if line]
    assert [event["first_sequence"] for event in events] == [1, *(event["sequence"] + 1 for event in events[:-1])]
    assert "completed" in events[-1]
    status, received, replay = mesh.exchange(
        "GET",
        f"/api/v2/chat/turns/{events[0]['turn_id']}/events?after_sequence=1",
        headers={"authorization": user.authorization},
    )
    assert (status, received["content-type"]) == (200, "text/event-stream")
    assert json.loads(replay.decode().splitlines()[0].removeprefix("data: "))["event"]["first_sequence"] == 2


@pytest.mark.parametrize("extra", [{}, {"stream": False}, {"note": {"stream": True}}, {"note": '"stream": true'}])
def test_send_answers_whole_otherwise(mesh: Mesh, extra: dict[str, object]) -> None:
    user = mesh.sign_up()
    body = {"message": "Hello", **extra}
    status, received, answer = mesh.exchange(
        "POST", "/api/v2/chat/send", body, headers={"authorization": user.authorization}
    )
    assert (status, received["content-type"]) == (200, "application/json")
    assert json.loads(answer)["text"]


def test_grpcurl_works_with_nothing_but_the_address(mesh: Mesh) -> None:
    grpcurl = require_tool("grpcurl")
    user = mesh.sign_up()
    listed = subprocess.run(
        [grpcurl, "-plaintext", mesh.grpc_address, "list"], capture_output=True, text=True, check=True, timeout=30
    )
    assert "parley.chat.v1.ChatService" in listed.stdout.splitlines()
    called = subprocess.run(
        [
            grpcurl,
            "-plaintext",
            "-H",
            f"authorization: {user.authorization}",
            mesh.grpc_address,
            "parley.identity.v1.IdentityService/GetCurrentUser",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert json.loads(called.stdout)["user"]["userId"] == user.user_id

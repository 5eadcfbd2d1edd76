"""Nobody gets past the edge's check of tokens, and nobody says in a header who he is."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from parley_edge import contract
from parley_testing import grpc_web
from parley_testing.mesh import Mesh, SignedUp

SESSIONS = "/api/v2/chat/sessions"
EMPTY = Empty()


def test_a_rest_call_cannot_pass_through_the_open_routes_of_the_page(guarded_mesh: Mesh) -> None:
    """The page's routes ask for no token and take everything; the transcoder chooses the route anew after they were chosen."""
    for path in (
        SESSIONS,
        "//api//v2/chat/sessions",
        "/assets/../api/v2/chat/sessions",
        "/./api/v2/chat/sessions",
        "/api/v2/chat/sessions/",
    ):
        assert guarded_mesh.request("GET", path)[0] in {400, 401, 404}, path
    assert guarded_mesh.request("GET", SESSIONS)[0] == 401


@pytest.mark.parametrize("method", contract.methods(), ids=lambda method: method.path)
def test_what_the_contract_does_not_open_is_closed(mesh: Mesh, method: contract.Method) -> None:
    answer = grpc_web.call(mesh.grpc_address, method.path, EMPTY)
    assert (answer.status == grpc.StatusCode.UNAUTHENTICATED.value[0]) is not method.anonymous


@pytest.mark.parametrize("suffix", ["x", "/", "/../ListSessions", "%2f..%2fListSessions", ";x"])
async def test_a_path_that_only_begins_like_an_open_one_is_closed(mesh: Mesh, suffix: str) -> None:
    answer = grpc_web.call(mesh.grpc_address, f"/parley.identity.v1.IdentityService/SignIn{suffix}", EMPTY)
    assert answer.http_status in {400, 401} or answer.status in {12, 16}, answer


def test_a_spoofed_identity_does_not_reach_anybody(mesh: Mesh) -> None:
    user, victim = mesh.sign_up(), mesh.sign_up()
    trace_id = secrets.token_hex(16)
    headers = {"x-parley-user-id": victim.user_id, "traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"}
    # Where a token is asked for, and where none is.
    status, body = mesh.request("GET", "/api/v2/identity/me", headers={**headers, "authorization": user.authorization})
    assert (status, json.loads(body)["user"]["user_id"]) == (200, user.user_id)
    assert mesh.request("GET", "/health", headers=headers)[0] == 200

    def of_this_test(path: str) -> dict[str, object]:
        return mesh.wait_for_access_log(lambda line: line["trace_id"] == trace_id and line["path"] == path)

    assert of_this_test("/api/v2/identity/me")["user_id"] == user.user_id
    assert of_this_test("/health")["user_id"] is None


def test_no_secret_is_in_the_access_log(mesh: Mesh) -> None:
    user = mesh.sign_up()
    mesh.request("GET", f"{SESSIONS}:search?query=my-private-words", headers={"authorization": user.authorization})
    line = mesh.wait_for_access_log(lambda line: line["path"] == f"{SESSIONS}:search")
    assert line["rpc"] == "/parley.chat.v1.ChatService/SearchSessions"
    assert line["grpc_status"] == "0"
    logged = json.dumps(mesh.access_log())
    for secret in (user.token, user.refresh_token, user.password, "my-private-words"):
        assert secret not in logged


def test_after_chat_has_a_new_key_its_tokens_pass_and_old_ones_do_not(start_mesh: Callable[..., Mesh]) -> None:
    mesh = start_mesh({"PARLEY_EDGE_JWKS_SECONDS": "1"})
    before = mesh.sign_up()
    (mesh.home / "keys" / "signing.pem").unlink()
    mesh.restart("chat")
    after = mesh.sign_up()

    def status_of(user: SignedUp) -> int:
        return mesh.request("GET", "/api/v2/identity/me", headers={"authorization": user.authorization})[0]

    deadline = time.monotonic() + 20
    while status_of(after) != 200:
        assert time.monotonic() < deadline, "the edge holds on to the old key"
    assert status_of(before) == 401

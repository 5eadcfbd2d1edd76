"""What the edge does for pages: its own, and those of other origins that may call."""

from __future__ import annotations

import gzip
import http.client

import pytest
from parley_testing.mesh import Mesh

OURS, THEIRS = "http://localhost:5173", "https://elsewhere.example.com"
GRPC = "/parley.chat.v1.ChatService/ListSessions"
REST = "/api/v2/chat/sessions"


@pytest.mark.parametrize("path", ["/", "/sessions/ses_1", "/sessions/ses_1?tab=sources", "/index.html"])
def test_every_address_of_the_page_is_the_page_and_is_checked_for_news(guarded_mesh: Mesh, path: str) -> None:
    status, headers, body = guarded_mesh.exchange("GET", path)
    assert (status, headers["content-type"], headers["cache-control"]) == (200, "text/html; charset=utf-8", "no-cache")
    assert b"a page" in body


def test_what_has_a_hash_in_its_name_is_kept_for_ever(guarded_mesh: Mesh) -> None:
    status, headers, body = guarded_mesh.exchange("GET", "/assets/index-0f3a.js", headers={"accept-encoding": "gzip"})
    assert (status, headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert b"answer" in gzip.decompress(body)


def test_a_missing_asset_is_not_remembered(guarded_mesh: Mesh) -> None:
    status, headers, _ = guarded_mesh.exchange("GET", "/assets/index-none.js")
    assert (status, headers["cache-control"]) == (404, "no-store")


@pytest.mark.parametrize(
    "path", ["/.env", "/%2eenv", "/assets/.env", "/x/../.env", "/..%2f.env", "/%2e%2e/%2e%2e/etc/host.conf"]
)
def test_hidden_files_and_what_is_outside_are_not_served(guarded_mesh: Mesh, path: str) -> None:
    status, body = guarded_mesh.request("GET", path)
    assert status in {400, 404}
    assert b"SECRET" not in body
    assert b"multi" not in body


def test_the_page_is_fenced_in(guarded_mesh: Mesh) -> None:
    _, headers, _ = guarded_mesh.exchange("GET", "/")
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'"
    assert "http" not in headers["content-security-policy"], "a third party"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_without_a_page_the_root_is_an_honest_404(mesh: Mesh) -> None:
    status, headers, body = mesh.exchange("POST", "/")
    assert (status, headers["content-type"]) == (404, "application/json")
    assert b"nothing at this address" in body


def preflight(mesh: Mesh, path: str, origin: str) -> dict[str, str]:
    headers = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-grpc-web,traceparent",
    }
    status, received, _ = mesh.exchange("OPTIONS", path, headers=headers)
    assert status == 200
    return received


@pytest.mark.parametrize("path", [GRPC, REST, "/api/v2/chat/send", "/health"])
def test_an_allowed_origin_may_ask_and_read(guarded_mesh: Mesh, path: str) -> None:
    allowed = preflight(guarded_mesh, path, OURS)
    assert allowed["access-control-allow-origin"] == OURS
    assert {"authorization", "x-grpc-web", "traceparent"} <= set(allowed["access-control-allow-headers"].split(","))
    # Refusals too: a page that cannot read a 401 cannot say that one has to sign in.
    status, received, _ = guarded_mesh.exchange("GET", REST, headers={"origin": OURS})
    assert (status, received["access-control-allow-origin"]) == (401, OURS)
    assert {"grpc-status", "x-trace-id"} <= set(received["access-control-expose-headers"].split(","))


@pytest.mark.parametrize("path", [GRPC, REST])
def test_a_foreign_origin_may_not(guarded_mesh: Mesh, path: str) -> None:
    assert "access-control-allow-origin" not in preflight(guarded_mesh, path, THEIRS)


def test_by_default_no_other_origin_may(mesh: Mesh) -> None:
    assert "access-control-allow-origin" not in preflight(mesh, REST, OURS)


def test_a_stream_reaches_a_page_as_it_is_written(mesh: Mesh) -> None:
    """Compression and transcoding hold nothing back: the first event is there while the connection is open."""
    user = mesh.sign_up()
    connection = http.client.HTTPConnection(mesh.grpc_address, timeout=30)
    try:
        headers = {"authorization": user.authorization, "content-type": "application/json", "accept-encoding": "gzip"}
        connection.request("POST", "/api/v2/chat/send", b'{"message": "Hello", "stream": true}', headers)
        response = connection.getresponse()
        assert response.headers["content-encoding"] is None
        assert response.readline().startswith(b"data: {")
        response.read()
    finally:
        connection.close()

"""Parley's tools through the edge, for the official client of MCP and for whoever speaks it by hand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from parley_chat.adapters.mcp_http import http_client
from parley_testing.mesh import Mesh, SignedUp

PING = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()


@pytest.fixture(scope="module")
def user(mesh: Mesh) -> SignedUp:
    return mesh.sign_up()


@asynccontextmanager
async def client(mesh: Mesh, user: SignedUp, mode: str) -> AsyncIterator[Client]:
    headers = {"authorization": user.authorization, "parley-time-zone": "Europe/Berlin"}
    async with (
        http_client(headers) as http,
        Client(streamable_http_client(f"{mesh.base_url}/mcp", http_client=http), mode=mode) as opened,
    ):
        yield opened


def post(mesh: Mesh, user: SignedUp, body: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
    return mesh.exchange("POST", "/mcp", body, headers={"authorization": user.authorization, **headers})


@pytest.mark.parametrize(("mode", "revision"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
async def test_the_official_client_finds_tools_and_uses_them(
    mesh: Mesh, user: SignedUp, mode: str, revision: str
) -> None:
    async with client(mesh, user, mode) as opened:
        assert opened.protocol_version == revision
        assert opened.server_info is not None
        assert opened.server_info.name == "parley"
        tools = {tool.name: tool for tool in (await opened.list_tools()).tools}
        assert {"create_task", "list_tasks", "delete_task"} <= set(tools)
        assert tools["list_tasks"].annotations.read_only_hint is True  # type: ignore[union-attr] # it has them
        made = await opened.call_tool("create_task", {"title": f"Buy milk ({mode})", "due_time": "2031-07-01T09:00:00"})
        assert not made.is_error
        assert made.structured_content["task"]["due_time"] == "2031-07-01T07:00:00Z", "the header names the zone"
        wrong = await opened.call_tool("create_task", {"title": ""})
        assert wrong.is_error
        listed: Any = (await opened.call_tool("list_tasks", {})).structured_content
        assert f"Buy milk ({mode})" in {task["title"] for task in listed["tasks"]}


def test_a_notification_is_accepted_with_nothing_in_it(mesh: Mesh, user: SignedUp) -> None:
    body = json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}).encode()
    status, headers, answer = post(mesh, user, body)
    assert (status, answer) == (202, b"")
    assert "content-type" not in headers
    assert "parley-http-status" not in headers


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_there_are_no_streams_and_no_sessions(mesh: Mesh, user: SignedUp, method: str) -> None:
    status, headers, _ = mesh.exchange(method, "/mcp", headers={"authorization": user.authorization})
    assert (status, headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://evil.example.com", 403),
        ("http://localhost.evil.example.com", 403),
        ("null", 403),
        ("http://localhost:3000", 200),
        ("http://127.0.0.1:8080", 200),
    ],
)
def test_pages_of_other_origins_do_not_get_in(mesh: Mesh, user: SignedUp, origin: str, status: int) -> None:
    assert post(mesh, user, PING, origin=origin)[0] == status


def test_a_missing_or_wrong_token_is_401_and_says_which_scheme(mesh: Mesh) -> None:
    for authorization in ({}, {"authorization": "Bearer nonsense"}):
        status, headers, body = mesh.exchange("POST", "/mcp", PING, headers=authorization)
        assert status == 401
        assert headers["www-authenticate"].startswith("Bearer ")
        assert json.loads(body)["code"] == 16


def test_errors_have_the_status_that_the_revision_asks_for(mesh: Mesh, user: SignedUp) -> None:
    unknown = json.dumps({"jsonrpc": "2.0", "id": "a", "method": "no/such"}).encode()
    status, headers, body = post(mesh, user, unknown)
    assert (status, headers["content-type"], json.loads(body)["error"]["code"]) == (200, "application/json", -32601)
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
    modern = json.dumps({"jsonrpc": "2.0", "id": "a", "method": "no/such", "params": {"_meta": meta}}).encode()
    status, _, body = post(mesh, user, modern, **{"mcp-protocol-version": "2026-07-28", "mcp-method": "no/such"})
    assert (status, json.loads(body)["error"]["code"]) == (404, -32601)
    status, _, body = post(mesh, user, b"[" + PING + b"]")
    assert (status, json.loads(body)["error"]["code"]) == (400, -32600)

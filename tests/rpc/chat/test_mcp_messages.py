"""McpService: what each revision of the protocol asks for, tools by the scopes of the token, an answer to all that is no message."""

from __future__ import annotations

import base64
import json
from typing import Any

import grpc
import pytest
from parley.identity.v1 import identity_service_pb2
from parley.mcp.v1 import mcp_service_pb2, mcp_service_pb2_grpc
from parley_testing.identity import SignedUp
from parley_testing.running_chat import RunningChat

META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


async def exchange(
    chat: RunningChat, authorization: str, message: object, **headers: str
) -> tuple[int, dict[str, Any] | None]:
    """The status of HTTP that is asked for, and the answer."""
    request = mcp_service_pb2.ExchangeMessageRequest()
    request.body.data = message if isinstance(message, bytes) else json.dumps(message).encode()
    metadata = [("authorization", authorization), *((key.replace("_", "-"), value) for key, value in headers.items())]
    call = mcp_service_pb2_grpc.McpServiceStub(chat.channel).ExchangeMessage(request, metadata=metadata)
    response = await call
    status = dict(await call.initial_metadata()).get("parley-http-status", "200")
    assert response.body.content_type == "application/json"
    return int(status), json.loads(response.body.data) if response.body.data else None


@pytest.fixture
def authorization(ada: SignedUp) -> str:
    return f"Bearer {ada.tokens.access_token}"


def request(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


async def result(chat: RunningChat, authorization: str, method: str, **params: Any) -> dict[str, Any]:
    status, answer = await exchange(chat, authorization, request(method, **params))
    assert status == 200
    assert answer is not None
    assert (answer["jsonrpc"], answer["id"]) == ("2.0", 1)
    found: dict[str, Any] = answer["result"]
    return found


async def modern(chat: RunningChat, authorization: str, method: str, mcp_name: str = "", **params: Any) -> Any:
    headers = {"mcp_protocol_version": "2026-07-28", "mcp_method": method} | (
        {"mcp_name": mcp_name} if mcp_name else {}
    )
    return await exchange(chat, authorization, request(method, _meta=META, **params), **headers)


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2099-01-01", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
    ],
)
async def test_a_client_begins_with_a_revision_that_both_know(
    chat: RunningChat, authorization: str, asked: str, given: str
) -> None:
    begun = await result(chat, authorization, "initialize", protocolVersion=asked, capabilities={}, clientInfo={})
    assert begun["protocolVersion"] == given
    assert begun["capabilities"] == {"tools": {"listChanged": False}}
    assert begun["serverInfo"]["name"] == "parley"
    assert await result(chat, authorization, "ping") == {}


async def test_since_2026_every_request_stands_alone(chat: RunningChat, authorization: str) -> None:
    status, answer = await modern(chat, authorization, "server/discover")
    assert status == 200
    assert "2026-07-28" in answer["result"]["supportedVersions"]
    assert (answer["result"]["resultType"], answer["result"]["cacheScope"]) == ("complete", "public")
    status, answer = await modern(chat, authorization, "tools/list")
    assert (status, answer["result"]["cacheScope"], answer["result"]["resultType"]) == (200, "private", "complete")
    status, answer = await modern(
        chat, authorization, "tools/call", "list_tasks", name="list_tasks", arguments={"page_size": 1}
    )
    assert (status, answer["result"]["isError"]) == (200, False)
    encoded = f"=?base64?{base64.b64encode(b'list_tasks').decode()}?="
    status, answer = await modern(chat, authorization, "tools/call", encoded, name="list_tasks")
    assert status == 200


async def test_tools_are_those_of_the_tokens_scopes_and_say_what_they_do(
    chat: RunningChat, ada: SignedUp, authorization: str
) -> None:
    listed = (await result(chat, authorization, "tools/list"))["tools"]
    tools = {tool["name"]: tool for tool in listed}
    assert {"create_task", "list_tasks", "delete_task", "search_documents"} <= set(tools)
    assert tools["create_task"]["inputSchema"]["required"] == ["title"]
    assert tools["list_tasks"]["annotations"]["readOnlyHint"] is True
    assert tools["create_task"]["annotations"]["destructiveHint"] is False
    assert tools["delete_task"]["annotations"] == {
        "readOnlyHint": False,
        "destructiveHint": True,
        "openWorldHint": False,
    }
    made = await chat.identity.CreateAccessToken(
        identity_service_pb2.CreateAccessTokenRequest(name="narrow", scopes=["tasks:read"]),
        metadata=(("authorization", authorization),),
    )
    narrow = f"Bearer {made.token}"
    assert [tool["name"] for tool in (await result(chat, narrow, "tools/list"))["tools"]] == ["list_tasks"]
    _, answer = await exchange(chat, narrow, request("tools/call", name="create_task", arguments={"title": "x"}))
    assert answer is not None
    assert answer["error"]["code"] == -32602
    assert "lacks its scope" in answer["error"]["message"]


async def test_a_call_takes_effect_and_a_deletion_asks_nobody(chat: RunningChat, authorization: str) -> None:
    made = await result(
        chat,
        authorization,
        "tools/call",
        name="create_task",
        arguments={"title": "Älter", "due_time": "2031-01-01T09:00"},
    )
    assert made["isError"] is False
    assert json.loads(made["content"][0]["text"]) == made["structuredContent"]
    task = made["structuredContent"]["task"]
    assert (task["title"], task["due_time"]) == ("Älter", "2031-01-01T09:00:00Z")
    deleted = await result(
        chat, authorization, "tools/call", name="delete_task", arguments={"task_id": task["task_id"]}
    )
    assert deleted["isError"] is False
    again = await result(chat, authorization, "tools/call", name="delete_task", arguments={"task_id": task["task_id"]})
    assert again["isError"] is True
    assert "error" in again["structuredContent"]


async def test_the_header_names_the_zone_of_times_without_an_offset(chat: RunningChat, authorization: str) -> None:
    message = request("tools/call", name="create_task", arguments={"title": "x", "due_time": "2031-07-01T09:00:00"})
    _, answer = await exchange(chat, authorization, message, parley_time_zone="Europe/Berlin")
    assert answer is not None
    assert answer["result"]["structuredContent"]["task"]["due_time"] == "2031-07-01T07:00:00Z"
    _, answer = await exchange(chat, authorization, message, parley_time_zone="Moon/Base")
    assert answer is not None
    assert answer["error"]["code"] == -32602


async def test_notifications_are_accepted_whatever_they_say(chat: RunningChat, authorization: str) -> None:
    for method in ("notifications/initialized", "notifications/cancelled", "no/such"):
        assert await exchange(chat, authorization, {"jsonrpc": "2.0", "method": method}) == (202, None)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff", -32700),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"a": NaN}}', -32700),
        (b"[" * 100_000, -32700),
        (b"[]", -32600),
        (b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]', -32600),
        (b"1", -32600),
        ({"id": 1, "method": "ping"}, -32600),
        ({"jsonrpc": "1.0", "id": 1, "method": "ping"}, -32600),
        ({"jsonrpc": "2.0", "id": 1}, -32600),
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, -32600),
        ({"jsonrpc": "2.0", "id": 1, "method": ""}, -32600),
        ({"jsonrpc": "2.0", "id": 1, "method": "x" * 201}, -32600),
        ({"jsonrpc": "2.0", "id": None, "method": "ping"}, -32600),
        ({"jsonrpc": "2.0", "id": 1.5, "method": "ping"}, -32600),
        ({"jsonrpc": "2.0", "id": True, "method": "ping"}, -32600),
        ({"jsonrpc": "2.0", "id": "x" * 201, "method": "ping"}, -32600),
        ({"jsonrpc": "2.0", "id": 2**63, "method": "ping"}, -32600),
        ({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []}, -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": ' + b'{"a":' * 150 + b"1" + b"}" * 151, -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"a": "' + b"x" * 1_000_000 + b'"}}', -32600),
    ],
)
async def test_what_is_no_message_is_told_so(chat: RunningChat, authorization: str, message: object, code: int) -> None:
    status, answer = await exchange(chat, authorization, message)
    assert status == 400
    assert answer is not None
    assert (answer["id"], answer["error"]["code"]) == (None, code)
    assert answer["error"]["message"]


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("resources/list", {}, -32601),
        ("server/discover", {}, -32601),
        ("initialize", {}, -32602),
        ("tools/list", {"cursor": "x"}, -32602),
        ("tools/call", {}, -32602),
        ("tools/call", {"name": "no_such_tool"}, -32602),
        ("tools/call", {"name": ["list_tasks"]}, -32602),
        ("tools/call", {"name": "list_tasks", "arguments": []}, -32602),
        ("tools/call", {"name": "create_task", "arguments": {"title": "\ud800"}}, -32602),
    ],
)
async def test_what_a_method_does_not_take_is_an_error_with_the_id(
    chat: RunningChat, authorization: str, method: str, params: dict[str, Any], code: int
) -> None:
    status, answer = await exchange(
        chat, authorization, {"jsonrpc": "2.0", "id": "a-1", "method": method, "params": params}
    )
    assert status == 200
    assert answer is not None
    assert (answer["id"], answer["error"]["code"]) == ("a-1", code)


@pytest.mark.parametrize(
    ("headers", "params", "code", "status"),
    [
        ({"mcp_protocol_version": "2020-01-01"}, {}, -32022, 400),
        ({"mcp_protocol_version": "2026-07-28", "mcp_method": "tools/list"}, {}, -32602, 400),
        ({"mcp_protocol_version": "2026-07-28"}, {"_meta": META}, -32020, 400),
        ({"mcp_protocol_version": "2026-07-28", "mcp_method": "tools/call"}, {"_meta": META}, -32020, 400),
        (
            {"mcp_protocol_version": "2026-07-28", "mcp_method": "tools/list"},
            {"_meta": {**META, "io.modelcontextprotocol/protocolVersion": "2025-11-25"}},
            -32020,
            400,
        ),
    ],
)
async def test_what_the_headers_say_has_to_fit(
    chat: RunningChat, authorization: str, headers: dict[str, str], params: dict[str, Any], code: int, status: int
) -> None:
    found, answer = await exchange(chat, authorization, request("tools/list", **params), **headers)
    assert answer is not None
    assert (found, answer["error"]["code"], answer["id"]) == (status, code, 1)


async def test_a_tool_that_the_headers_name_is_the_one_that_is_called(chat: RunningChat, authorization: str) -> None:
    for name in ("delete_task", "=?base64?!?=", "=?base64?/w==?="):
        status, answer = await modern(chat, authorization, "tools/call", name, name="list_tasks")
        assert (status, answer["error"]["code"]) == (400, -32020)
    status, answer = await modern(chat, authorization, "ping")
    assert (status, answer["error"]["code"]) == (404, -32601)


async def test_nobody_gets_in_without_a_token(chat: RunningChat) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await exchange(chat, "Bearer nonsense", request("ping"))
    assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED

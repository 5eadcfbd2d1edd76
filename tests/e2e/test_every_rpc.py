"""Every rpc of the contract through the edge: who gets in, and what becomes of input that no client should send.

The list comes from the contract, so an rpc that is added is tested from its first day.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from parley.access.v1 import access_pb2
from parley.ai.v1 import agent_service_pb2, content_service_pb2, generation_service_pb2
from parley.chat.v1 import batch_service_pb2, chat_service_pb2, tool_service_pb2
from parley.events.v1 import event_service_pb2, webhook_service_pb2
from parley.flags.v1 import flag_service_pb2
from parley.identity.v1 import identity_service_pb2, identity_service_pb2_grpc
from parley.inference.v1 import agent_service_pb2 as inference_agents
from parley.inference.v1 import content_service_pb2 as inference_content
from parley.inference.v1 import embedding_service_pb2, inference_service_pb2, model_service_pb2, scoring_service_pb2
from parley.inference.v1 import span_service_pb2 as inference_spans
from parley.mcp.v1 import mcp_service_pb2
from parley.openai.v1 import openai_service_pb2, response_service_pb2
from parley.retrieval.v1 import (
    document_service_pb2,
    index_service_pb2,
    ingest_service_pb2,
    recommendation_service_pb2,
    search_service_pb2,
)
from parley.retrieval.v1 import span_service_pb2 as retrieval_spans
from parley.system.v1 import system_service_pb2
from parley.telemetry.v1 import trace_service_pb2
from parley.usage.v1 import usage_service_pb2
from parley.workspace.v1 import calendar_service_pb2, meeting_bot_service_pb2, project_service_pb2, task_service_pb2
from parley_shared.status import status_error_from
from parley_testing.mesh import Mesh, SignedUp
from parley_testing.tools import require_tool

FILES = (
    batch_service_pb2,
    chat_service_pb2,
    tool_service_pb2,
    identity_service_pb2,
    system_service_pb2,
    generation_service_pb2,
    agent_service_pb2,
    content_service_pb2,
    openai_service_pb2,
    response_service_pb2,
    mcp_service_pb2,
    document_service_pb2,
    index_service_pb2,
    ingest_service_pb2,
    search_service_pb2,
    recommendation_service_pb2,
    inference_service_pb2,
    model_service_pb2,
    embedding_service_pb2,
    scoring_service_pb2,
    inference_agents,
    inference_content,
    inference_spans,
    retrieval_spans,
    trace_service_pb2,
    calendar_service_pb2,
    project_service_pb2,
    task_service_pb2,
    event_service_pb2,
    webhook_service_pb2,
    flag_service_pb2,
    meeting_bot_service_pb2,
    usage_service_pb2,
)


@dataclass(frozen=True)
class Rpc:
    """One rpc of the contract."""

    method: MethodDescriptor

    @property
    def path(self) -> str:
        return f"/{self.method.containing_service.full_name}/{self.method.name}"

    @property
    def served_by(self) -> str:
        package = self.path.split(".")[1]
        return package if package in {"inference", "retrieval"} else "chat"

    @property
    def rule(self) -> access_pb2.AccessRule:
        return self.method.GetOptions().Extensions[access_pb2.rule]

    @property
    def http(self) -> tuple[str, str] | None:
        rule = self.method.GetOptions().Extensions[annotations_pb2.http]
        verb = rule.WhichOneof("pattern")
        return (verb.upper(), getattr(rule, verb)) if verb else None

    def strings(self) -> list[str]:
        """The request's own fields of text."""
        return [
            field.name
            for field in self.method.input_type.fields
            if field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated
        ]

    async def call(self, channel: grpc.aio.Channel, request: bytes, metadata: Any) -> None:
        """Calls it with bytes as they are and reads the answer to its end."""
        if self.method.server_streaming:
            stream = channel.unary_stream(self.path, request_serializer=bytes, response_deserializer=bytes)
            async for _ in stream(request, metadata=metadata, timeout=20):
                pass
        else:
            unary = channel.unary_unary(self.path, request_serializer=bytes, response_deserializer=bytes)
            await unary(request, metadata=metadata, timeout=20)


RPCS = [
    Rpc(method) for file in FILES for service in file.DESCRIPTOR.services_by_name.values() for method in service.methods
]
OPEN = [rpc for rpc in RPCS if rpc.rule.WhichOneof("admits") == "anonymous"]
GUARDED = [rpc for rpc in RPCS if rpc not in OPEN]
PUBLIC = [rpc for rpc in RPCS if rpc.http]
ANY_TOKEN = [rpc for rpc in GUARDED if rpc.rule.any_token]
FOR_SERVICES = [rpc for rpc in GUARDED if rpc.rule.scope in {"inference:invoke", "index:read", "index:write"}]


def name(value: object) -> str:
    return value.path if isinstance(value, Rpc) else str(value)


@pytest.fixture(scope="module")
def user(mesh: Mesh) -> SignedUp:
    """An admin: what is refused to one is refused to all, and what admins call is called too."""
    return mesh.make_admin(mesh.sign_up())


@pytest.fixture
async def channel(mesh: Mesh) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(mesh.grpc_address) as opened:
        yield opened


def test_the_list_is_the_whole_contract() -> None:
    from importlib.resources import files

    contract = descriptor_pb2.FileDescriptorSet.FromString(files("parley").joinpath("contract.binpb").read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in contract.file:
        pool.Add(file)
    names = {
        f"/{file.package}.{service.name}/{method.name}"
        for file in contract.file
        if file.package.startswith("parley.")
        for service in file.service
        for method in service.method
    }
    assert names == {rpc.path for rpc in RPCS}


@pytest.mark.parametrize("rpc", GUARDED, ids=name)
@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer ", "Bearer nonsense", "Basic dXNlcjpwYXNz", "Bearer eyJhbGciOiJub25lIn0.e30."]
)
async def test_without_a_good_token_nobody_gets_in(
    mesh: Mesh, channel: grpc.aio.Channel, rpc: Rpc, authorization: str | None
) -> None:
    metadata = [("x-parley-user-id", "usr_" + "0" * 32)]
    if authorization is not None:
        metadata.append(("authorization", authorization))
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await rpc.call(channel, b"", metadata)
    assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED
    # Past the edge, at the service's own port, it is no different.
    async with grpc.aio.insecure_channel(mesh.address(rpc.served_by)) as direct:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await rpc.call(direct, b"", metadata)
    assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.fixture(scope="module")
def bad_tokens(mesh: Mesh, user: SignedUp) -> dict[str, str]:
    """What the installation's own key has signed, or another one of the same name, and is not to be let in."""
    head = jwt.get_unverified_header(user.token)
    good = jwt.decode(user.token, options={"verify_signature": False})
    own = (mesh.home / "keys" / "signing.pem").read_bytes()
    foreign = ec.generate_private_key(ec.SECP256R1())

    def signed(key: Any, **claims: Any) -> str:
        return jwt.encode(good | claims, key, algorithm="ES256", headers={"kid": head["kid"]})

    return {
        "expired": signed(own, iat=1, exp=1000),
        "for another audience": signed(own, aud="another"),
        "of another issuer": signed(own, iss="https://another.example"),
        "of another key": signed(foreign),
    }


@pytest.mark.parametrize("rpc", GUARDED, ids=name)
async def test_a_token_that_is_old_or_for_others_or_of_others_opens_nothing(
    mesh: Mesh, channel: grpc.aio.Channel, bad_tokens: dict[str, str], rpc: Rpc
) -> None:
    async with grpc.aio.insecure_channel(mesh.address(rpc.served_by)) as direct:
        for why, token in bad_tokens.items():
            for place in (channel, direct):
                with pytest.raises(grpc.aio.AioRpcError) as refusal:
                    await rpc.call(place, b"", [("authorization", f"Bearer {token}")])
                # Envoy says of a token for another audience that it is for somebody else.
                expected = {grpc.StatusCode.UNAUTHENTICATED}
                if place is channel and why == "for another audience":
                    expected.add(grpc.StatusCode.PERMISSION_DENIED)
                assert refusal.value.code() in expected, why


@pytest.mark.parametrize("rpc", FOR_SERVICES, ids=name)
async def test_a_user_does_not_get_where_only_services_may(user: SignedUp, channel: grpc.aio.Channel, rpc: Rpc) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await rpc.call(channel, b"", user.metadata)
    assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED
    error = status_error_from(refusal.value)
    assert error.reason == "ERROR_REASON_SCOPE_MISSING"
    assert error.metadata["scope"] == rpc.rule.scope


@pytest.mark.parametrize("rpc", [rpc for rpc in GUARDED if rpc not in FOR_SERVICES + ANY_TOKEN], ids=name)
async def test_a_token_without_the_scope_is_refused(
    mesh: Mesh, user: SignedUp, channel: grpc.aio.Channel, rpc: Rpc
) -> None:
    other = "identity:read" if rpc.rule.scope != "identity:read" else "chat:read"
    made = await identity_service_pb2_grpc.IdentityServiceStub(channel).CreateAccessToken(
        identity_service_pb2.CreateAccessTokenRequest(name="narrow", scopes=[other]), metadata=user.metadata
    )
    async with grpc.aio.insecure_channel(mesh.address(rpc.served_by)) as direct:
        for place in (channel, direct):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await rpc.call(place, b"", [("authorization", f"Bearer {made.token}")])
            assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED
            assert status_error_from(refusal.value).metadata["scope"] == rpc.rule.scope


@pytest.mark.parametrize("rpc", PUBLIC, ids=name)
async def test_bytes_that_are_no_message_are_refused_and_named_so(
    user: SignedUp, channel: grpc.aio.Channel, rpc: Rpc
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await rpc.call(channel, b"\xff\xff\xff\xff", user.metadata)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "Traceback" not in (refusal.value.details() or "")


@pytest.mark.parametrize("rpc", PUBLIC, ids=name)
async def test_a_message_that_is_too_large_is_refused(user: SignedUp, channel: grpc.aio.Channel, rpc: Rpc) -> None:
    # An unknown field of five megabytes: every message can carry it.
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await rpc.call(channel, b"\xfa\xff\x01" + b"\xc0\xcb\xb1\x02" + b"x" * 5_000_000, user.metadata)
    assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


TEXTS = [(rpc, field) for rpc in PUBLIC for field in rpc.strings()]


@pytest.mark.parametrize(("rpc", "field"), TEXTS, ids=name)
async def test_a_text_that_is_too_long_is_refused_and_its_field_named(
    user: SignedUp, channel: grpc.aio.Channel, rpc: Rpc, field: str
) -> None:
    message = message_factory.GetMessageClass(rpc.method.input_type)(**{field: "x" * 3_100_000})
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await rpc.call(channel, message.SerializeToString(), user.metadata)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    error = status_error_from(refusal.value)
    assert field in {violation[0] for violation in error.violations}
    assert len(refusal.value.details() or "") < 2000, "the text is not sent back"


def rest_call(rpc: Rpc) -> tuple[str, str]:
    """The verb and the path, with an x for each variable."""
    assert rpc.http
    return rpc.http[0], re.sub(r"\{\w+\}", "x", rpc.http[1])


def rest(mesh: Mesh, rpc: Rpc, body: bytes | None, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    verb, path = rest_call(rpc)
    connection = http.client.HTTPConnection(mesh.grpc_address, timeout=20)
    try:
        connection.request(verb, path, body, {"content-type": "application/json", **headers})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def check_error(rpc: Rpc, body: dict[str, Any], code: int) -> None:
    """An error is told as a status with this code, and to OpenAI's and MCP's clients as theirs are."""
    if rpc.path.startswith("/parley.openai."):
        body = body["error"]
        assert body.keys() == {"message", "type", "param", "code"}
    elif rpc.path.startswith("/parley.mcp.") and "jsonrpc" in body:
        body = body["error"]
        assert body["code"] in {-32700, -32600}
    else:
        assert body["code"] == code
    assert body["message"]


@pytest.mark.parametrize("rpc", [rpc for rpc in PUBLIC if rpc in GUARDED], ids=name)
def test_over_rest_a_missing_token_is_401_with_a_json_body(mesh: Mesh, rpc: Rpc) -> None:
    status, body = rest(mesh, rpc, b"{}" if rpc.http and rpc.http[0] in {"POST", "PATCH"} else None, {})
    assert status == 401
    check_error(rpc, body, 16)


WITH_BODY = [rpc for rpc in PUBLIC if rpc.http and rpc.http[0] in {"POST", "PATCH"}]


@pytest.mark.parametrize("rpc", WITH_BODY, ids=name)
@pytest.mark.parametrize("body", [b"{", b"[1, 2]", b'{"a": "\xff"}', b"null garbage"])
def test_over_rest_a_body_that_is_no_json_object_is_400_with_a_json_body(
    mesh: Mesh, user: SignedUp, rpc: Rpc, body: bytes
) -> None:
    status, answer = rest(mesh, rpc, body, {"authorization": user.authorization})
    assert status == 400, answer
    check_error(rpc, answer, 3)


@pytest.mark.parametrize("rpc", [rpc for rpc in WITH_BODY if not rpc.method.client_streaming], ids=name)
def test_over_rest_a_body_that_is_too_large_is_413_with_a_json_body(
    mesh: Mesh, user: SignedUp, rpc: Rpc, tmp_path: Path
) -> None:
    # curl reads while it sends; a client that does not, loses the answer with the connection.
    verb, path = rest_call(rpc)
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"unknown": "x" * 8_000_000}))
    command = [require_tool("curl"), "-sS", "-X", verb, f"{mesh.base_url}{path}", "--data-binary", f"@{body}"]
    command += ["-H", f"authorization: {user.authorization}", "-H", "content-type: application/json"]
    done = subprocess.run([*command, "-w", "\n%{http_code}"], capture_output=True, text=True, check=True)
    answer, status = done.stdout.rsplit("\n", 1)
    assert status == "413"
    check_error(rpc, json.loads(answer), 8)

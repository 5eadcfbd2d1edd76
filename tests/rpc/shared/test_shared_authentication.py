"""Who may call is what the contract says, in every service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from parley.system.v1 import system_service_pb2, system_service_pb2_grpc
from parley_shared.interceptors import ParleyInterceptor, authentication
from parley_shared.status import service_unavailable, status_error_from
from parley_shared.tokens import Principal, TokenVerifier, current_principal
from parley_testing.tokens import TestKeys
from parley_testing.toy_service import Request, Response, StreamRequest, Toy, message, running_toy


async def refusal(call: Any) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = status_error_from(caught.value)
    return error.code, error.reason, error.metadata


async def test_a_call_without_a_token_is_refused_before_its_handler_sees_it(toy: Toy) -> None:
    seen = []

    async def unary(request: Request, context: Any) -> Response:
        seen.append(request)
        return Response()

    toy.servicer.unary = unary
    for metadata in ((), (("authorization", "Basic dXNlcg=="),), (("authorization", "Bearer "),)):
        code, reason, _ = await refusal(toy.stub.Generate(Request(), metadata=metadata))
        assert (code, reason) == (grpc.StatusCode.UNAUTHENTICATED, "ERROR_REASON_TOKEN_MISSING")
    assert seen == []


async def test_a_wrong_token_and_an_expired_one_are_told_apart(toy: Toy) -> None:
    code, reason, _ = await refusal(toy.stub.Generate(Request(), metadata=(("authorization", "Bearer x.y.z"),)))
    assert (code, reason) == (grpc.StatusCode.UNAUTHENTICATED, "ERROR_REASON_TOKEN_INVALID")
    code, reason, _ = await refusal(toy.stub.Generate(Request(), metadata=toy.token(exp=1)))
    assert (code, reason) == (grpc.StatusCode.UNAUTHENTICATED, "ERROR_REASON_TOKEN_EXPIRED")


async def test_a_token_without_the_scope_of_the_rpc_is_refused_and_the_scope_named(toy: Toy) -> None:
    code, reason, metadata = await refusal(
        toy.stub.Generate(Request(), metadata=toy.token(scope="chat:read inference:invoked"))
    )
    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "ERROR_REASON_SCOPE_MISSING")
    assert metadata == {"scope": "inference:invoke"}


async def test_the_handler_knows_who_calls_also_between_the_messages_of_a_stream(toy: Toy) -> None:
    async def stream(request: StreamRequest, context: Any) -> Any:
        yield message(current_principal().user_id)
        await asyncio.sleep(0)
        yield message(current_principal().user_id)

    toy.servicer.stream = stream

    async def users(user_id: str) -> set[str]:
        call = toy.stub.StreamGenerate(StreamRequest(), metadata=toy.token(user_id))
        return {response.text_delta async for response in call}

    everybody = [f"usr_{i}" for i in range(20)]
    assert await asyncio.gather(*map(users, everybody)) == [{user} for user in everybody]


async def test_the_scheme_may_be_written_in_any_case(toy: Toy) -> None:
    ((key, value),) = toy.token()
    await toy.stub.Generate(Request(), metadata=((key, value.replace("Bearer", "bearer")),))


def test_nobody_is_known_outside_of_a_call() -> None:
    with pytest.raises(LookupError):
        current_principal()


async def test_health_is_open_to_everybody(toy: Toy) -> None:
    await toy.health.Check(health_pb2.HealthCheckRequest())


class AnySystem(system_service_pb2_grpc.SystemServiceServicer):
    async def GetHealth(self, request: Any, context: Any) -> system_service_pb2.GetHealthResponse:
        return system_service_pb2.GetHealthResponse()

    async def GetStatus(self, request: Any, context: Any) -> system_service_pb2.GetStatusResponse:
        raise AssertionError

    def WatchStatus(self, request: Any, context: Any) -> AsyncIterator[system_service_pb2.WatchStatusResponse]:
        raise AssertionError

    async def RunSelfTest(self, request: Any, context: Any) -> system_service_pb2.RunSelfTestResponse:
        raise AssertionError


async def test_an_anonymous_rpc_needs_no_token_and_an_rpc_outside_of_the_contract_is_refused_to_everybody(
    tmp_path: Path,
) -> None:
    keys = TestKeys(tmp_path)
    verifier = TokenVerifier(keys.jwks_file, "parley", "parley")
    interceptor = ParleyInterceptor(
        verifier=verifier, to_status_error=lambda error: None, stream_idle_seconds=1, max_streams_per_user=1
    )
    server = grpc.aio.server(interceptors=[interceptor])
    system_service_pb2_grpc.add_SystemServiceServicer_to_server(AnySystem(), server)

    async def unruled(request: bytes, context: Any) -> bytes:
        raise AssertionError

    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(unruled)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("parley.new.v1.New", {"Do": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await system_service_pb2_grpc.SystemServiceStub(channel).GetHealth(system_service_pb2.GetHealthRequest())
        do: Any = channel.unary_unary("/parley.new.v1.New/Do")
        token = (("authorization", f"Bearer {keys.mint('usr_1', ['chat:read', ''])}"),)
        code, _, _ = await refusal(do(b"", metadata=token))
        assert code == grpc.StatusCode.PERMISSION_DENIED
        code, _, _ = await refusal(do(b""))
        assert code == grpc.StatusCode.UNAUTHENTICATED
    await server.stop(None)


@pytest.fixture
def asked_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "AGAIN_SECONDS", 0.05)


async def read_on(call: Any) -> None:
    """Reads until the stream ends."""
    async with asyncio.timeout(60):
        while await call.read() is not grpc.aio.EOF:
            pass


async def endless(request: StreamRequest, context: Any) -> Any:
    while True:
        yield message("still here")
        await asyncio.sleep(0.02)


class Doorkeeper:
    """Says whether tokens are revoked and what is left of them, as a test wants it."""

    def __init__(self) -> None:
        self.revoked = False
        self.is_away = False
        self.asked = 0
        self.scopes = frozenset({"inference:invoke"})

    async def is_revoked(self, principal: Principal) -> bool:
        self.asked += 1
        if self.is_away:
            raise service_unavailable("chat")
        return self.revoked

    async def narrowed(self, principal: Principal) -> Principal:
        return replace(principal, scopes=principal.scopes & self.scopes)


@pytest.fixture
async def kept(tmp_path: Path, asked_again_soon: None) -> AsyncIterator[tuple[Toy, Doorkeeper]]:
    keeper = Doorkeeper()
    async with running_toy(tmp_path, is_revoked=keeper.is_revoked, narrowed=keeper.narrowed) as toy:
        toy.servicer.stream = endless
        yield toy, keeper


@pytest.mark.parametrize("what", ["revoked", "narrowed"])
async def test_a_stream_ends_when_its_token_is_revoked_or_loses_the_scope(
    kept: tuple[Toy, Doorkeeper], what: str
) -> None:
    toy, keeper = kept
    call: Any = toy.stub.StreamGenerate(StreamRequest(), metadata=toy.token())
    assert (await call.read()).text_delta == "still here"
    if what == "revoked":
        keeper.revoked = True
    else:
        keeper.scopes = frozenset()
    code, reason, _ = await refusal(read_on(call))
    assert (code, reason) == {
        "revoked": (grpc.StatusCode.UNAUTHENTICATED, "ERROR_REASON_TOKEN_INVALID"),
        "narrowed": (grpc.StatusCode.PERMISSION_DENIED, "ERROR_REASON_SCOPE_MISSING"),
    }[what]


async def test_a_stream_goes_on_while_nobody_can_say_whether_its_token_is_good(kept: tuple[Toy, Doorkeeper]) -> None:
    toy, keeper = kept
    call: Any = toy.stub.StreamGenerate(StreamRequest(), metadata=toy.token())
    await call.read()
    keeper.is_away = True
    before = keeper.asked
    while keeper.asked < before + 3:
        assert (await call.read()).text_delta == "still here"
    keeper.is_away = False
    keeper.revoked = True
    assert (await refusal(read_on(call)))[0] is grpc.StatusCode.UNAUTHENTICATED

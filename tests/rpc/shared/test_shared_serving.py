"""A server's life: it says where it listens and what with, serves health and reflection, and drains."""

from __future__ import annotations

import asyncio
import logging
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from parley_shared.serving import build_server
from parley_shared.settings import Environment, ServiceSettings, SettingsError
from parley_shared.tokens import TokenVerifier
from parley_testing.toy_service import NAME, Request, StreamRequest, Toy, message, running_toy

Health = health_pb2.HealthCheckResponse


async def health(toy: Toy, service: str) -> int:
    response = await toy.health.Check(health_pb2.HealthCheckRequest(service=service))
    return int(response.status)


async def rest_of(call: Any) -> list[Any]:
    """What is left of a stream that was begun with `read()`."""
    messages = []
    while (response := await call.read()) is not grpc.aio.EOF:
        messages.append(response)
    return messages


async def test_health_is_told_for_the_whole_and_for_each_service(toy: Toy) -> None:
    assert await health(toy, "") == Health.SERVING
    assert await health(toy, NAME) == Health.SERVING
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health(toy, "no.Such")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_a_service_that_is_not_here_can_be_watched(toy: Toy) -> None:
    call = toy.health.Watch(health_pb2.HealthCheckRequest(service="no.Such"))
    first = await call.read()
    call.cancel()
    assert isinstance(first, Health)
    assert first.status == Health.SERVICE_UNKNOWN


async def test_a_watcher_is_told_the_release_of_the_service(toy: Toy) -> None:
    call = toy.health.Watch(health_pb2.HealthCheckRequest())
    metadata = dict(await call.initial_metadata())
    call.cancel()
    assert metadata["x-parley-version"] == version("parley-inference")


async def test_a_watcher_is_not_taken_for_an_idle_stream(tmp_path: Path) -> None:
    async with running_toy(tmp_path, PARLEY_STREAM_IDLE_SECONDS="0.1") as toy:
        call = toy.health.Watch(health_pb2.HealthCheckRequest())
        await call.read()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(call.read())), 0.4)
        assert not call.done()
        call.cancel()


async def test_a_drain_tells_watchers_first_lets_running_calls_finish_and_takes_no_more(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def stream(request: StreamRequest, context: Any) -> Any:
        yield message("before")
        await go_on.wait()
        yield message("after")

    async with running_toy(tmp_path, PARLEY_DRAIN_SECONDS="30") as toy:
        toy.servicer.stream = stream
        watch = toy.health.Watch(health_pb2.HealthCheckRequest(service=NAME))
        states = [await watch.read()]
        call = toy.stub.StreamGenerate(StreamRequest(), metadata=toy.token())
        texts: list[Any] = [await call.read()]
        draining = asyncio.create_task(toy.server.drain())
        states += await rest_of(watch)  # it ends, instead of holding up the drain
        assert [state.status for state in states] == [Health.SERVING, Health.NOT_SERVING]
        assert not draining.done()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await toy.stub.Generate(Request(), metadata=toy.token())
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        go_on.set()
        texts += await rest_of(call)
        assert [text.text_delta for text in texts] == ["before", "after"]
        await asyncio.wait_for(draining, 10)
        await asyncio.wait_for(toy.server.wait(), 10)


async def test_a_service_that_gave_notice_says_so_and_still_takes_calls(tmp_path: Path) -> None:
    async with running_toy(tmp_path, PARLEY_DRAIN_NOTICE_SECONDS="60") as toy:
        watch = toy.health.Watch(health_pb2.HealthCheckRequest(service=NAME))
        await watch.read()
        notice = asyncio.create_task(toy.server.give_notice())
        assert [state.status for state in await rest_of(watch)] == [Health.NOT_SERVING]
        await toy.stub.Generate(Request(), metadata=toy.token())
        assert not notice.done()
        notice.cancel()


async def test_a_call_that_outlasts_the_drain_is_cut_and_its_generator_closed(tmp_path: Path) -> None:
    closed = asyncio.Event()

    async def stream(request: StreamRequest, context: Any) -> Any:
        try:
            yield message("one")
            await asyncio.Event().wait()
        finally:
            closed.set()

    async with running_toy(tmp_path, PARLEY_DRAIN_SECONDS="0.1") as toy:
        toy.servicer.stream = stream
        call = toy.stub.StreamGenerate(StreamRequest(), metadata=toy.token())
        await call.read()
        await asyncio.wait_for(toy.server.drain(), 10)
        await asyncio.wait_for(closed.wait(), 10)
        assert await call.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


async def test_draining_twice_is_no_harm(tmp_path: Path) -> None:
    async with running_toy(tmp_path) as toy:
        await asyncio.gather(toy.server.drain(), toy.server.drain())
        await toy.server.drain()


async def test_reflection_describes_what_is_served(toy: Toy) -> None:
    async def questions() -> Any:
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        yield reflection_pb2.ServerReflectionRequest(file_containing_symbol=NAME)
        yield reflection_pb2.ServerReflectionRequest(file_containing_symbol=f"{NAME}.Generate")
        yield reflection_pb2.ServerReflectionRequest(file_containing_symbol=f"{NAME}.Nothing")

    call = toy.reflection.ServerReflectionInfo(questions())
    listed, described, of_rpc, of_nothing = [answer async for answer in call]
    assert {service.name for service in listed.list_services_response.service} == {
        NAME,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    assert described.file_descriptor_response.file_descriptor_proto
    assert of_rpc.file_descriptor_response == described.file_descriptor_response
    assert of_nothing.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_reflection_describes_what_others_serve_when_it_is_asked_to(tmp_path: Path) -> None:
    settings = ServiceSettings.read(
        Environment({"PARLEY_CHAT_PORT": "0", "PARLEY_HOME": str(tmp_path)}), service="chat", default_port=0
    )
    verifier = TokenVerifier(settings.jwks_file, "parley", "parley")
    server = build_server(settings, [], verifier=verifier, to_status_error=lambda error: None, also_reflected=[NAME])
    await server.start()

    async def questions() -> Any:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(cast(Any, channel))
        call = stub.ServerReflectionInfo(questions())
        (listed,) = [answer async for answer in call]
        assert NAME in {service.name for service in listed.list_services_response.service}
    await server.drain()


async def test_a_start_says_where_it_listens_and_every_setting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "parley")
    async with running_toy(tmp_path) as toy:
        said = [record.getMessage() for record in caplog.records]
        assert said[0] == f"inference listens on 127.0.0.1:{toy.server.port}"
    assert said[1].startswith("inference uses ")
    assert f"home = {tmp_path}," in said[1]
    assert "otlp_endpoint = [not set]," in said[1]


async def test_a_taken_port_is_one_line_that_names_it_and_its_setting_and_is_not_shared(
    toy: Toy, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as caught:
        async with running_toy(tmp_path, PARLEY_INFERENCE_PORT=str(toy.server.port)):
            pass
    assert caught.value.variable == "PARLEY_INFERENCE_PORT"
    assert str(caught.value) == (
        f"inference cannot listen on 127.0.0.1:{toy.server.port}: the port is taken. Set PARLEY_INFERENCE_PORT to another."
    )


@pytest.mark.parametrize("host", ["203.0.113.77", "no.such.host.invalid", "nonsense host"])
async def test_an_address_that_is_not_this_machines_is_one_line_that_names_its_setting(
    tmp_path: Path, host: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        async with running_toy(tmp_path, PARLEY_HOST=host):
            pass
    assert caught.value.variable == "PARLEY_HOST"
    assert "\n" not in str(caught.value)

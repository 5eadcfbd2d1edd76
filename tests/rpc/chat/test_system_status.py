"""The status of the whole: services, providers and queues, told once and watched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from parley.ai.v1 import generation_service_pb2 as pb_ai
from parley.chat.v1 import chat_service_pb2
from parley.inference.v1 import model_service_pb2
from parley.retrieval.v1 import ingest_service_pb2, ingest_service_pb2_grpc
from parley.system.v1 import system_service_pb2 as pb
from parley_chat.adapters.sql_work_queues import SqlWorkQueues
from parley_chat.operations import system_status
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedInference

SECONDS = 60
Status = pb.GetStatusResponse


class CountingRetrieval(ingest_service_pb2_grpc.IngestServiceServicer):
    """A retrieval that only says how much there is to do."""

    def __init__(self) -> None:
        self.waiting, self.running = 3, 1

    async def GetIngestionQueue(self, request: Any, context: Any) -> ingest_service_pb2.GetIngestionQueueResponse:
        return ingest_service_pb2.GetIngestionQueueResponse(waiting_count=self.waiting, running_count=self.running)


@pytest.fixture
async def retrieval() -> AsyncIterator[tuple[CountingRetrieval, str]]:
    servicer = CountingRetrieval()  # type: ignore[abstract] # nobody asks it for anything else
    server = grpc.aio.server()
    ingest_service_pb2_grpc.add_IngestServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield servicer, f"127.0.0.1:{port}"
    await server.stop(None)


@pytest.fixture
async def seen(
    tmp_path: Path,
    inference: ScriptedInference,
    retrieval: tuple[CountingRetrieval, str],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[RunningChat]:
    """A chat that looks at everything ten times a second."""
    monkeypatch.setattr(system_status, "LOOK_SECONDS", 0.1)
    async with running_chat(tmp_path, inference=inference.address, retrieval=retrieval[1]) as chat:
        yield chat


class Watcher:
    """Reads a stream of states."""

    def __init__(self, chat: RunningChat, person: Person) -> None:
        self.call: Any = chat.system.WatchStatus(pb.WatchStatusRequest(), metadata=person.metadata)
        self.status = Status()

    async def next(self) -> pb.WatchStatusResponse:
        async with asyncio.timeout(SECONDS):
            message = await self.call.read()
        assert isinstance(message, pb.WatchStatusResponse)
        self.status = message.status
        return message

    async def until(self, wanted: Callable[[Status], bool]) -> Status:
        """Reads on until the status is as it should be; what is so already is not told again."""
        while not wanted(self.status):
            await self.next()
        return self.status


def service(status: Status, name: str) -> pb.ServiceStatus:
    return next((each for each in status.services if each.service == name), pb.ServiceStatus())


def queues(status: Status) -> dict[str, tuple[str, int, int]]:
    return {queue.name: (queue.service, queue.waiting_count, queue.running_count) for queue in status.queues}


def is_up(status: Status) -> bool:
    return service(status, "inference").state == pb.SERVING_STATE_SERVING and status.default_model != ""


async def test_the_status_tells_services_providers_and_queues(seen: RunningChat, inference: ScriptedInference) -> None:
    retry_time = Timestamp(seconds=4_000_000_000)
    inference.providers = [
        model_service_pb2.Provider(
            provider="scripted",
            kind="openai",
            state=model_service_pb2.PROVIDER_STATE_OPEN,
            circuit=model_service_pb2.CIRCUIT_STATE_OPEN,
            retry_time=retry_time,
            last_failure_reason="ERROR_REASON_PROVIDER_UNAVAILABLE",
            running_calls=2,
            waiting_calls=1,
        )
    ]
    ada = await seen.sign_up()
    watcher = Watcher(seen, ada)
    # Watched, because a single report leaves out what did not answer in time.
    status = await watcher.until(lambda found: is_up(found) and len(found.providers) == 1 and len(found.queues) == 3)
    watcher.call.cancel()
    once = await seen.system.GetStatus(pb.GetStatusRequest(), metadata=ada.metadata)
    for found in (status, once):
        assert [each.service for each in found.services] == ["chat", "inference", "retrieval"]
    chat = service(status, "chat")
    assert chat.state == pb.SERVING_STATE_SERVING
    assert chat.version
    assert chat.state_change_time.seconds > 0
    assert chat.check_time == status.time
    assert service(status, "inference").check_time.seconds > 0
    assert list(status.providers) == [
        pb_ai.ProviderHealth(
            provider="scripted",
            kind="openai",
            state=pb_ai.PROVIDER_STATE_OPEN,
            circuit=pb_ai.CIRCUIT_STATE_OPEN,
            retry_time=retry_time,
            last_failure_reason="ERROR_REASON_PROVIDER_UNAVAILABLE",
            running_calls=2,
            waiting_calls=1,
        )
    ]
    assert queues(status) == {"turns": ("chat", 0, 0), "batches": ("chat", 0, 0), "ingestion": ("retrieval", 3, 1)}
    assert [queue.name for queue in status.queues] == ["turns", "batches", "ingestion"]
    assert status.default_model == "scripted-1"


async def test_a_watcher_is_told_each_change_and_since_when(
    seen: RunningChat, inference: ScriptedInference, retrieval: tuple[CountingRetrieval, str]
) -> None:
    watcher = Watcher(seen, await seen.sign_up())
    assert (await watcher.next()).changed
    up = await watcher.until(is_up)
    retrieval[0].waiting = 0
    await watcher.until(lambda status: queues(status).get("ingestion") == ("retrieval", 0, 1))
    await inference.stop()
    down = await watcher.until(lambda status: service(status, "inference").state == pb.SERVING_STATE_UNREACHABLE)
    since = [service(each, "inference").state_change_time.ToDatetime() for each in (up, down)]
    assert since[0] < since[1]
    assert down.state == pb.SERVING_STATE_NOT_SERVING
    # What was known of it is not told any more.
    gone = await watcher.until(lambda status: not status.providers)
    assert not gone.default_model or service(gone, "inference").state == pb.SERVING_STATE_UNREACHABLE
    await inference.start()
    await watcher.until(lambda status: is_up(status) and len(status.providers) == 1)
    watcher.call.cancel()


async def test_a_turn_is_counted_while_it_runs(seen: RunningChat, inference: ScriptedInference) -> None:
    ada = await seen.sign_up()
    watcher = Watcher(seen, ada)
    await watcher.until(is_up)
    stream: Any = seen.chat.StreamReply(chat_service_pb2.StreamReplyRequest(message="Hi"), metadata=ada.metadata)
    call = await inference.next_call()
    await watcher.until(lambda status: queues(status).get("turns") == ("chat", 0, 1) and status.running_turns == 1)
    call.finish()
    async for _ in stream:
        pass
    await watcher.until(lambda status: queues(status).get("turns") == ("chat", 0, 0) and status.running_turns == 0)
    watcher.call.cancel()


async def test_when_nothing_changes_a_watcher_is_told_that_the_stream_lives(
    seen: RunningChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_status, "ALIVE_SECONDS", 0.01)
    watcher = Watcher(seen, await seen.sign_up())
    async with asyncio.timeout(SECONDS):
        while (await watcher.next()).changed:
            pass
    watcher.call.cancel()


async def test_what_cannot_be_counted_is_left_out(seen: RunningChat, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(queues: SqlWorkQueues) -> None:
        raise OSError("the database is away")

    monkeypatch.setattr(SqlWorkQueues, "reports", away)
    ada = await seen.sign_up()
    status = await seen.system.GetStatus(pb.GetStatusRequest(), metadata=ada.metadata)
    assert set(queues(status)) <= {"ingestion"}
    assert len(status.services) == 3

"""What the status tells of traffic and of answers: true figures of every way, and nothing of whose they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from parley.ai.v1 import generation_service_pb2 as pb_ai
from parley.chat.v1 import chat_service_pb2, message_pb2
from parley.inference.v1 import model_service_pb2
from parley.retrieval.v1 import ingest_service_pb2, ingest_service_pb2_grpc
from parley.system.v1 import system_map_pb2, traffic_pb2
from parley.system.v1 import system_service_pb2 as pb
from parley_chat.operations import system_status
from parley_shared import rpc_traffic
from parley_shared.process_figures import PROCESS_ID
from parley_shared.status import StatusError
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedInference

SECONDS = 60
Status = pb.GetStatusResponse


class TellingInference(ScriptedInference):
    """A scripted inference that tells figures of itself."""

    async def ListProviders(self, request: Any, context: Any) -> model_service_pb2.ListProvidersResponse:
        response = await super().ListProviders(request, context)
        response.providers[0].circuit = model_service_pb2.CIRCUIT_STATE_OPEN
        response.providers[0].traffic.CopyFrom(traffic(30, errors=4, running=2, first_token=250))
        response.figures.CopyFrom(
            traffic_pb2.ProcessFigures(
                process_id="aaaa0001",
                callers=[
                    traffic_pb2.CallerTraffic(service="chat", traffic=traffic(11)),
                    traffic_pb2.CallerTraffic(service="retrieval", traffic=traffic(7)),
                ],
            )
        )
        return response


class TellingRetrieval(ingest_service_pb2_grpc.IngestServiceServicer):
    """A retrieval that only tells how much there is to do, and its figures."""

    async def GetIngestionQueue(self, request: Any, context: Any) -> ingest_service_pb2.GetIngestionQueueResponse:
        return ingest_service_pb2.GetIngestionQueueResponse(
            figures=traffic_pb2.ProcessFigures(
                process_id="bbbb0002",
                callers=[traffic_pb2.CallerTraffic(traffic=traffic(5))],
                stores=[traffic_pb2.StoreFigures(name="index", kind="qdrant")],
            )
        )


def traffic(calls: int, errors: int = 0, running: int = 0, first_token: int = 0) -> traffic_pb2.Traffic:
    return traffic_pb2.Traffic(
        window_seconds=60,
        call_count=calls,
        error_count=errors,
        running_count=running,
        time_to_first_token_ms=first_token,
    )


@pytest.fixture
async def retrieval() -> AsyncIterator[str]:
    server = grpc.aio.server()
    servicer = TellingRetrieval()  # type: ignore[abstract] # nobody asks it for anything else
    ingest_service_pb2_grpc.add_IngestServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


@pytest.fixture
async def inference() -> AsyncIterator[TellingInference]:
    async with TellingInference() as serving:
        yield serving


@pytest.fixture
async def seen(
    tmp_path: Path, inference: TellingInference, retrieval: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[RunningChat]:
    """A chat that looks ten times a second, and has counted nothing yet; what it counts stays for an hour, however slow the machine."""
    monkeypatch.setattr(system_status, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(rpc_traffic, "_methods", {})
    monkeypatch.setattr(rpc_traffic, "RECENT_SECONDS", 3_600)
    async with running_chat(
        tmp_path,
        inference=inference.address,
        retrieval=retrieval,
        PARLEY_CHAT_TRACE_URL="https://traces.example.org/trace/{trace_id}",
    ) as chat:
        yield chat


async def told(chat: RunningChat, person: Person, wanted: Callable[[Status], bool]) -> Status:
    """The status, once it is as it should be."""
    async with asyncio.timeout(SECONDS):
        call: Any = chat.system.WatchStatus(pb.WatchStatusRequest(), metadata=person.metadata)
        async for message in call:
            if wanted(message.status):
                call.cancel()
                return Status.FromString(message.status.SerializeToString())
    raise AssertionError("the stream ended")


def link(status: Status, start: str, end: str) -> system_map_pb2.SystemLink:
    return next(
        (each for each in status.links if (each.from_node_id, each.to_node_id) == (start, end)),
        system_map_pb2.SystemLink(),
    )


def is_told(status: Status) -> bool:
    """Whether everybody has answered: a single report leaves out what did not in time."""
    return {"retrieval:index", "provider:scripted"} <= {node.node_id for node in status.nodes}


async def ask(chat: RunningChat, person: Person, words: str, **fields: Any) -> Any:
    request = chat_service_pb2.StreamReplyRequest(message=words, **fields)
    return chat.chat.StreamReply(request, metadata=person.metadata)


async def end(stream: Any) -> None:
    async with asyncio.timeout(SECONDS):
        async for _ in stream:
            pass


async def test_the_map_has_every_part_and_the_figures_of_whoever_counted_them(seen: RunningChat) -> None:
    ada = await seen.sign_up()
    status = await told(seen, ada, is_told)
    nodes = {node.node_id: node for node in status.nodes}
    assert list(nodes)[:4] == ["edge", "chat", "inference", "retrieval"]
    assert {name for name in nodes if ":" in name} == {
        "provider:scripted",
        "chat:database",
        "chat:turns",
        "retrieval:index",
    }
    assert (nodes["chat"].process_id, nodes["inference"].process_id) == (PROCESS_ID, "aaaa0001")
    assert nodes["retrieval:index"].technology == "qdrant"
    assert nodes["chat:turns"].technology == "folder"
    assert link(status, "chat", "inference").traffic == traffic(11)
    assert link(status, "retrieval", "inference").traffic == traffic(7)
    assert link(status, "edge", "retrieval").traffic == traffic(5)
    provider = link(status, "inference", "provider:scripted")
    assert provider.traffic == traffic(30, errors=4, running=2, first_token=250)
    assert provider.circuit == pb_ai.CIRCUIT_STATE_OPEN
    assert link(status, "chat", "chat:database").traffic.call_count > 0
    assert not link(status, "retrieval", "retrieval:index").HasField("traffic")
    assert status.trace_url_template == "https://traces.example.org/trace/{trace_id}"


async def test_calls_of_users_show_in_the_figures_and_looks_at_the_status_do_not(seen: RunningChat) -> None:
    ada = await seen.sign_up()
    for _ in range(7):
        await seen.chat.ListSessions(chat_service_pb2.ListSessionsRequest(), metadata=ada.metadata)
        await seen.system.GetStatus(pb.GetStatusRequest(), metadata=ada.metadata)
    # The caller may have its answer a moment before the call is counted.
    status = await told(seen, ada, lambda found: link(found, "edge", "chat").traffic.call_count >= 8)
    counted = link(status, "edge", "chat").traffic
    assert (counted.call_count, counted.error_count, counted.running_count) == (8, 0, 0)
    assert 1 <= counted.window_seconds <= 3_600


async def test_an_open_stream_runs_until_it_ends(seen: RunningChat, inference: TellingInference) -> None:
    ada = await seen.sign_up()
    stream = await ask(seen, ada, "Hi")
    call = await inference.next_call()
    await told(seen, ada, lambda found: link(found, "edge", "chat").traffic.running_count == 1)
    call.finish()
    await end(stream)
    await told(seen, ada, lambda found: link(found, "edge", "chat").traffic.running_count == 0)


async def test_how_answers_did_is_counted_and_what_went_wrong_is_told_without_a_word_of_theirs(
    seen: RunningChat, inference: TellingInference
) -> None:
    ada, eve = await seen.sign_up(), await seen.sign_up()
    stream = await ask(seen, ada, "A secret question", route=message_pb2.ROUTE_STANDARD)
    call = await inference.next_call()
    call.say("A secret")
    call.switch("scripted-2")
    call.say(" answer")
    call.finish()
    await end(stream)
    stream = await ask(seen, ada, "Another secret question", route=message_pb2.ROUTE_STANDARD)
    refusal = StatusError(grpc.StatusCode.FAILED_PRECONDITION, "ERROR_REASON_PROVIDER_CREDENTIALS", "The key is wrong.")
    (await inference.next_call()).fail_for(refusal)
    with pytest.raises(grpc.aio.AioRpcError):
        await end(stream)
    # Nobody serves the search, so this one is given without.
    stream = await ask(seen, ada, "What do the secret papers say?", route=message_pb2.ROUTE_ENHANCED)
    (await inference.next_call()).finish()
    await end(stream)
    status = await told(seen, eve, lambda found: found.answers.ended_count == 3)
    answers = status.answers
    assert (answers.failed_count, answers.stopped_count, answers.switch_count) == (1, 0, 1)
    assert (answers.without_context_count, answers.wait_count) == (1, 0)
    without, failed, switched = status.incidents
    assert without.kind == system_map_pb2.INCIDENT_KIND_WITHOUT_CONTEXT
    assert (failed.kind, failed.reason) == (
        system_map_pb2.INCIDENT_KIND_ANSWER_FAILED,
        "ERROR_REASON_PROVIDER_CREDENTIALS",
    )
    assert (switched.kind, switched.reason, switched.model, switched.next_model) == (
        system_map_pb2.INCIDENT_KIND_MODEL_SWITCHED,
        "ERROR_REASON_PROVIDER_STALLED",
        "scripted-1",
        "scripted-2",
    )
    assert switched.time.seconds <= failed.time.seconds <= without.time.seconds
    for word in ("secret", ada.user_id):
        assert word not in str(status)


async def test_an_answer_that_waits_for_a_model_is_told_while_it_waits(
    seen: RunningChat, inference: TellingInference
) -> None:
    ada = await seen.sign_up()
    await inference.stop()
    stream = await ask(seen, ada, "Hi", queue_when_unavailable=True)
    reading = asyncio.create_task(end(stream))
    status = await told(seen, ada, lambda found: found.answers.wait_count == 1)
    assert status.answers.ended_count == 0
    (incident,) = status.incidents
    assert incident.kind == system_map_pb2.INCIDENT_KIND_ANSWER_WAITS
    # What does not answer keeps its place in the map, without figures.
    assert "inference" in {node.node_id for node in status.nodes}
    await told(seen, ada, lambda found: not link(found, "chat", "inference").HasField("traffic"))
    await inference.start()
    (await inference.next_call()).finish()
    await reading
    await told(seen, ada, lambda found: found.answers.ended_count == 1)

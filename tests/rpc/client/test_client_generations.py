"""The Python client where there is no session: texts, agents, content, uploads, against the real chat and a scripted inference."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from parley.retrieval.v1 import ingest_service_pb2, job_pb2
from parley_client import (
    ClientClosedError,
    InvalidArgumentError,
    Parley,
    TokenProvider,
    UnauthenticatedError,
    UnavailableError,
)
from parley_client.identity import Identity
from parley_shared.status import StatusError
from parley_testing.running_chat import RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedInference

STALLED = StatusError(grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_PROVIDER_STALLED", "It fell silent.")


@pytest.fixture
async def inference() -> AsyncIterator[ScriptedInference]:
    async with ScriptedInference() as scripted:
        yield scripted


@pytest.fixture
async def running(tmp_path: Path, inference: ScriptedInference) -> AsyncIterator[RunningChat]:
    async with running_chat(tmp_path, inference=inference.address) as chat:
        yield chat


async def token_of(running: RunningChat) -> str:
    """The access token of somebody new."""
    return (await running.sign_up()).metadata[0][1].removeprefix("Bearer ")


@pytest.fixture
async def client(running: RunningChat) -> AsyncIterator[Parley]:
    async with Parley.connect(f"127.0.0.1:{running.app.server.port}", token=await token_of(running)) as connected:
        yield connected


async def test_a_text_comes_whole(client: Parley, inference: ScriptedInference) -> None:
    asked = asyncio.ensure_future(
        client.generation.text(
            "Hi",
            model="fast",
            system="Be brief.",
            temperature=0.5,
            max_output_tokens=9,
            response_schema={"type": "object"},
            cache_seconds=60,
        )
    )
    call = await inference.next_call()
    call.say("Hello")
    call.finish()
    assert (await asked).text == "Hello"
    sent = call.request
    assert [message.text for message in sent.messages] == ["Be brief.", "Hi"]
    assert (sent.model, sent.cache_seconds) == ("fast", 60)
    assert (sent.sampling.temperature, sent.sampling.max_output_tokens) == (0.5, 9)
    assert MessageToDict(sent.response_schema) == {"type": "object"}


async def test_what_is_not_given_is_not_sent(client: Parley, inference: ScriptedInference) -> None:
    asked = asyncio.ensure_future(client.generation.text("Hi"))
    call = await inference.next_call()
    call.finish()
    await asked
    assert not call.request.HasField("response_schema")
    assert not call.request.sampling.HasField("temperature")


async def test_a_stream_that_fails_gives_the_failure_and_raises_it(
    client: Parley, inference: ScriptedInference
) -> None:
    events = client.generation.stream("Hi")
    started = asyncio.ensure_future(anext(events))
    call = await inference.next_call()
    assert (await started).started.model == "scripted-1"
    call.fail_for(STALLED)
    assert (await anext(events)).failed.reason == "ERROR_REASON_PROVIDER_STALLED"
    with pytest.raises(UnavailableError) as raised:
        await anext(events)
    assert raised.value.reason == "ERROR_REASON_PROVIDER_STALLED"


async def test_who_stops_reading_ends_the_generation(client: Parley, inference: ScriptedInference) -> None:
    async with aclosing(client.generation.stream("Hi")) as events:
        started = asyncio.ensure_future(anext(events))
        call = await inference.next_call()
        await started
    async with asyncio.timeout(30):
        await call.cancelled.wait()


async def test_a_client_that_is_closed_ends_its_streams(running: RunningChat, inference: ScriptedInference) -> None:
    client = Parley.connect(f"127.0.0.1:{running.app.server.port}", token=await token_of(running))
    events = client.generation.stream("Hi")
    started = asyncio.ensure_future(anext(events))
    await inference.next_call()
    await started
    following = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(ClientClosedError):
        await following


class Renewed:
    """A provider whose first token is refused and whose second is good."""

    def __init__(self, good: str) -> None:
        self.tokens = ["refused", good]

    async def token(self, identity: Identity) -> str:
        del identity
        return self.tokens[0]

    def forget(self, token: str) -> None:
        if self.tokens[0] == token and len(self.tokens) > 1:
            self.tokens.pop(0)


@asynccontextmanager
async def connected(address: str, tokens: TokenProvider) -> AsyncIterator[Parley]:
    async with Parley.connect(address, token_provider=tokens) as client:
        yield client


async def test_a_stream_whose_token_was_refused_is_opened_with_another(
    running: RunningChat, inference: ScriptedInference
) -> None:
    address = f"127.0.0.1:{running.app.server.port}"
    async with connected(address, Renewed(await token_of(running))) as client:
        events = client.generation.stream("Hi")
        started = asyncio.ensure_future(anext(events))
        (await inference.next_call()).finish()
        assert (await started).HasField("started")
        assert (await anext(events)).HasField("finished")
    async with connected(address, Renewed("refused-too")) as client:
        with pytest.raises(UnauthenticatedError):
            await anext(client.generation.stream("Hi"))


async def test_models_agents_templates_and_health_are_told(client: Parley) -> None:
    assert [model.model for model in await client.generation.models()] == ["scripted-1"]
    assert [agent.agent_id for agent in await client.agents.list()] == ["researcher", "summarizer"]
    assert [template.template_id for template in await client.content.templates()] == ["note"]
    assert (await client.generation.health()).default_model == "scripted-1"


async def test_an_agent_answers_whole_and_streamed(client: Parley, inference: ScriptedInference) -> None:
    asked = asyncio.ensure_future(client.agents.process("summarizer", "Long.", model="fast"))
    call = await inference.next_call()
    call.say("Short.")
    call.finish()
    assert (await asked).text == "Short."
    assert (call.request.agent_id, call.request.model) == ("summarizer", "fast")
    events = client.agents.stream("summarizer", "Long.", time_zone="Europe/Berlin")
    started = asyncio.ensure_future(anext(events))
    call = await inference.next_call()
    call.finish()
    await started
    assert (await anext(events)).HasField("finished")
    assert "Europe/Berlin" in call.request.messages[0].text


async def test_content_is_written_whole_and_streamed(client: Parley, inference: ScriptedInference) -> None:
    asked = asyncio.ensure_future(client.content.write("note", {"subject": "tea"}, length="short", variant_count=2))
    for _ in range(2):
        call = await inference.next_call()
        call.say("Tea.")
        call.finish()
    assert [variant.text for variant in (await asked).variants] == ["Tea.", "Tea."]
    events = client.content.stream(custom_template="Praise {thing}.", fields={"thing": "tea"})
    started = asyncio.ensure_future(anext(events))
    (await inference.next_call()).finish()
    assert (await started).variant == 0
    with pytest.raises(InvalidArgumentError) as refused:
        await client.content.write("note")
    assert [violation.field for violation in refused.value.field_violations] == ["fields.subject"]


class Uploads:
    """Takes files and keeps what came."""

    def __init__(self) -> None:
        self.requests: list[ingest_service_pb2.IngestRequest] = []

    async def ingest(
        self,
        request_iterator: AsyncIterator[ingest_service_pb2.IngestRequest],
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> ingest_service_pb2.IngestResponse:
        self.requests = [request async for request in request_iterator]
        return ingest_service_pb2.IngestResponse(job_id="job_1", document_id="doc_1")

    async def watch_job(
        self, request: ingest_service_pb2.WatchJobRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[Any]:
        for state in (job_pb2.JOB_STATE_RUNNING, job_pb2.JOB_STATE_DONE):
            yield ingest_service_pb2.WatchJobResponse(job=job_pb2.Job(job_id=request.job_id, state=state))


async def test_a_file_is_uploaded_in_pieces_and_its_job_watched(tmp_path: Path) -> None:
    uploads = Uploads()
    server = grpc.aio.server()
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "Ingest": grpc.stream_unary_rpc_method_handler(
            uploads.ingest,
            ingest_service_pb2.IngestRequest.FromString,
            ingest_service_pb2.IngestResponse.SerializeToString,
        ),
        "WatchJob": grpc.unary_stream_rpc_method_handler(
            uploads.watch_job,
            ingest_service_pb2.WatchJobRequest.FromString,
            ingest_service_pb2.WatchJobResponse.SerializeToString,
        ),
    }
    service = "parley.retrieval.v1.IngestService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with Parley.connect(f"127.0.0.1:{port}", token="secret") as client:
            data = bytes(range(256)) * 4_000
            file = tmp_path / "notes.bin"
            file.write_bytes(data)
            response = await client.ingestion.ingest(file, title="Notes", labels={"kind": "note"})
            assert response.job_id == "job_1"
            first, *rest = uploads.requests
            assert (first.metadata.filename, first.metadata.title) == ("notes.bin", "Notes")
            assert dict(first.metadata.labels) == {"kind": "note"}
            assert len(rest) > 1
            assert max(len(request.chunk) for request in rest) <= 1_000_000
            assert b"".join(request.chunk for request in rest) == data
            await client.ingestion.ingest(b"text", filename="text.txt")
            assert [request.chunk for request in uploads.requests[1:]] == [b"text"]
            states = [each.job.state async for each in client.ingestion.watch("job_1")]
            assert states == [job_pb2.JOB_STATE_RUNNING, job_pb2.JOB_STATE_DONE]
    finally:
        await server.stop(None)

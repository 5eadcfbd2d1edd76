"""A job and its embedding model: a real retrieval, a real inference, and an embeddings server on a real socket that has bad days."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from parley.retrieval.v1 import ingest_service_pb2, job_pb2, search_service_pb2
from parley_inference.bootstrap import open_inference
from parley_inference.settings import InferenceSettings
from parley_shared.settings import Environment
from parley_testing.addresses import NOBODY
from parley_testing.fake_openai import FakeOpenAI, Reply
from parley_testing.ingestion import SECONDS, Sender, until

DONE, FAILED = job_pb2.JOB_STATE_DONE, job_pb2.JOB_STATE_FAILED
WAITING = job_pb2.JOB_STATE_WAITING_FOR_RETRY
STAGES = ["RECEIVED", "PARSED", "CHUNKED", "EMBEDDED", "INDEXED", "DONE"]
TEXT = "".join(
    f"## Part {number}\n\nThe automobile number {number} stands in the garage behind the workshop, and nobody has driven it since May.\n\n"
    for number in range(70)
)


@dataclass
class World:
    """A user of a retrieval whose inference embeds with `upstream`."""

    upstream: FakeOpenAI
    caller: Any

    @property
    def sender(self) -> Sender:
        return Sender(self.caller.retrieval.channel, self.caller.metadata)

    async def watched(self, job_id: str, met: Callable[[job_pb2.Job], bool]) -> job_pb2.Job:
        """The job as it was when a condition was first met."""
        request = ingest_service_pb2.WatchJobRequest(job_id=job_id)
        async for response in self.sender.stub.WatchJob(request, metadata=self.caller.metadata, timeout=SECONDS):
            if met(response.job):
                return response.job  # type: ignore[no-any-return]  # The stub has no types.
        raise AssertionError("the job ended before")

    async def by_meaning(self) -> bool:
        """Whether the index has its model's space."""
        return (await self.search("question")).mode == search_service_pb2.SEARCH_MODE_SEMANTIC

    async def search(self, query: str) -> search_service_pb2.SearchResponse:
        request = search_service_pb2.SearchRequest(
            query=query, mode=search_service_pb2.SEARCH_MODE_SEMANTIC, exclude_shared=True, limit=50
        )
        response: search_service_pb2.SearchResponse = await self.caller.retrieval.search.Search(
            request, metadata=self.caller.metadata
        )
        return response


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@asynccontextmanager
async def inference(home: Path, upstream: FakeOpenAI, port: int) -> AsyncIterator[None]:
    environment = {
        "PARLEY_HOME": str(home),
        "PARLEY_INFERENCE_PORT": str(port),
        "PARLEY_DRAIN_SECONDS": "0",
        "PARLEY_CHAT_ADDRESS": NOBODY,
        "OPENAI_BASE_URL": upstream.base_url,
        "PARLEY_INFERENCE_EMBEDDING_MODEL": "embed-model",
    }
    async with open_inference(InferenceSettings.read(Environment(environment))) as app:
        await app.server.start()
        try:
            yield
        finally:
            await app.server.drain()


@pytest.fixture
async def world(tmp_path: Path, serve: Any) -> AsyncIterator[World]:
    async with FakeOpenAI(models=("fake-model", "embed-model"), dimensions=64) as upstream:
        port = free_port()
        variables = {
            "PARLEY_INFERENCE_ADDRESS": f"127.0.0.1:{port}",
            "PARLEY_RETRIEVAL_EMBEDDING_MODEL": "embed",
            "PARLEY_RETRIEVAL_JOB_RETRY_SECONDS": "0.2",
        }
        async with inference(tmp_path, upstream, port), serve(tmp_path, **variables) as retrieval:
            made = World(upstream, retrieval.caller())
            # From here on nothing but the job embeds.
            await until(made.by_meaning)
            yield made


def stages(job: job_pb2.Job) -> list[str]:
    return [job_pb2.JobStage.Name(one.stage).removeprefix("JOB_STAGE_") for one in job.stages]


async def test_a_job_goes_through_every_stage_and_what_it_made_is_found_by_its_meaning(world: World) -> None:
    asked_before = len(world.upstream.requests)
    job = await world.sender.ended(TEXT.encode(), filename="garage.md")
    assert (job.state, stages(job)) == (DONE, STAGES)
    counts = {name: one.done for name, one in zip(stages(job), job.stages, strict=True)}
    assert counts["CHUNKED"] == counts["EMBEDDED"] == counts["INDEXED"] == counts["DONE"] == 70
    assert job.stages[2].unit == job.stages[3].unit == "chunks"
    assert all(one.HasField("end_time") for one in job.stages)
    sent = [request.body for request in world.upstream.requests[asked_before:] if request.path == "/v1/embeddings"]
    assert sum(len(body["input"]) for body in sent) == 70, "each passage is sent once"
    assert {body["model"] for body in sent} == {"embed-model"}
    found = (await world.search("vehicle")).hits
    assert {hit.document_id for hit in found} == {job.document_id}


@pytest.mark.parametrize("status", [429, 503])
async def test_a_job_waits_while_the_server_cannot_and_goes_on_by_itself(world: World, status: int) -> None:
    words = "secret words of the server"
    world.upstream.embeddings_refusal = Reply(status=status, error={"message": words})
    sent = await world.sender.send(TEXT.encode(), filename="garage.md")
    waiting = await world.watched(sent.job_id, lambda job: job.state == WAITING and job.attempt_count >= 2)
    assert waiting.failure.reason == job_pb2.JOB_FAILURE_REASON_EMBEDDING
    assert waiting.failure.retryable
    assert "embedding model does not answer now" in waiting.failure.message
    assert words not in str(waiting)
    assert waiting.HasField("next_attempt_time")
    assert waiting.stage == job_pb2.JOB_STAGE_CHUNKED, "what was done is not done again"
    world.upstream.embeddings_refusal = None
    job = (await world.sender.watch(sent.job_id))[-1]
    assert (job.state, stages(job)) == (DONE, STAGES)
    assert (await world.search("vehicle")).hits


async def test_a_job_waits_at_least_as_long_as_the_server_asks_for(world: World) -> None:
    # Inference waits for a short time itself, and hands a long one on.
    limited = Reply(status=429, headers={"retry-after": "120"}, error={"message": "slow down"})
    world.upstream.embeddings_refusal = limited
    sent = await world.sender.send(TEXT.encode(), filename="garage.md")
    waiting = await world.watched(sent.job_id, lambda job: job.state == WAITING)
    pause = waiting.next_attempt_time.ToNanoseconds() - waiting.update_time.ToNanoseconds()
    assert 110e9 < pause < 151e9
    assert (await world.sender.cancel(sent.job_id)).cancelled


async def test_a_refused_key_fails_a_job_with_what_is_to_be_done_and_it_begins_again_when_told(world: World) -> None:
    words = "Incorrect API key provided: sk-secret"
    world.upstream.embeddings_refusal = Reply(status=401, error={"message": words, "code": "invalid_api_key"})
    job = await world.sender.ended(TEXT.encode(), filename="garage.md")
    assert (job.state, job.failure.reason) == (FAILED, job_pb2.JOB_FAILURE_REASON_EMBEDDING)
    assert "refuses Parley's key. The operator has to set another one." in job.failure.message
    assert "sk-secret" not in str(job)
    assert job.failure.retryable
    assert job.attempt_count == 1, "nobody tries a refused key again"
    assert (await world.search("vehicle")).hits == []
    world.upstream.embeddings_refusal = None
    await world.sender.retry(job.job_id)
    assert (await world.sender.watch(job.job_id))[-1].state == DONE


async def test_vectors_of_another_length_are_not_taken_and_the_job_says_so(world: World) -> None:
    world.upstream.dimensions = 32
    sent = await world.sender.send(TEXT.encode(), filename="garage.md")
    waiting = await world.watched(sent.job_id, lambda job: job.state == WAITING)
    assert waiting.failure.message == "The embedding model does not answer now, or not with what can be used."
    assert (await world.search("vehicle")).hits == []
    world.upstream.dimensions = 64
    assert (await world.sender.watch(sent.job_id))[-1].state == DONE

"""BatchService: many prompts as JSONL, each written once, with its failures as results; watched, cancelled, paused, deleted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from parley.chat.v1 import batch_pb2, batch_service_pb2_grpc
from parley.chat.v1 import batch_service_pb2 as pb
from parley.inference.v1 import generation_pb2
from parley_shared.status import StatusError, status_error_from
from parley_testing.running_chat import Person, RunningChat
from parley_testing.scripted_inference import ScriptedCall, ScriptedInference

RATE_LIMITED = StatusError(
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    "ERROR_REASON_PROVIDER_RATE_LIMITED",
    "The provider takes no more for now.",
    metadata={"provider": "scripted"},
    retry_after_seconds=0.01,
)
REJECTED = StatusError(
    grpc.StatusCode.INVALID_ARGUMENT,
    "ERROR_REASON_PROVIDER_REJECTED",
    "The provider refused the request.",
    metadata={"provider": "scripted", "field": "messages"},
)
NO_MONEY = StatusError(
    grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_PROVIDER_QUOTA", "There is no money left.", metadata={"provider": "scripted"}
)
PRICE = generation_pb2.TokenPrice(input_usd_micros=1_000_000, output_usd_micros=2_000_000)


def jsonl(*lines: object) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


class Batches:
    """The service as one person calls it."""

    def __init__(self, channel: grpc.aio.Channel, person: Person) -> None:
        self._stub: Any = batch_service_pb2_grpc.BatchServiceStub(channel)
        self._metadata = person.metadata

    async def create(self, lines: bytes, **names: str) -> pb.CreateBatchResponse:
        async def requests() -> AsyncIterator[pb.CreateBatchRequest]:
            yield pb.CreateBatchRequest(**names)
            for start in range(0, len(lines), 7_777):
                yield pb.CreateBatchRequest(chunk=lines[start : start + 7_777])

        response: pb.CreateBatchResponse = await self._stub.CreateBatch(requests(), metadata=self._metadata)
        return response

    async def batch(self, *lines: object, **names: str) -> str:
        return (await self.create(jsonl(*lines), **names)).batch.batch_id

    async def get(self, batch_id: str) -> batch_pb2.Batch:
        response = await self._stub.GetBatch(pb.GetBatchRequest(batch_id=batch_id), metadata=self._metadata)
        found: batch_pb2.Batch = response.batch
        return found

    async def until(self, batch_id: str, *states: batch_pb2.BatchState.ValueType) -> batch_pb2.Batch:
        """Watches until the batch is in one of the states, the states of an end when none is named."""
        async with asyncio.timeout(60):
            last = batch_pb2.Batch()
            watching = self._stub.WatchBatch(pb.WatchBatchRequest(batch_id=batch_id), metadata=self._metadata)
            async for response in watching:
                last = response.batch
                if last.state in states:
                    break
            return last

    async def lines(self, batch_id: str, after_line: int = 0) -> list[dict[str, Any]]:
        reading = self._stub.GetBatchResults(
            pb.GetBatchResultsRequest(batch_id=batch_id, after_line=after_line), metadata=self._metadata
        )
        data = b"".join([response.results.data async for response in reading])
        assert not data or data.endswith(b"\n")
        return [json.loads(line) for line in data.splitlines()]

    async def call(self, name: str, request: Any) -> Any:
        return await getattr(self._stub, name)(request, metadata=self._metadata)


@pytest.fixture
def batches(running: RunningChat, alice: Person) -> Batches:
    return Batches(running.channel, alice)


async def refusal(call: Any) -> StatusError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return status_error_from(refused.value)


def prompt(call: ScriptedCall) -> str:
    return call.request.messages[-1].text


def answer(call: ScriptedCall, text: str = "") -> None:
    call.say(text or f"of {prompt(call)}")
    call.use(10, 5)
    call.finish()


async def next_calls(inference: ScriptedInference, count: int) -> dict[str, ScriptedCall]:
    calls = [await inference.next_call() for _ in range(count)]
    return {prompt(call): call for call in calls}


async def test_results_come_in_the_order_of_the_input_with_their_ids_and_what_they_took(
    batches: Batches, inference: ScriptedInference
) -> None:
    inference.price = PRICE
    schema = {"type": "object"}
    batch_id = await batches.batch(
        {"id": "a", "prompt": "one", "model": "fast", "instructions": "Be brief.", "max_output_tokens": 7, "temperature": 0.5},
        {"prompt": "two", "response_schema": schema},
        {"id": "ü", "prompt": "three"},
        model="cheap",
        title="Numbers",
    )
    calls = await next_calls(inference, 3)
    for each in ("three", "one", "two"):
        answer(calls[each])
    batch = await batches.until(batch_id)
    assert (batch.state, batch.title) == (batch_pb2.BATCH_STATE_DONE, "Numbers")
    assert (batch.total_count, batch.completed_count, batch.pending_count, batch.running_count) == (3, 3, 0, 0)
    assert (batch.input_tokens, batch.output_tokens, batch.cost_usd_micros, batch.unpriced_count) == (30, 15, 60, 0)
    assert not batch.estimated
    assert batch.create_time.ToDatetime() <= batch.start_time.ToDatetime() <= batch.end_time.ToDatetime()
    assert (batch.expire_time.ToDatetime() - batch.end_time.ToDatetime()).days == 30

    results = await batches.lines(batch_id)
    assert [(line["id"], line["line"], line["state"], line["text"]) for line in results] == [
        ("a", 1, "completed", "of one"),
        ("2", 2, "completed", "of two"),
        ("ü", 3, "completed", "of three"),
    ]
    assert results[0]["usage"]["cost_usd_micros"] == 20
    assert (results[0]["model"], results[0]["finish_reason"]) == ("scripted-1", "stop")
    assert [line["line"] for line in await batches.lines(batch_id, after_line=2)] == [3]

    one, two = calls["one"].request, calls["two"].request
    assert (one.model, one.messages[0].text, one.sampling.max_output_tokens) == ("fast", "Be brief.", 7)
    assert (two.model, dict(two.response_schema)) == ("cheap", schema)

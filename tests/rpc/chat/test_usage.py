"""UsageService: what is recorded of answers and of texts without a session, how it ended, for whom, and what every wrong request gets."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from parley.ai.v1 import content_service_pb2, content_service_pb2_grpc, generation_service_pb2
from parley.ai.v1 import generation_service_pb2_grpc as generation_grpc
from parley.chat.v1 import chat_service_pb2, message_pb2
from parley.inference.v1 import generation_pb2
from parley.usage.v1 import usage_service_pb2 as pb
from parley.usage.v1 import usage_service_pb2_grpc
from parley_shared.status import StatusError, status_error_from
from parley_testing.running_chat import Person, RunningChat
from parley_testing.scripted_inference import ScriptedInference
from parley_testing.turn_readers import stream

PRICE = generation_pb2.TokenPrice(input_usd_micros=1_000_000, output_usd_micros=2_000_000)
ALL = tuple(value for value in pb.UsageDimension.values() if value)


@pytest.fixture
def usage(running: RunningChat) -> Any:
    return usage_service_pb2_grpc.UsageServiceStub(running.channel)


async def get(usage: Any, person: Person, *group_by: pb.UsageDimension.ValueType, **fields: Any) -> pb.GetUsageResponse:
    request = pb.GetUsageRequest(group_by=group_by, **fields)
    response: pb.GetUsageResponse = await usage.GetUsage(request, metadata=person.metadata)
    return response


async def until(usage: Any, person: Person, condition: Callable[[pb.UsageRow], bool]) -> pb.UsageRow:
    """The total, as soon as it is so: texts without a session are recorded after their end."""
    async with asyncio.timeout(60):
        while not condition((await get(usage, person)).total):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)
    return (await get(usage, person)).total


async def answer(running: RunningChat, inference: ScriptedInference, person: Person) -> message_pb2.Message:
    """An answer of 1,000 tokens in and 500 out."""
    reader = stream(running, person)
    call = await inference.next_call()
    call.say("Half and half.")
    call.use(1_000, 500)
    call.finish()
    await reader.to_end()
    return reader.events[-1].completed.message


async def test_an_answer_is_in_the_usage_as_soon_as_it_is_whole(
    running: RunningChat, inference: ScriptedInference, alice: Person, usage: Any
) -> None:
    inference.price = PRICE
    message = await answer(running, inference, alice)
    response = await get(usage, alice, *ALL, time_zone="Europe/Berlin")
    (row,) = response.rows
    assert (row.model, row.route, row.session_id) == (message.model, message.route, message.session_id)
    assert row.purpose == pb.USAGE_PURPOSE_ANSWER
    assert row.day
    assert (row.request_count, row.failed_count, row.stopped_count) == (1, 0, 0)
    assert (row.input_tokens, row.output_tokens, row.estimated_count) == (1_000, 500, 0)
    assert (row.cost_usd_micros, row.unpriced_count) == (message.usage.cost_usd_micros, 0)
    assert row.cost_usd_micros == 2_000
    assert row.duration_p50_ms == row.duration_p95_ms == message.usage.duration_ms
    assert row.time_to_first_token_p50_ms == message.usage.time_to_first_token_ms
    assert response.total.cost_usd_micros == 2_000
    assert response.end_time.ToDatetime() - response.start_time.ToDatetime() == timedelta(days=30)


async def test_what_was_stopped_and_what_failed_is_counted_with_what_it_took(
    running: RunningChat, inference: ScriptedInference, alice: Person, usage: Any
) -> None:
    inference.price = PRICE
    reader = stream(running, alice)
    call = await inference.next_call()
    call.say("Half")
    call.use(100, 1)
    turn_id = (await reader.until("delta")).turn_id
    await running.chat.StopReply(chat_service_pb2.StopReplyRequest(turn_id=turn_id), metadata=alice.metadata)
    await reader.to_end()
    reader = stream(running, alice)
    call = await inference.next_call()
    call.fail(grpc.StatusCode.INVALID_ARGUMENT, "no")
    await reader.until("failed")
    total = (await get(usage, alice)).total
    assert (total.request_count, total.stopped_count, total.failed_count) == (2, 1, 1)
    assert total.input_tokens >= 100


async def test_texts_and_variants_without_a_session_are_counted_too(
    running: RunningChat, inference: ScriptedInference, alice: Person, usage: Any
) -> None:
    inference.price = PRICE
    generation: Any = generation_grpc.GenerationServiceStub(running.channel)
    asked = generation.GenerateText(
        generation_service_pb2.GenerateTextRequest(prompt="Say a."), metadata=alice.metadata
    )
    waiting = asyncio.ensure_future(asked)
    call = await inference.next_call()
    call.say("a")
    call.use(10, 1)
    call.finish()
    await waiting
    left: Any = generation.StreamGenerateText(
        generation_service_pb2.StreamGenerateTextRequest(prompt="Say b."), metadata=alice.metadata
    )
    call = await inference.next_call()
    call.say("b")
    call.use(20, 1)
    assert await left.read()
    left.cancel()
    await until(usage, alice, lambda total: total.request_count == 2)
    response = await get(usage, alice, pb.USAGE_DIMENSION_PURPOSE)
    (row,) = response.rows
    assert row.purpose == pb.USAGE_PURPOSE_TEXT
    assert (row.request_count, row.stopped_count, row.unpriced_count) == (2, 1, 0)
    assert row.input_tokens >= 10
    assert not row.session_id


async def test_a_request_that_no_model_could_take_is_not_counted_and_one_that_failed_is(
    running: RunningChat, inference: ScriptedInference, alice: Person, usage: Any
) -> None:
    generation: Any = generation_grpc.GenerationServiceStub(running.channel)
    for reason, code in (
        ("ERROR_REASON_MODEL_NOT_CAPABLE", grpc.StatusCode.FAILED_PRECONDITION),
        ("ERROR_REASON_PROVIDER_CREDENTIALS", grpc.StatusCode.FAILED_PRECONDITION),
    ):
        inference.refusal = StatusError(code, reason, "No.")
        with pytest.raises(grpc.aio.AioRpcError):
            await generation.GenerateText(
                generation_service_pb2.GenerateTextRequest(prompt="Say a."), metadata=alice.metadata
            )
    total = await until(usage, alice, lambda total: total.request_count > 0)
    # Usage of the first would have come before that of the second.
    assert (total.request_count, total.failed_count) == (1, 1)


async def test_a_model_without_a_price_is_counted_as_unpriced(
    running: RunningChat, inference: ScriptedInference, alice: Person, usage: Any
) -> None:
    await answer(running, inference, alice)
    total = (await get(usage, alice)).total
    assert (total.cost_usd_micros, total.unpriced_count) == (0, 1)


async def test_what_a_deleted_session_took_stays(
    running: RunningChat, inference: ScriptedInference, alice: Person, usage: Any
) -> None:
    inference.price = PRICE
    message = await answer(running, inference, alice)
    await running.chat.DeleteSession(
        chat_service_pb2.DeleteSessionRequest(session_id=message.session_id), metadata=alice.metadata
    )
    response = await get(usage, alice, pb.USAGE_DIMENSION_SESSION)
    assert [(row.session_id, row.cost_usd_micros) for row in response.rows] == [(message.session_id, 2_000)]


async def test_nobody_sees_anothers_usage(
    running: RunningChat, inference: ScriptedInference, alice: Person, carol: Person, usage: Any
) -> None:
    message = await answer(running, inference, alice)
    for fields in ({}, {"session_id": message.session_id}):
        response = await get(usage, carol, *ALL, **fields)
        assert not response.rows
        assert response.total == pb.UsageRow()


async def test_the_table_has_a_line_for_each_row_and_no_formula(
    running: RunningChat, inference: ScriptedInference, alice: Person, usage: Any
) -> None:
    inference.price = PRICE
    message = await answer(running, inference, alice)
    response = await usage.GetUsageTable(
        pb.GetUsageTableRequest(group_by=[pb.USAGE_DIMENSION_MODEL, pb.USAGE_DIMENSION_SESSION]),
        metadata=alice.metadata,
    )
    assert response.table.content_type == "text/csv; charset=utf-8"
    (line,) = csv.DictReader(io.StringIO(response.table.data.decode()))
    assert (line["model"], line["session_id"]) == (message.model, message.session_id)
    assert (line["day"], line["purpose"], line["route"]) == ("", "", "")
    assert (line["request_count"], line["cost_usd_micros"]) == ("1", "2000")


def at(**fields: int) -> Timestamp:
    time = Timestamp()
    time.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(**fields))
    return time


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"start_time": at(days=1), "end_time": at()}, "start_time"),
        ({"start_time": at(), "end_time": at()}, "start_time"),
        ({"start_time": at(), "end_time": at(days=401)}, "start_time"),
        ({"start_time": Timestamp(seconds=-(10**11))}, "start_time"),
        ({"end_time": Timestamp(seconds=10**12)}, "end_time"),
        ({"start_time": Timestamp(seconds=0), "end_time": at()}, "start_time"),
        ({"group_by": [0]}, "group_by[0]"),
        ({"group_by": [99]}, "group_by[0]"),
        ({"group_by": [1, 2, 1]}, "group_by[2]"),
        ({"group_by": [1, 2, 3, 4, 5, 6, 1]}, "group_by"),
        ({"time_zone": "Europe/Atlantis"}, "time_zone"),
        ({"time_zone": "x" * 65}, "time_zone"),
        ({"session_id": "nonsense"}, "session_id"),
        ({"project_id": "nonsense"}, "project_id"),
    ],
)
async def test_a_wrong_request_names_the_field(chat: RunningChat, ada: Any, fields: dict[str, Any], named: str) -> None:
    stub: Any = usage_service_pb2_grpc.UsageServiceStub(chat.channel)
    for call in (stub.GetUsage(pb.GetUsageRequest(**fields), metadata=ada.metadata),
                 stub.GetUsageTable(pb.GetUsageTableRequest(**fields), metadata=ada.metadata)):  # fmt: skip
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call
        error: StatusError = status_error_from(raised.value)
        assert error.code is grpc.StatusCode.INVALID_ARGUMENT
        assert named in [field for field, _ in error.violations]


async def test_each_variant_of_content_is_counted(
    running: RunningChat, inference: ScriptedInference, alice: Person, usage: Any
) -> None:
    content: Any = content_service_pb2_grpc.ContentServiceStub(running.channel)
    request = content_service_pb2.GenerateContentRequest(template_id="note", fields={"subject": "tea"}, variant_count=2)
    waiting = asyncio.ensure_future(content.GenerateContent(request, metadata=alice.metadata))
    for _ in range(2):
        call = await inference.next_call()
        call.say("Dear all,")
        call.finish()
    await waiting
    await until(usage, alice, lambda total: total.request_count == 2)
    response = await get(usage, alice, pb.USAGE_DIMENSION_PURPOSE)
    assert [(row.purpose, row.request_count) for row in response.rows] == [(pb.USAGE_PURPOSE_CONTENT, 2)]

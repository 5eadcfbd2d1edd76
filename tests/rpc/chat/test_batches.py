"""BatchService: many prompts as JSONL, each written once, with its failures as results; watched, cancelled, paused, deleted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from parley.ai.v1 import generation_service_pb2, generation_service_pb2_grpc
from parley.budget.v1 import budget_pb2
from parley.chat.v1 import batch_pb2
from parley.chat.v1 import batch_service_pb2 as pb
from parley.inference.v1 import generation_pb2
from parley.usage.v1 import usage_service_pb2, usage_service_pb2_grpc
from parley_shared.status import StatusError, status_error_from
from parley_testing.batches import Batches, eventually
from parley_testing.running_chat import Person, RunningChat, running_chat
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
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    "ERROR_REASON_PROVIDER_QUOTA",
    "There is no money left.",
    metadata={"provider": "scripted"},
)
PRICE = generation_pb2.TokenPrice(input_usd_micros=1_000_000, output_usd_micros=2_000_000)


@pytest.fixture
def batches(running: RunningChat, alice: Person) -> Batches:
    return Batches(running.channel, alice.metadata)


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
        {
            "id": "a",
            "prompt": "one",
            "model": "fast",
            "instructions": "Be brief.",
            "max_output_tokens": 7,
            "temperature": 0.5,
        },
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


async def test_a_line_that_fails_is_a_result_and_the_others_go_on(
    batches: Batches, inference: ScriptedInference
) -> None:
    batch_id = await batches.batch({"prompt": "good"}, {"prompt": "bad"}, {"prompt": "fine"})
    calls = await next_calls(inference, 3)
    calls["bad"].fail_for(REJECTED)
    answer(calls["good"])
    answer(calls["fine"])
    batch = await batches.until(batch_id)
    assert (batch.state, batch.completed_count, batch.failed_count) == (batch_pb2.BATCH_STATE_DONE, 2, 1)
    failed = (await batches.lines(batch_id))[1]
    assert failed["state"] == "failed"
    assert failed["error"] == {
        "code": "INVALID_ARGUMENT",
        "reason": "ERROR_REASON_PROVIDER_REJECTED",
        "message": "The provider refused the request.",
        "retryable": False,
        "field": "prompt",
    }


async def test_lines_in_openais_form_have_results_in_openais_form(
    batches: Batches, inference: ScriptedInference
) -> None:
    def line(name: str, text: str) -> dict[str, Any]:
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
        body = {"model": "fast", "messages": messages, "max_tokens": 9, "user": "a name that is passed over"}
        return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}

    batch_id = await batches.batch(line("x-1", "good"), line("x-2", "bad"), {"id": "own", "prompt": "own"})
    calls = await next_calls(inference, 3)
    assert (calls["good"].request.model, calls["good"].request.sampling.max_output_tokens) == ("fast", 9)
    calls["bad"].fail_for(REJECTED)
    answer(calls["good"])
    answer(calls["own"])
    await batches.until(batch_id)
    good, bad, own = await batches.lines(batch_id)
    assert (good["custom_id"], good["error"], good["response"]["status_code"]) == ("x-1", None, 200)
    body = good["response"]["body"]
    assert body["object"] == "chat.completion"
    assert body["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "of good"}, "finish_reason": "stop"}
    ]
    assert (body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"], body["usage"]["total_tokens"]) == (
        10,
        5,
        15,
    )
    assert isinstance(body["created"], int)
    assert (bad["custom_id"], bad["error"], bad["response"]["status_code"]) == ("x-2", None, 400)
    assert bad["response"]["body"]["error"] == {
        "message": "The provider refused the request.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "provider_rejected",
    }
    assert (own["id"], own["text"]) == ("own", "of own")
    # What was written stays as it is: the same lines each time.
    assert (await batches.lines(batch_id))[0] == good


async def test_what_a_provider_turns_away_for_now_is_tried_again(
    batches: Batches, inference: ScriptedInference
) -> None:
    batch_id = await batches.batch({"prompt": "patience"})
    for _ in range(2):
        call = await inference.next_call()
        call.use(10, 0)
        call.fail_for(RATE_LIMITED)
    call = await inference.next_call()
    answer(call)
    batch = await batches.until(batch_id)
    assert (batch.completed_count, batch.failed_count) == (1, 0)
    assert (batch.input_tokens, batch.output_tokens, batch.unpriced_count) == (30, 5, 3), "what failed was paid, too"


async def test_a_line_is_tried_as_often_as_the_operator_allows(tmp_path: Path, inference: ScriptedInference) -> None:
    async with running_chat(tmp_path, inference=inference.address, PARLEY_CHAT_BATCH_ATTEMPTS="2") as chat:
        batches = Batches(chat.channel, (await chat.sign_up()).metadata)
        inference.refusal = RATE_LIMITED
        batch_id = await batches.batch({"prompt": "never"})
        batch = await batches.until(batch_id)
        assert (batch.state, batch.failed_count, inference.calls) == (batch_pb2.BATCH_STATE_DONE, 1, 2)
        [line] = await batches.lines(batch_id)
        assert (line["error"]["reason"], line["error"]["retryable"]) == ("ERROR_REASON_PROVIDER_RATE_LIMITED", True)


async def test_what_would_refuse_every_line_pauses_the_batch_until_its_user_goes_on(
    batches: Batches, inference: ScriptedInference
) -> None:
    batch_id = await batches.batch(*({"prompt": str(number)} for number in range(6)))
    first = await next_calls(inference, 4)
    first["0"].fail_for(NO_MONEY)
    paused = await batches.until(batch_id, batch_pb2.BATCH_STATE_PAUSED)
    assert (paused.pause_reason, paused.pause_message) == ("ERROR_REASON_PROVIDER_QUOTA", "There is no money left.")
    # What was being written is not broken off, and nothing more is begun.
    for number in ("1", "2", "3"):
        answer(first[number])

    async def three_are_written() -> bool:
        return (await batches.get(batch_id)).completed_count == 3

    await eventually(three_are_written)
    still = await batches.get(batch_id)
    assert (still.state, still.pending_count, still.running_count) == (batch_pb2.BATCH_STATE_PAUSED, 3, 0)
    assert inference.calls == 4

    going_on = (await batches.call("ContinueBatch", pb.ContinueBatchRequest(batch_id=batch_id))).batch
    assert (going_on.state, going_on.pause_reason) == (batch_pb2.BATCH_STATE_RUNNING, "")
    for call in (await next_calls(inference, 3)).values():
        answer(call)
    assert (await batches.until(batch_id)).completed_count == 6
    refused = await refusal(batches.call("ContinueBatch", pb.ContinueBatchRequest(batch_id=batch_id)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ERROR_REASON_JOB_STATE")


async def test_cancelling_stops_the_models_and_keeps_what_was_written(
    batches: Batches, inference: ScriptedInference
) -> None:
    batch_id = await batches.batch(*({"prompt": str(number)} for number in range(6)))
    calls = await next_calls(inference, 4)
    answer(calls["1"])
    fifth = await inference.next_call()
    for call in (*calls.values(), fifth):
        call.say("begun")
    response = await batches.call("CancelBatch", pb.CancelBatchRequest(batch_id=batch_id))
    assert response.cancelled
    batch = response.batch
    assert (batch.state, batch.completed_count, batch.cancelled_count) == (batch_pb2.BATCH_STATE_CANCELLED, 1, 5)
    assert (batch.pending_count, batch.running_count) == (0, 0)
    for call in (calls["0"], calls["2"], calls["3"], fifth):
        async with asyncio.timeout(60):
            await call.cancelled.wait()
    states = [line["state"] for line in await batches.lines(batch_id)]
    assert states == ["cancelled", "completed", "cancelled", "cancelled", "cancelled", "cancelled"]
    again = await batches.call("CancelBatch", pb.CancelBatchRequest(batch_id=batch_id))
    assert (again.cancelled, again.batch.state) == (False, batch_pb2.BATCH_STATE_CANCELLED)
    assert inference.calls == 5


async def test_results_can_be_read_while_the_batch_runs(batches: Batches, inference: ScriptedInference) -> None:
    batch_id = await batches.batch({"prompt": "slow"}, {"prompt": "fast"})
    assert await batches.lines(batch_id) == []
    calls = await next_calls(inference, 2)
    answer(calls["fast"])

    async def one_is_written() -> bool:
        return len(await batches.lines(batch_id)) == 1

    await eventually(one_is_written)
    assert [(line["line"], line["text"]) for line in await batches.lines(batch_id)] == [(2, "of fast")]
    answer(calls["slow"])
    await batches.until(batch_id)
    assert [line["line"] for line in await batches.lines(batch_id)] == [1, 2]


async def test_lines_take_no_places_of_answers_and_are_shared_among_users_and_batches(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    variables = {"PARLEY_CHAT_BATCH_PLACES": "2", "PARLEY_CHAT_MAX_RUNNING_TURNS_PER_USER": "1"}
    async with running_chat(tmp_path, inference=inference.address, **variables) as chat:
        alice, carol = await chat.sign_up(), await chat.sign_up()
        hers, others = Batches(chat.channel, alice.metadata), Batches(chat.channel, carol.metadata)
        await hers.batch(*({"prompt": f"a{number}"} for number in range(5)))
        first = await next_calls(inference, 2)
        assert set(first) == {"a0", "a1"}
        await hers.batch({"prompt": "b0"}, {"prompt": "b1"})
        await others.batch({"prompt": "c0"}, {"prompt": "c1"})
        # Two of hers are being written: the next place is the other user's, and of her own batches the other one is next.
        order = []
        for call in first.values():
            answer(call)
            order.append(prompt(await inference.next_call()))
        assert order == ["c0", "b0"]
        # A text of hers is written beside them, with the only place that she has.
        stub: Any = generation_service_pb2_grpc.GenerationServiceStub(chat.channel)
        request = generation_service_pb2.GenerateTextRequest(prompt="now")
        asking = asyncio.ensure_future(stub.GenerateText(request, metadata=alice.metadata))
        call = await inference.next_call()
        assert prompt(call) == "now"
        answer(call)
        assert (await asking).text == "of now"


async def test_a_budget_that_is_used_up_pauses_the_batch(
    running: RunningChat, batches: Batches, inference: ScriptedInference, alice: Person
) -> None:
    usage: Any = usage_service_pb2_grpc.UsageServiceStub(running.channel)
    limited = usage_service_pb2.CreateBudgetRequest(period=budget_pb2.BUDGET_PERIOD_TOTAL, limit_tokens=1000)
    budget = (await usage.CreateBudget(limited, metadata=alice.metadata)).budget
    batch_id = await batches.batch({"prompt": "first", "max_output_tokens": 50})
    call = await inference.next_call()
    call.say("much")
    call.use(500, 500)
    call.finish()
    assert (await batches.until(batch_id)).completed_count == 1

    async def all_is_spent() -> bool:
        request = usage_service_pb2.GetBudgetRequest(budget_id=budget.budget_id)
        found = (await usage.GetBudget(request, metadata=alice.metadata)).budget.spending
        return bool(found.spent_tokens == 1000)

    # What a text took is settled behind its end.
    await eventually(all_is_spent)
    batch_id = await batches.batch({"prompt": "second"}, {"prompt": "third"})
    paused = await batches.until(batch_id, batch_pb2.BATCH_STATE_PAUSED)
    assert (paused.pause_reason, paused.pending_count) == ("ERROR_REASON_BUDGET_EXCEEDED", 2)
    assert inference.calls == 1
    await usage.DeleteBudget(usage_service_pb2.DeleteBudgetRequest(budget_id=budget.budget_id), metadata=alice.metadata)
    await batches.call("ContinueBatch", pb.ContinueBatchRequest(batch_id=batch_id))
    for call in (await next_calls(inference, 2)).values():
        answer(call)
    assert (await batches.until(batch_id)).completed_count == 2


async def test_what_stops_every_line_for_a_moment_only_is_waited_for(
    batches: Batches, inference: ScriptedInference
) -> None:
    for_now = StatusError(
        NO_MONEY.code, NO_MONEY.reason, NO_MONEY.message, metadata=NO_MONEY.metadata, retry_after_seconds=0.01
    )
    batch_id = await batches.batch({"prompt": "patience"})
    (await inference.next_call()).fail_for(for_now)
    answer(await inference.next_call())
    batch = await batches.until(batch_id)
    assert (batch.state, batch.completed_count) == (batch_pb2.BATCH_STATE_DONE, 1)

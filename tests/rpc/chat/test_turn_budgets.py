"""Budgets while texts are written: what is held, what is cut, and what is spent however a text ends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from parley.ai.v1 import content_service_pb2, content_service_pb2_grpc, generation_service_pb2
from parley.ai.v1 import generation_service_pb2_grpc as generation_grpc
from parley.budget.v1 import budget_pb2
from parley.chat.v1 import chat_service_pb2, message_pb2
from parley.inference.v1 import generation_pb2, model_service_pb2
from parley.usage.v1 import usage_service_pb2 as pb
from parley.usage.v1 import usage_service_pb2_grpc
from parley_shared.status import status_error_from
from parley_testing.databases import copy_as_killed
from parley_testing.postgres import PostgresServer
from parley_testing.redis_server import RedisServer
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedCall, ScriptedInference
from parley_testing.turn_readers import Reader, reason_of, resume
from parley_testing.turn_readers import stream as stream_reply

PRICE = generation_pb2.TokenPrice(input_usd_micros=1_000_000, output_usd_micros=2_000_000)
PIECE = "four"
"""One token as Parley estimates it."""


def stream(running: RunningChat, person: Person, **fields: Any) -> Reader:
    """An answer without tools, whose descriptions take more tokens than these budgets have."""
    return stream_reply(running, person, route=message_pb2.ROUTE_STANDARD, **fields)


def usage_of(running: RunningChat) -> Any:
    return usage_service_pb2_grpc.UsageServiceStub(running.channel)


async def set_budget(running: RunningChat, person: Person, **fields: Any) -> budget_pb2.Budget:
    # For good: at midnight no test sees a day begin anew.
    request = pb.CreateBudgetRequest(**{"period": budget_pb2.BUDGET_PERIOD_TOTAL, **fields})
    response = await usage_of(running).CreateBudget(request, metadata=person.metadata)
    budget: budget_pb2.Budget = response.budget
    return budget


async def spending(running: RunningChat, person: Person, budget_id: str) -> budget_pb2.BudgetSpending:
    response = await usage_of(running).GetBudget(pb.GetBudgetRequest(budget_id=budget_id), metadata=person.metadata)
    found: budget_pb2.BudgetSpending = response.budget.spending
    return found


async def settled(running: RunningChat, person: Person, budget_id: str) -> budget_pb2.BudgetSpending:
    """As soon as nothing is held: texts without a session are settled after their end."""
    async with asyncio.timeout(60):
        while (found := await spending(running, person, budget_id)).reserved_tokens:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)
    return found


async def ledger(running: RunningChat, person: Person) -> pb.UsageRow:
    response = await usage_of(running).GetUsage(pb.GetUsageRequest(), metadata=person.metadata)
    total: pb.UsageRow = response.total
    return total


async def assert_spent_is_what_the_ledger_says(
    running: RunningChat, person: Person, budget_id: str
) -> budget_pb2.BudgetSpending:
    found, total = await settled(running, person, budget_id), await ledger(running, person)
    assert found.spent_tokens == total.input_tokens + total.output_tokens
    assert found.spent_cost_usd_micros == total.cost_usd_micros
    assert found.reserved_cost_usd_micros == 0
    return found


async def refusal(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value


def write_on_and_on(call: ScriptedCall) -> None:
    """Writes more than any budget here has room for."""
    for _ in range(3_000):
        call.say(PIECE)


async def test_an_answer_in_time_gives_back_what_it_did_not_use(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    inference.price = PRICE
    budget = await set_budget(running, alice, limit_tokens=100_000, limit_cost_usd_micros=1_000_000)
    reader = stream(running, alice)
    call = await inference.next_call()
    call.say("Half and half.")
    await reader.until("delta")
    found = await spending(running, alice, budget.budget_id)
    assert found.reserved_tokens > 64
    assert found.left_tokens == 100_000 - found.reserved_tokens
    call.use(1_000, 500)
    call.finish()
    await reader.to_end()
    found = await assert_spent_is_what_the_ledger_says(running, alice, budget.budget_id)
    assert (found.spent_tokens, found.spent_cost_usd_micros, found.reserved_tokens) == (1_500, 2_000, 0)
    assert found.left_cost_usd_micros == 998_000
    assert not found.HasField("renew_time")
    assert not found.reached


@pytest.mark.parametrize("measure", ["tokens", "cost"])
async def test_an_answer_is_cut_when_its_budget_is_spent_and_its_text_is_kept(
    running: RunningChat, inference: ScriptedInference, alice: Person, measure: str
) -> None:
    inference.price = PRICE
    limits = {"limit_tokens": 1_000} if measure == "tokens" else {"limit_cost_usd_micros": 1_500}
    budget = await set_budget(running, alice, name="pocket money", **limits)
    reader = stream(running, alice)
    call = await inference.next_call()
    write_on_and_on(call)
    error = await refusal(reader.to_end())
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason_of(error) == "ERROR_REASON_BUDGET_EXCEEDED"
    assert reader.kinds()[-2:] == ["budget_reached", "failed"]
    reader.assert_whole_from(0)
    reached, failed = reader.events[-2].budget_reached, reader.events[-1].failed
    assert (reached.budget_id, reached.name) == (budget.budget_id, "pocket money")
    assert reached.period == budget_pb2.BUDGET_PERIOD_TOTAL
    assert reached.measure == budget_pb2.BudgetMeasure.Value(f"BUDGET_MEASURE_{measure.upper()}")
    assert reached.limit in {1_000, 1_500}
    assert not reached.HasField("renew_time")
    assert "pocket money" in reached.message
    assert reached.message == failed.failure.message
    assert failed.message.text == reader.text() != ""
    assert failed.message.state == message_pb2.MESSAGE_STATE_FAILED
    assert not failed.failure.retryable
    replayed = resume(running, alice, failed.message.turn_id)
    assert reason_of(await refusal(replayed.to_end())) == "ERROR_REASON_BUDGET_EXCEEDED"
    assert replayed.events[-2:] == reader.events[-2:]
    found = await assert_spent_is_what_the_ledger_says(running, alice, budget.budget_id)
    # To the last token, and not one more: what came until then is counted as Parley counts it.
    spent, limit = (found.spent_tokens, 1_000) if measure == "tokens" else (found.spent_cost_usd_micros, 1_500)
    assert limit - 40 <= spent <= limit
    stored = await running.chat.ListMessages(
        chat_service_pb2.ListMessagesRequest(session_id=failed.message.session_id), metadata=alice.metadata
    )
    assert stored.messages[0].text == reader.text()


async def test_a_spent_budget_refuses_at_the_door_and_nothing_is_stored(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    budget = await set_budget(running, alice, limit_tokens=100)
    reader = stream(running, alice)
    # The prompt alone is more: no model is asked.
    error = await refusal(reader.to_end())
    assert reason_of(error) == "ERROR_REASON_BUDGET_EXCEEDED"
    assert inference.calls == 0
    session_id = reader.events[0].started.session_id
    await usage_of(running).UpdateBudget(
        pb.UpdateBudgetRequest(budget_id=budget.budget_id, limit_tokens=1_000), metadata=alice.metadata
    )
    reader = stream(running, alice, session_id=session_id)
    call = await inference.next_call()
    call.say("Long.")
    call.use(900, 100)
    call.finish()
    await reader.to_end()
    before = await running.chat.ListMessages(
        chat_service_pb2.ListMessagesRequest(session_id=session_id), metadata=alice.metadata
    )
    error = await refusal(stream(running, alice, session_id=session_id).to_end())
    details = status_error_from(error)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert details.reason == "ERROR_REASON_BUDGET_EXCEEDED"
    assert details.metadata["budget_id"] == budget.budget_id
    assert details.metadata["measure"] == "tokens"
    assert (details.metadata["limit"], details.metadata["spent"]) == ("1000", "1000")
    assert details.metadata["period"] == "total"
    after = await running.chat.ListMessages(
        chat_service_pb2.ListMessagesRequest(session_id=session_id), metadata=alice.metadata
    )
    assert after == before
    assert (await spending(running, alice, budget.budget_id)).reached


async def test_stopped_and_failed_answers_are_settled_with_what_they_took(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    inference.price = PRICE
    budget = await set_budget(running, alice, limit_tokens=100_000)
    reader = stream(running, alice)
    call = await inference.next_call()
    call.say("Half")
    turn_id = (await reader.until("delta")).turn_id
    await running.chat.StopReply(chat_service_pb2.StopReplyRequest(turn_id=turn_id), metadata=alice.metadata)
    await reader.to_end()
    stopped = await assert_spent_is_what_the_ledger_says(running, alice, budget.budget_id)
    assert stopped.spent_tokens > 0
    reader = stream(running, alice)
    call = await inference.next_call()
    call.fail(grpc.StatusCode.INVALID_ARGUMENT, "no")
    await reader.until("failed")
    failed = await assert_spent_is_what_the_ledger_says(running, alice, budget.budget_id)
    assert failed.spent_tokens >= stopped.spent_tokens


async def test_a_model_without_a_price_is_bounded_in_tokens_only(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    budget = await set_budget(running, alice, limit_cost_usd_micros=1)
    reader = stream(running, alice)
    call = await inference.next_call()
    call.say("Anything.")
    call.use(100_000, 100_000)
    call.finish()
    assert (await reader.to_end())[-1].HasField("completed")
    found = await spending(running, alice, budget.budget_id)
    assert (found.spent_tokens, found.spent_cost_usd_micros, found.reached) == (200_000, 0, False)


async def test_a_model_that_costs_more_than_was_thought_is_held_for_at_its_own_price(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    inference.models = [model_service_pb2.Model(model="scripted-1", provider="scripted", aliases=["fast", "strong"])]
    inference.price = generation_pb2.TokenPrice(input_usd_micros=1_000_000_000, output_usd_micros=1_000_000_000)
    await set_budget(running, alice, limit_cost_usd_micros=10_000)
    reader = stream(running, alice)
    call = await inference.next_call()
    error = await refusal(reader.to_end())
    assert reason_of(error) == "ERROR_REASON_BUDGET_EXCEEDED"
    async with asyncio.timeout(30):
        await call.cancelled.wait()


async def test_texts_and_content_are_refused_cut_and_settled_too(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    inference.price = PRICE
    budget = await set_budget(running, alice, limit_tokens=600)
    generation: Any = generation_grpc.GenerationServiceStub(running.channel)
    request = generation_service_pb2.GenerateTextRequest(prompt="Say a.")
    waiting = asyncio.ensure_future(generation.GenerateText(request, metadata=alice.metadata))
    call = await inference.next_call()
    call.say("a")
    call.use(10, 1)
    call.finish()
    await waiting
    found = await assert_spent_is_what_the_ledger_says(running, alice, budget.budget_id)
    assert found.spent_tokens == 11
    long: Any = generation.StreamGenerateText(
        generation_service_pb2.StreamGenerateTextRequest(prompt="Say b."), metadata=alice.metadata
    )
    call = await inference.next_call()
    write_on_and_on(call)

    async def read_all() -> None:
        while await long.read() is not grpc.aio.EOF:
            pass

    error = await refusal(read_all())
    assert reason_of(error) == "ERROR_REASON_BUDGET_EXCEEDED"
    assert status_error_from(error).metadata["budget_id"] == budget.budget_id
    found = await assert_spent_is_what_the_ledger_says(running, alice, budget.budget_id)
    assert 560 <= found.spent_tokens <= 600
    await usage_of(running).UpdateBudget(
        pb.UpdateBudgetRequest(budget_id=budget.budget_id, limit_tokens=found.spent_tokens), metadata=alice.metadata
    )
    calls = inference.calls
    content: Any = content_service_pb2_grpc.ContentServiceStub(running.channel)
    for refused in (
        generation.GenerateText(request, metadata=alice.metadata),
        content.GenerateContent(
            content_service_pb2.GenerateContentRequest(template_id="note", fields={"subject": "a"}),
            metadata=alice.metadata,
        ),
    ):
        assert reason_of(await refusal(refused)) == "ERROR_REASON_BUDGET_EXCEEDED"
    assert inference.calls == calls


async def test_what_a_killed_process_held_is_settled_once_by_whoever_takes_the_turn_over(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    inference.price = PRICE
    async with running_chat(tmp_path / "before", inference=inference.address) as running:
        alice = await running.sign_up()
        budget = await set_budget(running, alice, limit_tokens=100_000, limit_cost_usd_micros=1_000_000)
        reader = stream(running, alice)
        call = await inference.next_call()
        call.say("Every delivered word.")
        told = await reader.until("delta")
        await asyncio.to_thread(copy_as_killed, tmp_path / "before", tmp_path / "after")
        held = (await spending(running, alice, budget.budget_id)).reserved_tokens
        call.finish()
        await reader.to_end()
    async with running_chat(tmp_path / "after", inference=inference.address) as running:
        call = await inference.next_call()
        call.say(" And more.")
        # Here as above a model has told its price, with which more is held than when it was asked: its words come after that.
        resumed = resume(running, alice, told.turn_id, told.sequence)
        await resumed.until("delta")
        found = await spending(running, alice, budget.budget_id)
        # The next process holds in place of the one before it.
        assert held <= found.reserved_tokens <= held + 200
        assert found.spent_tokens == 0
        call.use(300, 20)
        call.finish()
        await resumed.to_end()
        await assert_spent_is_what_the_ledger_says(running, alice, budget.budget_id)
        assert (await ledger(running, alice)).request_count == 1


async def test_the_operators_budget_holds_for_everybody_and_nobody_changes_it(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    limited = {"PARLEY_CHAT_BUDGET_TOTAL_TOKENS": "900", "PARLEY_CHAT_BUDGET_TIME_ZONE": "Europe/Berlin"}
    async with running_chat(tmp_path, inference=inference.address, **limited) as running:
        alice, carol = await running.sign_up(), await running.sign_up()
        usage = usage_of(running)
        for person in (alice, carol):
            reader = stream(running, person)
            write_on_and_on(await inference.next_call())
            assert reason_of(await refusal(reader.to_end())) == "ERROR_REASON_BUDGET_EXCEEDED"
            (budget,) = (await usage.ListBudgets(pb.ListBudgetsRequest(), metadata=person.metadata)).budgets
            assert (budget.budget_id, budget.time_zone) == ("bud_operator_total", "Europe/Berlin")
            assert budget.origin == budget_pb2.BUDGET_ORIGIN_OPERATOR
            assert 860 <= budget.spending.spent_tokens <= 900
            assert "operator" in reader.events[-1].failed.failure.message
        for request in (
            usage.DeleteBudget(pb.DeleteBudgetRequest(budget_id="bud_operator_total"), metadata=alice.metadata),
            usage.UpdateBudget(
                pb.UpdateBudgetRequest(budget_id="bud_operator_total", limit_tokens=9), metadata=alice.metadata
            ),
        ):
            error = await refusal(request)
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert status_error_from(error).metadata["field"] == "budget_id"


async def test_two_hundred_answers_of_two_replicas_share_one_budget_to_the_last_token(
    tmp_path: Path, inference: ScriptedInference, postgres: PostgresServer, redis_server: RedisServer
) -> None:
    many = {
        "PARLEY_CHAT_DATABASE_URL": postgres.new_database_url(),
        "PARLEY_CHAT_REDIS_URL": redis_server.new_url(),
        "PARLEY_CHAT_MAX_RUNNING_TURNS_PER_USER": "200",
    }
    limit, pieces, piece = 40_000, 12, 16 * PIECE
    async with (
        running_chat(tmp_path, inference=inference.address, **many) as one,
        running_chat(tmp_path, inference=inference.address, **many) as two,
    ):
        ada = await one.sign_up()
        budget = await set_budget(one, ada, limit_tokens=limit)

        async def serve() -> None:
            while True:
                call = await inference.next_call()
                for _ in range(pieces):
                    call.say(piece)
                call.finish()

        serving = asyncio.create_task(serve())
        readers = [stream((one, two)[number % 2], ada) for number in range(200)]
        ends = await asyncio.gather(*(_end_of(reader) for reader in readers))
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        found = await assert_spent_is_what_the_ledger_says(two, ada, budget.budget_id)
        # At most one piece too much, of all of them together.
        assert found.spent_tokens <= limit + 16
        assert found.spent_tokens > limit // 2
        assert set(ends) == {"completed", "ERROR_REASON_BUDGET_EXCEEDED"}
        total = await ledger(one, ada)
        assert total.request_count == sum(1 for reader in readers if reader.events)
        assert total.failed_count == sum(1 for reader in readers if reader.events and reader.kinds()[-1] == "failed")


async def _end_of(reader: Reader) -> str:
    """The kind of its last event, or the reason why there was none, or why it failed."""
    try:
        async with asyncio.timeout(400):
            while (response := await reader.call.read()) is not grpc.aio.EOF:
                reader.events.append(response.event)
    except grpc.aio.AioRpcError as error:
        return reason_of(error)
    return reader.kinds()[-1]

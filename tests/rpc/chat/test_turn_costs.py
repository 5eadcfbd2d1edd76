"""What an answer cost, told at every end of a turn and kept with its message."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2
from parley.inference.v1 import generation_pb2
from parley_chat.adapters.sql_schema import messages
from parley_testing.running_chat import Person, RunningChat
from parley_testing.scripted_inference import ScriptedInference
from parley_testing.turn_readers import stream
from sqlalchemy import select, update

CHEAP = generation_pb2.TokenPrice(input_usd_micros=250_000, output_usd_micros=2_000_000, cached_input_usd_micros=25_000)
DEAR = generation_pb2.TokenPrice(
    input_usd_micros=3_000_000, output_usd_micros=15_000_000, cached_input_usd_micros=300_000
)
FREE = generation_pb2.TokenPrice()


async def forget_costs(running: RunningChat) -> None:
    """Makes the messages of the database what they were before there were prices."""
    async with running.app.database.write() as connection:
        kept = select(messages.c.message_id, messages.c.usage).where(messages.c.usage.is_not(None))
        for message_id, usage in (await connection.execute(kept)).all():
            before = {name: value for name, value in usage.items() if name != "cost_usd_micros"}
            await connection.execute(update(messages).where(messages.c.message_id == message_id).values(usage=before))


async def stored(running: RunningChat, person: Person, message: message_pb2.Message) -> message_pb2.Message:
    """The message as the database has it."""
    request = pb.ListMessagesRequest(session_id=message.session_id)
    listed = await running.chat.ListMessages(request, metadata=person.metadata)
    return next(one for one in listed.messages if one.message_id == message.message_id)


async def test_a_whole_answer_tells_what_it_cost_and_cached_input_at_its_own_price(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    inference.price = CHEAP
    reader = stream(running, alice)
    call = await inference.next_call()
    call.say("Half and half.")
    call.use(1_000, 500, cached=800)
    call.finish()
    await reader.to_end()
    message = reader.events[-1].completed.message
    assert message.usage.cost_usd_micros == 50 + 20 + 1_000
    assert await stored(running, alice, message) == message


async def test_what_the_provider_put_into_its_cache_costs_its_own_price(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    inference.price = generation_pb2.TokenPrice(
        input_usd_micros=3_000_000,
        output_usd_micros=15_000_000,
        cached_input_usd_micros=300_000,
        cache_write_input_usd_micros=3_750_000,
    )
    reader = stream(running, alice)
    call = await inference.next_call()
    call.say("Half and half.")
    call.use(1_000, 10, cached=200, cache_write=700)
    call.finish()
    await reader.to_end()
    # 100 at 3, 200 at 0.3, 700 at 3.75 and 10 at 15 dollars for a million.
    assert reader.events[-1].completed.message.usage.cost_usd_micros == 300 + 60 + 2_625 + 150


async def test_two_models_of_an_answer_are_paid_each_at_its_own_price(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    inference.price = CHEAP
    reader = stream(running, alice)
    call = await inference.next_call()
    call.say("Half ")
    call.use(1_000, 100)
    call.switch("scripted-2", price=DEAR)
    call.say("and half.")
    call.use(1_000 + 2_000, 100 + 50)
    call.finish()
    await reader.to_end()
    usage = reader.events[-1].completed.message.usage
    assert (usage.input_tokens, usage.output_tokens) == (3_000, 150)
    assert usage.cost_usd_micros == 250 + 200 + 6_000 + 750


@pytest.mark.parametrize(("first", "second"), [(None, CHEAP), (CHEAP, None)])
async def test_a_model_whose_price_nobody_knows_leaves_the_answer_without_a_cost(
    running: RunningChat,
    inference: ScriptedInference,
    alice: Person,
    first: generation_pb2.TokenPrice | None,
    second: generation_pb2.TokenPrice | None,
) -> None:
    inference.price = first
    reader = stream(running, alice)
    call = await inference.next_call()
    call.say("Half ")
    call.use(1_000, 100)
    call.switch("scripted-2", price=second)
    call.use(3_000, 150)
    call.finish()
    await reader.to_end()
    message = reader.events[-1].completed.message
    assert not message.usage.HasField("cost_usd_micros")
    assert await stored(running, alice, message) == message


async def test_a_model_that_costs_nothing_is_not_one_whose_price_nobody_knows(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    inference.price = FREE
    sending = asyncio.ensure_future(
        running.chat.SendMessage(pb.SendMessageRequest(message="Count."), metadata=alice.metadata)
    )
    call = await inference.next_call()
    call.say("One.")
    call.use(1_000, 500)
    call.finish()
    answer = await sending
    assert answer.usage.HasField("cost_usd_micros")
    assert answer.usage.cost_usd_micros == 0


async def test_the_receipt_of_a_stop_tells_length_tokens_and_cost_so_far(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    inference.price = DEAR
    reader = stream(running, alice)
    call = await inference.next_call()
    # Code points, not bytes and not the halves of UTF-16.
    call.say("Half an 🐈‍⬛")
    turn_id = (await reader.until("delta")).turn_id
    receipt = await running.chat.StopReply(pb.StopReplyRequest(turn_id=turn_id), metadata=alice.metadata)
    await reader.to_end()
    stopped = reader.events[-1].stopped
    assert stopped.message == receipt.message
    assert stopped.text_length == len("Half an 🐈‍⬛") == 11
    usage = stopped.message.usage
    assert usage.estimated
    assert usage.output_tokens == 3
    assert usage.input_tokens > 0
    assert usage.cost_usd_micros == 3 * usage.input_tokens + 15 * usage.output_tokens
    assert await stored(running, alice, receipt.message) == receipt.message


async def test_reasoning_that_was_stopped_is_paid_too(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    inference.price = DEAR
    reader = stream(running, alice)
    call = await inference.next_call()
    call.think("hm" * 200)
    turn_id = (await reader.until("reasoning_delta")).turn_id
    receipt = await running.chat.StopReply(pb.StopReplyRequest(turn_id=turn_id), metadata=alice.metadata)
    assert receipt.message.text == ""
    assert receipt.message.usage.output_tokens == 100
    await reader.to_end()
    assert reader.events[-1].stopped.text_length == 0


async def test_an_answer_that_fails_tells_what_it_cost_until_then(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    inference.price = DEAR
    reader = stream(running, alice)
    call = await inference.next_call()
    call.say("Half ")
    call.use(1_000, 100)
    call.fail(grpc.StatusCode.INVALID_ARGUMENT, "refused")
    with pytest.raises(grpc.aio.AioRpcError):
        await reader.to_end()
    message = reader.events[-1].failed.message
    assert message.usage.cost_usd_micros == 3_000 + 1_500
    assert await stored(running, alice, message) == message


async def test_every_attempt_is_on_the_bill(running: RunningChat, inference: ScriptedInference, alice: Person) -> None:
    inference.price = DEAR
    reader = stream(running, alice)
    call = await inference.next_call()
    call.say("Half ")
    await reader.until("delta")
    call.use(1_000, 100)
    call.fail(grpc.StatusCode.UNAVAILABLE, "gone")
    call = await inference.next_call()
    call.say("and half.")
    call.use(2_000, 50)
    call.finish()
    await reader.to_end()
    usage = reader.events[-1].completed.message.usage
    assert (usage.input_tokens, usage.output_tokens) == (3_000, 150)
    assert usage.cost_usd_micros == 3 * 3_000 + 15 * 150


async def test_an_answer_that_was_stored_before_there_were_prices_is_read_without_a_cost(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    inference.price = DEAR
    reader = stream(running, alice)
    call = await inference.next_call()
    call.use(1_000, 100)
    call.finish()
    await reader.to_end()
    message = reader.events[-1].completed.message
    await forget_costs(running)
    read = await stored(running, alice, message)
    assert not read.usage.HasField("cost_usd_micros")
    assert read.usage.input_tokens == 1_000

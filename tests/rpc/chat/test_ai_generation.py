"""GenerationService: text without a session, whole and streamed, with its figures, its errors and its limits."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from parley.ai.v1 import generation_service_pb2 as pb
from parley.ai.v1 import generation_service_pb2_grpc, text_generation_pb2
from parley.inference.v1 import generation_pb2
from parley_shared.status import StatusError, status_error_from
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedInference
from parley_testing.turn_readers import stream as stream_reply

PRICE = generation_pb2.TokenPrice(input_usd_micros=250_000, output_usd_micros=2_000_000, cached_input_usd_micros=25_000)
DEAR = generation_pb2.TokenPrice(
    input_usd_micros=3_000_000, output_usd_micros=15_000_000, cached_input_usd_micros=300_000
)


@pytest.fixture
def generation(running: RunningChat) -> Any:
    return generation_service_pb2_grpc.GenerationServiceStub(running.channel)


async def error_of(call: Any) -> StatusError:
    """What a call that must fail says."""
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call
    return status_error_from(refusal.value)


async def read(call: Any) -> list[pb.StreamGenerateTextResponse]:
    return [event async for event in call]


async def test_a_text_comes_whole_with_its_model_and_what_it_took(
    generation: Any, inference: ScriptedInference, alice: Person
) -> None:
    inference.price = PRICE
    schema = Struct()
    schema.update({"type": "object", "required": ["a"]})
    request = pb.GenerateTextRequest(
        prompt="Say a and b.",
        model="fast",
        system="You say letters.",
        temperature=0.5,
        max_output_tokens=70,
        response_schema=schema,
        cache_seconds=60,
    )
    asked = asyncio.ensure_future(generation.GenerateText(request, metadata=alice.metadata))
    call = await inference.next_call()
    call.think("Letters.")
    call.say("a ")
    call.say("b")
    call.use(1_000, 300, cached=600)
    call.finish(generation_pb2.FINISH_REASON_LENGTH)
    answer = await asked
    assert (answer.text, answer.model, answer.cached, answer.offline) == ("a b", "scripted-1", False, False)
    assert answer.finish_reason == text_generation_pb2.FINISH_REASON_LENGTH
    assert len(answer.trace_id) == 32
    usage = answer.usage
    assert (usage.input_tokens, usage.output_tokens, usage.estimated) == (1_000, 300, False)
    # 400 at 0.25, 600 at 0.025, 300 at 2 dollars for a million.
    assert usage.cost_usd_micros == 100 + 15 + 600
    assert usage.time_to_first_token_ms <= usage.duration_ms

    sent = call.request
    assert [(message.role, message.text) for message in sent.messages] == [
        (generation_pb2.PROMPT_ROLE_SYSTEM, "You say letters."),
        (generation_pb2.PROMPT_ROLE_USER, "Say a and b."),
    ]
    assert (sent.model, sent.cache_seconds, sent.agent_id) == ("fast", 60, "")
    assert sent.sampling == generation_pb2.Sampling(temperature=0.5, max_output_tokens=70)
    assert MessageToDict(sent.response_schema) == {"type": "object", "required": ["a"]}


async def test_what_a_request_leaves_out_is_left_to_the_provider(
    generation: Any, inference: ScriptedInference, alice: Person
) -> None:
    asked = asyncio.ensure_future(generation.GenerateText(pb.GenerateTextRequest(prompt="Hi"), metadata=alice.metadata))
    call = await inference.next_call()
    call.say("Hello")
    call.finish()
    answer = await asked
    assert [message.text for message in call.request.messages] == ["Hi"]
    assert call.request.sampling == generation_pb2.Sampling()
    assert not call.request.HasField("response_schema")
    # Nobody gave figures or a price.
    assert answer.usage.estimated
    assert answer.usage.output_tokens > 0
    assert not answer.usage.HasField("cost_usd_micros")


async def test_a_stream_begins_with_who_writes_and_ends_with_what_it_took(
    generation: Any, inference: ScriptedInference, alice: Person
) -> None:
    inference.price = PRICE
    asked = generation.StreamGenerateText(pb.StreamGenerateTextRequest(prompt="Hi"), metadata=alice.metadata)
    call = await inference.next_call()
    assert (await asked.read()).started.model == "scripted-1"
    call.think("Hm.")
    assert (await asked.read()).reasoning_delta == "Hm."
    call.say("Hel")
    assert (await asked.read()).text_delta == "Hel"
    call.use(100, 10)
    call.switch("other-1", price=DEAR)
    switched = (await asked.read()).model_switched
    assert (switched.from_model, switched.to_model) == ("scripted-1", "other-1")
    assert switched.reason == "ERROR_REASON_PROVIDER_STALLED"
    call.say("lo")
    assert (await asked.read()).text_delta == "lo"
    call.use(200, 30)
    call.finish()
    finished = (await asked.read()).finished
    assert await asked.read() == grpc.aio.EOF
    assert finished.reason == text_generation_pb2.FINISH_REASON_STOP
    assert (finished.usage.input_tokens, finished.usage.output_tokens) == (200, 30)
    # Each model at its own price: 100 and 10 tokens each way, then 100 and 20.
    assert finished.usage.cost_usd_micros == (25 + 20) + (300 + 300)
    assert finished.usage.output_tokens_per_second > 0
    assert len(finished.trace_id) == 32


async def test_an_answer_that_was_kept_costs_nothing_and_says_so(
    generation: Any, inference: ScriptedInference, alice: Person
) -> None:
    inference.price, inference.cached = PRICE, True
    request = pb.GenerateTextRequest(prompt="Hi", cache_seconds=60)
    asked = asyncio.ensure_future(generation.GenerateText(request, metadata=alice.metadata))
    call = await inference.next_call()
    call.say("Hello")
    call.finish()
    answer = await asked
    assert answer.cached
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.cost_usd_micros) == (0, 0, 0)
    assert not answer.usage.estimated


QUOTA = StatusError(
    grpc.StatusCode.FAILED_PRECONDITION,
    "ERROR_REASON_PROVIDER_QUOTA",
    "The operator's account has no credit left.",
    metadata={"provider": "scripted"},
)


async def test_a_failure_is_the_last_event_of_a_stream_and_its_status(
    generation: Any, inference: ScriptedInference, alice: Person
) -> None:
    asked = generation.StreamGenerateText(pb.StreamGenerateTextRequest(prompt="Hi"), metadata=alice.metadata)
    call = await inference.next_call()
    call.say("Hel")
    call.fail_for(QUOTA)
    events = [await asked.read() for _ in range(3)]
    assert [event.WhichOneof("event") for event in events] == ["started", "text_delta", "failed"]
    failed = events[-1].failed
    assert (failed.code, failed.reason) == (9, "ERROR_REASON_PROVIDER_QUOTA")
    assert (failed.message, failed.retryable) == ("The operator's account has no credit left.", False)
    error = await error_of(asked.read())
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ERROR_REASON_PROVIDER_QUOTA")
    assert error.metadata["provider"] == "scripted"


@pytest.mark.parametrize(
    ("refusal", "field", "told"),
    [
        (
            StatusError(
                grpc.StatusCode.NOT_FOUND,
                "ERROR_REASON_MODEL_NOT_FOUND",
                "There is no model gpt-6.",
                metadata={"model": "gpt-6", "nearest": "gpt-5"},
            ),
            "",
            "There is no model gpt-6.",
        ),
        (
            StatusError(
                grpc.StatusCode.INVALID_ARGUMENT,
                "ERROR_REASON_INVALID_FIELD",
                "messages[0].text is in a language of its own.",
                metadata={"field": "messages[0].text"},
                violations=[("messages[0].text", "is in a language of its own")],
            ),
            "prompt",
            "prompt is in a language of its own.",
        ),
        (
            StatusError(
                grpc.StatusCode.INVALID_ARGUMENT,
                "ERROR_REASON_INVALID_FIELD",
                "sampling.temperature is too hot.",
                metadata={"field": "sampling.temperature"},
                violations=[("sampling.temperature", "is too hot")],
            ),
            "temperature",
            "temperature is too hot.",
        ),
    ],
)
async def test_what_inference_refuses_is_told_with_its_facts_and_the_users_names_of_fields(
    generation: Any, inference: ScriptedInference, alice: Person, refusal: StatusError, field: str, told: str
) -> None:
    inference.refusal = refusal
    error = await error_of(generation.GenerateText(pb.GenerateTextRequest(prompt="Hi"), metadata=alice.metadata))
    assert (error.code, error.reason, error.message) == (refusal.code, refusal.reason, told)
    if field:
        assert error.violations[0][0] == error.metadata["field"] == field
    else:
        assert error.metadata == refusal.metadata


async def test_a_refusal_that_may_pass_says_when(generation: Any, inference: ScriptedInference, alice: Person) -> None:
    inference.refusal = StatusError(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_PROVIDER_QUEUE_FULL", "Full.", retry_after_seconds=7
    )
    error = await error_of(generation.GenerateText(pb.GenerateTextRequest(prompt="Hi"), metadata=alice.metadata))
    assert (error.reason, error.retry_after_seconds) == ("ERROR_REASON_PROVIDER_QUEUE_FULL", 7)


async def test_inference_that_is_away_or_breaks_off_is_unavailable_and_may_be_asked_again(
    generation: Any, inference: ScriptedInference, alice: Person
) -> None:
    asked = asyncio.ensure_future(generation.GenerateText(pb.GenerateTextRequest(prompt="Hi"), metadata=alice.metadata))
    (await inference.next_call()).break_off()
    error = await error_of(asked)
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_PROVIDER_UNAVAILABLE")
    await inference.stop()
    error = await error_of(generation.GenerateText(pb.GenerateTextRequest(prompt="Hi"), metadata=alice.metadata))
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_SERVICE_UNAVAILABLE")
    assert error.retry_after_seconds
    assert "Your message" not in error.message, "nothing is kept of it"


async def started(stub: Any, person: Person) -> Any:
    """A stream that has begun; None when there was no place for it."""
    call = stub.StreamGenerateText(pb.StreamGenerateTextRequest(prompt="Hi"), metadata=person.metadata)
    try:
        await call.read()
    except grpc.aio.AioRpcError as error:
        if status_error_from(error).reason != "ERROR_REASON_TOO_MANY_TURNS":
            raise
        return None
    return call


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_that_is_cut_cancels_the_generation_and_frees_its_place(
    tmp_path: Path, inference: ScriptedInference, streamed: bool
) -> None:
    async with running_chat(
        tmp_path, inference=inference.address, PARLEY_CHAT_MAX_RUNNING_TURNS_PER_USER="1"
    ) as running:
        alice = await running.sign_up()
        stub: Any = generation_service_pb2_grpc.GenerationServiceStub(running.channel)
        if streamed:
            asked = stub.StreamGenerateText(pb.StreamGenerateTextRequest(prompt="Hi"), metadata=alice.metadata)
            await asked.read()
        else:
            asked = stub.GenerateText(pb.GenerateTextRequest(prompt="Hi"), metadata=alice.metadata)
        call = await inference.next_call()
        call.say("Hel")
        asked.cancel()
        async with asyncio.timeout(30):
            await call.cancelled.wait()
            # The place is free when chat has cleaned up, which a cancelled call does not wait for.
            while (again := await started(stub, alice)) is None:  # noqa: ASYNC110 - nobody here could set an event
                await asyncio.sleep(0.02)
        (await inference.next_call()).finish()
        assert (await again.read()).WhichOneof("event") == "finished"


async def test_turns_and_generations_share_a_users_limit(tmp_path: Path, inference: ScriptedInference) -> None:
    async with running_chat(
        tmp_path, inference=inference.address, PARLEY_CHAT_MAX_RUNNING_TURNS_PER_USER="2"
    ) as running:
        alice, carol = await running.sign_up(), await running.sign_up()
        stub: Any = generation_service_pb2_grpc.GenerationServiceStub(running.channel)
        request = pb.GenerateTextRequest(prompt="Hi")
        turn = stream_reply(running, alice)
        calls = [await inference.next_call()]
        asked = asyncio.ensure_future(stub.GenerateText(request, metadata=alice.metadata))
        calls.append(await inference.next_call())
        # Full: neither the one nor the other gets in, and another user does.
        error = await error_of(stub.GenerateText(request, metadata=alice.metadata))
        assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_TOO_MANY_TURNS")
        assert error.metadata["limit"] == "2"
        assert error.retry_after_seconds
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await stream_reply(running, alice).to_end()
        assert status_error_from(refusal.value).reason == "ERROR_REASON_TOO_MANY_TURNS"
        others = asyncio.ensure_future(stub.GenerateText(request, metadata=carol.metadata))
        calls.append(await inference.next_call())
        for call in calls:
            call.finish()
        await turn.to_end()
        await asked
        await others
        again = asyncio.ensure_future(stub.GenerateText(request, metadata=alice.metadata))
        (await inference.next_call()).finish()
        await again


async def test_a_process_generates_a_bounded_number_of_texts_at_once(
    tmp_path: Path, inference: ScriptedInference
) -> None:
    async with running_chat(tmp_path, inference=inference.address, PARLEY_CHAT_MAX_RUNNING_TURNS="1") as running:
        alice, carol = await running.sign_up(), await running.sign_up()
        stub: Any = generation_service_pb2_grpc.GenerationServiceStub(running.channel)
        request = pb.GenerateTextRequest(prompt="Hi")
        asked = asyncio.ensure_future(stub.GenerateText(request, metadata=alice.metadata))
        call = await inference.next_call()
        error = await error_of(stub.GenerateText(request, metadata=carol.metadata))
        assert error.reason == "ERROR_REASON_TOO_MANY_TURNS"
        call.finish()
        await asked


async def test_a_generation_that_takes_too_long_ends(tmp_path: Path, inference: ScriptedInference) -> None:
    async with running_chat(tmp_path, inference=inference.address, PARLEY_CHAT_MAX_TURN_SECONDS="1") as running:
        alice = await running.sign_up()
        stub: Any = generation_service_pb2_grpc.GenerationServiceStub(running.channel)
        asked = asyncio.ensure_future(stub.GenerateText(pb.GenerateTextRequest(prompt="Hi"), metadata=alice.metadata))
        call = await inference.next_call()
        error = await error_of(asked)
        assert (error.code, error.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "ERROR_REASON_DEADLINE_EXCEEDED")
        assert "longer than one may take" in error.message
        async with asyncio.timeout(30):
            await call.cancelled.wait()


def wide(size: int) -> Struct:
    """A JSON Schema of about so many bytes."""
    schema = Struct()
    schema.update({"description": "x" * size})
    return schema


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("prompt", {"prompt": ""}),
        ("prompt", {"prompt": " \n "}),
        ("prompt", {"prompt": "x" * 100_001}),
        ("prompt", {"prompt": "a\0b"}),
        ("model", {"prompt": "Hi", "model": "x" * 201}),
        ("model", {"prompt": "Hi", "model": "a\0"}),
        ("system", {"prompt": "Hi", "system": "x" * 20_001}),
        ("temperature", {"prompt": "Hi", "temperature": 2.1}),
        ("temperature", {"prompt": "Hi", "temperature": float("nan")}),
        ("max_output_tokens", {"prompt": "Hi", "max_output_tokens": 0}),
        ("max_output_tokens", {"prompt": "Hi", "max_output_tokens": 1_000_001}),
        ("cache_seconds", {"prompt": "Hi", "cache_seconds": -1}),
        ("cache_seconds", {"prompt": "Hi", "cache_seconds": 86_401}),
        ("response_schema", {"prompt": "Hi", "response_schema": wide(100_000)}),
        ("response_schema", {"prompt": "Hi", "response_schema": wide(500_000)}),
    ],
)
async def test_what_is_out_of_bounds_is_refused_and_named(
    generation: Any, inference: ScriptedInference, alice: Person, field: str, values: dict[str, Any]
) -> None:
    errors = [
        await error_of(generation.GenerateText(pb.GenerateTextRequest(**values), metadata=alice.metadata)),
        await error_of(
            read(generation.StreamGenerateText(pb.StreamGenerateTextRequest(**values), metadata=alice.metadata))
        ),
    ]
    for error in errors:
        assert error.code is grpc.StatusCode.INVALID_ARGUMENT
        assert [violation[0] for violation in error.violations] == [field]
    assert inference.calls == 0


async def test_the_longest_prompt_and_schema_pass(generation: Any, inference: ScriptedInference, alice: Person) -> None:
    request = pb.GenerateTextRequest(prompt="é" * 100_000, system="s" * 20_000, response_schema=wide(99_970))
    asked = asyncio.ensure_future(generation.GenerateText(request, metadata=alice.metadata))
    call = await inference.next_call()
    call.finish()
    await asked
    assert call.request.messages[1].text == "é" * 100_000

"""ContentService: content from templates, in variants that are written at the same time and fail one by one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from parley.ai.v1 import content_service_pb2 as pb
from parley.ai.v1 import content_service_pb2_grpc, text_generation_pb2
from parley.inference.v1 import content_service_pb2, generation_pb2
from parley_shared.status import StatusError, status_error_from
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedCall, ScriptedInference

PRICE = generation_pb2.TokenPrice(
    input_usd_micros=1_000_000, output_usd_micros=1_000_000, cached_input_usd_micros=1_000_000
)
STALLED = StatusError(grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_PROVIDER_STALLED", "It fell silent.")
TOO_LONG = StatusError(grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_PROMPT_TOO_LONG", "It will not fit.")


def stub(running: RunningChat) -> Any:
    return content_service_pb2_grpc.ContentServiceStub(running.channel)


async def error_of(call: Any) -> StatusError:
    """What a call that must fail says."""
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call
    return status_error_from(refusal.value)


async def calls_of(inference: ScriptedInference, count: int) -> list[ScriptedCall]:
    """The generations of so many variants, in the order of the variants."""
    calls = [await inference.next_call() for _ in range(count)]
    return sorted(calls, key=lambda call: call.request.messages[-1].text)


async def test_the_templates_are_listed_with_their_fields(running: RunningChat, alice: Person) -> None:
    listed = await stub(running).ListContentTemplates(pb.ListContentTemplatesRequest(), metadata=alice.metadata)
    (note,) = listed.templates
    assert (note.template_id, note.title, note.usual_words) == ("note", "Note", 80)
    subject, points = note.fields
    assert (subject.name, subject.kind, subject.required) == ("subject", pb.CONTENT_FIELD_KIND_TEXT, True)
    assert not subject.HasField("minimum")
    assert (points.kind, points.default_value) == (pb.CONTENT_FIELD_KIND_INTEGER, "3")
    assert (points.minimum, points.maximum) == (1, 9)


async def test_a_template_is_filled_in_and_what_it_says_is_generated(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    inference.templates.sampling = generation_pb2.Sampling(
        temperature=0.75, max_output_tokens=500, stop_sequences=["END"], seed=7
    )
    inference.templates.model = "strong"
    request = pb.GenerateContentRequest(
        template_id="note",
        fields={"subject": "tea"},
        tone="friendly",
        audience="engineers",
        length=pb.CONTENT_LENGTH_SHORT,
        language="de",
    )
    asked = asyncio.ensure_future(stub(running).GenerateContent(request, metadata=alice.metadata))
    call = await inference.next_call()
    call.say("Tee.")
    call.use(20, 2)
    call.finish()
    answer = await asked
    (variant,) = answer.variants
    assert (variant.text, variant.model, variant.offline) == ("Tee.", "scripted-1", False)
    assert variant.finish_reason == text_generation_pb2.FINISH_REASON_STOP
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (20, 2)
    (filled,) = inference.templates.filled
    assert filled == content_service_pb2.RenderContentPromptRequest(
        template_id="note",
        fields={"subject": "tea"},
        tone="friendly",
        audience="engineers",
        length=content_service_pb2.CONTENT_LENGTH_SHORT,
        language="de",
    )
    sent = call.request
    assert [message.text for message in sent.messages] == ["You write notes.", "Write a note. subject: tea"]
    assert (sent.model, sent.sampling) == ("strong", inference.templates.sampling)


async def test_the_requests_model_comes_before_the_templates(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    inference.templates.model = "strong"
    request = pb.GenerateContentRequest(custom_template="Praise {thing}.", fields={"thing": "tea"}, model="fast")
    asked = asyncio.ensure_future(stub(running).GenerateContent(request, metadata=alice.metadata))
    call = await inference.next_call()
    call.finish()
    await asked
    assert call.request.model == "fast"
    assert inference.templates.filled[0].custom_template == "Praise {thing}."
    assert inference.templates.filled[0].length == content_service_pb2.CONTENT_LENGTH_MEDIUM


async def test_variants_are_written_at_the_same_time_and_each_goes_its_own_way(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    inference.price = PRICE
    inference.templates.sampling = generation_pb2.Sampling(seed=7)
    request = pb.GenerateContentRequest(template_id="note", fields={"subject": "tea"}, variant_count=3)
    asked = asyncio.ensure_future(stub(running).GenerateContent(request, metadata=alice.metadata))
    # All run before any is answered.
    calls = await calls_of(inference, 3)
    assert len({call.request.messages[-1].text for call in calls}) == 3
    assert [call.request.sampling.seed for call in calls] == [7, 8, 9]
    for number, call in reversed(list(enumerate(calls))):
        call.say(f"Text {number}.")
        call.use(10, number)
        call.finish()
    answer = await asked
    assert [variant.text for variant in answer.variants] == ["Text 0.", "Text 1.", "Text 2."]
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (30, 3)
    assert answer.usage.cost_usd_micros == 33
    assert len(answer.trace_id) == 32


async def test_a_variant_that_fails_leaves_the_others(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    request = pb.StreamContentRequest(template_id="note", fields={"subject": "tea"}, variant_count=2)
    asked = stub(running).StreamContent(request, metadata=alice.metadata)
    first, second = await calls_of(inference, 2)
    first.say("Half")
    first.fail_for(STALLED)
    events = []
    async for event in asked:
        events.append(event)
        if event.WhichOneof("event") == "failed":
            second.think("Hm.")
            second.say("Whole.")
            second.use(1, 1)
            second.finish()
    told = {number: [e.WhichOneof("event") for e in events if e.variant == number] for number in (0, 1)}
    assert told == {0: ["started", "text_delta", "failed"], 1: ["started", "text_delta", "finished"]}
    (failed,) = [event.failed for event in events if event.HasField("failed")]
    assert (failed.code, failed.reason, failed.retryable) == (14, "ERROR_REASON_PROVIDER_STALLED", True)

    whole = asyncio.ensure_future(
        stub(running).GenerateContent(
            pb.GenerateContentRequest(template_id="note", fields={"subject": "tea"}, variant_count=2),
            metadata=alice.metadata,
        )
    )
    first, second = await calls_of(inference, 2)
    first.use(5, 5)
    first.fail_for(STALLED)
    second.say("Whole.")
    second.use(5, 5)
    second.finish()
    answer = await whole
    assert [variant.text for variant in answer.variants] == ["Whole."]
    assert answer.usage.input_tokens == 10, "what failed was used too"


async def test_when_all_variants_fail_the_call_ends_with_the_status_of_the_first(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    request = pb.StreamContentRequest(template_id="note", fields={"subject": "tea"}, variant_count=2)
    asked = stub(running).StreamContent(request, metadata=alice.metadata)
    first, second = await calls_of(inference, 2)
    second.fail_for(STALLED)
    failures: list[tuple[int, str]] = []
    while len(failures) < 2:
        event = await asked.read()
        if event.WhichOneof("event") == "failed":
            failures.append((event.variant, event.failed.reason))
            first.fail_for(TOO_LONG)
    assert failures == [(1, "ERROR_REASON_PROVIDER_STALLED"), (0, "ERROR_REASON_PROMPT_TOO_LONG")]
    error = await error_of(asked.read())
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_PROMPT_TOO_LONG")


async def test_variants_take_no_more_places_than_the_user_has(tmp_path: Path, inference: ScriptedInference) -> None:
    async with running_chat(
        tmp_path, inference=inference.address, PARLEY_CHAT_MAX_RUNNING_TURNS_PER_USER="2"
    ) as running:
        alice = await running.sign_up()
        request = pb.GenerateContentRequest(template_id="note", fields={"subject": "tea"}, variant_count=4)
        asked = asyncio.ensure_future(stub(running).GenerateContent(request, metadata=alice.metadata))
        calls = [await inference.next_call() for _ in range(2)]
        error = await error_of(stub(running).GenerateContent(request, metadata=alice.metadata))
        assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_TOO_MANY_TURNS")
        assert inference.calls == 2
        for _ in range(2):
            calls.pop().finish()
            calls.insert(0, await inference.next_call())
        assert inference.calls == 4
        for call in calls:
            call.finish()
        assert len((await asked).variants) == 4


async def test_a_cut_call_cancels_all_variants(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    request = pb.StreamContentRequest(template_id="note", fields={"subject": "tea"}, variant_count=2)
    asked = stub(running).StreamContent(request, metadata=alice.metadata)
    calls = await calls_of(inference, 2)
    calls[0].say("Half")
    await asked.read()
    asked.cancel()
    async with asyncio.timeout(30):
        for call in calls:
            await call.cancelled.wait()


async def test_values_that_the_template_refuses_are_named_as_fields(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    error = await error_of(
        stub(running).GenerateContent(pb.GenerateContentRequest(template_id="note"), metadata=alice.metadata)
    )
    assert (error.code, error.violations) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        (("fields.subject", "is required"),),
    )
    streamed = stub(running).StreamContent(pb.StreamContentRequest(template_id="poem"), metadata=alice.metadata)
    error = await error_of(streamed.read())
    assert (error.code, error.metadata["resource"]) == (grpc.StatusCode.NOT_FOUND, "template")
    assert inference.calls == 0


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("template_id", {}),
        ("template_id", {"template_id": "x" * 65}),
        ("custom_template", {"custom_template": "x" * 10_001}),
        ("custom_template", {"template_id": "note", "custom_template": " \n"}),
        ("fields", {"template_id": "note", "fields": {f"f{number}": "" for number in range(51)}}),
        ("fields", {"template_id": "note", "fields": {"x" * 65: ""}}),
        ("fields.thing", {"custom_template": "{thing}", "fields": {"thing": "x" * 20_001}}),
        ("tone", {"template_id": "note", "tone": "x" * 101}),
        ("audience", {"template_id": "note", "audience": "x" * 201}),
        ("length", {"template_id": "note", "length": 9}),
        ("language", {"template_id": "note", "language": "x" * 51}),
        ("variant_count", {"template_id": "note", "variant_count": 5}),
        ("variant_count", {"template_id": "note", "variant_count": -1}),
        ("model", {"template_id": "note", "model": "x" * 201}),
    ],
)
async def test_what_is_out_of_bounds_is_refused_and_named(
    running: RunningChat, inference: ScriptedInference, alice: Person, field: str, values: dict[str, Any]
) -> None:
    error = await error_of(stub(running).GenerateContent(pb.GenerateContentRequest(**values), metadata=alice.metadata))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation[0] for violation in error.violations] == [field]
    streamed = stub(running).StreamContent(pb.StreamContentRequest(**values), metadata=alice.metadata)
    error = await error_of(streamed.read())
    assert [violation[0] for violation in error.violations] == [field]
    assert not inference.templates.filled

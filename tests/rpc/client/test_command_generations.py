"""`parley generate`, `models`, `agent` and `content` as processes, against the real chat and a scripted inference."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from parley.inference.v1 import generation_pb2, model_service_pb2
from parley_shared.status import StatusError
from parley_testing.command import end, run, start, terminal
from parley_testing.scripted_inference import ScriptedInference

PRICE = generation_pb2.TokenPrice(input_usd_micros=1_000_000, output_usd_micros=2_000_000)


async def test_in_a_pipe_the_text_alone_is_on_standard_output(
    here: dict[str, str], inference: ScriptedInference, tmp_path: Path
) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object"}')
    options = ("--model", "fast", "--system", "Brief.", "--schema", str(schema), "--cache", "60", "--max-tokens", "9")
    process = await start(here, "generate", "-", *options)
    ending = asyncio.create_task(end(process, "Say hello."))
    call = await inference.next_call()
    call.think("Hm.")
    call.say("Hello")
    call.switch("other-1")
    call.finish(generation_pb2.FINISH_REASON_LENGTH)
    ended = await ending
    assert (ended.code, ended.out) == (0, "Hello\n")
    assert "! The model scripted-1 failed; other-1 goes on." in ended.err
    assert "output limit" in ended.err
    assert [message.text for message in call.request.messages] == ["Brief.", "Say hello."]
    assert (call.request.model, call.request.cache_seconds) == ("fast", 60)
    assert call.request.sampling.max_output_tokens == 9
    assert MessageToDict(call.request.response_schema) == {"type": "object"}


async def test_on_a_terminal_the_text_is_followed_by_its_figures(
    here: dict[str, str], inference: ScriptedInference
) -> None:
    inference.price = PRICE
    async with terminal(here, "generate", "Hi") as shown:
        call = await inference.next_call()
        call.say("It is **so**.")
        await shown.until(lambda seen: "It is so." in seen)
        call.use(1_000, 300)
        call.finish()
        assert await shown.end() == 0
        assert "scripted-1" in shown.seen
        assert "1000 + 300 tokens" in shown.seen
        assert "$0.0016" in shown.seen


async def test_a_failure_is_told_in_words_behind_the_text(here: dict[str, str], inference: ScriptedInference) -> None:
    ending = asyncio.create_task(run(here, "generate", "Hi"))
    call = await inference.next_call()
    call.say("Hel")
    call.fail_for(
        StatusError(grpc.StatusCode.FAILED_PRECONDITION, "ERROR_REASON_PROVIDER_QUOTA", "There is no credit left.")
    )
    ended = await ending
    assert (ended.code, ended.out) == (1, "Hel\n")
    assert ended.err == "There is no credit left.\n"


async def test_ctrl_c_ends_the_generation(here: dict[str, str], inference: ScriptedInference) -> None:
    process = await start(here, "generate", "Hi")
    call = await inference.next_call()
    call.say("Hel")
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert await process.stdout.readexactly(3) == b"Hel"
        process.send_signal(signal.SIGINT)
        await call.cancelled.wait()
    ended = await end(process)
    assert ended.code == 130


async def test_json_is_the_whole_reply(here: dict[str, str], inference: ScriptedInference) -> None:
    ending = asyncio.create_task(run(here, "generate", "Hi", "--json"))
    call = await inference.next_call()
    call.say("Hello")
    call.finish()
    told = json.loads((await ending).out)
    assert (told["text"], told["finish_reason"]) == ("Hello", "FINISH_REASON_STOP")
    assert told["usage"]["duration_ms"] >= 0


@pytest.mark.parametrize(
    ("text", "words"), [("{", "is not JSON"), ("[]", "must be an object"), (None, "cannot be read")]
)
async def test_a_schema_that_is_none_is_told_before_anything_is_asked(
    here: dict[str, str], inference: ScriptedInference, tmp_path: Path, text: str | None, words: str
) -> None:
    schema = tmp_path / "schema.json"
    if text is not None:
        schema.write_text(text)
    ended = await run(here, "generate", "Hi", "--schema", str(schema))
    assert (ended.code, inference.calls) == (2, 0)
    assert words in ended.err


async def test_models_are_a_table_or_json(here: dict[str, str], inference: ScriptedInference) -> None:
    inference.models = [
        model_service_pb2.Model(
            model="gpt-5",
            provider="openai",
            aliases=["strong"],
            capabilities=[model_service_pb2.MODEL_CAPABILITY_GENERATE],
            context_window_tokens=200_000,
            price=PRICE,
            provider_state=model_service_pb2.PROVIDER_STATE_OPEN,
        )
    ]
    ended = await run(here, "models")
    assert ended.code == 0
    for words in ("gpt-5", "openai", "strong", "text", "200000", "$1.00 / $2.00", "left alone"):
        assert words in ended.out
    (told,) = json.loads((await run(here, "models", "--json")).out)
    assert (told["model"], told["available"]) == ("gpt-5", False)


async def test_agents_are_listed_and_run(here: dict[str, str], inference: ScriptedInference) -> None:
    listed = await run(here, "agents")
    assert "researcher" in listed.out
    assert "Says it shorter." in listed.out
    assert (await run(here, "agent", "list")).out == listed.out
    ending = asyncio.create_task(run(here, "agent", "run", "researcher", "When?", "--model", "fast"))
    call = await inference.next_call()
    call.say("Nobody knows.")
    call.finish()
    ended = await ending
    assert (ended.code, ended.out) == (0, "Nobody knows.\n")
    # Nothing answers where this chat looks for documents.
    assert "documents cannot be searched" in ended.err
    assert (call.request.agent_id, call.request.model) == ("researcher", "fast")
    assert call.request.messages[0].text.startswith("For the user it is ")
    unknown = await run(here, "agent", "run", "nobody", "When?")
    assert unknown.code == 1
    assert "no such agent" in unknown.err


async def test_the_tools_of_an_agent_are_told_beside_what_it_says(
    here: dict[str, str], inference: ScriptedInference
) -> None:
    ending = asyncio.create_task(run(here, "agent", "run", "researcher", "Remind me to pay"))
    call = await inference.next_call()
    call.call_tool("create_task", '{"title": "Pay"}')
    call.call_tool("complete_task", "{}")
    call.finish(generation_pb2.FINISH_REASON_TOOL_CALLS)
    call = await inference.next_call()
    call.say("Noted.")
    call.finish()
    ended = await ending
    assert (ended.code, ended.out) == (0, "Noted.\n")
    assert "✓ create_task" in ended.err
    assert "✗ complete_task did not work" in ended.err


async def test_content_is_listed_and_written(here: dict[str, str], inference: ScriptedInference) -> None:
    listed = await run(here, "content", "list")
    assert "note  A short note." in listed.out
    assert "--field subject=…  What it is about." in listed.out
    assert "3 when not given" in listed.out
    options = ("--field", "subject=tea=green", "--tone", "dry", "--audience", "cooks", "--length", "long")
    ending = asyncio.create_task(run(here, "content", "write", "note", *options, "--language", "de"))
    call = await inference.next_call()
    call.say("Tee.")
    call.finish()
    ended = await ending
    assert (ended.code, ended.out) == (0, "Tee.\n")
    (filled,) = inference.templates.filled
    assert dict(filled.fields) == {"subject": "tea=green"}
    assert (filled.tone, filled.audience, filled.language) == ("dry", "cooks", "de")


async def test_variants_are_printed_one_after_the_other_and_those_that_failed_counted(
    here: dict[str, str], inference: ScriptedInference
) -> None:
    ending = asyncio.create_task(run(here, "content", "write", "note", "--field", "subject=tea", "--variants", "3"))
    calls = [await inference.next_call() for _ in range(3)]
    for call in calls[:2]:
        call.say("Tea.")
        call.finish()
    calls[2].break_off()
    ended = await ending
    assert (ended.code, ended.out) == (0, "Tea.\n\n---\n\nTea.\n")
    assert "1 of 3 texts failed." in ended.err


@pytest.mark.parametrize("given", [("subject",), ("=tea",), ("subject=a", "subject=b")])
async def test_fields_that_are_none_are_told(here: dict[str, str], given: tuple[str, ...]) -> None:
    options = [word for each in given for word in ("--field", each)]
    ended = await run(here, "content", "write", "note", *options)
    assert ended.code == 2
    assert "--field" in ended.err


async def test_a_field_that_is_missing_is_named(here: dict[str, str]) -> None:
    ended = await run(here, "content", "write", "note")
    assert ended.code == 1
    assert "fields.subject is required." in ended.err


async def test_status_tells_how_the_providers_do(here: dict[str, str], inference: ScriptedInference) -> None:
    inference.providers = [
        model_service_pb2.Provider(
            provider="openai",
            state=model_service_pb2.PROVIDER_STATE_OPEN,
            last_failure_reason="ERROR_REASON_PROVIDER_STALLED",
            running_calls=2,
            waiting_calls=7,
        )
    ]
    ended = await run(here, "status")
    for words in ("openai", "left alone for a while", "2, 7 waiting", "PROVIDER_STALLED"):
        assert words in ended.out
    told = json.loads((await run(here, "status", "--json")).out)
    assert told["ai"]["state"] == "AI_STATE_UNAVAILABLE"

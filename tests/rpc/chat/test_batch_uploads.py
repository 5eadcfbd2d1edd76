"""CreateBatch: what is refused at the door, and what is sent twice; and what becomes of batches that are kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from parley.chat.v1 import batch_pb2
from parley.chat.v1 import batch_service_pb2 as pb
from parley.events.v1 import event_pb2, event_service_pb2, event_service_pb2_grpc
from parley.usage.v1 import usage_service_pb2, usage_service_pb2_grpc
from parley_chat.adapters.sql_batch_schema import batch_lines
from parley_chat.adapters.sql_batch_schema import batches as stored
from parley_shared.status import StatusError, status_error_from
from parley_testing.batches import Batches, eventually, jsonl
from parley_testing.identity import SignedUp
from parley_testing.running_chat import Person, RunningChat, running_chat
from parley_testing.scripted_inference import ScriptedInference
from sqlalchemy import func, select, update

NOWHERE = "127.0.0.1:1"


async def refusal(call: Any) -> StatusError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return status_error_from(refused.value)


async def rows(chat: RunningChat) -> tuple[int, int]:
    """How many batches and lines the database has."""
    async with chat.app.database.read() as connection:
        counts = [
            (await connection.execute(select(func.count()).select_from(each))).scalar_one()
            for each in (stored, batch_lines)
        ]
    return counts[0], counts[1]


BAD_LINES: list[tuple[bytes, str, str]] = [
    (b"", "lines", "must have at least one line"),
    (b"\n  \n", "lines", "must have at least one line"),
    (b'{"prompt": "a"}\nnot JSON\n', "lines[2]", "must be one JSON object"),
    (b"[1]", "lines[1]", "must be one JSON object"),
    (b'{"prompt": "a"}\n\n{"prompt": "\xff"}', "lines[3]", "must be text in UTF-8"),
    (jsonl({"prompt": " "}), "lines[1].prompt", "must not be blank"),
    (jsonl({"prompt": "a", "promt": "b"}), "lines[1].promt", "is not known"),
    (jsonl({"prompt": 7}), "lines[1].prompt", "must be of the kind that its description says"),
    (
        jsonl({"prompt": "a", "temperature": "hot"}),
        "lines[1].temperature",
        "must be of the kind that its description says",
    ),
    (jsonl({"prompt": "a", "temperature": 3}), "lines[1].temperature", "must be from 0 to 2; it is 3"),
    (
        jsonl({"prompt": "a", "instructions": "i" * 20_001}),
        "lines[1].instructions",
        "must have at most 20000 characters; it has 20001",
    ),
    (
        jsonl({"prompt": "a", "id": "x"}, {"prompt": "b", "id": "x"}),
        "lines[2].id",
        "must be different from those of the other lines; line 1 has it",
    ),
    (
        jsonl({"prompt": "a"}, {"prompt": "b", "id": "1"}),
        "lines[2].id",
        "must be different from those of the other lines; line 1 has it",
    ),
    (jsonl({"prompt": "p" * 256_000}), "lines[1]", "must have at most 256,000 bytes; it has 256,014"),
    (b'{"prompt": "a", "temperature": 1e999}', "lines[1]", "must be one JSON object"),
    (
        jsonl({"custom_id": "x", "url": "/v1/embeddings", "body": {}}),
        "lines[1].url",
        "must be /v1/chat/completions: nothing else is written in batches",
    ),
    (jsonl({"custom_id": "x", "url": "/v1/chat/completions"}), "lines[1].body", "must be an object"),
    (
        jsonl(
            {
                "custom_id": "x",
                "url": "/v1/chat/completions",
                "body": {"messages": [{"role": "user", "content": "a"}], "stream": True},
            }
        ),
        "lines[1].body.stream",
        "must be absent or false: results are whole",
    ),
    (
        jsonl(
            {
                "custom_id": "x",
                "url": "/v1/chat/completions",
                "body": {"messages": [{"role": "nobody", "content": "a"}]},
            }
        ),
        "lines[1].body.messages[0].role",
        "must be system, developer, user, assistant or tool",
    ),
    (jsonl({"custom_id": 7, "url": "/v1/chat/completions", "body": {}}), "lines[1].custom_id", "must be a text"),
]


@pytest.mark.parametrize(
    ("lines", "field", "words"), BAD_LINES, ids=lambda value: value if isinstance(value, str) else ""
)
async def test_a_bad_line_is_named_with_its_number_and_field_and_nothing_is_stored(
    chat: RunningChat, ada: SignedUp, lines: bytes, field: str, words: str
) -> None:
    batches = Batches(chat.channel, ada.metadata)
    refused = await refusal(batches.create(lines))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_INVALID_FIELD")
    assert refused.violations[0] == (field, words)
    assert await rows(chat) == (0, 0)


async def test_a_refusal_names_several_bad_lines_and_stops_at_ten(chat: RunningChat, ada: SignedUp) -> None:
    batches = Batches(chat.channel, ada.metadata)
    few = await refusal(batches.create(jsonl({"prompt": ""}, {"prompt": "a"}, {"promt": "b"})))
    assert [field for field, _ in few.violations] == ["lines[1].prompt", "lines[3].promt"]
    many = await refusal(batches.create(jsonl(*({"prompt": ""} for _ in range(2000)))))
    assert [field for field, _ in many.violations] == [f"lines[{number}].prompt" for number in range(1, 11)]
    assert await rows(chat) == (0, 0)


async def test_the_limits_of_the_operator_are_kept(tmp_path: Path) -> None:
    variables = {
        "PARLEY_CHAT_BATCH_LINES": "3",
        "PARLEY_CHAT_BATCH_LINE_BYTES": "1000",
        "PARLEY_CHAT_BATCH_BYTES": "2000",
        "PARLEY_CHAT_MAX_BATCHES_PER_USER": "2",
        "PARLEY_CHAT_BATCH_PLACES": "0",
    }
    async with running_chat(tmp_path, inference=NOWHERE, **variables) as chat:
        batches = Batches(chat.channel, (await chat.sign_up()).metadata)
        line = {"prompt": "a"}
        too_many = await refusal(batches.create(jsonl(line, line, line, line)))
        assert too_many.violations == (("lines", "must be at most 3"),)
        # Without an end of the line, too: nobody waits for it.
        too_long = await refusal(batches.create(b"x" * 1001))
        assert too_long.violations == (("lines[1]", "must have at most 1,000 bytes"),)
        too_much = await refusal(batches.create(jsonl(*({"prompt": "p" * 900} for _ in range(3)))))
        assert too_much.violations == (("lines", "must have at most 2,000 bytes together"),)
        for _ in range(2):
            await batches.batch(line)
        full = await refusal(batches.batch(line))
        assert (full.code, full.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_LIMIT_EXCEEDED")
        assert full.metadata["limit"] == "2"
        assert await rows(chat) == (2, 2)


@pytest.mark.parametrize(
    ("names", "field"),
    [({"client_batch_id": "a b"}, "client_batch_id"), ({"title": "a\nb"}, "title"), ({"model": "m" * 201}, "model")],
)
async def test_names_out_of_their_bounds_are_refused(
    chat: RunningChat, ada: SignedUp, names: dict[str, str], field: str
) -> None:
    batches = Batches(chat.channel, ada.metadata)
    refused = await refusal(batches.create(jsonl({"prompt": "a"}), **names))
    assert refused.violations[0][0] == field
    assert await rows(chat) == (0, 0)


async def test_an_upload_that_is_cut_leaves_nothing(running: RunningChat, alice: Person) -> None:
    batches = Batches(running.channel, alice.metadata)
    sent = asyncio.Event()

    async def requests() -> AsyncIterator[pb.CreateBatchRequest]:
        yield pb.CreateBatchRequest(chunk=jsonl(*({"prompt": "a"} for _ in range(600))))
        sent.set()
        await asyncio.Event().wait()

    call = batches.stub.CreateBatch(requests(), metadata=batches.metadata)
    await sent.wait()

    async def some_are_stored() -> bool:
        return (await rows(running))[1] > 0

    async def nothing_is_stored() -> bool:
        return await rows(running) == (0, 0)

    await eventually(some_are_stored)
    assert await batches.kept() == [], "what is not whole is seen by nobody"
    call.cancel()
    await eventually(nothing_is_stored)


async def test_an_upload_in_which_nothing_comes_is_ended(tmp_path: Path) -> None:
    async with running_chat(tmp_path, inference=NOWHERE, PARLEY_STREAM_IDLE_SECONDS="0.2") as chat:
        batches = Batches(chat.channel, (await chat.sign_up()).metadata)

        async def requests() -> AsyncIterator[pb.CreateBatchRequest]:
            yield pb.CreateBatchRequest(chunk=jsonl({"prompt": "a"}))
            await asyncio.Event().wait()

        cut = await refusal(batches.stub.CreateBatch(requests(), metadata=batches.metadata))
        assert (cut.code, cut.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "ERROR_REASON_STREAM_IDLE")
        assert await rows(chat) == (0, 0)


async def test_the_same_lines_under_the_same_name_are_one_batch(
    running: RunningChat, inference: ScriptedInference, alice: Person, carol: Person
) -> None:
    hers, others = Batches(running.channel, alice.metadata), Batches(running.channel, carol.metadata)
    lines = jsonl({"prompt": "once"})
    first = await hers.create(lines, client_batch_id="n-1")
    again = await hers.create(lines, client_batch_id="n-1", title="Another title")
    assert (first.duplicate, again.duplicate, again.batch.batch_id) == (False, True, first.batch.batch_id)
    other = await refusal(hers.create(jsonl({"prompt": "twice"}), client_batch_id="n-1"))
    assert other.violations == (("client_batch_id", "belongs to a batch with other lines"),)
    assert not (await others.create(lines, client_batch_id="n-1")).duplicate
    assert not (await hers.create(lines)).duplicate
    for _ in range(3):
        (await inference.next_call()).finish()
    await hers.until(first.batch.batch_id)
    assert inference.calls == 3
    assert await rows(running) == (3, 3)


async def test_what_is_anothers_is_not_there(running: RunningChat, alice: Person, carol: Person) -> None:
    hers, others = Batches(running.channel, alice.metadata), Batches(running.channel, carol.metadata)
    batch_id = await hers.batch({"prompt": "mine"})
    assert await others.kept() == []
    for call in (
        others.get(batch_id),
        others.until(batch_id),
        others.lines(batch_id),
        others.call("CancelBatch", pb.CancelBatchRequest(batch_id=batch_id)),
        others.call("ContinueBatch", pb.ContinueBatchRequest(batch_id=batch_id)),
        others.call("DeleteBatch", pb.DeleteBatchRequest(batch_id=batch_id)),
    ):
        assert (await refusal(call)).code is grpc.StatusCode.NOT_FOUND
    assert (await hers.get(batch_id)).state in {batch_pb2.BATCH_STATE_QUEUED, batch_pb2.BATCH_STATE_RUNNING}


async def test_batches_are_listed_newest_first_by_the_page(chat: RunningChat, bob: SignedUp) -> None:
    batches = Batches(chat.channel, bob.metadata)
    made = [await batches.batch({"prompt": str(number)}) for number in range(5)]
    seen, token = [], ""
    while True:
        page = await batches.call("ListBatches", pb.ListBatchesRequest(page_size=2, page_token=token))
        seen += [batch.batch_id for batch in page.batches]
        if not (token := page.next_page_token):
            break
    assert seen == made[::-1]
    damaged = await refusal(batches.call("ListBatches", pb.ListBatchesRequest(page_token="x")))
    assert damaged.reason == "ERROR_REASON_INVALID_PAGE_TOKEN"
    for batch_id in made:
        await batches.call("DeleteBatch", pb.DeleteBatchRequest(batch_id=batch_id))


async def test_deleting_stops_the_models_and_leaves_nothing(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    batches = Batches(running.channel, alice.metadata)
    batch_id = await batches.batch({"prompt": "a"}, {"prompt": "b"})
    calls = [await inference.next_call(), await inference.next_call()]
    await batches.call("DeleteBatch", pb.DeleteBatchRequest(batch_id=batch_id))
    assert (await refusal(batches.get(batch_id))).code is grpc.StatusCode.NOT_FOUND
    async with asyncio.timeout(60):
        for call in calls:
            await call.cancelled.wait()
    assert await rows(running) == (0, 0)


async def test_a_batch_is_deleted_when_it_was_kept_long_enough(tmp_path: Path, inference: ScriptedInference) -> None:
    async with running_chat(tmp_path, inference=inference.address) as chat:
        person = await chat.sign_up()
        batches = Batches(chat.channel, person.metadata)
        old, new = await batches.batch({"prompt": "a"}), await batches.batch({"prompt": "b"})
        for _ in range(2):
            (await inference.next_call()).finish()
        for batch_id in (old, new):
            await batches.until(batch_id)
        async with chat.app.database.write() as connection:
            ended = datetime.now(UTC) - timedelta(days=30, seconds=1)
            await connection.execute(update(stored).where(stored.c.batch_id == old).values(end_time=ended))
    # A process looks when it starts.
    async with running_chat(tmp_path, inference=inference.address) as chat:
        batches = Batches(chat.channel, person.metadata)

        async def one_is_left() -> bool:
            return len(await batches.kept()) == 1

        await eventually(one_is_left)
        assert [batch.batch_id for batch in await batches.kept()] == [new]


async def test_events_and_usage_tell_of_a_batch(
    running: RunningChat, inference: ScriptedInference, alice: Person
) -> None:
    batches = Batches(running.channel, alice.metadata)
    batch_id = await batches.batch({"prompt": "a"}, {"prompt": "b"}, title="Two")
    for _ in range(2):
        call = await inference.next_call()
        call.use(10, 5)
        call.finish()
    await batches.until(batch_id)
    await batches.call("DeleteBatch", pb.DeleteBatchRequest(batch_id=batch_id))
    log: Any = event_service_pb2_grpc.EventServiceStub(running.channel)
    request = event_service_pb2.ListEventsRequest(resource_types=[event_pb2.RESOURCE_TYPE_BATCH])
    told = (await log.ListEvents(request, metadata=alice.metadata)).events
    assert [(event.action, event.resource_id) for event in told] == [
        (event_pb2.ACTION_CREATED, batch_id),
        (event_pb2.ACTION_UPDATED, batch_id),
        (event_pb2.ACTION_DELETED, batch_id),
    ]
    assert (told[0].batch.title, told[0].batch.pending_count) == ("Two", 2)
    assert (told[1].batch.state, told[1].batch.completed_count) == (batch_pb2.BATCH_STATE_DONE, 2)
    usage: Any = usage_service_pb2_grpc.UsageServiceStub(running.channel)
    by_purpose = usage_service_pb2.GetUsageRequest(group_by=[usage_service_pb2.USAGE_DIMENSION_PURPOSE])

    async def is_recorded() -> bool:
        # Behind the lines' backs.
        return bool((await usage.GetUsage(by_purpose, metadata=alice.metadata)).total.request_count == 2)

    await eventually(is_recorded)
    [row] = (await usage.GetUsage(by_purpose, metadata=alice.metadata)).rows
    assert (row.purpose, row.input_tokens, row.output_tokens) == (usage_service_pb2.USAGE_PURPOSE_BATCH, 20, 10)

"""Whatever a request holds, an rpc answers it or refuses it, in time and in words: it never fails, and the service goes on.

Requests are made from the descriptors of every rpc of every service (parley_testing.arbitrary_requests). They are the same in every run; a
long run with others is `make fuzz`.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from typing import Any, Final

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from parley.identity.v1 import identity_service_pb2
from parley_edge.contract import descriptor_file
from parley_shared.status import status_error_from
from parley_testing.administrators import administrator
from parley_testing.arbitrary_requests import HOSTILE_JSON, UNKNOWN, Words, requests_of
from parley_testing.running_chat import Person
from parley_testing.whole_parley import WholeParley

EXAMPLES: Final = int(os.environ.get("PARLEY_FUZZ_EXAMPLES", "0"))
"""How many requests of each kind a long run makes, different ones each time. 0: a short run, always the same."""

SHORT: Final = 24
FEW: Final = {"SignUp": 4, "SignIn": 6, "RunSelfTest": 2, "TrainScoringModel": 12}
"""Rpcs that cost more, and how many requests they get in a short run: passwords are hashed slowly on purpose, models are trained."""

SECONDS: Final = 60
FAILURES: Final = {
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DATA_LOSS,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}
ENDS_THINGS: Final = ("Delete", "Revoke", "SignOut", "Cancel")
"""How rpcs begin after which less is there: they come last."""


@dataclass(frozen=True)
class Rpc:
    """One rpc of the contract."""

    method: MethodDescriptor

    @property
    def path(self) -> str:
        return f"/{self.method.containing_service.full_name}/{self.method.name}"

    @property
    def package(self) -> str:
        return self.method.containing_service.file.package

    @property
    def request(self) -> Descriptor:
        return self.method.input_type

    @property
    def examples(self) -> int:
        return EXAMPLES or FEW.get(self.method.name, SHORT)


def every_rpc() -> list[Rpc]:
    contract = descriptor_pb2.FileDescriptorSet.FromString(descriptor_file().read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in contract.file:
        pool.Add(file)
    found = [
        Rpc(pool.FindServiceByName(f"{file.package}.{service.name}").methods_by_name[method.name])
        for file in contract.file
        if file.package.startswith("parley.")
        for service in file.service
        for method in service.method
    ]
    return sorted(found, key=lambda rpc: rpc.method.name.startswith(ENDS_THINGS))


RPCS: Final = every_rpc()


@dataclass(frozen=True)
class Caller:
    """Somebody who has something of everything."""

    person: Person
    words: Words


def bodies() -> list[bytes]:
    """What is plausible as a body: a file, lines of a batch, a message of MCP, with hostile JSON in them."""
    lines = [json.dumps({"id": "a", "prompt": "Say hello."})]
    lines += [f'{{"id": "{number}", "prompt": {each}}}' for number, each in enumerate(HOSTILE_JSON)]
    calls = [
        f'{{"jsonrpc": "2.0", "id": {each}, "method": "tools/call", "params": {{"name": "create_task", "arguments": {given}}}}}'
        for each, given in [("1", '{"title": "Milk"}'), *(("1", each) for each in HOSTILE_JSON), ('"\\ud800"', "{}")]
    ]
    calls += [
        f'{{"jsonrpc": "2.0", "id": 1, "method": {each}}}' for each in ('"tools/list"', '"\\ud800"', '"a\\u0000"', "7")
    ]
    return [b"", b"# Holidays\n\nClosed on 1 May.\n", b"%PDF-1.7\n\xff", *(each.encode() for each in [*lines, *calls])]


async def made(whole: WholeParley, person: Person, path: str, **fields: Any) -> Any:
    """The answer of an rpc that makes something."""
    [rpc] = [rpc for rpc in RPCS if rpc.path == path]
    request = message_factory.GetMessageClass(rpc.request)(**fields).SerializeToString()
    metadata = whole.metadata_for(rpc.package, person)
    channel: Any = whole.channel_of(rpc.package)
    kind = channel.stream_unary if rpc.method.client_streaming else channel.unary_unary
    call = kind(rpc.path, request_serializer=bytes, response_deserializer=bytes)
    answer = await call([request] if rpc.method.client_streaming else request, metadata=metadata, timeout=SECONDS)
    return message_factory.GetMessageClass(rpc.method.output_type).FromString(answer)


@pytest.fixture(scope="module")
async def caller(whole: WholeParley) -> Caller:
    person = await administrator(whole.chat)

    async def make(path: str, **fields: Any) -> Any:
        return await made(whole, person, path, **fields)

    url = "https://127.0.0.1:61999/x"
    document = await make(
        "/parley.retrieval.v1.DocumentService/CreateDocument", title="Holidays", text="Closed on 1 May."
    )
    sent = await make("/parley.chat.v1.ChatService/SendMessage", message="When is it closed?")
    task = await make("/parley.workspace.v1.TaskService/CreateTask", title="Milk")
    project = await make("/parley.workspace.v1.ProjectService/CreateProject", title="House")
    token = await make("/parley.identity.v1.IdentityService/CreateAccessToken", name="one", scopes=["chat:read"])
    webhook = await make("/parley.events.v1.WebhookService/CreateWebhook", url=url)
    budget = await make("/parley.usage.v1.UsageService/CreateBudget", period=1, limit_tokens=10**9)
    event = await make(
        "/parley.workspace.v1.CalendarService/CreateEvent",
        title="Standup", start_date="2027-02-01", recurrence="FREQ=WEEKLY;COUNT=9",
    )  # fmt: skip
    account = await make("/parley.workspace.v1.CalendarService/CreateCalendarAccount", kind=1, url=url)
    meetings = await make(
        "/parley.workspace.v1.CalendarService/ListMeetings",
        start_time={"seconds": 1_798_761_600},
        end_time={"seconds": 1_811_808_000},
    )
    batch = await make("/parley.chat.v1.BatchService/CreateBatch", chunk=b'{"id": "a", "prompt": "Say hello."}\n')
    job = await make(
        "/parley.retrieval.v1.IngestService/Ingest",
        metadata={"filename": "a.md"}, chunk=b"# A\n\nB.\n",
    )  # fmt: skip
    texts: dict[str, list[str]] = {
        "session_id": [sent.session_id],
        "turn_id": [sent.turn_id],
        "parent_message_id": ["", sent.message_id],
        "task_id": [task.task.task_id],
        "project_id": ["", project.project.project_id],
        "document_id": [document.document.document_id],
        "access_token_id": [token.access_token.access_token_id],
        "batch_id": [batch.batch.batch_id],
        "budget_id": [budget.budget.budget_id],
        "webhook_id": [webhook.webhook.webhook_id],
        "event_id": [event.event.event_id, f"evt_{UNKNOWN}"],
        "meeting_id": [meeting.meeting_id for meeting in meetings.meetings[:2]],
        "account_id": [account.account.account_id],
        "job_id": [job.job_id],
        "response_id": [sent.turn_id.replace("trn_", "resp_"), f"resp_{UNKNOWN}"],
        "user_id": [person.user_id, f"usr_{UNKNOWN}"],
        "tool_call_id": ["call_1"],
        "agent_id": ["researcher"],
        "template_id": ["blog_post"],
        "page_token": [""],
        "model": ["", "offline"],
        "time_zone": ["", "Europe/Berlin", "Pacific/Kiritimati"],
        "language": ["en", "de"],
        "email": ["somebody@example.org"],
        "attendees": ["somebody@example.org"],
        "password": ["correct horse"],
        "username": ["somebody"],
        "url": [url],
        "source_uri": ["", "https://example.org/a"],
        "recurrence": ["", "FREQ=WEEKLY", "FREQ=MONTHLY;BYDAY=-1FR;COUNT=4"],
        "start_date": ["", "2026-11-02"],
        "end_date": ["", "2026-11-03"],
        "scopes": ["chat:read", "tasks:read"],
        "event_types": ["task.created"],
        "role": ["user"],
        "type": ["function", "text", "json_object", "json_schema"],
        "tool_choice": ["auto", "none"],
        "encoding_format": ["float", "base64"],
        "arguments_json": ["{}", '{"title": "Milk"}', *HOSTILE_JSON],
        "arguments": ["{}", '{"title": "Milk"}', *HOSTILE_JSON],
        "csv": ["size,sector,won\n1,a,yes\n2,b,no\n", "size,won\n" + "".join(f"{n},{n % 2}\n" for n in range(40))],
        "label_column": ["won"],
        "positive_label": ["yes", "1"],
        "content_type": ["application/jsonl", "text/markdown", "application/pdf", "application/json"],
        "filename": ["holidays.md", "lines.jsonl", "a.pdf"],
        "media_type": ["image/png"],
        "name": ["leads", "create_task"],
        "item_id": ["item-1"],
        "item_type": ["task", "event"],
        "person_id": ["person-1"],
        "interaction_id": ["interaction-1"],
    }
    return Caller(person, Words(texts, bodies()))


async def outcome(whole: WholeParley, person: Person, rpc: Rpc, requests: list[bytes]) -> grpc.aio.AioRpcError | None:
    """How a call fails; None when it does not, or when it is a stream that goes on."""
    channel, metadata = whole.channel_of(rpc.package), whole.metadata_for(rpc.package, person)
    method = rpc.method
    kind: Any = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, False): channel.stream_unary,
        (True, True): channel.stream_stream,
    }[method.client_streaming, method.server_streaming]
    call = kind(rpc.path, request_serializer=bytes, response_deserializer=bytes)(
        requests if method.client_streaming else requests[0], metadata=metadata, timeout=SECONDS
    )
    try:
        if not method.server_streaming:
            await call
        elif method.name.startswith("Watch"):
            # It ends when its caller goes; a refusal comes first.
            reading = asyncio.ensure_future(call.read())
            await asyncio.wait([reading], timeout=0.1)
            if reading.done():
                reading.result()
            else:
                call.cancel()
                await asyncio.wait([reading])
                reading.cancelled() or reading.exception()
        else:
            async for _ in call:
                pass
    except grpc.aio.AioRpcError as error:
        return error
    return None


@pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: rpc.path)
async def test_whatever_a_request_holds_it_is_answered_or_refused(whole: WholeParley, caller: Caller, rpc: Rpc) -> None:
    strategy = requests_of(rpc.request, caller.words)
    several = st.lists(
        strategy, min_size=0 if rpc.method.client_streaming else 1, max_size=3 if rpc.method.client_streaming else 1
    )
    drawn: list[list[bytes]] = []

    @settings(
        max_examples=rpc.examples,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(several)
    def draw(requests: list[bytes]) -> None:
        drawn.append(requests)

    draw()
    failed = []
    for requests in drawn:
        error = await outcome(whole, caller.person, rpc, requests)
        if error is None:
            continue
        told = status_error_from(error)
        words = error.details() or ""
        if error.code() in FAILURES or not told.reason or not words or "Traceback" in words or len(words) > 2_000:
            failed.append(f"{error.code().name} {told.reason} {words[:300]!r}: {[each[:600] for each in requests]}")
    assert not failed, f"{len(failed)} of {len(drawn)}:\n" + "\n".join(failed[:5])
    # The services live on.
    await whole.chat.identity.GetCurrentUser(
        identity_service_pb2.GetCurrentUserRequest(), metadata=caller.person.metadata, timeout=SECONDS
    )

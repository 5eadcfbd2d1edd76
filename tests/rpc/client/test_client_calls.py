"""Unary calls of the client: what is tried again and what is not, pages, deadlines, tokens, trace context. Against a real gRPC server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2, session_pb2
from parley.identity.v1 import identity_service_pb2, identity_service_pb2_grpc, user_pb2
from parley_client import (
    Backoff,
    CallCancelledError,
    ClientClosedError,
    DeadlineExceededError,
    FieldViolation,
    InvalidArgumentError,
    NotFoundError,
    Parley,
    PasswordTokens,
    TokenError,
    UnauthenticatedError,
    UnavailableError,
)
from parley_testing.scripted_chat import SESSION_ID, Abort, ScriptedChat, serving, turn_events
from parley_testing.status_details import TRACE_ID, trailers

QUICK = Backoff(attempts=3, first_seconds=0.001, most_seconds=0.01, most_asked_seconds=2.0)
AWAY = Abort(grpc.StatusCode.UNAVAILABLE, "away")


@pytest.fixture
async def chat() -> ScriptedChat:
    return ScriptedChat()


@pytest.fixture
async def client(chat: ScriptedChat) -> AsyncIterator[Parley]:
    async with (
        serving(chat) as port,
        Parley.connect(f"http://127.0.0.1:{port}", token="secret", backoff=QUICK, stream_backoff=QUICK) as client,
    ):
        yield client


async def test_a_read_is_tried_again_after_a_cut(chat: ScriptedChat, client: Parley) -> None:
    chat.answer("GetSession", AWAY, AWAY, pb.GetSessionResponse(session=session_pb2.Session(title="Plans")))
    assert (await client.sessions.get(SESSION_ID)).title == "Plans"
    assert len(chat.received) == 3


async def test_a_read_is_tried_so_often_and_no_more(chat: ScriptedChat, client: Parley) -> None:
    chat.answer("GetSession", AWAY, AWAY, AWAY)
    with pytest.raises(UnavailableError, match="away"):
        await client.sessions.get(SESSION_ID)
    assert len(chat.received) == QUICK.attempts


async def test_a_call_that_the_contract_does_not_call_repeatable_is_made_once(
    chat: ScriptedChat, client: Parley
) -> None:
    chat.answer("CreateSession", AWAY)
    with pytest.raises(UnavailableError):
        await client.sessions.create(title="Plans")
    chat.answer("DeleteSession", AWAY)
    with pytest.raises(UnavailableError):
        await client.sessions.delete(SESSION_ID)
    assert [each.rpc for each in chat.received] == ["CreateSession", "DeleteSession"]


async def test_an_idempotent_change_is_tried_again(chat: ScriptedChat, client: Parley) -> None:
    chat.answer("UpdateSession", AWAY, pb.UpdateSessionResponse(session=session_pb2.Session(title="New")))
    assert (await client.sessions.rename(SESSION_ID, "New")).title == "New"
    assert list(chat.requests("UpdateSession")[0].update_mask.paths) == ["title"]


async def test_an_answer_is_not_tried_again(chat: ScriptedChat, client: Parley) -> None:
    chat.answer("GetSession", Abort(grpc.StatusCode.NOT_FOUND, "There is no such session."))
    with pytest.raises(NotFoundError, match="There is no such session"):
        await client.sessions.get(SESSION_ID)
    assert len(chat.received) == 1


async def test_a_cancelled_answer_is_an_error_and_not_a_cancelled_task(chat: ScriptedChat, client: Parley) -> None:
    chat.answer("CreateSession", Abort(grpc.StatusCode.CANCELLED, "draining"))
    with pytest.raises(CallCancelledError, match="draining"):
        await client.sessions.create()


async def test_an_error_tells_all_that_parley_told(chat: ScriptedChat, client: Parley) -> None:
    details = trailers(
        grpc.StatusCode.INVALID_ARGUMENT,
        "The request is not valid.",
        reason="ERROR_REASON_INVALID_FIELD",
        metadata={"field": "title"},
        violations=[("title", "is longer than 200 characters")],
    )
    chat.answer("CreateSession", Abort(grpc.StatusCode.INVALID_ARGUMENT, "The request is not valid.", details))
    with pytest.raises(InvalidArgumentError) as caught:
        await client.sessions.create(title="x" * 201)
    error = caught.value
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_INVALID_FIELD")
    assert error.field_violations == (FieldViolation("title", "is longer than 200 characters"),)
    assert error.metadata == {"field": "title"}
    assert error.trace_id == TRACE_ID
    assert str(error) == "The request is not valid. (title is longer than 200 characters)"


async def test_an_error_of_the_edge_has_its_trace_and_its_delay_from_the_headers(
    chat: ScriptedChat, client: Parley
) -> None:
    headers = (("retry-after", "4"), ("x-trace-id", "ef" * 16))
    chat.answer("CreateSession", Abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "local_rate_limited", headers))
    with pytest.raises(Exception, match="local_rate_limited") as caught:
        await client.sessions.create()
    assert (caught.value.retry_after, caught.value.trace_id) == (4.0, "ef" * 16)  # type: ignore[attr-defined] # a ParleyError


async def test_a_call_ends_at_its_deadline(chat: ScriptedChat) -> None:
    class Slow(ScriptedChat):
        async def GetSession(self, request: Any, context: Any) -> Any:
            await asyncio.Event().wait()

    async with serving(Slow()) as port, Parley.connect(f"127.0.0.1:{port}", timeout_seconds=0.2) as client:
        with pytest.raises(DeadlineExceededError):
            await asyncio.wait_for(client.sessions.get(SESSION_ID), 5)


async def test_a_parley_that_is_not_there_is_unavailable(unused_tcp_port: int) -> None:
    async with Parley.connect(f"127.0.0.1:{unused_tcp_port}", backoff=QUICK) as client:
        with pytest.raises(UnavailableError):
            await client.system.healthy()


async def test_a_closed_client_says_so(chat: ScriptedChat, client: Parley) -> None:
    await client.close()
    with pytest.raises(ClientClosedError):
        await client.sessions.get(SESSION_ID)


async def test_pages_are_one_list_and_asked_for_when_they_are_reached(chat: ScriptedChat, client: Parley) -> None:
    chat.answer(
        "ListMessages",
        pb.ListMessagesResponse(
            messages=[message_pb2.Message(text="3"), message_pb2.Message(text="2")], next_page_token="p2"
        ),
        pb.ListMessagesResponse(messages=[], next_page_token="p3"),
        pb.ListMessagesResponse(messages=[message_pb2.Message(text="1")]),
    )
    messages = client.messages.list(SESSION_ID, page_size=2)
    assert (await anext(messages)).text == "3"
    assert len(chat.received) == 1
    assert [message.text async for message in messages] == ["2", "1"]
    assert [request.page_token for request in chat.requests("ListMessages")] == ["", "p2", "p3"]
    assert {request.page_size for request in chat.requests("ListMessages")} == {2}


async def test_a_call_inside_a_span_carries_its_trace(chat: ScriptedChat, client: Parley) -> None:
    from opentelemetry.sdk.trace import TracerProvider

    chat.answer("GetSession", pb.GetSessionResponse(), pb.GetSessionResponse())
    await client.sessions.get(SESSION_ID)
    assert "traceparent" not in chat.received[0].metadata
    with TracerProvider().get_tracer("test").start_as_current_span("mine") as span:
        await client.sessions.get(SESSION_ID)
        chat.script(turn_events("Hello"))
        await client.stream_reply("Hi").message()
    trace_id = format(span.get_span_context().trace_id, "032x")
    assert [trace_id in each.metadata["traceparent"] for each in chat.received[1:]] == [True, True]


# The generated class asks for every rpc; these tests need two.
_Base: Any = identity_service_pb2_grpc.IdentityServiceServicer


class ScriptedIdentity(_Base):  # type: ignore[misc] # see above
    """Gives numbered tokens that live `lives_seconds`, and counts how they were asked for."""

    def __init__(self) -> None:
        self.lives_seconds = 900.0
        self.sign_ins: list[str] = []
        self.refreshes: list[str] = []
        self.refuse_refresh = False
        self.password = "right"

    def _pair(self) -> user_pb2.TokenPair:
        number = len(self.sign_ins) + len(self.refreshes)
        pair = user_pb2.TokenPair(access_token=f"access-{number}", refresh_token=f"refresh-{number}")
        pair.access_token_expire_time.FromSeconds(int(time.time() + self.lives_seconds))
        pair.refresh_token_expire_time.FromSeconds(int(time.time() + 86400))
        return pair

    async def SignIn(self, request: Any, context: Any) -> Any:
        assert "authorization" not in dict(context.invocation_metadata())
        await asyncio.sleep(0)
        if request.password != self.password:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "The address or the password is wrong.")
        self.sign_ins.append(request.email)
        return identity_service_pb2.SignInResponse(tokens=self._pair())

    async def RefreshTokens(self, request: Any, context: Any) -> Any:
        if self.refuse_refresh:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "used")
        self.refreshes.append(request.refresh_token)
        return identity_service_pb2.RefreshTokensResponse(tokens=self._pair())


@pytest.fixture
async def identity() -> ScriptedIdentity:
    return ScriptedIdentity()


@pytest.fixture
async def signed_in(chat: ScriptedChat, identity: ScriptedIdentity) -> AsyncIterator[Parley]:
    def add(server: grpc.aio.Server) -> None:
        identity_service_pb2_grpc.add_IdentityServiceServicer_to_server(identity, server)

    async with (
        serving(chat, add=add) as port,
        Parley.connect(
            f"127.0.0.1:{port}", token_provider=PasswordTokens("a@b.c", "right"), backoff=QUICK, stream_backoff=QUICK
        ) as client,
    ):
        yield client


def authorizations(chat: ScriptedChat) -> list[str]:
    return [each.metadata["authorization"] for each in chat.received]


async def test_many_calls_at_once_sign_in_once(
    chat: ScriptedChat, signed_in: Parley, identity: ScriptedIdentity
) -> None:
    chat.answer("GetSession", *[pb.GetSessionResponse()] * 20)
    await asyncio.gather(*(signed_in.sessions.get(SESSION_ID) for _ in range(20)))
    assert identity.sign_ins == ["a@b.c"]
    assert set(authorizations(chat)) == {"Bearer access-1"}


async def test_a_token_is_refreshed_before_it_ends_and_once_for_all(
    chat: ScriptedChat, signed_in: Parley, identity: ScriptedIdentity
) -> None:
    chat.answer("GetSession", *[pb.GetSessionResponse()] * 21)
    identity.lives_seconds = 30
    await signed_in.sessions.get(SESSION_ID)
    identity.lives_seconds = 900
    await asyncio.gather(*(signed_in.sessions.get(SESSION_ID) for _ in range(20)))
    assert identity.refreshes == ["refresh-1"]
    assert authorizations(chat) == ["Bearer access-1"] + ["Bearer access-2"] * 20


async def test_a_refresh_that_is_refused_falls_back_to_the_password(
    chat: ScriptedChat, signed_in: Parley, identity: ScriptedIdentity
) -> None:
    chat.answer("GetSession", *[pb.GetSessionResponse()] * 2)
    identity.lives_seconds, identity.refuse_refresh = 30, True
    await signed_in.sessions.get(SESSION_ID)
    await signed_in.sessions.get(SESSION_ID)
    assert len(identity.sign_ins) == 2


async def test_a_refused_token_is_renewed_and_the_call_made_once_more(
    chat: ScriptedChat, signed_in: Parley, identity: ScriptedIdentity
) -> None:
    refused = Abort(grpc.StatusCode.UNAUTHENTICATED, "Jwt is expired")
    chat.answer("CreateSession", refused, pb.CreateSessionResponse())
    await signed_in.sessions.create()
    chat.answer("CreateSession", refused, refused)
    with pytest.raises(UnauthenticatedError, match="Jwt is expired"):
        await signed_in.sessions.create()
    assert authorizations(chat) == ["Bearer access-1", "Bearer access-2", "Bearer access-2", "Bearer access-3"]


async def test_a_token_that_ends_during_an_answer_is_renewed_at_the_resume(
    chat: ScriptedChat, signed_in: Parley, identity: ScriptedIdentity
) -> None:
    events = turn_events("a", "b")
    refused = Abort(grpc.StatusCode.UNAUTHENTICATED, "Jwt is expired")
    chat.script([*events[:3], AWAY], [refused], events[3:])
    assert (await signed_in.stream_reply("Hi").message()).text == "ab"
    assert authorizations(chat) == ["Bearer access-1", "Bearer access-1", "Bearer access-2"]


async def test_a_stream_whose_new_token_is_refused_too_ends(
    chat: ScriptedChat, signed_in: Parley, identity: ScriptedIdentity
) -> None:
    refused = Abort(grpc.StatusCode.UNAUTHENTICATED, "no")
    chat.script([refused], [refused])
    with pytest.raises(UnauthenticatedError):
        await signed_in.stream_reply("Hi").message()
    assert len(chat.received) == 2


async def test_a_fixed_token_that_is_refused_is_not_sent_again(chat: ScriptedChat, client: Parley) -> None:
    chat.answer("GetSession", Abort(grpc.StatusCode.UNAUTHENTICATED, "no"))
    with pytest.raises(UnauthenticatedError):
        await client.sessions.get(SESSION_ID)
    chat.script([Abort(grpc.StatusCode.UNAUTHENTICATED, "no")])
    with pytest.raises(UnauthenticatedError):
        await client.stream_reply("Hi").message()
    assert len(chat.received) == 2


async def test_a_wrong_password_is_asked_once(
    signed_in: Parley, identity: ScriptedIdentity, chat: ScriptedChat
) -> None:
    identity.password = "another"
    with pytest.raises(UnauthenticatedError, match="password is wrong"):
        await signed_in.sessions.get(SESSION_ID)
    assert chat.received == []


class GivesLineBreaks:
    """A provider whose tokens no call can carry."""

    async def token(self, identity: object) -> str:
        return "two\nlines"

    def forget(self, token: str) -> None:
        """Has no other."""


async def test_a_token_that_no_call_can_carry_is_told_at_once_and_not_sent(chat: ScriptedChat) -> None:
    async with serving(chat) as port, Parley.connect(f"127.0.0.1:{port}", token_provider=GivesLineBreaks()) as client:
        with pytest.raises(TokenError, match="line break"):
            await client.sessions.get(SESSION_ID)
        with pytest.raises(TokenError, match="line break"):
            await client.stream_reply("Hi").start()
    assert chat.received == []
    for token in ("", "two\nlines", "schlüssel"):
        with pytest.raises(TokenError):
            Parley.connect("127.0.0.1:1", token=token)

"""OpenAIResponseService: unpacks, checks, calls, packs. Turns, for clients that know OpenAI's Responses API."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from parley.openai.v1 import response_service_pb2 as pb
from parley.openai.v1 import response_service_pb2_grpc
from parley_shared.status import internal
from parley_shared.tokens import current_principal

from parley_chat.domain.conversation import OnFailure, Route
from parley_chat.domain.errors import TurnFailedError, TurnLogExpiredError, TurnStoppedError
from parley_chat.domain.turn import ApprovalRequested, Turn, TurnFailed
from parley_chat.operations.tool_decisions import ToolDecisions
from parley_chat.operations.turns import ReplyRequest, Turns
from parley_chat.servicers import openai_response_requests as requests
from parley_chat.servicers.openai_response_events import ResponseEvents
from parley_chat.servicers.openai_response_messages import pack_response, pack_unfinished
from parley_chat.servicers.status import to_status_error

Context = grpc.aio.ServicerContext[object, object]
MessageT = TypeVar("MessageT", bound=Message)


class OpenAIResponseServicer(response_service_pb2_grpc.OpenAIResponseServiceServicer):
    """Serves turns to OpenAI's clients."""

    def __init__(self, turns: Turns, decisions: ToolDecisions) -> None:
        self._turns = turns
        self._decisions = decisions

    async def CreateResponse(self, request: pb.CreateResponseRequest, context: Context) -> pb.CreateResponseResponse:
        """Answers whole, or at once when the request is to be answered in the background."""
        turn = await self._begin(request, context)
        if request.background or await self._waits_for_user(turn):
            return _as(pb.CreateResponseResponse, pack_unfinished(turn))
        # Stopped through another call: what was written is the response, and its status says so.
        with suppress(TurnStoppedError):
            await self._turns.answer_of(turn)
        return _as(pb.CreateResponseResponse, await self._response(turn))

    async def StreamResponse(
        self, request: pb.StreamResponseRequest, context: Context
    ) -> AsyncIterator[pb.StreamResponseResponse]:
        """Answers event by event."""
        turn = await self._begin(request, context)
        async with aclosing(self._events(turn, after=-1)) as events:
            async for event in events:
                yield event

    async def GetResponse(self, request: pb.GetResponseRequest, context: Context) -> pb.GetResponseResponse:
        """Gets a response as it is."""
        turn = await self._find(requests.turn_id_of(request.response_id))
        return _as(pb.GetResponseResponse, await self._response(turn))

    async def ResumeResponse(
        self, request: pb.ResumeResponseRequest, context: Context
    ) -> AsyncIterator[pb.ResumeResponseResponse]:
        """Replays the events behind a place, and follows."""
        after = requests.starting_after(request)
        turn = await self._find(requests.named_turn(request.response_id))
        async with aclosing(self._events(turn, after=after)) as events:
            async for event in events:
                yield _as(pb.ResumeResponseResponse, event)

    async def CancelResponse(self, request: pb.CancelResponseRequest, context: Context) -> pb.CancelResponseResponse:
        """Stops a response."""
        turn_id = requests.turn_id_of(request.response_id)
        message, _ = await self._turns.stop(current_principal().user_id, turn_id)
        return _as(pb.CancelResponseResponse, pack_response(await self._find(turn_id), message))

    async def _begin(self, request: requests.ResponseRequest, context: Context) -> Turn:
        key = _idempotency_key(context)
        message = requests.input_text(request, key)
        session_id, parent = requests.session_of(request), None
        if request.previous_response_id:
            previous = await self._find(requests.named_turn(request.previous_response_id))
            session_id, parent = previous.session_id, previous.message_id
        principal = current_principal()
        return await self._turns.begin(
            ReplyRequest(
                user_id=principal.user_id,
                message=message,
                session_id=session_id,
                client_message_id=key,
                route=Route.AUTOMATIC,
                model=request.model,
                parent_message_id=parent,
                on_failure=OnFailure.CONTINUE,
                scopes=tuple(sorted(principal.scopes)),
            )
        )

    async def _find(self, turn_id: str) -> Turn:
        return await self._turns.find(current_principal().user_id, turn_id)

    async def _response(self, turn: Turn) -> pb.ModelResponse:
        return pack_response(turn, await self._turns.answer_until_now(turn))

    async def _waits_for_user(self, turn: Turn) -> bool:
        """Follows a turn to its end, False, or until it asks its user: nobody is to hold a call open for as long as that may take."""
        # A repeat of a send whose events are gone still has its answer.
        with suppress(TurnLogExpiredError):
            async with aclosing(self._turns.watch(turn)) as events:
                async for event in events:
                    if isinstance(event.body, ApprovalRequested):
                        waiting, _ = await self._decisions.pending(turn.user_id, turn.turn_id, 1, None)
                        if waiting:
                            return True
        return False

    async def _events(self, turn: Turn, *, after: int) -> AsyncGenerator[pb.StreamResponseResponse, None]:
        """The events behind a place. All are counted from the first, which is what their numbers mean."""
        response, begun = ResponseEvents(turn), False
        failed: TurnFailed | None = None
        try:
            async with aclosing(self._turns.watch(turn, merging=False)) as events:
                async for event in events:
                    for told in response.take(event):
                        if told.sequence_number > after:
                            begun = True
                            yield told
                            failed = event.body if isinstance(event.body, TurnFailed) else None
        except Exception as error:
            if begun:
                # Through REST the status is lost by now: without this, a stream that broke off could look whole.
                yield response.broken_off(to_status_error(error) or internal())
            raise
        if failed:
            raise TurnFailedError(turn.turn_id, failed.failure)


def _as(kind: type[MessageT], message: Message) -> MessageT:
    """The same as another message of the contract that has the same fields: REST has no body within a body."""
    return kind.FromString(message.SerializeToString())


def _idempotency_key(context: Context) -> str:
    """The client's own name for the message; empty when it has none."""
    for name, value in context.invocation_metadata() or ():
        if name == requests.IDEMPOTENCY_KEY:
            return value if isinstance(value, str) else value.decode("latin-1")
    return ""

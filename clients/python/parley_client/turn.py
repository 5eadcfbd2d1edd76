"""One turn, read to its end whatever happens to the connection in between.

The turn lives in Parley, not here: this object is a reader of it. It can be dropped, and the turn goes on; to end the turn, `stop()` it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, cast

import grpc
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import message_pb2, turn_event_pb2

from parley_client.chat import Messages
from parley_client.connection import cancelled_by_caller
from parley_client.errors import (
    ClientClosedError,
    FailedPreconditionError,
    ParleyError,
    StreamGapError,
    TurnFailedError,
    UnauthenticatedError,
    UnavailableError,
    error_from,
)
from parley_client.events import (
    ApprovalDecided,
    ApprovalRequested,
    LastEvent,
    NoticeGiven,
    TextDelta,
    TurnCompleted,
    TurnEvent,
    TurnFailed,
    TurnQueued,
    TurnRestarted,
    TurnStarted,
    TurnStopped,
    event_from,
)
from parley_client.rpc import Rpc

if TYPE_CHECKING:
    from parley_client.backoff import Backoff
    from parley_client.channel_connection import ChannelConnection
    from parley_client.connection import Connection, SideName

_CHAT = pb.DESCRIPTOR.services_by_name["ChatService"]
STREAM_REPLY = Rpc(_CHAT, "StreamReply", pb.StreamReplyRequest, pb.StreamReplyResponse)
RESUME_REPLY = Rpc(_CHAT, "ResumeReply", pb.ResumeReplyRequest, pb.ResumeReplyResponse)
STOP_REPLY = Rpc(_CHAT, "StopReply", pb.StopReplyRequest, pb.StopReplyResponse)

_LOG_EXPIRED = "ERROR_REASON_TURN_LOG_EXPIRED"
_STREAM_IDLE = "ERROR_REASON_STREAM_IDLE"
# After the last event only the status is missing, which is on its way.
_END_OF_CALL_SECONDS = 1.0


class _EventCall(Protocol):
    async def read(self) -> object: ...

    async def code(self) -> grpc.StatusCode: ...

    def cancel(self) -> bool: ...


class Turn:
    """The events of one turn: `async for event in turn`.

    Nothing is sent before the first event is asked for, or `start()` is awaited. Every event comes once and in order, also across cuts of
    the connection: the reader resumes after the last event it has, with pauses that grow, and gives up with the error of the last cut when
    its Backoff is used up.

    The iteration ends after `TurnCompleted` and after `TurnStopped`. After `TurnFailed` it raises TurnFailedError, so that nobody
    takes half an answer for a whole one. Other ParleyErrors mean that the turn could not be read; it may be running all the same, and
    iterating again goes on after the last event.

    Cancelling the task that iterates ends the reading and not the turn. As `async with client.stream_reply(…) as turn:` the call is also
    closed when the block is left early.
    """

    def __init__(
        self,
        connection: Connection,
        backoff: Backoff,
        *,
        request: pb.StreamReplyRequest | None = None,
        turn_id: str = "",
        after_sequence: int = 0,
        side: SideName | None = None,
    ) -> None:
        """Made by the client's `stream_reply` (with a request) and `resume_reply` (with a turn, and the side that has it)."""
        self._connection = connection
        self._side = side
        self._at: ChannelConnection | None = None
        self._arrived = False
        self._backoff = backoff
        self._request = request
        self._turn_id = turn_id
        self._sequence = after_sequence
        self._started: TurnStarted | None = None
        self._last: LastEvent | None = None
        self._text: list[str] = []
        self._queue_place: int | None = None
        self._asked: dict[str, ApprovalRequested] = {}
        self._call: _EventCall | None = None
        self._token = ""
        self._failures = 0
        self._refusal: UnauthenticatedError | None = None
        self._closed = False
        self._early: deque[TurnEvent] = deque()
        self._reading = asyncio.Lock()

    # ---- What is known of the turn ---------------------------------------------------------------------------------

    @property
    def turn_id(self) -> str:
        """Names the turn; empty until its first event is here (see `start`)."""
        return self._turn_id

    @property
    def session_id(self) -> str:
        """The session, also a new one; empty until the turn's first event is here."""
        if self._started is not None:
            return self._started.session_id
        return self._request.session_id if self._request is not None else ""

    @property
    def client_message_id(self) -> str:
        """This client's name for the message: the same name never makes a second turn. Empty for a resumed turn."""
        if self._started is not None:
            return self._started.client_message_id
        return self._request.client_message_id if self._request is not None else ""

    @property
    def trace_id(self) -> str:
        """The trace of the turn; empty when it is not known."""
        return self._started.trace_id if self._started is not None else ""

    @property
    def sequence(self) -> int:
        """The last event that arrived: where `resume_reply` goes on. 0 before the first."""
        return self._sequence

    @property
    def side(self) -> SideName | None:
        """Which Parley has the turn, for `resume_reply` of a client with two; None until it is asked for."""
        return self._at.side if self._at is not None else self._side

    @property
    def text(self) -> str:
        """The answer as far as this object has read it."""
        return "".join(self._text)

    @property
    def queue_place(self) -> int | None:
        """The turn's place, from 1, while it waits for a model that can be reached; None when it does not wait."""
        return self._queue_place

    @property
    def pending_approvals(self) -> tuple[ApprovalRequested, ...]:
        """The calls of tools that wait for the user's decision, as far as this object has read."""
        return tuple(self._asked.values())

    @property
    def last(self) -> LastEvent | None:
        """How the turn ended; None while it runs."""
        return self._last

    # ---- Reading ---------------------------------------------------------------------------------------------------

    async def start(self) -> Self:
        """Sends the message, when it was not yet sent, and returns when the turn is known by its `turn_id`."""
        if not self._turn_id:
            # Another task that reads gives the lock up at the first event, which is all that is waited for.
            async with self._reading:
                if not self._turn_id:
                    self._early.append(await self._next())
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> TurnEvent:
        async with self._reading:
            if self._early:
                return self._early.popleft()
            if self._last is None:
                return await self._next()
            await self._end_call()
        if isinstance(self._last, TurnFailed):
            raise TurnFailedError(self._last.failure, self._last.message, trace_id=self.trace_id)
        raise StopAsyncIteration

    async def message(self) -> message_pb2.Message:
        """Reads the turn to its end and returns the answer as stored, also a stopped one. Raises TurnFailedError when it failed.

        A reader that was away for so long that the events are no longer kept gets the answer from the session.
        """
        try:
            async for _ in self:
                pass
        except FailedPreconditionError as error:
            if error.reason != _LOG_EXPIRED or self._started is None:
                raise
            return await self._stored_message(self._started, error)
        # Without a last event, or with a failed one, the iteration has raised.
        last = cast("TurnCompleted | TurnStopped", self._last)
        return last.message

    async def stop(self) -> pb.StopReplyResponse:
        """Stops the turn for everybody who watches it, and returns its receipt: the answer as stored, and whether this call stopped it.

        The connection to the provider is closed. Harmless when the turn had ended. Can be called while another task iterates, which
        then gets `TurnStopped`. A message that was not sent yet is sent first: there is no turn to stop before.
        """
        await self.start()
        return await self._here().call(STOP_REPLY, pb.StopReplyRequest(turn_id=self._turn_id))

    async def close(self) -> None:
        """Stops reading. The turn goes on, unless it was sent with `detach=False`."""
        self._closed = True
        if self._call is not None:
            self._call.cancel()
            self._call = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    # ---- How it is done --------------------------------------------------------------------------------------------

    async def _next(self) -> TurnEvent:
        """The next event, over as many calls as it takes."""
        while True:
            try:
                event = await self._read()
            except ParleyError as error:
                self._call = None
                await self._recover(error)
                continue
            if event is None:
                self._call = None
                # Only the last event ends a turn. A stream that just ends was cut where nobody could say so.
                ended = _ended_early(self._turn_id)
                self._failed(ended)
                await self._recover(ended)
            elif (known := self._take(event)) is not None:
                return known

    async def _read(self) -> turn_event_pb2.TurnEvent | None:
        """One event of the current call, which is opened when there is none. None at the end of the call."""
        if self._closed:
            raise ClientClosedError
        try:
            if self._call is None:
                self._call = await self._open()
            response = await self._call.read()
        except grpc.aio.AioRpcError as error:
            told = error_from(error)
            self._failed(told)
            raise told from None
        except asyncio.CancelledError:
            # gRPC has cancelled the call along with the task. Whoever iterates again gets a new one.
            self._call = None
            if cancelled_by_caller():
                raise
            raise ClientClosedError from None
        if isinstance(response, pb.StreamReplyResponse | pb.ResumeReplyResponse):
            return response.event
        return None

    async def _open(self) -> _EventCall:
        at = self._place()
        self._token = await at.token(instead_of=self._token, refusal=self._refusal)
        if self._turn_id:
            resume = pb.ResumeReplyRequest(turn_id=self._turn_id, after_sequence=self._sequence)
            return at.open_stream(RESUME_REPLY, resume, self._token)
        if self._request is None:
            raise RuntimeError("a turn is read by its message or by its id")
        # Also after a cut: the client_message_id makes it the same turn.
        return at.open_stream(STREAM_REPLY, self._request, self._token)

    def _place(self) -> ChannelConnection:
        """Where to read next. A turn stays where it is, or may be, unless it is at both sides."""
        if self._at is None or self._connection.shared_data or not (self._turn_id or self._arrived):
            at = self._connection.at(STREAM_REPLY, side=self._side if self._at is None else None)
            if at is not self._at:
                # Another side has tokens of its own.
                self._at, self._token, self._refusal = at, "", None
        return self._at

    def _failed(self, error: ParleyError) -> None:
        """Notes that a call ended so. The message may have arrived all the same, unless the error says otherwise."""
        self._here().note(STREAM_REPLY, error)
        self._arrived = self._arrived or not error.unsent

    def _here(self) -> ChannelConnection:
        return self._at if self._at is not None else self._place()

    async def _recover(self, error: ParleyError) -> None:
        """Returns when it is time to try again; raises the error when that would be of no use."""
        if isinstance(error, UnauthenticatedError):
            # Once for each stretch of events: a token may end in the middle of a long answer, and another one begin.
            refused_before, self._refusal = self._refusal, error
            if refused_before is not None or not self._token:
                self._refusal = None
                raise error
            return
        if error.reason == _STREAM_IDLE and (self._queue_place is not None or self._asked):
            # A turn that waits for a model or its user has nothing to say for hours, and the server ends a silent call: that is no failure.
            return
        self._failures += 1
        pause = self._backoff.pause_seconds(self._failures, error.retry_after) if error.retryable else None
        if pause is None:
            self._failures = 0
            raise error
        await asyncio.sleep(pause)

    def _take(self, event: turn_event_pb2.TurnEvent) -> TurnEvent | None:
        """Checks that the event is the next one. None when it was here before, or is of a kind that is not known."""
        if self._turn_id and event.turn_id != self._turn_id:
            raise self._gap(f"an event of turn {event.turn_id}")
        if event.sequence <= self._sequence:
            return None
        if event.first_sequence != self._sequence + 1:
            raise self._gap(f"{event.first_sequence} to {event.sequence}")
        self._here().heard(STREAM_REPLY)
        self._turn_id = event.turn_id
        self._sequence = event.sequence
        self._failures = 0
        self._refusal = None
        known = event_from(event)
        if isinstance(known, TurnQueued):
            self._queue_place = known.place
        elif known is not None and not isinstance(known, NoticeGiven):
            # Whatever happens but a notice shows that the waiting is over.
            self._queue_place = None
        if isinstance(known, ApprovalRequested):
            self._asked[known.tool_call_id] = known
        elif isinstance(known, ApprovalDecided):
            self._asked.pop(known.tool_call_id, None)
        if isinstance(known, TextDelta):
            self._text.append(known.text)
        elif isinstance(known, TurnRestarted):
            self._text.clear()
        elif isinstance(known, TurnStarted):
            self._started = known
        elif isinstance(known, TurnCompleted | TurnFailed | TurnStopped):
            self._last = known
            self._asked.clear()
        return known

    async def _stored_message(self, started: TurnStarted, expired: FailedPreconditionError) -> message_pb2.Message:
        async for message in Messages(self._here()).list(started.session_id):
            if message.message_id == started.message_id:
                if message.state == message_pb2.MESSAGE_STATE_FAILED:
                    raise TurnFailedError(message.failure, message, trace_id=self.trace_id)
                return message
        raise expired

    def _gap(self, received: str) -> StreamGapError:
        if self._call is not None:
            self._call.cancel()
            self._call = None
        return StreamGapError(self._turn_id, after_sequence=self._sequence, received=received)

    async def _end_call(self) -> None:
        """Lets the call end by itself, so that nobody's log has a cancelled call for every good one."""
        if self._call is None:
            return
        call, self._call = self._call, None
        try:
            async with asyncio.timeout(_END_OF_CALL_SECONDS):
                await call.read()
        except (grpc.aio.AioRpcError, TimeoutError):
            # The turn has ended and all of it is here; how its call ends changes nothing. The status of a failed turn comes this way.
            call.cancel()


def _ended_early(turn_id: str) -> UnavailableError:
    words = (
        f"The stream of turn {turn_id} ended before the turn did."
        if turn_id
        else "The stream ended before the turn began."
    )
    return UnavailableError(words, code=grpc.StatusCode.UNAVAILABLE)

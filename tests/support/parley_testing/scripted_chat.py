"""A real gRPC server whose ChatService does what a test scripts: events, cuts, repeats, gaps, silence. It keeps no turns of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import chat_service_pb2_grpc, message_pb2, turn_event_pb2
from parley.system.v1 import system_service_pb2, system_service_pb2_grpc

TURN_ID = "trn_" + "0" * 32
SESSION_ID = "ses_" + "0" * 32
MESSAGE_ID = "msg_" + "0" * 31 + "2"


@dataclass(frozen=True)
class Abort:
    """Ends the call with a status."""

    code: grpc.StatusCode
    words: str = "scripted"
    trailers: tuple[tuple[str, str | bytes], ...] = ()


@dataclass(frozen=True)
class Silence:
    """Says nothing until the caller goes away. `reached` is set when it begins."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)


Step = turn_event_pb2.TurnEvent | Abort | Silence


@dataclass(frozen=True)
class Received:
    """One call that arrived."""

    rpc: str
    request: Any
    metadata: dict[str, str]


def turn_events(*texts: str, turn_id: str = TURN_ID, end: str = "completed") -> list[turn_event_pb2.TurnEvent]:
    """The events of a whole turn: started, route chosen, a delta for each text, and its end (`completed`, `stopped` or `failed`)."""
    message = message_pb2.Message(
        message_id=MESSAGE_ID,
        session_id=SESSION_ID,
        turn_id=turn_id,
        role=message_pb2.ROLE_ASSISTANT,
        text="".join(texts),
    )
    started = turn_event_pb2.TurnStarted(session_id=SESSION_ID, message_id=MESSAGE_ID, trace_id="ab" * 16)
    chosen = turn_event_pb2.RouteChosen(route=message_pb2.ROUTE_ENHANCED, reason="it asks", model="strong")
    events = [turn_event_pb2.TurnEvent(started=started), turn_event_pb2.TurnEvent(route_chosen=chosen)]
    events += [turn_event_pb2.TurnEvent(delta=turn_event_pb2.TextDelta(text=text)) for text in texts]
    match end:
        case "completed":
            events.append(turn_event_pb2.TurnEvent(completed=turn_event_pb2.TurnCompleted(message=message)))
        case "stopped":
            stopped = turn_event_pb2.TurnStopped(message=message, text_length=len(message.text))
            events.append(turn_event_pb2.TurnEvent(stopped=stopped))
        case "failed":
            failure = message_pb2.Failure(
                code=grpc.StatusCode.UNAVAILABLE.value[0],
                reason="ERROR_REASON_PROVIDER_UNAVAILABLE",
                message="The provider broke off.",
                retryable=True,
            )
            failed = turn_event_pb2.TurnFailed(failure=failure, message=message)
            events.append(turn_event_pb2.TurnEvent(failed=failed))
        case _:
            raise ValueError(end)
    _number(events, turn_id)
    return events


def queued_events(*texts: str, places: Sequence[int], end: str = "completed") -> list[turn_event_pb2.TurnEvent]:
    """The events of a whole turn that waited for a model, in these places of the queue, before its first text."""
    events = turn_events(*texts, end=end)
    queued = [turn_event_pb2.TurnQueued(place=place, message=f"It waits in place {place}.") for place in places]
    events[2:2] = [turn_event_pb2.TurnEvent(queued=each) for each in queued]
    _number(events, TURN_ID)
    return events


def _number(events: Sequence[turn_event_pb2.TurnEvent], turn_id: str) -> None:
    for place, event in enumerate(events, start=1):
        event.turn_id, event.sequence, event.first_sequence = turn_id, place, place


# The generated class asks for every rpc by name; a script has them by a loop.
_Base: Any = chat_service_pb2_grpc.ChatServiceServicer


class ScriptedChat(_Base):  # type: ignore[misc] # see above
    """Answers StreamReply and ResumeReply by the scripts in order, one script a call, and other rpcs by what `answers` holds."""

    def __init__(self) -> None:
        self.scripts: deque[Sequence[Step]] = deque()
        self.answers: dict[str, deque[Message | Abort]] = {}
        self.received: list[Received] = []
        self.port = 0
        """Where it is served, while it is."""

    def script(self, *scripts: Sequence[Step]) -> None:
        """Adds scripts for the next calls."""
        self.scripts.extend(scripts)

    def answer(self, rpc: str, *answers: Message | Abort) -> None:
        """Adds answers for the next calls of a unary rpc."""
        self.answers.setdefault(rpc, deque()).extend(answers)

    def requests(self, rpc: str) -> list[Any]:
        """What arrived at an rpc."""
        return [each.request for each in self.received if each.rpc == rpc]

    async def _play(self, rpc: str, request: Message, context: Any) -> AsyncIterator[turn_event_pb2.TurnEvent]:
        self.received.append(Received(rpc, request, dict(context.invocation_metadata())))
        for step in self.scripts.popleft():
            match step:
                case Abort():
                    await context.abort(step.code, step.words, step.trailers)
                case Silence():
                    step.reached.set()
                    await asyncio.Event().wait()
                case _:
                    yield step

    async def StreamReply(self, request: pb.StreamReplyRequest, context: Any) -> AsyncIterator[pb.StreamReplyResponse]:
        async for event in self._play("StreamReply", request, context):
            yield pb.StreamReplyResponse(event=event)

    async def ResumeReply(self, request: pb.ResumeReplyRequest, context: Any) -> AsyncIterator[pb.ResumeReplyResponse]:
        async for event in self._play("ResumeReply", request, context):
            yield pb.ResumeReplyResponse(event=event)

    async def _answer(self, rpc: str, request: Message, context: Any) -> Any:
        self.received.append(Received(rpc, request, dict(context.invocation_metadata())))
        answer = self.answers[rpc].popleft()
        if isinstance(answer, Abort):
            await context.abort(answer.code, answer.words, answer.trailers)
        return answer


def _unary(rpc: str) -> Callable[[ScriptedChat, Message, Any], Awaitable[Any]]:
    async def handle(self: ScriptedChat, request: Message, context: Any) -> Any:
        return await self._answer(rpc, request, context)

    return handle


for _method in pb.DESCRIPTOR.services_by_name["ChatService"].methods:
    if not _method.server_streaming:
        setattr(ScriptedChat, _method.name, _unary(_method.name))


# As above: a script needs one rpc of it.
_SystemBase: Any = system_service_pb2_grpc.SystemServiceServicer


class HealthySystem(_SystemBase):  # type: ignore[misc] # see above
    """Says that all is well, or what a test says of its parts."""

    def __init__(self, status: system_service_pb2.GetStatusResponse | None = None) -> None:
        self.status = status or system_service_pb2.GetStatusResponse(state=system_service_pb2.SERVING_STATE_SERVING)

    async def GetHealth(self, request: Any, context: Any) -> Any:
        return system_service_pb2.GetHealthResponse(state=self.status.state)

    async def GetStatus(self, request: Any, context: Any) -> Any:
        return self.status


@asynccontextmanager
async def serving(
    chat: ScriptedChat,
    *,
    port: int = 0,
    system: HealthySystem | None = None,
    add: Callable[[grpc.aio.Server], None] | None = None,
) -> AsyncIterator[int]:
    """Serves the scripts on a port of this machine and gives it. Ends at once, running calls included."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    chat_service_pb2_grpc.add_ChatServiceServicer_to_server(chat, server)
    system_service_pb2_grpc.add_SystemServiceServicer_to_server(system or HealthySystem(), server)
    if add is not None:
        add(server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    chat.port = bound
    try:
        yield bound
    finally:
        await server.stop(grace=None)

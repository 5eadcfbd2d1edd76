"""Readers of the events of turns, and the calls whose events they read."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import turn_event_pb2
from parley_shared.status import status_error_from

from parley_testing.running_chat import Person, RunningChat


class Reader:
    """Reads the events of one stream."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.events: list[turn_event_pb2.TurnEvent] = []

    async def next(self) -> turn_event_pb2.TurnEvent:
        async with asyncio.timeout(30):
            response = await self.call.read()
        assert response is not grpc.aio.EOF, "the stream ended"
        assert isinstance(response, pb.StreamReplyResponse | pb.ResumeReplyResponse)
        self.events.append(response.event)
        return response.event

    async def until(self, kind: str) -> turn_event_pb2.TurnEvent:
        while True:
            event = await self.next()
            if event.WhichOneof("event") == kind:
                return event

    async def to_end(self) -> list[turn_event_pb2.TurnEvent]:
        async with asyncio.timeout(30):
            while (response := await self.call.read()) is not grpc.aio.EOF:
                self.events.append(response.event)
        return self.events

    def kinds(self) -> list[str]:
        return [str(event.WhichOneof("event")) for event in self.events]

    def text(self) -> str:
        return "".join(event.delta.text for event in self.events)

    def assert_whole_from(self, after: int) -> None:
        """No gap and no repeat since the place `after`."""
        last = after
        for event in self.events:
            assert event.first_sequence == last + 1
            assert event.sequence >= event.first_sequence
            last = event.sequence


def stream(running: RunningChat, person: Person, **fields: Any) -> Reader:
    request = pb.StreamReplyRequest(**{"message": "How do I add a provider?", **fields})
    return Reader(running.chat.StreamReply(request, metadata=person.metadata))


def resume(running: RunningChat, person: Person, turn_id: str, after: int = 0) -> Reader:
    request = pb.ResumeReplyRequest(turn_id=turn_id, after_sequence=after)
    return Reader(running.chat.ResumeReply(request, metadata=person.metadata))


def reason_of(error: grpc.aio.AioRpcError) -> str:
    return status_error_from(error).reason

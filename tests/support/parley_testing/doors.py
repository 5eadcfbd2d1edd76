"""The doors of the edge, each behind the same few calls, so that one test goes through all of them.

`GrpcDoor` speaks gRPC, `GrpcWebDoor` gRPC-web as a browser's fetch would, `RestDoor` REST and server-sent events. Each call is a real one
on a connection of its own; a stream that is closed early is cut as a client's death would cut it.
"""

from __future__ import annotations

import json
import struct
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

import aiohttp
import grpc
from google.protobuf import json_format
from google.protobuf.message import Message as ProtoMessage
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import chat_service_pb2_grpc, turn_event_pb2

Events = AsyncGenerator[turn_event_pb2.TurnEvent, None]

HTTP_OF_CODE = {1: 499, 3: 400, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 13: 500, 14: 503, 16: 401}


class RefusedError(Exception):
    """The door ended the call with a status that is not OK."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(f"{code}: {words}")
        self.code = code
        """The gRPC status code; over REST, of the error's body."""
        self.words = words


class Door(ABC):
    """One way in."""

    def __init__(self, address: str, token: str) -> None:
        self.address = address
        self.token = token

    @abstractmethod
    def stream(self, request: pb.StreamReplyRequest) -> Events:
        """StreamReply."""

    @abstractmethod
    def resume(self, turn_id: str, after: int = 0) -> Events:
        """ResumeReply."""

    @abstractmethod
    async def send(self, request: pb.SendMessageRequest) -> pb.SendMessageResponse:
        """SendMessage."""

    @abstractmethod
    async def stop(self, turn_id: str) -> pb.StopReplyResponse:
        """StopReply."""

    @abstractmethod
    async def messages(self, session_id: str) -> pb.ListMessagesResponse:
        """ListMessages."""


class GrpcDoor(Door):
    """gRPC over HTTP/2."""

    @asynccontextmanager
    async def _stub(self) -> AsyncGenerator[chat_service_pb2_grpc.ChatServiceAsyncStub, None]:
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(self.address, options=options) as channel:
            try:
                yield chat_service_pb2_grpc.ChatServiceStub(channel)
            except grpc.aio.AioRpcError as error:
                raise RefusedError(error.code().value[0], error.details() or "") from error

    @property
    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),)

    async def stream(self, request: pb.StreamReplyRequest) -> Events:
        """StreamReply."""
        async with self._stub() as stub:
            async for response in stub.StreamReply(request, metadata=self._metadata):
                yield response.event

    async def resume(self, turn_id: str, after: int = 0) -> Events:
        """ResumeReply."""
        request = pb.ResumeReplyRequest(turn_id=turn_id, after_sequence=after)
        async with self._stub() as stub:
            async for response in stub.ResumeReply(request, metadata=self._metadata):
                yield response.event

    async def send(self, request: pb.SendMessageRequest) -> pb.SendMessageResponse:
        """SendMessage."""
        async with self._stub() as stub:
            return await stub.SendMessage(request, metadata=self._metadata)

    async def stop(self, turn_id: str) -> pb.StopReplyResponse:
        """StopReply."""
        async with self._stub() as stub:
            return await stub.StopReply(pb.StopReplyRequest(turn_id=turn_id), metadata=self._metadata)

    async def messages(self, session_id: str) -> pb.ListMessagesResponse:
        """ListMessages."""
        async with self._stub() as stub:
            return await stub.ListMessages(pb.ListMessagesRequest(session_id=session_id), metadata=self._metadata)


class GrpcWebDoor(Door):
    """gRPC-web over HTTP/1.1, binary frames."""

    @asynccontextmanager
    async def _call(self, method: str, request: ProtoMessage) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        message = request.SerializeToString()
        headers = {
            "content-type": "application/grpc-web+proto",
            "x-grpc-web": "1",
            "authorization": f"Bearer {self.token}",
        }
        url = f"http://{self.address}/parley.chat.v1.ChatService/{method}"
        body = struct.pack(">BI", 0, len(message)) + message
        async with (
            _reaching(),
            aiohttp.ClientSession() as session,
            session.post(url, data=body, headers=headers) as response,
        ):
            _raise_status(response.headers)
            yield response

    async def _messages(self, method: str, request: ProtoMessage) -> AsyncGenerator[bytes, None]:
        async with self._call(method, request) as response:
            while True:
                try:
                    flags, length = struct.unpack(">BI", await response.content.readexactly(5))
                    payload = await response.content.readexactly(length)
                except (EOFError, aiohttp.ClientError) as error:
                    raise RefusedError(14, "the body was cut") from error
                if flags & 0x80:
                    lines = payload.decode().strip().split("\r\n")
                    _raise_status(dict(line.split(":", 1) for line in lines))
                    return
                yield payload

    async def _unary(self, method: str, request: ProtoMessage) -> bytes:
        return b"".join([message async for message in self._messages(method, request)])

    async def stream(self, request: pb.StreamReplyRequest) -> Events:
        """StreamReply."""
        async for message in self._messages("StreamReply", request):
            yield pb.StreamReplyResponse.FromString(message).event

    async def resume(self, turn_id: str, after: int = 0) -> Events:
        """ResumeReply."""
        request = pb.ResumeReplyRequest(turn_id=turn_id, after_sequence=after)
        async for message in self._messages("ResumeReply", request):
            yield pb.ResumeReplyResponse.FromString(message).event

    async def send(self, request: pb.SendMessageRequest) -> pb.SendMessageResponse:
        """SendMessage."""
        return pb.SendMessageResponse.FromString(await self._unary("SendMessage", request))

    async def stop(self, turn_id: str) -> pb.StopReplyResponse:
        """StopReply."""
        return pb.StopReplyResponse.FromString(await self._unary("StopReply", pb.StopReplyRequest(turn_id=turn_id)))

    async def messages(self, session_id: str) -> pb.ListMessagesResponse:
        """ListMessages."""
        request = pb.ListMessagesRequest(session_id=session_id)
        return pb.ListMessagesResponse.FromString(await self._unary("ListMessages", request))


class RestDoor(Door):
    """REST, and server-sent events for streams."""

    @asynccontextmanager
    async def _call(self, method: str, path: str, body: Any = None) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        headers = {"authorization": f"Bearer {self.token}"}
        async with (
            _reaching(),
            aiohttp.ClientSession() as session,
            session.request(method, f"http://{self.address}{path}", json=body, headers=headers) as response,
        ):
            if response.status != 200:
                error = json.loads(await response.read())
                assert response.status == HTTP_OF_CODE[error["code"]], (response.status, error)
                raise RefusedError(error["code"], error["message"])
            yield response

    async def _events(self, method: str, path: str, body: Any = None) -> AsyncGenerator[str, None]:
        async with self._call(method, path, body) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            try:
                async for line in response.content:
                    if line.startswith(b"data: "):
                        yield line.removeprefix(b"data: ").decode()
            except aiohttp.ClientError as error:
                raise RefusedError(14, "the body was cut") from error

    async def stream(self, request: pb.StreamReplyRequest) -> Events:
        """`POST /api/v2/chat/send` with `stream`."""
        body = {**json_format.MessageToDict(request, preserving_proto_field_name=True), "stream": True}
        async for data in self._events("POST", "/api/v2/chat/send", body):
            yield json_format.Parse(data, pb.StreamReplyResponse()).event

    async def resume(self, turn_id: str, after: int = 0) -> Events:
        """`GET /api/v2/chat/turns/{turn_id}/events`."""
        async for data in self._events("GET", f"/api/v2/chat/turns/{turn_id}/events?after_sequence={after}"):
            yield json_format.Parse(data, pb.ResumeReplyResponse()).event

    async def send(self, request: pb.SendMessageRequest) -> pb.SendMessageResponse:
        """`POST /api/v2/chat/send`."""
        body = json_format.MessageToDict(request, preserving_proto_field_name=True)
        async with self._call("POST", "/api/v2/chat/send", body) as response:
            return json_format.Parse(await response.text(), pb.SendMessageResponse())

    async def stop(self, turn_id: str) -> pb.StopReplyResponse:
        """`POST /api/v2/chat/turns/{turn_id}:stop`."""
        async with self._call("POST", f"/api/v2/chat/turns/{turn_id}:stop", {}) as response:
            return json_format.Parse(await response.text(), pb.StopReplyResponse())

    async def messages(self, session_id: str) -> pb.ListMessagesResponse:
        """`GET /api/v2/chat/sessions/{session_id}/messages`."""
        async with self._call("GET", f"/api/v2/chat/sessions/{session_id}/messages") as response:
            return json_format.Parse(await response.text(), pb.ListMessagesResponse())


DOORS: dict[str, type[Door]] = {"gRPC": GrpcDoor, "gRPC-web": GrpcWebDoor, "REST": RestDoor}


@asynccontextmanager
async def _reaching() -> AsyncGenerator[None, None]:
    """Turns a door that nobody answers at into what the other doors say then."""
    try:
        yield
    except aiohttp.ClientConnectionError as error:
        raise RefusedError(14, "nobody answers") from error


def _raise_status(headers: Mapping[str, str]) -> None:
    code = int(headers.get("grpc-status", "0"))
    if code:
        raise RefusedError(code, unquote(headers.get("grpc-message", "")))

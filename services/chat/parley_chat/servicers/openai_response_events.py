"""A turn's events in the words of OpenAI's Responses API, numbered.

One event of a turn is none, one or several here, so these have numbers of their own: from 0, in steps of 1. They are counted from the
turn's beginning over its events as they are in the log, one by one, and nothing else: that is what makes a number the same for every
reader, on every replica, whenever it is read. So nothing may be merged or left out before it gets here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from parley.openai.v1 import openai_service_pb2
from parley.openai.v1 import response_service_pb2 as pb
from parley_shared.status import StatusError

from parley_chat.domain.turn import (
    TextDelta,
    ToolCalled,
    ToolReturned,
    Turn,
    TurnCompleted,
    TurnEvent,
    TurnFailed,
    TurnQueued,
    TurnRestarted,
    TurnStarted,
    TurnStopped,
)
from parley_chat.servicers.openai_messages import ERROR_TYPES
from parley_chat.servicers.openai_response_messages import (
    COMPLETED,
    IN_PROGRESS,
    INCOMPLETE,
    QUEUED,
    pack_part,
    pack_response,
    pack_text,
    pack_tool,
    pack_unfinished,
    returned,
    text_item_id,
)


class ResponseEvents:
    """Tells one turn, from its first event on."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._trace_id = ""
        self._next = 0
        self._items = 0
        self._texts = 0
        self._text: list[str] | None = None
        """What is written of the open text; None when none is open."""
        self._tools: dict[str, tuple[int, pb.ResponseItem]] = {}

    def take(self, event: TurnEvent) -> Iterator[pb.StreamResponseResponse]:
        """What an event is here."""
        for told in self._tell(event):
            told.sequence_number = self._next
            self._next += 1
            yield told

    def broken_off(self, error: StatusError) -> pb.StreamResponseResponse:
        """The last message of a stream that cannot go on, though the response may."""
        told = openai_service_pb2.StreamError(
            message=error.message,
            type=ERROR_TYPES.get(error.code.name, "api_error"),
            code=error.reason.removeprefix("ERROR_REASON_").lower(),
        )
        return pb.StreamResponseResponse(type="error", sequence_number=max(0, self._next - 1), error=told)

    def _tell(self, event: TurnEvent) -> Iterator[pb.StreamResponseResponse]:
        match event.body:
            case TurnStarted() as started:
                self._trace_id = started.trace_id
                yield self._about_all("response.created", IN_PROGRESS)
                yield self._about_all("response.in_progress", IN_PROGRESS)
            case TurnQueued():
                yield self._about_all("response.queued", QUEUED)
            case TextDelta(text):
                yield from self._write(text)
            case TurnRestarted():
                yield from self._close_text(INCOMPLETE)
            case ToolCalled(call_id, tool, arguments):
                yield from self._close_text()
                yield from self._call(call_id, tool, arguments)
            case ToolReturned(call_id, _, result, failed) if call_id in self._tools:
                yield from self._return(call_id, result, failed=failed)
            case TurnCompleted(message):
                yield from self._close_text()
                yield pb.StreamResponseResponse(type="response.completed", response=pack_response(self._turn, message))
            case TurnFailed(_, message):
                yield pb.StreamResponseResponse(type="response.failed", response=pack_response(self._turn, message))
            case TurnStopped(message):
                # There is no event of OpenAI's for it. This one says that the response is not whole, and its status says why.
                yield from self._close_text(INCOMPLETE)
                yield pb.StreamResponseResponse(type="response.incomplete", response=pack_response(self._turn, message))
            case _:
                # Notices, sources, approvals, switches of the provider: OpenAI's API has no words for them.
                pass

    def _about_all(self, kind: str, status: str) -> pb.StreamResponseResponse:
        return pb.StreamResponseResponse(type=kind, response=pack_unfinished(self._turn, status, self._trace_id))

    def _write(self, text: str) -> Iterator[pb.StreamResponseResponse]:
        if self._text is None:
            self._text = []
            item = pack_text(self._text_id(), "", IN_PROGRESS)
            del item.content[:]
            yield self._about_item("response.output_item.added", item=item)
            yield self._about_part("response.content_part.added", part=pack_part(""))
        self._text.append(text)
        yield self._about_part("response.output_text.delta", delta=text)

    def _close_text(self, status: str = COMPLETED) -> Iterator[pb.StreamResponseResponse]:
        if self._text is None:
            return
        text = "".join(self._text)
        yield self._about_part("response.output_text.done", text=text)
        yield self._about_part("response.content_part.done", part=pack_part(text))
        yield self._about_item("response.output_item.done", item=pack_text(self._text_id(), text, status))
        self._text = None
        self._texts += 1
        self._items += 1

    def _call(self, call_id: str, tool: str, arguments: str) -> Iterator[pb.StreamResponseResponse]:
        item, index = pack_tool(call_id, tool, arguments, IN_PROGRESS), self._items
        self._tools[call_id] = index, item
        self._items += 1
        yield pb.StreamResponseResponse(type="response.output_item.added", output_index=index, item=item)
        about: dict[str, Any] = {"output_index": index, "item_id": call_id}
        yield pb.StreamResponseResponse(type="response.mcp_call.in_progress", **about)
        yield pb.StreamResponseResponse(type="response.mcp_call_arguments.done", arguments=arguments, **about)

    def _return(self, call_id: str, result: str, *, failed: bool) -> Iterator[pb.StreamResponseResponse]:
        index, item = self._tools.pop(call_id)
        item = returned(item, result, failed=failed)
        yield pb.StreamResponseResponse(type=f"response.mcp_call.{item.status}", output_index=index, item_id=call_id)
        yield pb.StreamResponseResponse(type="response.output_item.done", output_index=index, item=item)

    def _text_id(self) -> str:
        return text_item_id(self._turn.message_id, self._texts)

    def _about_item(self, kind: str, **fields: Any) -> pb.StreamResponseResponse:
        return pb.StreamResponseResponse(type=kind, output_index=self._items, **fields)

    def _about_part(self, kind: str, **fields: Any) -> pb.StreamResponseResponse:
        return self._about_item(kind, item_id=self._text_id(), content_index=0, **fields)

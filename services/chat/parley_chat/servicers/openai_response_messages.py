"""Packs a turn and its answer as a response of OpenAI's API. Not its events: those are openai_response_events.py's."""

from __future__ import annotations

from collections.abc import Iterator

from parley.openai.v1 import response_service_pb2 as pb

from parley_chat.domain.conversation import Citation, Message, MessageState, Usage
from parley_chat.domain.tool_uses import ToolUse
from parley_chat.domain.turn import Turn
from parley_chat.servicers.openai_response_requests import RESPONSE_PREFIX
from parley_chat.servicers.validation import TURN_PREFIX

IN_PROGRESS, QUEUED, COMPLETED, INCOMPLETE, FAILED = "in_progress", "queued", "completed", "incomplete", "failed"

_STATUSES = {
    MessageState.STREAMING: IN_PROGRESS,
    MessageState.COMPLETED: COMPLETED,
    MessageState.STOPPED: "cancelled",
    MessageState.FAILED: FAILED,
}
_MOST_TOKENS = 2**31 - 1
"""What the contract's numbers hold. Providers' figures are summed, and not all providers are right."""


def pack_unfinished(turn: Turn, status: str = IN_PROGRESS, trace_id: str = "") -> pb.ModelResponse:
    """Packs a response of which nothing is stored yet."""
    return pb.ModelResponse(
        id=RESPONSE_PREFIX + turn.turn_id.removeprefix(TURN_PREFIX),
        object="response",
        created_at=int(turn.create_time.timestamp()),
        status=status,
        model=turn.model,
        conversation=pb.ResponseConversation(id=turn.session_id),
        tool_choice="auto",
        parallel_tool_calls=True,
        store=True,
        parley=pb.ResponseTurn(turn_id=turn.turn_id, message_id=turn.message_id, trace_id=trace_id),
    )


def pack_response(turn: Turn, message: Message) -> pb.ModelResponse:
    """Packs a response as it is stored."""
    if message.state is MessageState.STREAMING:
        return pack_unfinished(turn, QUEUED if turn.queue_time else IN_PROGRESS, message.trace_id)
    packed = pack_unfinished(turn, _STATUSES[message.state], message.trace_id)
    packed.model = message.model or turn.model
    packed.output.extend(_items(message))
    if message.failure:
        packed.error.code = message.failure.reason.removeprefix("ERROR_REASON_").lower()
        packed.error.message = message.failure.message
    if message.usage:
        packed.usage.CopyFrom(_usage(message.usage))
        if message.usage.cost_usd_micros is not None:
            packed.parley.cost_usd_micros = message.usage.cost_usd_micros
    packed.parley.route = message.route.value if message.route else ""
    packed.parley.route_reason = message.route_reason
    return packed


def text_item_id(message_id: str, number: int) -> str:
    """Names the texts of an answer, from 0."""
    return f"{message_id}_{number}" if number else message_id


def pack_text(item_id: str, text: str, status: str) -> pb.ResponseItem:
    """Packs text without its sources."""
    return pb.ResponseItem(type="message", id=item_id, status=status, role="assistant", content=[pack_part(text)])


def pack_part(text: str) -> pb.ResponsePart:
    """Packs the one part of a text."""
    return pb.ResponsePart(type="output_text", text=text)


def pack_tool(call_id: str, tool: str, arguments: str, status: str) -> pb.ResponseItem:
    """Packs a tool that has not returned."""
    return pb.ResponseItem(
        type="mcp_call", id=call_id, status=status, server_label="parley", name=tool, arguments=arguments
    )


def returned(item: pb.ResponseItem, result: str, *, failed: bool) -> pb.ResponseItem:
    """Adds what a tool returned."""
    if failed:
        item.status, item.error = FAILED, result
    else:
        item.status, item.output = COMPLETED, result
    return item


def _items(message: Message) -> Iterator[pb.ResponseItem]:
    """Its texts and tools, in the order in which they were written and called."""
    begin = texts = 0
    uses: list[ToolUse | None] = [*message.tool_uses, None]
    for use in uses:
        end = len(message.text) if use is None else use.text_offset
        if end > begin:
            whole = message.state is MessageState.COMPLETED or end < len(message.text)
            text = message.text[begin:end]
            item = pack_text(text_item_id(message.message_id, texts), text, COMPLETED if whole else INCOMPLETE)
            item.content[0].annotations.extend(
                _annotation(each) for each in message.citations if f"[{each.number}]" in text
            )
            yield item
            begin, texts = end, texts + 1
        if use is not None:
            item = pack_tool(use.tool_call_id, use.tool, use.arguments_json, INCOMPLETE)
            yield returned(item, use.result_json, failed=use.failed) if use.result_json else item


def _annotation(citation: Citation) -> pb.ResponseAnnotation:
    return pb.ResponseAnnotation(
        type="file_citation",
        file_id=citation.document_id,
        filename=citation.document_title,
        index=citation.number - 1,
    )


def _usage(usage: Usage) -> pb.ResponseUsage:
    return pb.ResponseUsage(
        input_tokens=min(usage.input_tokens, _MOST_TOKENS),
        input_tokens_details=pb.ResponseInputDetails(),
        output_tokens=min(usage.output_tokens, _MOST_TOKENS),
        output_tokens_details=pb.ResponseOutputDetails(),
        total_tokens=min(usage.input_tokens + usage.output_tokens, _MOST_TOKENS),
    )

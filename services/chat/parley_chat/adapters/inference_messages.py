"""Parts of inference's messages that several adapters pack and unpack."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from parley.inference.v1 import generation_pb2, inference_service_pb2

from parley_chat.domain.account import TokenPrice, TokensUsed
from parley_chat.domain.conversation import Citation, Role
from parley_chat.domain.prompt import PromptLine
from parley_chat.domain.tool_uses import ToolRound
from parley_chat.ports.toolbox import ToolDefinition

_ROLES = {Role.USER: generation_pb2.PROMPT_ROLE_USER, Role.ASSISTANT: generation_pb2.PROMPT_ROLE_ASSISTANT}


def pack_passages(passages: Iterable[Citation]) -> list[generation_pb2.Passage]:
    """Packs what an answer may rest on."""
    return [
        generation_pb2.Passage(
            number=passage.number, title=passage.document_title, text=passage.text, heading=passage.heading
        )
        for passage in passages
    ]


def pack_line(line: PromptLine) -> Iterator[generation_pb2.PromptMessage]:
    """Packs a message of a prompt, behind what was done with tools before its text."""
    yield from pack_rounds(line.rounds)
    if line.text or line.pictures:
        images = [generation_pb2.PromptImage(media_type=each.media_type, data=each.data) for each in line.pictures]
        yield generation_pb2.PromptMessage(role=_ROLES[line.role], text=line.text, images=images)


def pack_rounds(rounds: Iterable[ToolRound]) -> Iterator[generation_pb2.PromptMessage]:
    """Packs what was done with tools: who called them, and each result."""
    for each in rounds:
        calls = [
            generation_pb2.ToolCall(
                tool_call_id=use.tool_call_id, name=use.tool, arguments_json=_object(use.arguments_to_run)
            )
            for use in each.uses
        ]
        yield generation_pb2.PromptMessage(role=generation_pb2.PROMPT_ROLE_ASSISTANT, text=each.text, tool_calls=calls)
        for use in each.uses:
            yield generation_pb2.PromptMessage(
                role=generation_pb2.PROMPT_ROLE_TOOL, text=use.result_json, tool_call_id=use.tool_call_id
            )


def _object(arguments_json: str) -> str:
    """The arguments if they are an object, which is all that providers take back; else what was written as one."""
    try:
        written = json.loads(arguments_json)
    except ValueError:
        written = arguments_json
    return arguments_json if isinstance(written, dict) else json.dumps({"written": written}, ensure_ascii=False)


def pack_tool(tool: ToolDefinition) -> generation_pb2.Tool:
    """Packs what a model is told of a tool."""
    packed = generation_pb2.Tool(name=tool.name, description=tool.description)
    packed.parameters_schema.update(tool.parameters_schema)
    return packed


_MOST_PACKED = 4096


class PackedTools:
    """Packs tools that stay the same as long as the process lives, each once: a schema takes longer to pack than all the rest."""

    def __init__(self) -> None:
        self._packed: dict[int, tuple[ToolDefinition, generation_pb2.Tool]] = {}

    def pack(self, tool: ToolDefinition) -> generation_pb2.Tool:
        """What `pack_tool` gives. Nobody may change it."""
        known = self._packed.get(id(tool))
        if known is None:
            if len(self._packed) >= _MOST_PACKED:
                # Other servers' tools come and go.
                self._packed.clear()
            # The definition is kept beside it, so that no other one can come to its place in memory.
            known = self._packed[id(tool)] = (tool, pack_tool(tool))
        return known[1]


def tokens_from(usage: generation_pb2.TokenUsage) -> TokensUsed:
    """Unpacks tokens."""
    return TokensUsed(
        usage.input_tokens,
        usage.output_tokens,
        usage.estimated,
        cached_input_tokens=usage.cached_input_tokens,
        cache_write_input_tokens=usage.cache_write_input_tokens,
    )


def price_of(
    told: inference_service_pb2.GenerationStarted | inference_service_pb2.ProviderSwitched,
) -> TokenPrice | None:
    """Unpacks the price of the model that is told of; None when it is not known."""
    return price_from(told.price) if told.HasField("price") else None


def price_from(price: generation_pb2.TokenPrice) -> TokenPrice:
    """Unpacks a price."""
    return TokenPrice(
        price.input_usd_micros,
        price.output_usd_micros,
        price.cached_input_usd_micros,
        # An inference of the version before says neither this price nor such tokens.
        price.cache_write_input_usd_micros,
    )

"""The events of a streamed message, as Anthropic's Messages API sends them, turned into the events of a generation.

Text that came in one read leaves as one event, as in `completion_stream.py`. Kinds of events, blocks and deltas that are not known are
passed over: the API says that it adds some.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from parley_inference.adapters.written_pieces import (
    MOST_CHARACTERS_OF_ARGUMENTS,
    MOST_TOOL_CALLS,
    GrowingToolCall,
    WrittenText,
)
from parley_inference.domain.errors import ProviderQuotaError, ProviderRateLimitedError, ProviderUnavailableError
from parley_inference.domain.generation import (
    MOST_TOKENS,
    FinishReason,
    GenerationEvent,
    GenerationFinished,
    ReasoningDelta,
    TextDelta,
    TokenUsage,
    estimated_tokens,
)

_REASONS = {
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    # The server's own tools took long, and more would follow: an answer that is not whole, like one that met its limit.
    "pause_turn": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.CONTENT_FILTER,
}
"""`end_turn`, `stop_sequence`, and what is not known are STOP."""


class MessageStream:
    """Reads one message. `feed` it each event's data, then `take` the events that came of it."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._text = WrittenText()
        self._calls: dict[Any, GrowingToolCall] = {}
        self._inputs: dict[Any, Any] = {}
        """What calls began with: mostly nothing, since their arguments follow in fragments."""
        self._characters = 0
        self._characters_of_arguments = 0
        self._figures: dict[str, int] = {}
        self._has_whole_bill = False
        self._reason: str | None = None
        self.tokens_heard = 0
        """Grows with everything that the model wrote: text, reasoning, and fragments of tool calls. Not with pings."""
        self.done = False
        """Whether the server has said that nothing more follows."""

    @property
    def finished(self) -> bool:
        """Whether the model has said why it ended."""
        return self._reason is not None

    @property
    def usage(self) -> TokenUsage | None:
        """The provider's figures; None before the first.

        It counts the answer only at the end. Until then the answer is an estimate, and marked as one.
        """
        if not self._figures:
            return None
        count = self._figures.get
        cached = count("cache_read_input_tokens", 0)
        usage = TokenUsage(
            # The API's own `input_tokens` are those that were neither read from the cache nor written to it.
            input_tokens=min(
                count("input_tokens", 0) + count("cache_creation_input_tokens", 0) + cached,
                MOST_TOKENS,
            ),
            output_tokens=count("output_tokens", 0),
            cached_input_tokens=cached,
            reasoning_tokens=count("thinking_tokens", 0),
            cache_write_input_tokens=count("cache_creation_input_tokens", 0),
        )
        if self._has_whole_bill:
            return usage
        written = estimated_tokens(self._characters + self._characters_of_arguments)
        return replace(usage, output_tokens=max(usage.output_tokens, written), estimated=True)

    def feed(self, data: bytes) -> None:
        """Reads the data of one event. Raises ProviderError for an error that the provider sends and for what is no message."""
        try:
            event = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise ProviderUnavailableError(self._provider, "sent an event that is not JSON") from None
        if not isinstance(event, dict):
            raise ProviderUnavailableError(self._provider, "sent an event that is not a JSON object")
        match event.get("type"):
            case "content_block_delta":
                self._read_delta(event.get("index"), _object(event, "delta"))
            case "content_block_start":
                self._read_block(event.get("index"), _object(event, "content_block"))
            case "message_start":
                self._count(_object(_object(event, "message"), "usage"))
            case "message_delta":
                reason = _object(event, "delta").get("stop_reason")
                if isinstance(reason, str) and reason:
                    self._reason = reason
                if usage := _object(event, "usage"):
                    self._count(usage)
                    self._has_whole_bill = self.finished
            case "message_stop":
                self.done = True
            case "error":
                raise self._error(_object(event, "error"))

    def take(self) -> list[GenerationEvent]:
        """The events since it was last asked, in order."""
        return self._text.take()

    def end(self) -> list[GenerationEvent]:
        """What is left when the body has ended: text, tool calls, usage, and the end itself.

        Raises ProviderUnavailableError when the body broke off before the model had finished.
        """
        if self._reason is None and not self.done:
            raise ProviderUnavailableError(self._provider, "broke off in the middle of an answer")
        events = self.take()
        for number, (index, call) in enumerate(self._calls.items(), start=1):
            if not call.name:
                raise ProviderUnavailableError(self._provider, "called a tool without naming it")
            if not call.fragments:
                call.add(self._inputs[index])
            events.append(call.whole(number))
        if (usage := self.usage) is not None:
            events.append(usage)
        reason = _REASONS.get(self._reason or "", FinishReason.STOP)
        if self._calls and reason is FinishReason.STOP:
            reason = FinishReason.TOOL_CALLS
        events.append(GenerationFinished(reason))
        return events

    def _read_block(self, index: Any, block: Mapping[str, Any]) -> None:
        match block.get("type"):
            case "text":
                self._add(TextDelta, block.get("text"))
            case "thinking":
                # That it thinks is no token yet: some models do it in silence, for which there is the time of the first token.
                self._add(ReasoningDelta, block.get("thinking"))
            case "tool_use":
                self._calls[index] = GrowingToolCall(
                    index, str(block.get("id") or ""), str(block.get("name") or ""), []
                )
                self._inputs[index] = block.get("input")
                self.tokens_heard += 1
                if len(self._calls) > MOST_TOOL_CALLS:
                    raise self._too_much()

    def _read_delta(self, index: Any, delta: Mapping[str, Any]) -> None:
        match delta.get("type"):
            case "text_delta":
                self._add(TextDelta, delta.get("text"))
            case "thinking_delta":
                self._add(ReasoningDelta, delta.get("thinking"))
            case "input_json_delta":
                # Of a block that is not a call of ours, there is nothing to do with it.
                if (call := self._calls.get(index)) is not None and (fragment := delta.get("partial_json")):
                    self._characters_of_arguments += call.add(fragment)
                    self.tokens_heard += 1
                    if self._characters_of_arguments > MOST_CHARACTERS_OF_ARGUMENTS:
                        raise self._too_much()
            case "signature_delta":
                # The end of reasoning, also of one that was silent.
                self.tokens_heard += 1

    def _add(self, kind: type[TextDelta | ReasoningDelta], text: Any) -> None:
        if isinstance(text, str) and text:
            self._text.add(kind, text)
            self._characters += len(text)
            self.tokens_heard += 1

    def _count(self, usage: dict[str, Any]) -> None:
        """Takes figures over. They are totals, and those that are missing stay as they were."""
        for name, value in (usage | _object(usage, "output_tokens_details")).items():
            if isinstance(value, int) and value >= 0:
                self._figures[name] = min(value, MOST_TOKENS)

    def _too_much(self) -> ProviderUnavailableError:
        return ProviderUnavailableError(self._provider, "called tools with more than may be read")

    def _error(self, error: Mapping[str, Any]) -> Exception:
        """The error that a provider sends in the middle of a stream. Its words stay here: they may tell what is not ours to tell."""
        kind = str(error.get("type") or "")
        if kind == "billing_error":
            return ProviderQuotaError(self._provider, "had no credit left in the middle of an answer")
        if kind == "rate_limit_error":
            return ProviderRateLimitedError(self._provider, "limited the rate in the middle of an answer")
        return ProviderUnavailableError(self._provider, f"sent an error in the middle of an answer ({kind[:80]})")


def _object(parent: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object of this name; an empty one where there is none."""
    value = parent.get(name)
    return value if isinstance(value, dict) else {}

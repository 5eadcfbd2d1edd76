"""The chunks of a streamed chat completion, as OpenAI-compatible servers send them, turned into the events of a generation.

Text that came in one read leaves as one event, so that what piles up while a message is on its way is merged into the next one. No
object is built per token. Servers differ; where a tolerance is known to be needed, its comment names what does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    FinishReason,
    GenerationEvent,
    GenerationFinished,
    ReasoningDelta,
    TextDelta,
    TokenUsage,
)

_DONE = b"[DONE]"
_REASONS = {
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
}
_RATE_LIMITS = ("rate_limit", "429")
_QUOTAS = ("insufficient_quota", "402", "billing")


class CompletionStream:
    """Reads one completion. `feed` it each event's data, then `take` the events that came of it."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._text = WrittenText()
        self._calls: list[GrowingToolCall] = []
        self._characters_of_arguments = 0
        self._usage: TokenUsage | None = None
        self._reason: str | None = None
        self.tokens_heard = 0
        """Grows with everything that the model wrote: text, reasoning, and fragments of tool calls."""
        self.done = False
        """Whether the server has said that nothing more follows."""

    @property
    def finished(self) -> bool:
        """Whether the model has said why it ended. Its usage may still follow."""
        return self._reason is not None

    @property
    def usage(self) -> TokenUsage | None:
        """The provider's last figures; None before the first."""
        return self._usage

    def feed(self, data: bytes) -> None:
        """Reads the data of one event. Raises ProviderError for an error that the provider sends and for what is no completion."""
        if data == _DONE:
            self.done = True
            return
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise ProviderUnavailableError(self._provider, "sent an event that is not JSON") from None
        if not isinstance(chunk, dict):
            raise ProviderUnavailableError(self._provider, "sent an event that is not a JSON object")
        if error := chunk.get("error"):
            raise self._error(error)
        if usage := chunk.get("usage"):
            self._usage = _usage(usage) or self._usage
        choices = chunk.get("choices")
        # Empty beside usage, beside the results of Azure's filter, and in some servers' keep-alives.
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            self._read_choice(choices[0])

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
        for number, call in enumerate(self._calls, start=1):
            if not call.name:
                raise ProviderUnavailableError(self._provider, "called a tool without naming it")
            events.append(call.whole(number))
        if self._usage is not None:
            events.append(self._usage)
        reason = _REASONS.get(self._reason or "", FinishReason.STOP)
        if self._calls and reason is FinishReason.STOP:
            # Ollama and some others say "stop" when they have called a tool.
            reason = FinishReason.TOOL_CALLS
        events.append(GenerationFinished(reason))
        return events

    def _read_choice(self, choice: Mapping[str, Any]) -> None:
        delta = choice.get("delta")
        if isinstance(delta, dict):
            # DeepSeek, vLLM and llama.cpp say `reasoning_content`; Ollama and OpenRouter say `reasoning`, some of them both.
            reasoning = delta.get("reasoning_content") or delta.get("reasoning")
            if isinstance(reasoning, str) and reasoning:
                self._add(ReasoningDelta, reasoning)
            text = delta.get("content") or delta.get("refusal")
            if isinstance(text, str) and text:
                self._add(TextDelta, text)
            fragments = delta.get("tool_calls")
            if isinstance(fragments, list) and fragments:
                self._read_fragments(fragments)
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            if reason == "error":
                raise ProviderUnavailableError(self._provider, "ended the answer with an error")
            self._reason = reason

    def _add(self, kind: type[TextDelta | ReasoningDelta], text: str) -> None:
        self._text.add(kind, text)
        self.tokens_heard += 1

    def _read_fragments(self, fragments: Iterable[Any]) -> None:
        for fragment in fragments:
            if not isinstance(fragment, dict):
                continue
            function = fragment.get("function")
            function = function if isinstance(function, dict) else {}
            call = self._call_of(fragment.get("index"), fragment.get("id"), function.get("name"))
            self._characters_of_arguments += call.add(function.get("arguments"))
            self.tokens_heard += 1
            if self._characters_of_arguments > MOST_CHARACTERS_OF_ARGUMENTS or len(self._calls) > MOST_TOOL_CALLS:
                raise ProviderUnavailableError(self._provider, "called tools with more than may be read")

    def _call_of(self, index: Any, call_id: Any, name: Any) -> GrowingToolCall:
        """The call that a fragment belongs to: the last with its index, unless the fragment begins another."""
        known = next((call for call in reversed(self._calls) if index is None or call.index == index), None)
        # Ollama and Gemini give several whole calls the same index, or none: a new id is a new call.
        if known is None or (call_id and known.call_id and call_id != known.call_id):
            known = GrowingToolCall(index, "", "", [])
            self._calls.append(known)
        known.call_id = known.call_id or str(call_id or "")
        known.name = known.name or str(name or "")
        return known

    def _error(self, error: Any) -> Exception:
        """The error that a provider sends in the middle of a stream. Its words stay here: they may tell what is not ours to tell."""
        facts = error if isinstance(error, dict) else {"message": str(error)}
        kind = " ".join(str(facts.get(key) or "") for key in ("type", "code"))
        if any(word in kind for word in _QUOTAS):
            return ProviderQuotaError(self._provider, "had no credit left in the middle of an answer")
        if any(word in kind for word in _RATE_LIMITS):
            return ProviderRateLimitedError(self._provider, "limited the rate in the middle of an answer")
        return ProviderUnavailableError(
            self._provider, f"sent an error in the middle of an answer ({kind.strip()[:80]})"
        )


def _usage(usage: Any) -> TokenUsage | None:
    if not isinstance(usage, dict):
        return None
    return TokenUsage(
        input_tokens=_count(usage, "prompt_tokens"),
        output_tokens=_count(usage, "completion_tokens"),
        cached_input_tokens=_count(usage.get("prompt_tokens_details"), "cached_tokens"),
        reasoning_tokens=_count(usage.get("completion_tokens_details"), "reasoning_tokens"),
    )


def _count(figures: Any, name: str) -> int:
    value = figures.get(name) if isinstance(figures, dict) else None
    return min(value, 2**31 - 1) if isinstance(value, int) and value > 0 else 0

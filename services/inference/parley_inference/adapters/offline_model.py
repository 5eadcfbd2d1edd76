"""The built-in model: deterministic, without key and without download. It answers when no provider is configured, and says so.

It understands nothing. It quotes the passages that it is given, calls a tool that is plainly asked for, knows a few friendly words,
and says plainly when it found nothing. For agents it has a few skills that need no understanding, and it puts the values of a template of
content into its form. A schema it fills with what is plainly said.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from parley_inference.adapters.offline_answer import answer_from
from parley_inference.adapters.offline_content import content_for
from parley_inference.adapters.offline_dates import now_of
from parley_inference.adapters.offline_results import report
from parley_inference.adapters.offline_schema import UnsaidError, filled
from parley_inference.adapters.offline_skills import WHAT_IT_DOES, skilled_answer
from parley_inference.adapters.offline_small_talk import small_talk
from parley_inference.adapters.offline_summary import without_wish
from parley_inference.adapters.offline_tools import wished_tool
from parley_inference.domain.content_prompt import read_brief
from parley_inference.domain.errors import ModelNotCapableError
from parley_inference.domain.generation import (
    FinishReason,
    GenerationEvent,
    GenerationFinished,
    GenerationStarted,
    TextDelta,
)
from parley_inference.domain.models import Capability
from parley_inference.domain.prompt import GenerationRequest, OfflineSkill, Role, ToolCall
from parley_inference.ports.language_model import MOST_CHARACTERS_OF_A_DELTA

OFFLINE = "offline"
"""Its name, and its provider's."""


def note_of(what_it_does: str) -> str:
    """The note below a first answer: that no model is configured, what this one "…" instead, and what to do about it."""
    return (
        f"*No model is configured: this is Parley's built-in offline model, which {what_it_does}. For written answers set "
        "`OPENAI_API_KEY`, or `OPENAI_BASE_URL` for any OpenAI-compatible server, or `OLLAMA_HOST` for Ollama, and restart.*"
    )


NOTE = note_of(WHAT_IT_DOES[OfflineSkill.ANSWER])
NOTE_OF_CONTENT = note_of("only puts your own words into a form")
NOTHING_FOUND = "I found nothing about this in your documents. Ask in other words, or add a document that speaks of it."
NOTHING_GIVEN = (
    "I cannot write this: without a model, Parley only quotes documents, shortens texts (“Summarize: …”), and fills in forms, and no "
    "document came with this request."
)

_PIECE = re.compile(r"\s*\S+\s*?(?=\s|$)|\s+$")


@dataclass(frozen=True, slots=True)
class _Reply:
    text: str
    tool_calls: tuple[ToolCall, ...] = ()


class OfflineModel:
    """Writes `tokens_per_second` words a second; 0 is as fast as it can."""

    def __init__(self, tokens_per_second: float) -> None:
        self._tokens_per_second = tokens_per_second

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent, None]:
        """Streams an answer; see the port."""
        # In a thread: reading many passages takes longer than an event loop may stand still.
        reply = await asyncio.to_thread(_reply_to, request)
        yield GenerationStarted(OFFLINE, OFFLINE, offline=True)
        text, reason = _limited(_rest(reply.text, request.answer_so_far), request)
        loop = asyncio.get_running_loop()
        started = loop.time()
        for number, piece in enumerate(_pieces(text)):
            # By the clock and not by steps, so that a long answer keeps its rate.
            if self._tokens_per_second and (wait := started + number / self._tokens_per_second - loop.time()) > 0:
                await asyncio.sleep(wait)
            yield TextDelta(piece)
        for call in reply.tool_calls:
            yield call
        yield GenerationFinished(FinishReason.TOOL_CALLS if reply.tool_calls else reason)


def _reply_to(request: GenerationRequest) -> _Reply:
    last = request.messages[-1]
    is_first = all(message.role is not Role.ASSISTANT for message in request.messages)
    if request.response_schema is not None:
        return _Reply(_document(request, request.response_schema))
    if last.role is Role.TOOL:
        return _Reply(report(request.messages))
    if (brief := read_brief(request.messages)) is not None:
        return _Reply(_noted(content_for(brief, request.sampling.seed or 0), is_first, NOTE_OF_CONTENT))
    now = now_of([message.text for message in request.messages if message.role is Role.SYSTEM])
    if wish := wished_tool(last.text, request.tools, now):
        if not wish.missing:
            # The id needs to differ only within its conversation.
            call_id = f"call_{sum(len(message.tool_calls) for message in request.messages) + 1}"
            return _Reply("", (ToolCall(call_id, wish.tool.name, wish.arguments_json),))
        missing = " and ".join(f"`{name}`" for name in wish.missing)
        return _Reply(
            _noted(f"To use `{wish.tool.name}` I need {missing}. Say it like `{wish.missing[0]}=…`.", is_first)
        )
    questions = [message.text for message in request.messages if message.role is Role.USER]
    earlier = questions[-2] if len(questions) > 1 else ""
    # By itself first: the question before it says what a follow-up is about, and misleads where the subject is a new one.
    answer = (
        small_talk(last.text)
        or skilled_answer(request.offline_skill, questions)
        or answer_from(request.passages, last.text, "")
        or answer_from(request.passages, last.text, earlier)
        or _without_passages(request, last.text)
    )
    return _Reply(_noted(answer, is_first, note_of(WHAT_IT_DOES[request.offline_skill])))


def _without_passages(request: GenerationRequest, asked: str) -> str:
    """What is left to say. Chat gives instructions and looks for passages; a bare prompt comes with neither."""
    if any(message.role is Role.SYSTEM for message in request.messages):
        return NOTHING_FOUND
    text = without_wish(asked)
    summary = skilled_answer(OfflineSkill.SUMMARY, [asked]) if text != asked else None
    return summary or NOTHING_GIVEN


def _document(request: GenerationRequest, schema: Mapping[str, Any]) -> str:
    said = next((message.text for message in reversed(request.messages) if message.role is Role.USER), "")
    try:
        return filled(schema, said)
    except UnsaidError:
        raise ModelNotCapableError(OFFLINE, Capability.STRUCTURED_OUTPUT.value) from None


def _rest(text: str, so_far: str) -> str:
    """What follows the text so far. The same request gives the same text; if it does not, the whole follows."""
    if not so_far or text.startswith(so_far):
        return text[len(so_far) :]
    return f"\n\n{text}"


def _noted(answer: str, is_first: bool, note: str = NOTE) -> str:
    return f"{answer}\n\n---\n\n{note}" if is_first else answer


def _limited(text: str, request: GenerationRequest) -> tuple[str, FinishReason]:
    """The text up to a stop sequence, and to the most words that the request allows."""
    sampling = request.sampling
    ends = [at for at in (text.find(sequence) for sequence in sampling.stop_sequences) if at >= 0]
    if ends:
        text = text[: min(ends)]
    if sampling.max_output_tokens is not None:
        pieces = list(_pieces(text))
        if len(pieces) > sampling.max_output_tokens:
            return "".join(pieces[: sampling.max_output_tokens]), FinishReason.LENGTH
    return text, FinishReason.STOP


def _pieces(text: str) -> Iterator[str]:
    """The text in words, each with the white space before it, and no piece too long for one event."""
    for found in _PIECE.finditer(text):
        piece = found[0]
        for start in range(0, len(piece), MOST_CHARACTERS_OF_A_DELTA):
            yield piece[start : start + MOST_CHARACTERS_OF_A_DELTA]

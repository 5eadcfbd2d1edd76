"""Answers that have to satisfy a JSON Schema: held back until they do, and repaired once when they do not.

Who writes them is model_chain.py's business, and who knows JSON Schema is an adapter's.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from parley_inference.domain.errors import ResponseSchemaUnmetError
from parley_inference.domain.generation import (
    FinishReason,
    GenerationEvent,
    GenerationFinished,
    GenerationStarted,
    ProviderSwitched,
    TextDelta,
)
from parley_inference.domain.models import Model
from parley_inference.domain.prompt import GenerationRequest, PromptMessage, Role, ToolCall
from parley_inference.operations.model_chain import Bill, ModelChain
from parley_inference.ports.language_model import MOST_CHARACTERS_OF_A_DELTA
from parley_inference.ports.schema_checker import Misfit, SchemaChecker

_MOST_CHARACTERS_TO_REPAIR = 100_000
"""How much of an answer that does not fit its model is shown again."""
_FENCE = re.compile(r"```[A-Za-z]*[ \t]*\r?\n(?P<document>.*?)\r?\n?```", re.DOTALL)


class StructuredAnswers:
    """Lets models write answers that satisfy the request's schema."""

    def __init__(self, chain: ModelChain, checker: SchemaChecker) -> None:
        self._chain = chain
        self._checker = checker

    async def write(self, request: GenerationRequest, bill: Bill) -> AsyncGenerator[GenerationEvent, None]:
        """Streams an answer as ModelChain.write does, its text at the end and only when it satisfies the schema: without the fence around
        it, and else as the model wrote it. Reasoning and tool calls come when they are written.

        An answer that calls tools, or that the provider's filter ended, is no answer yet, or none at all: its text is left out. Raises
        InferenceError, ResponseSchemaUnmetError among them.
        """
        assert request.response_schema is not None  # noqa: S101 - for the type checker: whoever calls has looked
        answer = _Written()
        asked = request
        writer: Model | None = None
        for is_repair in (False, True):
            async with aclosing(self._chain.write(asked, bill, first=writer)) as events:
                async for event in events:
                    if answer.take(event, is_repair=is_repair):
                        yield event
            if answer.calls_tools or answer.finished.reason is FinishReason.CONTENT_FILTER:
                yield answer.finished
                return
            document = document_of(answer.text)
            misfits = await self._checker.misfits(request.response_schema, document)
            if not misfits:
                for start in range(0, len(document), MOST_CHARACTERS_OF_A_DELTA):
                    yield TextDelta(document[start : start + MOST_CHARACTERS_OF_A_DELTA])
                yield replace(answer.finished, attempts=tuple(bill.attempts))
                return
            failure = ResponseSchemaUnmetError(misfits[0].path)
            bill.fail_last(failure)
            writer = bill.last_writer
            if writer is not None and writer.offline:
                # It would write the same once more.
                break
            asked = repair_of(request, answer, misfits)
            answer.begin_again()
        raise failure


class _Written:
    """What was written of an answer, and is not told yet."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self.calls_tools = False
        self.finished = GenerationFinished(FinishReason.STOP)

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self._parts)

    def begin_again(self) -> None:
        """Forgets the text: what was written is of no use."""
        self._parts.clear()

    def take(self, event: GenerationEvent, *, is_repair: bool) -> bool:
        """Takes the next event; gives whether the caller is told of it now."""
        match event:
            case TextDelta():
                self._parts.append(event.text)
                return False
            case GenerationFinished():
                self.finished = event
                return False
            case GenerationStarted():
                return not is_repair
            case ProviderSwitched():
                # Nothing of the text was sent, so the next model begins anew.
                self.begin_again()
            case ToolCall():
                self.calls_tools = True
        return True


def document_of(text: str) -> str:
    """The JSON document of an answer: what stands in its first fence when there is one, else all of it."""
    text = text.strip()
    if not text.startswith(("{", "[", '"')) and (fenced := _FENCE.search(text)):
        return fenced["document"].strip()
    return text


def repair_of(request: GenerationRequest, answer: _Written, misfits: Sequence[Misfit]) -> GenerationRequest:
    """The request once more, with the answer that does not fit and what is wrong with it."""
    wrote = answer.text[:_MOST_CHARACTERS_TO_REPAIR]
    lines = [f"- {misfit.path}: {misfit.words}" for misfit in misfits]
    if answer.finished.reason is FinishReason.LENGTH:
        lines.insert(0, "- The answer met its limit and was cut off: write a shorter one.")
    words = (
        "Your last message does not satisfy the JSON Schema that the answer has to satisfy:\n\n"
        + "\n".join(lines)
        + "\n\nAnswer again with the whole corrected JSON document, and with nothing else."
    )
    said = (PromptMessage(Role.ASSISTANT, wrote),) if wrote.strip() else ()
    return replace(request, messages=(*request.messages, *said, PromptMessage(Role.USER, words)))

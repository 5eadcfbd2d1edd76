"""Content from templates: one prompt, and one generation for each variant, as many at the same time as the user may have.

An error of one variant leaves the others. What a template says is inference's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from parley_chat.domain.content import ContentOrder, ContentPrompt, ContentTemplate
from parley_chat.domain.errors import GenerationError
from parley_chat.domain.generation import GenerationUsage, Meter, usage_of
from parley_chat.domain.usage import UsagePurpose
from parley_chat.operations.admission import Admission
from parley_chat.operations.text_generations import Gathering, TextEvent, TextFinished, TextGenerations, WholeText
from parley_chat.ports.content_templates import ContentTemplates
from parley_chat.ports.text_model import TextRequest
from parley_chat.ports.tracing import Tracing

WAITING_EVENTS = 64
"""How many events may wait for a slow reader before the variants wait too."""


@dataclass(frozen=True, slots=True)
class VariantFailed:
    """A variant came to nothing."""

    error: GenerationError


@dataclass(frozen=True, slots=True)
class VariantEvent:
    """Something happened to one of the variants."""

    variant: int
    """From 0."""
    event: TextEvent | VariantFailed


@dataclass(frozen=True, slots=True)
class WrittenContent:
    """The variants that became whole, at least one, and what all took together."""

    variants: tuple[WholeText, ...]
    usage: GenerationUsage
    trace_id: str


class Content:
    """Lists templates and writes content."""

    def __init__(
        self, templates: ContentTemplates, generations: TextGenerations, admission: Admission, tracing: Tracing
    ) -> None:
        self._templates = templates
        self._generations = generations
        self._admission = admission
        self._tracing = tracing

    async def templates(self, user_id: str) -> Sequence[ContentTemplate]:
        """Lists the templates, by name."""
        return await self._templates.templates(user_id)

    async def stream(self, user_id: str, order: ContentOrder) -> AsyncGenerator[VariantEvent, None]:
        """Writes content; the events of the variants come as they happen. Closing it ends all of them.

        Raises TooManyTurnsError and DrainingError; GenerationError when the template refuses the order, and that of the first variant when
        all failed.
        """
        async with aclosing(self._write(user_id, order, _meters(order))) as events:
            async for event in events:
                yield event

    async def write(self, user_id: str, order: ContentOrder) -> WrittenContent:
        """Writes content and gives the whole. Raises what `stream` does."""
        meters = _meters(order)
        gatherings = [Gathering() for _ in meters]
        async with aclosing(self._write(user_id, order, meters)) as events:
            async for each in events:
                if not isinstance(each.event, VariantFailed):
                    gatherings[each.variant].take(each.event)
        texts = [text for gathering in gatherings if (text := gathering.text())]
        return WrittenContent(tuple(texts), usage_of(meters), self._tracing.current_trace_id())

    async def _write(
        self, user_id: str, order: ContentOrder, meters: Sequence[Meter]
    ) -> AsyncGenerator[VariantEvent, None]:
        with self._admission.places(user_id, len(meters)) as places:
            prompt = await self._templates.fill(user_id, order)
            events: asyncio.Queue[VariantEvent | Exception] = asyncio.Queue(WAITING_EVENTS)
            free = asyncio.Semaphore(places)
            writing = [
                asyncio.create_task(
                    self._write_variant(
                        number, _request(user_id, order, prompt.variant(number + 1, len(meters))), meter, free, events
                    )
                )
                for number, meter in enumerate(meters)
            ]
            failures: dict[int, GenerationError] = {}
            ended = 0
            try:
                while ended < len(meters):
                    each = await events.get()
                    if isinstance(each, Exception):
                        raise each
                    if isinstance(each.event, VariantFailed):
                        failures[each.variant] = each.event.error
                    ended += isinstance(each.event, VariantFailed | TextFinished)
                    yield each
                if len(failures) == len(meters):
                    raise failures[0]
            finally:
                for task in writing:
                    task.cancel()
                await asyncio.gather(*writing, return_exceptions=True)

    async def _write_variant(
        self,
        number: int,
        request: TextRequest,
        meter: Meter,
        free: asyncio.Semaphore,
        events: asyncio.Queue[VariantEvent | Exception],
    ) -> None:
        try:
            async with free, aclosing(self._generations.write(request, UsagePurpose.CONTENT, meter)) as told:
                async for event in told:
                    await events.put(VariantEvent(number, event))
        except GenerationError as error:
            await events.put(VariantEvent(number, VariantFailed(error)))
        except Exception as error:  # noqa: BLE001 - whoever reads the events raises it
            await events.put(error)


def _meters(order: ContentOrder) -> list[Meter]:
    return [Meter() for _ in range(order.variants)]


def _request(user_id: str, order: ContentOrder, prompt: ContentPrompt) -> TextRequest:
    return TextRequest(
        user_id=user_id,
        instructions=prompt.instructions,
        lines=prompt.lines,
        model=order.model or prompt.model,
        sampling=prompt.sampling,
    )

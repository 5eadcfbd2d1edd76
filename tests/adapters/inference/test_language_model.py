"""What every language model does, whoever runs it."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from parley_inference.domain.generation import (
    FinishReason,
    GenerationFinished,
    GenerationStarted,
    TextDelta,
    TokenUsage,
)
from parley_inference.domain.prompt import ToolCall


async def events_of(model: Any, request: Any) -> list[Any]:
    return [event async for event in model.generate(request)]


async def test_it_says_first_who_writes_and_last_why_it_ended(case: Any) -> None:
    events = await events_of(case.model, case.answer)
    assert isinstance(events[0], GenerationStarted)
    assert events[0].provider == case.provider
    assert events[0].offline == (case.name == "offline")
    assert events[-1] == GenerationFinished(FinishReason.STOP)
    assert sum(isinstance(event, GenerationStarted | GenerationFinished) for event in events) == 2


async def test_its_text_comes_in_pieces_that_are_not_empty(case: Any) -> None:
    texts = [event.text for event in await events_of(case.model, case.answer) if isinstance(event, TextDelta)]
    assert all(texts)
    assert "key" in "".join(texts)
    assert "[1]" in "".join(texts)


async def test_the_same_request_is_answered_again(case: Any) -> None:
    first = await events_of(case.model, case.answer)
    second = await events_of(case.model, case.answer)
    assert [event for event in first if not isinstance(event, TextDelta)] == [
        event for event in second if not isinstance(event, TextDelta)
    ]
    assert _text(first) == _text(second)


async def test_a_tool_that_is_asked_for_is_called_whole(case: Any) -> None:
    events = await events_of(case.model, case.tool_call)
    calls = [event for event in events if isinstance(event, ToolCall)]
    assert [call.name for call in calls] == ["create_task"]
    assert calls[0].tool_call_id
    assert json.loads(calls[0].arguments_json) == {"title": "water the plants"}
    assert events[-1] == GenerationFinished(FinishReason.TOOL_CALLS)


async def test_usage_that_it_gives_is_not_an_estimate(case: Any) -> None:
    usages = [event for event in await events_of(case.model, case.answer) if isinstance(event, TokenUsage)]
    assert all(not usage.estimated for usage in usages)


async def test_it_can_be_closed_after_every_event(case: Any) -> None:
    whole = len(await events_of(case.model, case.answer))
    for count in range(1, whole):
        async with aclosing(case.model.generate(case.answer)) as events:
            for _ in range(count):
                await anext(events)


async def test_many_generations_at_once_do_not_disturb_each_other(case: Any) -> None:
    alone = _text(await events_of(case.model, case.answer))
    together = await asyncio.gather(*(events_of(case.model, case.answer) for _ in range(20)))
    assert {_text(events) for events in together} == {alone}


async def test_a_question_without_passages_is_answered_too(case: Any) -> None:
    assert _text(await events_of(case.model, replace(case.answer, passages=())))


def _text(events: list[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))

"""The beat on which many answers are read together."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest
from parley_inference.adapters.reading_beat import FEW_ANSWERS, LONGEST_SECONDS, SECONDS_PER_ANSWER, ReadingBeat

PATIENCE_SECONDS = 30.0


def streaming(beat: ReadingBeat, answers: int) -> ExitStack:
    """So many answers that stream until the block ends."""
    stack = ExitStack()
    for _ in range(answers):
        stack.enter_context(beat.answer())
    return stack


async def test_few_answers_never_rest() -> None:
    beat = ReadingBeat()

    with streaming(beat, FEW_ANSWERS - 1):
        resting = beat.rest()

        with pytest.raises(StopIteration):
            # It ends in its first step: it waits for nothing, not even for a turn of the loop.
            resting.send(None)


async def test_who_rests_goes_on_with_all_the_others() -> None:
    beat = ReadingBeat()
    woken: list[int] = []

    async def rest(number: int) -> None:
        await beat.rest()
        woken.append(number)

    with streaming(beat, FEW_ANSWERS):
        resting = [asyncio.create_task(rest(number)) for number in range(FEW_ANSWERS)]
        done, _ = await asyncio.wait(resting, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)

        assert woken == list(range(FEW_ANSWERS))
        assert done


async def test_an_answer_that_is_cancelled_while_it_rests_wakes_nobody_and_takes_nobody_with_it() -> None:
    beat = ReadingBeat()

    with streaming(beat, FEW_ANSWERS):
        resting = [asyncio.create_task(beat.rest()) for _ in range(3)]
        await asyncio.sleep(0)
        resting[0].cancel()
        await asyncio.wait(resting, timeout=PATIENCE_SECONDS)

    assert [task.cancelled() for task in resting] == [True, False, False]
    assert all(task.done() for task in resting)


async def test_it_strikes_again_for_who_rests_again() -> None:
    beat = ReadingBeat()

    with streaming(beat, FEW_ANSWERS):
        for _ in range(3):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await beat.rest()


async def test_answers_that_have_ended_count_no_more() -> None:
    beat = ReadingBeat()
    with streaming(beat, 10 * FEW_ANSWERS):
        pass

    resting = beat.rest()

    with pytest.raises(StopIteration):
        resting.send(None)


def test_a_token_is_held_up_for_less_than_a_reader_sees() -> None:
    assert FEW_ANSWERS * SECONDS_PER_ANSWER < LONGEST_SECONDS <= 0.05

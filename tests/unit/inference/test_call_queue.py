"""The turns of a provider's calls: so many at a time, first come first served, and nobody is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from parley_inference.domain.call_queue import CallLimits, CallQueue
from parley_inference.domain.errors import ProviderQueueFullError

SECONDS = 30.0


async def until(condition: Callable[[], bool]) -> None:
    """Lets the others run until it holds."""
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - counters have no event of their own; this is a test's wait.
            await asyncio.sleep(0)


class Caller:
    """A call that holds its turn until it is told to end."""

    def __init__(self, queue: CallQueue, order: list[int], number: int) -> None:
        self.over = asyncio.Event()
        self.task = asyncio.create_task(self._call(queue, order, number))

    async def _call(self, queue: CallQueue, order: list[int], number: int) -> None:
        async with queue.turn():
            order.append(number)
            await self.over.wait()


async def test_no_more_than_may_run_and_the_others_come_in_their_order() -> None:
    queue, order = CallQueue("p", CallLimits(2, 10, SECONDS)), list[int]()
    callers = []
    for number in range(6):
        callers.append(Caller(queue, order, number))
        await until(lambda expected=number + 1: queue.running + queue.waiting == expected)  # type: ignore[misc]  # a default
    assert (queue.running, queue.waiting, order) == (2, 4, [0, 1])
    for caller in callers:
        caller.over.set()
    await asyncio.gather(*(caller.task for caller in callers))
    assert order == [0, 1, 2, 3, 4, 5]
    assert (queue.running, queue.waiting) == (0, 0)


async def test_without_a_limit_nobody_waits_and_they_are_counted() -> None:
    queue, order = CallQueue("p", CallLimits()), list[int]()
    callers = [Caller(queue, order, number) for number in range(50)]
    await until(lambda: queue.running == 50)
    for caller in callers:
        caller.over.set()
    await asyncio.gather(*(caller.task for caller in callers))
    assert queue.running == 0


async def test_who_finds_the_queue_full_is_told_at_once() -> None:
    queue, order = CallQueue("p", CallLimits(1, 1, SECONDS)), list[int]()
    callers = [Caller(queue, order, number) for number in range(2)]
    await until(lambda: queue.waiting == 1)
    with pytest.raises(ProviderQueueFullError) as raised:
        async with queue.turn():
            raise AssertionError
    assert raised.value.provider == "p"
    for caller in callers:
        caller.over.set()
    await asyncio.gather(*(caller.task for caller in callers))
    async with queue.turn():
        assert queue.running == 1


async def test_a_call_that_is_cancelled_while_it_waits_leaves_its_place() -> None:
    queue, order = CallQueue("p", CallLimits(1, 2, SECONDS)), list[int]()
    callers = [Caller(queue, order, number) for number in range(3)]
    await until(lambda: queue.waiting == 2)
    callers[1].task.cancel()
    await asyncio.wait({callers[1].task})
    assert queue.waiting == 1
    callers[0].over.set()
    await until(lambda: order == [0, 2])
    callers[2].over.set()
    await callers[2].task
    assert (queue.running, queue.waiting) == (0, 0)


async def test_a_turn_that_comes_together_with_the_cancelling_goes_to_the_next() -> None:
    for cancel_first in (True, False):
        queue, order = CallQueue("p", CallLimits(1, 2, SECONDS)), list[int]()
        first, second, third = (Caller(queue, order, number) for number in range(3))
        await until(lambda queue=queue: queue.waiting == 2)  # type: ignore[misc]  # a default
        if cancel_first:
            second.task.cancel()
            first.task.cancel()
        else:
            first.task.cancel()
            second.task.cancel()
        await until(lambda order=order: order == [0, 2])  # type: ignore[misc]  # a default
        third.over.set()
        await asyncio.gather(first.task, second.task, third.task, return_exceptions=True)
        assert (queue.running, queue.waiting) == (0, 0)


async def test_who_waits_too_long_is_sent_away_and_holds_nothing() -> None:
    queue, order = CallQueue("p", CallLimits(1, 5, 0.01)), list[int]()
    first = Caller(queue, order, 0)
    await until(lambda: queue.running == 1)
    with pytest.raises(ProviderQueueFullError):
        async with queue.turn():
            raise AssertionError
    assert queue.waiting == 0
    first.over.set()
    await first.task
    assert queue.running == 0


async def test_a_call_that_fails_gives_its_turn_back() -> None:
    queue = CallQueue("p", CallLimits(1, 0, SECONDS))
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with queue.turn():
                raise ZeroDivisionError
    assert queue.running == 0

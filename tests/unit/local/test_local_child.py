"""A child process is kept running, heard, and stopped with everything it has started."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from parley_local.child import WRONG_SETTING, Child

SHELL = ("sh", "-c")


class Listener:
    """Remembers what a child said and what happened to it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.starts = 0

    def child(self, command: Sequence[str], *, died: Callable[[Child], None] = lambda child: None) -> Child:
        return Child("it", command, dict(os.environ), lambda name, line: self.lines.append(line), died, self._started)

    def _started(self) -> None:
        self.starts += 1

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - the outside world has no event to wait for
                await asyncio.sleep(0.01)


@pytest.fixture
def listener() -> Listener:
    return Listener()


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_every_line_is_told_also_the_last_without_an_end_and_one_that_is_too_long(listener: Listener) -> None:
    program = "import sys; print('one'); print('x' * 200_000); print('t\\xfcr', file=sys.stderr); sys.stdout.write('end'); sys.exit(2)"
    child = listener.child([sys.executable, "-c", program])
    await child.start()
    assert await child.keep_running() == WRONG_SETTING
    assert "".join(listener.lines).count("x") == 200_000
    assert {"one", "end"} <= set(listener.lines)
    assert max(map(len, listener.lines)) < 150_000


async def test_a_child_that_dies_is_started_again_and_one_with_a_wrong_setting_is_not(
    listener: Listener, tmp_path: Path
) -> None:
    deaths: list[int] = []
    script = (
        f'echo . >> {tmp_path}/runs; [ $(wc -l < {tmp_path}/runs) -lt 3 ] && kill -9 $$; echo "what is wrong"; exit 2'
    )
    child = listener.child([*SHELL, script], died=lambda child: deaths.append(child.deaths))
    await child.start()
    assert await child.keep_running() == WRONG_SETTING
    assert listener.starts == 3
    assert deaths == [1, 2]
    assert child.last_lines[-1] == "what is wrong"
    assert any("by SIGKILL; it is started again" in line for line in listener.lines)


async def test_stopping_lets_it_end_by_itself(listener: Listener) -> None:
    child = listener.child([*SHELL, "trap 'echo ending; exit 0' TERM; echo ready; while :; do sleep 0.05; done"])
    await child.start()
    running = asyncio.create_task(child.keep_running())
    await listener.until(lambda: "ready" in listener.lines)
    await child.stop(20)
    assert await running == 0
    assert listener.lines == ["ready", "ending"]
    assert listener.starts == 1


async def test_one_that_does_not_end_is_killed_with_what_it_has_started(listener: Listener) -> None:
    script = "trap '' TERM; sleep 1000 & echo $!; while :; do sleep 0.05; done"
    child = listener.child([*SHELL, script])
    await child.start()
    running = asyncio.create_task(child.keep_running())
    await listener.until(lambda: bool(listener.lines))
    grandchild = int(listener.lines[0])
    assert alive(grandchild)
    await child.stop(0.1)
    assert await running < 0
    await listener.until(lambda: not alive(grandchild))


async def test_what_a_dead_child_has_started_does_not_live_on(listener: Listener) -> None:
    child = listener.child([*SHELL, "sleep 1000 & echo $!; exit 2"])
    await child.start()
    await child.keep_running()
    grandchild = int(listener.lines[0])
    await listener.until(lambda: not alive(grandchild))

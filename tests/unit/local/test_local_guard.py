"""However this process goes, what it has started goes with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from parley_local.guard import Guard


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def until_dead(pid: int) -> None:
    deadline = time.monotonic() + 20
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


PROGRAM = """
import subprocess, sys, time
from parley_local.guard import Guard
with Guard() as guard:
    first = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    second = subprocess.Popen(["sh", "-c", "sleep 1000 & echo $!; wait"], start_new_session=True, stdout=subprocess.PIPE)
    guard.watch([first.pid])
    guard.watch([first.pid, second.pid])
    print(first.pid, second.pid, int(second.stdout.readline()), flush=True)
    time.sleep(1000)
"""


def test_groups_do_not_outlive_a_killed_process() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE) as process:
        assert process.stdout
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert all(map(alive, pids))
        process.kill()
    for pid in pids:
        until_dead(pid)


def test_what_is_no_longer_watched_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as sleeper:
        with Guard() as guard:
            guard.watch([sleeper.pid])
            guard.watch([])
        assert alive(sleeper.pid)
        os.kill(sleeper.pid, signal.SIGKILL)

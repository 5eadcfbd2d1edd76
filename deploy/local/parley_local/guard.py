"""A shell that outlives us by a moment: when this process is gone, however it went, the shell kills the process groups it was told of.

A killed process cannot stop its children. On Linux the kernel does that for us (see child.py), but not for what the children have
started, and not on other systems. Any POSIX shell will do, and it waits for a line at no cost.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self

_SCRIPT = """
trap '' HUP INT TERM
groups=
while read -r told; do groups=$told; done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
"""


class Guard:
    """Knows which process groups must not outlive this process."""

    def __enter__(self) -> Self:
        self._shell = subprocess.Popen(
            ["sh", "-c", _SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C in the terminal is not for it.
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.watch([])
        if self._shell.stdin:
            with suppress(BrokenPipeError):
                self._shell.stdin.close()
        self._shell.wait()

    def watch(self, groups: Iterable[int]) -> None:
        """These, and no others, from now on."""
        if self._shell.stdin:
            # Somebody may have killed the shell; then there is only the kernel.
            with suppress(BrokenPipeError):
                self._shell.stdin.write(" ".join(map(str, groups)).encode() + b"\n")
                self._shell.stdin.flush()

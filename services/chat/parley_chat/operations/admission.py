"""How much a user, and this process, has models write at once: turns and generations without a session, counted together.

Not how often somebody calls, which is the edge's, and not what a provider takes at a time, which is inference's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from parley_chat.domain.errors import DrainingError, TooManyTurnsError
from parley_chat.operations.running_turns import RunningTurns


class Admission:
    """Gives places to what is about to be written. A turn has one until `RunningTurns` counts it."""

    def __init__(self, running: RunningTurns, *, per_user: int, in_process: int) -> None:
        self._running = running
        self._per_user = per_user
        self._in_process = in_process
        self._taken: Counter[str] = Counter()

    def take(self, user_id: str, wanted: int = 1) -> int:
        """Takes as many places as are wanted and free, at least one, and tells how many; `give_back` ends it.

        Raises TooManyTurnsError when there is none, and DrainingError when this process is about to end.
        """
        if self._running.draining:
            raise DrainingError
        of_user = self._per_user - len(self._running.of_user(user_id)) - self._taken[user_id]
        of_process = self._in_process - self._running.busy - self._taken.total()
        if of_user < 1:
            raise TooManyTurnsError(self._per_user)
        if of_process < 1:
            raise TooManyTurnsError(self._in_process)
        places = min(wanted, of_user, of_process)
        self._taken[user_id] += places
        return places

    def give_back(self, user_id: str, places: int = 1) -> None:
        """Frees places that were taken."""
        self._taken[user_id] -= places
        if not self._taken[user_id]:
            del self._taken[user_id]

    @contextmanager
    def places(self, user_id: str, wanted: int = 1) -> Iterator[int]:
        """Has places while what is inside runs."""
        places = self.take(user_id, wanted)
        try:
            yield places
        finally:
            self.give_back(user_id, places)

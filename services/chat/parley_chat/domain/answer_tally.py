"""How answers did lately, as this process saw it: how many ended how, and the last that went wrong. Of all users, and nothing of any.

It is forgotten with the process. What each user's answers did is in their sessions, and what happened over weeks is the metrics'.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from parley_chat.domain.turn import TurnFailed, TurnOutcome, TurnStopped

WINDOW_SECONDS = 3600
_SLOT_SECONDS = 60
INCIDENTS_MOST = 20


class IncidentKind(StrEnum):
    """What went wrong, or was made up for."""

    FAILED = "failed"
    """An answer failed."""
    SWITCHED = "switched"
    """A model failed and another went on."""
    WITHOUT_CONTEXT = "without context"
    """The documents could not be searched."""
    WAITS = "waits"
    """No model could be reached, and the answer waits."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One of them."""

    kind: IncidentKind
    time: datetime
    reason: str = ""
    """The name of the ErrorReason; empty when it is not known."""
    model: str = ""
    next_model: str = ""


@dataclass(slots=True)
class AnswerCounts:
    """How many."""

    ended: int = 0
    failed: int = 0
    stopped: int = 0
    switched: int = 0
    without_context: int = 0
    waited: int = 0

    def add(self, other: AnswerCounts) -> None:
        """Adds those of another time."""
        self.ended += other.ended
        self.failed += other.failed
        self.stopped += other.stopped
        self.switched += other.switched
        self.without_context += other.without_context
        self.waited += other.waited


@dataclass(frozen=True, slots=True)
class AnswerReport:
    """What there is to tell. Two are equal whatever their window is."""

    window_seconds: int = field(compare=False)
    """`WINDOW_SECONDS`, or as long as the process runs; at least 1."""
    counts: AnswerCounts
    incidents: tuple[Incident, ...]
    """The newest first."""


class AnswerTally:
    """Counts, minute by minute for an hour."""

    def __init__(self, now: Callable[[], datetime], clock: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._clock = clock
        self._began = clock()
        self._slots: deque[tuple[int, AnswerCounts]] = deque(maxlen=WINDOW_SECONDS // _SLOT_SECONDS)
        self._incidents: deque[Incident] = deque(maxlen=INCIDENTS_MOST)

    def ended(self, outcome: TurnOutcome) -> None:
        """An answer has ended."""
        slot = self._slot()
        slot.ended += 1
        match outcome:
            case TurnStopped():
                slot.stopped += 1
            case TurnFailed(failure, message):
                slot.failed += 1
                self._note(IncidentKind.FAILED, failure.reason, message.model)

    def switched(self, reason: str, model: str, next_model: str) -> None:
        """Another model went on with an answer."""
        self._slot().switched += 1
        self._note(IncidentKind.SWITCHED, reason, model, next_model)

    def without_context(self) -> None:
        """An answer is given without the documents."""
        self._slot().without_context += 1
        self._note(IncidentKind.WITHOUT_CONTEXT)

    def waits(self, reason: str, model: str) -> None:
        """An answer begins to wait for a model."""
        self._slot().waited += 1
        self._note(IncidentKind.WAITS, reason, model)

    def report(self) -> AnswerReport:
        """Tells it."""
        now = self._clock()
        counts = AnswerCounts()
        for number, slot in self._slots:
            if number > int(now / _SLOT_SECONDS) - WINDOW_SECONDS // _SLOT_SECONDS:
                counts.add(slot)
        window = min(WINDOW_SECONDS, max(1, int(now - self._began)))
        return AnswerReport(window, counts, tuple(reversed(self._incidents)))

    def _slot(self) -> AnswerCounts:
        number = int(self._clock() / _SLOT_SECONDS)
        if not self._slots or self._slots[-1][0] != number:
            self._slots.append((number, AnswerCounts()))
        return self._slots[-1][1]

    def _note(self, kind: IncidentKind, reason: str = "", model: str = "", next_model: str = "") -> None:
        self._incidents.append(Incident(kind, self._now(), reason, model, next_model))

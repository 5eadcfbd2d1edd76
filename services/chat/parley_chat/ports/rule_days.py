"""The days that a rule of recurrence names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Protocol

from parley_chat.domain.recurrence import Recurrence


class RuleDays(Protocol):
    """Expands rules. Its work is bounded by the days that are asked for, whatever the rule."""

    def days(self, rule: Recurrence, start: date, first: date, last: date) -> Iterator[date]:
        """The days from `first` to `last` that the rule names, in their order. It counts its intervals from `start`, which is not later.

        COUNT and UNTIL are left to the caller.
        """
        ...

"""Where sign-ins that failed are counted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from parley_chat.domain.sign_in_delays import FailureKey


class SignInFailures(Protocol):
    """Counts of failures by key, the same for all processes of chat. Old ones are forgotten."""

    async def wait_seconds(self, keys: Sequence[FailureKey], now: datetime) -> float:
        """How long the next sign-in has to wait for these keys; 0 when it has not to."""

    async def add(self, keys: Sequence[FailureKey], now: datetime) -> None:
        """Counts one failure for each of the keys."""

    async def forget(self, key: FailureKey) -> None:
        """Begins a count anew: the owner was here."""

"""How long a provider may take, and the clock of one generation that watches it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from parley_inference.domain.errors import GenerationTooLongError, ProviderStalledError

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a provider may take, in seconds."""

    first_token: float
    """From the request to the first token."""
    idle: float
    """Between two tokens. Comments that keep a connection open are none."""
    total: float
    """For the whole generation."""


class Clock:
    """The limits of one generation. Only waiting for the provider counts, not what a slow reader takes."""

    def __init__(self, provider: str, patience: Patience) -> None:
        self._provider = provider
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        started = self._loop.time()
        self._silence = patience.first_token
        self._deadline = started + patience.first_token
        self._end = started + patience.total
        self._is_fresh = False

    def restart(self) -> None:
        """The model wrote something: the next wait may take as long as the pause between two tokens."""
        self._is_fresh = True

    async def limit(self, waiting: Awaitable[_Result]) -> _Result:
        """Waits for the provider. Raises ProviderStalledError or GenerationTooLongError."""
        if self._is_fresh:
            self._is_fresh = False
            self._silence = self._patience.idle
            self._deadline = self._loop.time() + self._silence
        limit = asyncio.timeout_at(min(self._deadline, self._end))
        try:
            async with limit:
                return await waiting
        except TimeoutError:
            if not limit.expired():
                raise
            if self._end <= self._deadline:
                raise GenerationTooLongError(self._patience.total) from None
            raise ProviderStalledError(self._provider, self._silence) from None

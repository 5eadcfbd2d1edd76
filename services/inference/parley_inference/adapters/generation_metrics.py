"""The metrics of calls of providers, by OpenTelemetry's GenAI conventions: their names, units and buckets, pinned here.

The conventions are still in development: a new version of them is a change of this file, and not of what a dependency calls them today.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from parley_shared.metering import Histogram

from parley_inference.domain.provider_traffic import ProviderTraffic

CHAT = "chat"
"""The operation of generating."""

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = tuple(float(4**power) for power in range(14))

TOKEN_USAGE = Histogram(
    "gen_ai.client.token.usage", "{token}", "Tokens of a call that its provider counted, by gen_ai.token.type.", _TOKENS
)
OPERATION_DURATION = Histogram(
    "gen_ai.client.operation.duration", "s", "How long a call took, with error.type when it failed.", _SECONDS
)
TIME_TO_FIRST_CHUNK = Histogram(
    "gen_ai.client.operation.time_to_first_chunk",
    "s",
    "How long a call took until its first text or reasoning.",
    _SECONDS,
)


class CallMetrics:
    """The metrics of one call: enter it when the provider is asked. What was cancelled is no failure."""

    def __init__(self, operation: str, provider: str, model: str, traffic: ProviderTraffic) -> None:
        """`traffic` is the provider's own account of its calls."""
        self._traffic = traffic
        self._first_seconds: float | None = None
        self._attributes = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
        }
        self._started = 0.0
        self._tokens: tuple[int, int] | None = None

    def begun(self, seconds: float) -> None:
        """The first text or reasoning came after so long."""
        self._first_seconds = seconds
        TIME_TO_FIRST_CHUNK.record(seconds, self._attributes)

    def use(self, input_tokens: int, output_tokens: int) -> None:
        """The provider's figures so far. Replaces those before."""
        self._tokens = input_tokens, output_tokens

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        self._traffic.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._traffic.end(error, self._first_seconds)
        failed = {"error.type": kind.__qualname__} if isinstance(error, Exception) and kind is not None else {}
        OPERATION_DURATION.record(time.perf_counter() - self._started, self._attributes | failed)
        for name, tokens in zip(("input", "output"), self._tokens or (), strict=False):
            TOKEN_USAGE.record(tokens, {**self._attributes, "gen_ai.token.type": name})

"""A wrapper that spares a provider in trouble and its callers: it tries again before the first token, and fails at once while the
provider's circuit breaker is open. It goes on with nothing that has begun, and knows of no other provider.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from parley_shared.metering import Counter

from parley_inference.domain.circuit_breaker import BreakerState, CircuitBreaker
from parley_inference.domain.errors import (
    GenerationTooLongError,
    InferenceError,
    ProviderError,
    ProviderStalledError,
    ProviderUnavailableError,
)
from parley_inference.domain.generation import GenerationEvent, GenerationFinished, GenerationStarted
from parley_inference.domain.prompt import GenerationRequest
from parley_inference.domain.provider_health import ProviderHealth
from parley_inference.domain.retries import RetryBudget, delay_before_retry
from parley_inference.ports.language_model import LanguageModel

RETRIES = Counter(
    "parley.inference.retries", "{call}", "Calls of a provider that were made again, by what the one before ended with."
)

_logger = logging.getLogger(__name__)


class GuardedLanguageModel:
    """Wraps the models of one provider: they share their breaker and their budget of retries."""

    def __init__(
        self,
        model: LanguageModel,
        provider: str,
        *,
        clock: Callable[[], float],
        health: ProviderHealth | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`health` is told how each call went."""
        self._model = model
        self._health = health or ProviderHealth()
        self._provider = provider
        self._sleep = sleep
        self._breaker = CircuitBreaker(clock, on_change=self._tell)
        self._budget = RetryBudget(clock)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent, None]:
        """As the wrapped one; see the port. Raises ProviderUnavailableError without asking the provider while the breaker is open."""
        self._budget.called()
        retries = 0
        heard = 0
        while True:
            is_first = True
            try:
                async with aclosing(self._attempt(request)) as events:
                    async for event in events:
                        # A retry of the same model is no new start for the caller.
                        if not (is_first and heard):
                            yield event
                            heard += 1
                        is_first = False
            except ProviderError as error:
                # `heard` is 1 when the provider took the request and wrote nothing.
                delay = delay_before_retry(error, retries, random.random) if heard <= 1 else None
                if delay is None or self._breaker.state is not BreakerState.CLOSED or not self._budget.take():
                    raise
                retries += 1
                RETRIES.add(1, {"gen_ai.provider.name": self._provider, "error.type": type(error).__name__})
                _logger.info(
                    "provider %s failed (%s); trying again in %.2f s", self._provider, type(error).__name__, delay
                )
            else:
                return
            await self._sleep(delay)

    async def _attempt(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent, None]:
        admission = self._breaker.admit()
        if admission is None:
            raise ProviderUnavailableError(
                self._provider,
                "not asked: it failed too often",
                retry_after_seconds=self._breaker.retry_after_seconds,
            )
        waits_for_first = True
        try:
            async with aclosing(self._model.generate(request)) as events:
                async for event in events:
                    if type(event) is GenerationFinished:
                        admission.succeeded()
                        self._health.went_well()
                    elif waits_for_first and type(event) is not GenerationStarted:
                        waits_for_first = False
                        admission.answered()
                    yield event
        except (ProviderUnavailableError, ProviderStalledError) as error:
            admission.failed()
            self._health.failed(error)
            raise
        except GenerationTooLongError:
            raise
        except InferenceError as error:
            # A refusal is an answer: the provider is there.
            admission.answered()
            self._health.failed(error)
            raise
        finally:
            admission.left()

    def _tell(self, state: BreakerState) -> None:
        level = logging.WARNING if state is BreakerState.OPEN else logging.INFO
        if state is BreakerState.OPEN:
            self._health.left_alone(self._breaker.retry_after_seconds)
        elif state is BreakerState.HALF_OPEN:
            self._health.tried_again()
        else:
            self._health.called_again()
        _logger.log(level, "the circuit breaker of provider %s is %s", self._provider, state.value)

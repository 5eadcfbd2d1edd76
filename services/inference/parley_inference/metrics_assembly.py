"""Has the figures of providers and caches looked at: breakers, queues, hits. A part of bootstrap.py, which says where it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from parley_shared.metering import Gauge, Kind, Reading

from parley_inference.domain.provider_health import Circuit
from parley_inference.operations.answer_cache import AnswerCache
from parley_inference.operations.embedding_cache import EmbeddingCache
from parley_inference.operations.providers import Provider

BREAKER = Gauge(
    "parley.inference.breaker",
    "{breaker}",
    "The circuit breaker of a provider: 1 for the state that it is in, 0 for the others.",
    Kind.LEVEL,
)
RUNNING = Gauge("parley.inference.provider.running", "{call}", "Calls of a provider that run.")
WAITING = Gauge(
    "parley.inference.provider.waiting", "{call}", "Calls of a provider that wait for their turn: its queue."
)
LOOKS = Gauge(
    "parley.inference.cache.looks", "{look}", "Looks into a cache, by cache and by whether it had it.", Kind.TOTAL
)


def watch_providers(providers: Sequence[Provider], closing: AsyncExitStack) -> None:
    """Measures until `closing` closes."""

    def breakers() -> list[Reading]:
        return [
            (
                float(provider.health.circuit is circuit),
                {"gen_ai.provider.name": provider.name, "parley.breaker.state": circuit.value.replace(" ", "_")},
            )
            for provider in providers
            for circuit in Circuit
        ]

    closing.callback(BREAKER.watch(breakers))
    closing.callback(RUNNING.watch(lambda: [(each.queue.running, _of(each)) for each in providers]))
    closing.callback(WAITING.watch(lambda: [(each.queue.waiting, _of(each)) for each in providers]))


def watch_caches(caches: Mapping[str, AnswerCache | EmbeddingCache], closing: AsyncExitStack) -> None:
    """Measures until `closing` closes."""

    def looks() -> list[Reading]:
        return [
            (count, {"parley.cache": name, "parley.cache.outcome": outcome})
            for name, cache in caches.items()
            for outcome, count in (("hit", cache.found), ("miss", cache.missed))
        ]

    closing.callback(LOOKS.watch(looks))


def _of(provider: Provider) -> dict[str, str]:
    return {"gen_ai.provider.name": provider.name}

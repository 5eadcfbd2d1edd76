"""What the tokens of models cost. Sums nothing: `TokenUsage` of generation.py does, and whoever asked for an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TOKENS_OF_A_PRICE = 1_000_000


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """In millionths of a US dollar for a million tokens."""

    input_usd_micros: int
    output_usd_micros: int
    """Reasoning included."""
    cached_input_usd_micros: int
    """For tokens read that the provider had cached."""
    cache_write_input_usd_micros: int
    """For tokens read that the provider puts into its cache."""


class PriceList:
    """Prices by name: `provider/model`, or `model` for whoever runs it. The first is the more exact and wins."""

    def __init__(self, prices: Mapping[str, TokenPrice]) -> None:
        self._prices = prices

    def price_of(self, provider: str, model: str) -> TokenPrice | None:
        """The price of a model, named as its provider names it; None when nobody said it."""
        return self._prices.get(f"{provider}/{model}") or self._prices.get(model)

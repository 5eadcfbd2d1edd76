"""Parts of inference's messages that several adapters pack and unpack."""

from __future__ import annotations

from collections.abc import Iterable

from parley.inference.v1 import generation_pb2, inference_service_pb2

from parley_chat.domain.account import TokenPrice, TokensUsed
from parley_chat.domain.conversation import Citation


def pack_passages(passages: Iterable[Citation]) -> list[generation_pb2.Passage]:
    """Packs what an answer may rest on."""
    return [
        generation_pb2.Passage(
            number=passage.number, title=passage.document_title, text=passage.text, heading=passage.heading
        )
        for passage in passages
    ]


def tokens_from(usage: generation_pb2.TokenUsage) -> TokensUsed:
    """Unpacks tokens."""
    return TokensUsed(
        usage.input_tokens,
        usage.output_tokens,
        usage.estimated,
        cached_input_tokens=usage.cached_input_tokens,
        cache_write_input_tokens=usage.cache_write_input_tokens,
    )


def price_of(
    told: inference_service_pb2.GenerationStarted | inference_service_pb2.ProviderSwitched,
) -> TokenPrice | None:
    """Unpacks the price of the model that is told of; None when it is not known."""
    return price_from(told.price) if told.HasField("price") else None


def price_from(price: generation_pb2.TokenPrice) -> TokenPrice:
    """Unpacks a price."""
    return TokenPrice(
        price.input_usd_micros,
        price.output_usd_micros,
        price.cached_input_usd_micros,
        # An inference of the version before says neither this price nor such tokens.
        price.cache_write_input_usd_micros,
    )

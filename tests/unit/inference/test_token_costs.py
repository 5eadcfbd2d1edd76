"""What tokens cost: exact, rounded up once, and never more than was read."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from hypothesis import given
from hypothesis import strategies as st
from parley_inference.domain.generation import MOST_TOKENS, GenerationAttempt, TokenUsage
from parley_inference.domain.prices import TokenPrice

COUNTS = st.integers(0, MOST_TOKENS)
PRICES = st.integers(0, 10**12)


@given(COUNTS, COUNTS, COUNTS, COUNTS, PRICES, PRICES, PRICES, PRICES)
def test_a_cost_is_what_each_kind_of_token_costs_rounded_up_once(
    fresh: int, cached: int, written: int, output: int, of_fresh: int, of_output: int, of_cached: int, of_written: int
) -> None:
    usage = TokenUsage(fresh + cached + written, output, cached, cache_write_input_tokens=written)
    price = TokenPrice(of_fresh, of_output, of_cached, of_written)
    exact = Fraction(fresh * of_fresh + cached * of_cached + written * of_written + output * of_output, 1_000_000)
    assert usage.cost_usd_micros(price) == ceil(exact)


@given(COUNTS, COUNTS, COUNTS)
def test_figures_that_cannot_be_cost_no_more_than_all_that_was_read(read: int, cached: int, written: int) -> None:
    usage = TokenUsage(read, 0, cached, cache_write_input_tokens=written)
    assert usage.cost_usd_micros(TokenPrice(1_000_000, 0, 1_000_000, 1_000_000)) == read


def test_sums_hold_every_figure() -> None:
    one = TokenUsage(5, 4, 3, 2, cache_write_input_tokens=1)
    assert one + one == TokenUsage(10, 8, 6, 4, cache_write_input_tokens=2)
    assert (one + TokenUsage(0, 0, estimated=True)).estimated


def attempt(tokens: int, first: float, whole: float) -> GenerationAttempt:
    return GenerationAttempt("m", "p", TokenUsage(1, tokens), None, first, whole)


def test_the_rate_is_that_of_the_tokens_after_the_first() -> None:
    assert attempt(101, 1.0, 3.0).output_tokens_per_second == 50
    assert attempt(1, 1.0, 3.0).output_tokens_per_second == 0
    assert attempt(0, 0.0, 3.0).output_tokens_per_second == 0
    # All at once is no rate.
    assert attempt(10, 3.0, 3.0).output_tokens_per_second == 0

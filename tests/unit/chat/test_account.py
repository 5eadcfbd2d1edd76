"""What an answer took and cost: attempt by attempt, model by model, to the millionth of a cent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from parley_chat.adapters.turn_event_lines import decode_line, encode_line
from parley_chat.domain.account import NOTHING, Account, TokenPrice, TokensUsed
from parley_chat.domain.conversation import Message, MessageState, Role, Usage
from parley_chat.domain.turn import TurnCompleted

ONE_EACH = TokenPrice(1_000_000, 1_000_000, 1_000_000, 1_000_000)
"""A dollar for a million tokens: a token is a millionth of a dollar."""
CHEAP = TokenPrice(250_000, 2_000_000, 25_000, 312_500)
DEAR = TokenPrice(3_000_000, 15_000_000, 300_000, 3_750_000)
FREE = TokenPrice(0, 0, 0, 0)


def told(input_tokens: int, output_tokens: int, cached: int = 0) -> TokensUsed:
    return TokensUsed(input_tokens, output_tokens, estimated=False, cached_input_tokens=cached)


def begun(price: TokenPrice | None, *, prompt_tokens: int = 100, before: int = 0) -> Account:
    account = Account()
    account.begin(price, prompt_tokens=prompt_tokens, characters_before=before)
    return account


def test_nothing_was_used_and_nothing_is_owed_before_a_model_begins() -> None:
    account = Account()
    account.end_attempt()
    assert account.total() == NOTHING
    assert account.cost_usd_micros() == 0


def test_the_providers_figures_are_paid_at_their_prices_and_cached_input_at_its_own() -> None:
    account = begun(CHEAP)
    account.wrote(4_000)
    account.use(told(1_000, 500, cached=800))
    assert account.total() == told(1_000, 500, cached=800)
    # 200 at 0.25, 800 at 0.025 and 500 at 2 dollars for a million.
    assert account.cost_usd_micros() == 50 + 20 + 1_000


def test_input_that_the_provider_put_into_its_cache_is_paid_at_its_own_price() -> None:
    account = begun(CHEAP)
    account.use(TokensUsed(10_000, 0, estimated=False, cached_input_tokens=2_000, cache_write_input_tokens=4_000))
    # 4,000 at 0.25, 2,000 at 0.025 and 4,000 at 0.3125 dollars for a million.
    assert account.cost_usd_micros() == 1_000 + 50 + 1_250
    # Figures that cannot be are no reason to pay for more than was read.
    account.use(TokensUsed(10, 0, estimated=False, cached_input_tokens=8, cache_write_input_tokens=8))
    assert account.cost_usd_micros() == -(-(8 * 25_000 + 2 * 312_500) // 1_000_000)


def test_what_was_put_into_the_cache_before_a_switch_is_paid_at_the_price_of_who_put_it_there() -> None:
    account = begun(CHEAP)
    account.use(TokensUsed(4_000, 0, estimated=False, cache_write_input_tokens=4_000))
    account.switch(DEAR, prompt_tokens=0, characters_before=0)
    account.use(TokensUsed(8_000, 0, estimated=False, cache_write_input_tokens=8_000))
    assert account.total().cache_write_input_tokens == 8_000
    assert account.cost_usd_micros() == 1_250 + 15_000


def test_a_cost_is_rounded_up_once_and_not_for_each_part() -> None:
    account = begun(TokenPrice(1, 1, 1, 1))
    account.use(told(1, 1))
    assert account.cost_usd_micros() == 1
    account.end_attempt()
    account.begin(TokenPrice(1, 1, 1, 1), prompt_tokens=0, characters_before=0)
    account.use(told(1, 1))
    assert account.cost_usd_micros() == 1
    free = begun(FREE)
    free.use(told(10, 10))
    assert free.cost_usd_micros() == 0


def test_until_the_provider_tells_tokens_are_estimated_and_paid() -> None:
    account = begun(ONE_EACH, prompt_tokens=100, before=40)
    account.wrote(21)
    assert account.total() == TokensUsed(100 + 10, 6, estimated=True)
    assert account.cost_usd_micros() == 116


def test_two_models_of_one_call_are_paid_each_at_its_own_price() -> None:
    account = begun(CHEAP)
    account.wrote(10)
    account.use(TokensUsed(1_000, 100, estimated=True))
    account.switch(DEAR, prompt_tokens=100, characters_before=10)
    assert account.total() == TokensUsed(1_000 + 100 + 3, 100, estimated=True)
    account.use(TokensUsed(1_000 + 2_000, 100 + 50, estimated=True, cached_input_tokens=500))
    assert account.total() == TokensUsed(3_000, 150, estimated=True, cached_input_tokens=500)
    first = 1_000 * 0.25 + 100 * 2
    second = 1_500 * 3 + 500 * 0.3 + 50 * 15
    assert account.cost_usd_micros() == first + second


def test_a_stop_in_the_middle_of_the_second_model_counts_what_it_wrote() -> None:
    account = begun(ONE_EACH)
    account.use(told(50, 20))
    account.switch(ONE_EACH, prompt_tokens=100, characters_before=80)
    account.wrote(40)
    assert account.total() == TokensUsed(50 + 120, 20 + 10, estimated=True)
    assert account.cost_usd_micros() == 200


def test_a_model_that_never_took_the_request_costs_nothing() -> None:
    account = begun(DEAR)
    account.switch(ONE_EACH, prompt_tokens=100, characters_before=0)
    account.use(told(10, 5))
    assert account.total() == told(10, 5)
    assert account.cost_usd_micros() == 15


def test_one_model_without_a_price_leaves_the_whole_without_a_cost() -> None:
    account = begun(None)
    account.use(told(10, 5))
    assert account.cost_usd_micros() is None
    account.switch(CHEAP, prompt_tokens=0, characters_before=0)
    assert account.cost_usd_micros() is None
    account.end_attempt()
    account.begin(CHEAP, prompt_tokens=0, characters_before=0)
    assert account.cost_usd_micros() is None
    other = begun(CHEAP)
    other.use(told(10, 5))
    other.end_attempt()
    other.begin(None, prompt_tokens=1, characters_before=0)
    assert other.cost_usd_micros() is None


def test_attempts_are_summed() -> None:
    account = begun(ONE_EACH)
    account.wrote(40)
    account.end_attempt()
    assert account.total() == TokensUsed(100, 10, estimated=True)
    account.begin(ONE_EACH, prompt_tokens=100, characters_before=40)
    account.use(told(7, 3))
    assert account.total() == TokensUsed(107, 13, estimated=True)
    assert account.cost_usd_micros() == 120


def test_text_that_was_taken_over_is_paid_at_the_price_of_the_model_that_goes_on() -> None:
    account = Account()
    account.inherit(400, of_one_model=True)
    account.end_attempt()
    assert account.total() == TokensUsed(0, 100, estimated=True)
    assert account.cost_usd_micros() is None, "nobody has said a price yet"
    account.begin(ONE_EACH, prompt_tokens=50, characters_before=400)
    account.use(told(150, 10))
    assert account.total() == TokensUsed(50 + 150, 100 + 10, estimated=True)
    assert account.cost_usd_micros() == 310
    account.end_attempt()
    assert account.total() == TokensUsed(50 + 150, 100 + 10, estimated=True)
    assert account.cost_usd_micros() == 310


def test_text_that_was_taken_over_from_whom_nobody_knows_has_no_cost() -> None:
    switched_before = Account()
    switched_before.inherit(400, of_one_model=False)
    switched_before.begin(ONE_EACH, prompt_tokens=50, characters_before=400)
    assert switched_before.cost_usd_micros() is None
    another = Account()
    another.inherit(400, of_one_model=True)
    another.begin(ONE_EACH, prompt_tokens=50, characters_before=400)
    another.switch(ONE_EACH, prompt_tokens=50, characters_before=400)
    assert another.cost_usd_micros() is None


def test_a_provider_that_counts_more_cached_tokens_than_it_read_costs_no_less_than_nothing() -> None:
    account = begun(CHEAP)
    account.use(told(10, 0, cached=1_000_000))
    assert account.cost_usd_micros() == 1


figures = st.builds(told, st.integers(0, 10**6), st.integers(0, 10**6))


@given(st.lists(figures, min_size=1, max_size=6))
def test_in_however_many_attempts_and_models_the_same_tokens_cost_the_same(parts: list[TokensUsed]) -> None:
    in_attempts, in_one_call = Account(), Account()
    sum_of_call = NOTHING
    for number, part in enumerate(parts):
        in_attempts.begin(CHEAP, prompt_tokens=0, characters_before=0)
        in_attempts.use(part)
        in_attempts.end_attempt()
        (in_one_call.switch if number else in_one_call.begin)(CHEAP, prompt_tokens=0, characters_before=0)
        sum_of_call += part
        in_one_call.use(sum_of_call)
    expected = -(-CHEAP.of(sum_of_call) // 1_000_000)
    assert in_attempts.total() == in_one_call.total() == sum_of_call
    assert in_attempts.cost_usd_micros() == in_one_call.cost_usd_micros() == expected


def test_a_line_of_the_log_from_before_there_were_prices_is_read() -> None:
    usage = Usage(1, 2, estimated=False, time_to_first_token_ms=3, duration_ms=4, cost_usd_micros=5)
    create_time = datetime(2026, 1, 1, tzinfo=UTC)
    message = Message(
        "msg_1", "ses_1", "", Role.ASSISTANT, "Hi", MessageState.COMPLETED, create_time, "trn_1", usage=usage
    )
    line = encode_line(7, TurnCompleted(message))
    assert decode_line(line).body == TurnCompleted(message)
    before = line.replace(b',"cost_usd_micros":5', b"")
    assert before != line
    assert decode_line(before).body == TurnCompleted(replace(message, usage=replace(usage, cost_usd_micros=None)))

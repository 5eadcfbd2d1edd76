"""What an answer takes and costs, attempt by attempt and model by model. Not whose money it is, and no limits."""

from __future__ import annotations

from dataclasses import dataclass

from parley_chat.domain.prompt import tokens_of_characters

_TOKENS_OF_A_PRICE = 1_000_000


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """What the tokens of a model cost, in millionths of a US dollar for a million tokens."""

    input_usd_micros: int
    output_usd_micros: int
    cached_input_usd_micros: int
    cache_write_input_usd_micros: int

    def of(self, tokens: TokensUsed) -> int:
        """What so many tokens cost, in millionths of a millionth of a US dollar: a whole number, because sums are rounded once."""
        cached = min(tokens.cached_input_tokens, tokens.input_tokens)
        written = min(tokens.cache_write_input_tokens, tokens.input_tokens - cached)
        return (
            (tokens.input_tokens - cached - written) * self.input_usd_micros
            + cached * self.cached_input_usd_micros
            + written * self.cache_write_input_usd_micros
            + tokens.output_tokens * self.output_usd_micros
        )


@dataclass(frozen=True, slots=True)
class TokensUsed:
    """Tokens of one call of inference so far, all models together that wrote; replaces the figure before."""

    input_tokens: int
    output_tokens: int
    estimated: bool
    cached_input_tokens: int = 0
    """Of `input_tokens`, those that the provider had cached."""
    cache_write_input_tokens: int = 0
    """Of `input_tokens`, those that the provider put into its cache."""

    def __add__(self, other: TokensUsed) -> TokensUsed:
        """Makes the sum."""
        return TokensUsed(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.estimated or other.estimated,
            self.cached_input_tokens + other.cached_input_tokens,
            self.cache_write_input_tokens + other.cache_write_input_tokens,
        )

    def __sub__(self, other: TokensUsed) -> TokensUsed:
        """Makes what came since. An estimate stays one: nobody can tell which part of it was counted."""
        return TokensUsed(
            max(0, self.input_tokens - other.input_tokens),
            max(0, self.output_tokens - other.output_tokens),
            self.estimated,
            max(0, self.cached_input_tokens - other.cached_input_tokens),
            max(0, self.cache_write_input_tokens - other.cache_write_input_tokens),
        )


NOTHING = TokensUsed(0, 0, estimated=False)


class Account:
    """The account of one answer: `begin` when a model takes it, `switch` when another goes on in its call, `end_attempt` between calls.

    What a model used is the provider's figures, else an estimate, at that model's price.
    """

    def __init__(self) -> None:
        self._spent = NOTHING
        """What the models before the one that writes took."""
        self._cost: int | None = 0
        """Of `_spent`, in the unit of `TokenPrice.of`; None when one of them had no price."""
        self._takes_part = False
        """Whether a model has taken the request of the call that runs."""
        self._price: TokenPrice | None = None
        self._prompt_tokens = 0
        self._characters_before = 0
        self._characters = 0
        """Text and reasoning of the model that writes."""
        self._figures: TokensUsed | None = None
        """What inference told of this call, since the model that writes began; None when it told nothing."""
        self._told = NOTHING
        """How much of that is of the models before it."""
        self._inherited = 0
        """Characters of a process before this one whose price the next model tells."""

    def inherit(self, characters: int, *, of_one_model: bool) -> None:
        """Takes over text that a process before this one had written. Text of one model costs what it costs with the one that goes on."""
        self._inherited = characters
        if characters and not of_one_model:
            self._cost = None

    def begin(self, price: TokenPrice | None, *, prompt_tokens: int, characters_before: int) -> None:
        """A model has taken the request of this call. What it reads is the prompt and the text before; an estimate."""
        self._takes_part, self._price = True, price
        self._prompt_tokens, self._characters_before = prompt_tokens, characters_before

    def switch(self, price: TokenPrice | None, *, prompt_tokens: int, characters_before: int) -> None:
        """Another model goes on in this call."""
        if self._figures is not None or self._characters:
            self._told += self._settle()
        elif self._inherited:
            # The model that was asked did not even begin: whose the text is that was taken over, nobody knows.
            self._cost = None
        self.begin(price, prompt_tokens=prompt_tokens, characters_before=characters_before)

    def wrote(self, characters: int) -> None:
        """The model wrote so much text or reasoning."""
        self._characters += characters

    def use(self, tokens: TokensUsed) -> None:
        """Takes what inference tells of this call."""
        self._figures = tokens

    def end_attempt(self) -> None:
        """The call is over, and another may follow."""
        if self._takes_part:
            self._settle()
        self._takes_part, self._price, self._told = False, None, NOTHING

    def total(self) -> TokensUsed:
        """Tells the tokens until now."""
        return self._spent + self._unsettled()

    def cost_usd_micros(self) -> int | None:
        """Tells what they cost, in millionths of a US dollar, rounded up; None when the price of a model that took part is not known."""
        cost = self._cost_with(self._unsettled())
        return None if cost is None else -(-cost // _TOKENS_OF_A_PRICE)

    def _cost_with(self, tokens: TokensUsed) -> int | None:
        if tokens == NOTHING or self._cost is None:
            return self._cost
        return None if self._price is None else self._cost + self._price.of(tokens)

    def _unsettled(self) -> TokensUsed:
        return self._of_the_writer() + self._taken_over()

    def _of_the_writer(self) -> TokensUsed:
        if self._figures is not None:
            return self._figures - self._told
        if not self._takes_part:
            return NOTHING
        reads = self._prompt_tokens + tokens_of_characters(self._characters_before)
        return TokensUsed(reads, tokens_of_characters(self._characters), estimated=True)

    def _taken_over(self) -> TokensUsed:
        if not self._inherited:
            return NOTHING
        return TokensUsed(self._prompt_tokens, tokens_of_characters(self._inherited), estimated=True)

    def _settle(self) -> TokensUsed:
        """Puts what the model that wrote took to the account, and gives it."""
        took, taken_over = self._of_the_writer(), self._taken_over()
        self._cost = self._cost_with(took + taken_over)
        self._spent += took + taken_over
        self._figures, self._characters, self._inherited = None, 0, 0
        return took

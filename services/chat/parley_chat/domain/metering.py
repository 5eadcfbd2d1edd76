"""What a call of a model has taken so far, while it writes: rather too much than too little, so that what is held ahead of it is enough.

What a text took in the end is account.py's.
"""

from __future__ import annotations

from parley_chat.domain.account import TokenPrice, TokensUsed
from parley_chat.domain.prompt import tokens_of_characters

FREE = TokenPrice(0, 0, 0, 0)


class CallMeter:
    """One call, from the moment before it is made. `before_tokens` and `before_cost` are what the text took until then."""

    def __init__(self, before_tokens: int, before_cost: int, prompt_tokens: int, price: TokenPrice | None) -> None:
        self._before_tokens, self._before_cost = before_tokens, before_cost
        self._reads = prompt_tokens
        self._price = price or FREE
        self._characters = 0
        self._pieces = 0
        self._figures: TokensUsed | None = None
        self.largest_piece = 1
        """The most tokens that came at once."""

    def begin(self, price: TokenPrice | None) -> bool:
        """A model has taken the request. True when it costs something else than was thought."""
        price = price or FREE
        other, self._price = price != self._price, price
        return other

    def switch(self, price: TokenPrice | None) -> None:
        """Another model goes on, and reads all that there is."""
        self._before_tokens, self._before_cost = self.tokens(), self.cost()
        self._reads += self._writes()
        self._price = price or FREE
        self._characters, self._pieces, self._figures = 0, 0, None

    def wrote(self, characters: int) -> None:
        """Text, reasoning or a call of a tool came. Each piece is a token at least."""
        tokens = max(1, tokens_of_characters(characters))
        self.largest_piece = max(self.largest_piece, tokens)
        self._characters += characters
        self._pieces += 1

    def use(self, tokens: TokensUsed) -> None:
        """Takes the provider's figures."""
        self._figures = tokens

    def tokens(self) -> int:
        """All that the text took."""
        return self._before_tokens + max(self._reads, self._told().input_tokens) + self._writes()

    def cost(self) -> int:
        """What it cost, in the unit of `TokenPrice.of`; what has no price costs nothing."""
        told = self._told()
        reads = max(self._reads, told.input_tokens)
        took = TokensUsed(
            reads,
            self._writes(),
            estimated=True,
            cached_input_tokens=min(told.cached_input_tokens, reads),
            cache_write_input_tokens=told.cache_write_input_tokens,
        )
        return self._before_cost + self._price.of(took)

    @property
    def output_price(self) -> int:
        """Of one token that the model writes, in the unit of `TokenPrice.of`."""
        return self._price.output_usd_micros

    def _writes(self) -> int:
        estimate = max(tokens_of_characters(self._characters), self._pieces)
        return max(estimate, self._told().output_tokens)

    def _told(self) -> TokensUsed:
        return self._figures or TokensUsed(0, 0, estimated=False)

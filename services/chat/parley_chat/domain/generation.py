"""One generation as its caller sees it: how tokens are chosen, and what it took. Not a turn's, whose figures are in conversation.py."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from parley_chat.domain.account import NOTHING, Account, TokenPrice, TokensUsed


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a model chooses tokens. What is None or empty is left to the provider."""

    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    stop_sequences: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class GenerationUsage:
    """What a generation took, or several that belong together."""

    input_tokens: int
    output_tokens: int
    estimated: bool
    """True when a provider gave no figures."""
    time_to_first_token_ms: int
    """0 when there was no text."""
    duration_ms: int
    cost_usd_micros: int | None
    """Millionths of a US dollar, rounded up; None when the price of a model that took part is not known."""
    output_tokens_per_second: float
    """After the first token; 0 when fewer than two came, or all in one piece."""
    cached_input_tokens: int = 0
    """Of `input_tokens`, those that a provider had cached."""


class Meter:
    """Measures a generation from the moment it is asked for: its account, and its times. Seconds of `clock`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._account = Account()
        self._prompt_tokens = 0
        self._characters = 0
        self._end: float | None = None
        self.started = clock()
        """When it was asked for."""
        self.first_text: float | None = None
        """When its first text came."""
        self.first_token: float | None = None
        """When its first text or reasoning came."""
        self.last_token: float | None = None

    def asked(self, prompt_tokens: int) -> None:
        """Tells the estimate of what a model reads."""
        self._prompt_tokens = prompt_tokens

    def begin(self, price: TokenPrice | None, *, cached: bool) -> None:
        """A model has taken the request; or an answer that was kept comes, which no model reads or writes for."""
        self._account.begin(price, prompt_tokens=self._prompt_tokens, characters_before=0)
        if cached:
            self._account.use(NOTHING)

    def switch(self, price: TokenPrice | None) -> None:
        """Another model goes on from the text until now."""
        self._account.switch(price, prompt_tokens=self._prompt_tokens, characters_before=self._characters)

    def wrote(self, characters: int, *, reasoning: bool = False) -> None:
        """The model wrote so much text or reasoning."""
        self.last_token = self._clock()
        self.first_token = self.first_token or self.last_token
        if not reasoning:
            self.first_text = self.first_text or self.last_token
            self._characters += characters
        self._account.wrote(characters)

    def use(self, tokens: TokensUsed) -> None:
        """Takes inference's figures."""
        self._account.use(tokens)

    def end(self) -> None:
        """It is over, in whatever way: its time stops."""
        self._end = self._end or self._clock()

    def usage(self) -> GenerationUsage:
        """Tells what it took until now."""
        return usage_of((self,))

    def tokens(self) -> TokensUsed:
        """Tells its tokens until now."""
        return self._account.total()

    def cost_usd_micros(self) -> int | None:
        """Tells what they cost until now."""
        return self._account.cost_usd_micros()

    def seconds(self) -> float:
        """Tells how long it has taken until now."""
        return self.ended() - self.started

    def ended(self) -> float:
        """Tells when it ended: now, while it goes on."""
        return self._clock() if self._end is None else self._end


def usage_of(meters: Iterable[Meter]) -> GenerationUsage:
    """Sums generations up that belong together, at least one: their tokens and costs together, their times from the first to the last."""
    meters = tuple(meters)
    tokens = sum((meter.tokens() for meter in meters), NOTHING)
    costs = [meter.cost_usd_micros() for meter in meters]
    known = [cost for cost in costs if cost is not None]
    started = min(meter.started for meter in meters)
    first_texts = [meter.first_text for meter in meters if meter.first_text is not None]
    return GenerationUsage(
        input_tokens=tokens.input_tokens,
        output_tokens=tokens.output_tokens,
        estimated=tokens.estimated,
        time_to_first_token_ms=_milliseconds(min(first_texts) - started) if first_texts else 0,
        duration_ms=_milliseconds(max(meter.ended() for meter in meters) - started),
        cost_usd_micros=sum(known) if len(known) == len(costs) else None,
        output_tokens_per_second=_rate(meters),
        cached_input_tokens=tokens.cached_input_tokens,
    )


def _rate(meters: Iterable[Meter]) -> float:
    """The tokens behind each first one, by the time in which any of them was written."""
    writing = [
        (meter.first_token, meter.last_token, meter.tokens().output_tokens - 1)
        for meter in meters
        if meter.first_token is not None and meter.last_token is not None
    ]
    if not writing:
        return 0.0
    seconds = max(last for _, last, _ in writing) - min(first for first, _, _ in writing)
    tokens = sum(max(0, following) for _, _, following in writing)
    return tokens / seconds if seconds > 0 else 0.0


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))

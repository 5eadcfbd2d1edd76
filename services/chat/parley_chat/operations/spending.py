"""Keeps a text within the budgets of its user while it is written: what a model reads is held before it is asked, what it writes
ahead of it, piece by piece. Who has no budgets pays nothing for it; who has them, one transaction for each piece.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from parley_chat.domain.account import TokensUsed
from parley_chat.domain.budgets import FINE, BudgetExceededError, Wish
from parley_chat.domain.metering import CallMeter
from parley_chat.domain.prompt import tokens_of_characters
from parley_chat.operations.model_prices import ModelPrices
from parley_chat.ports.budgets import BudgetBooks, Holder
from parley_chat.ports.language_model import (
    GeneratedReasoning,
    GeneratedText,
    GeneratedToolCall,
    GenerationEvent,
    GenerationRequest,
    GenerationStarted,
    GenerationSwitched,
)
from parley_chat.ports.text_model import (
    ReasoningPiece,
    TextModelEvent,
    TextPiece,
    TextRequest,
    TextStarted,
    TextSwitched,
    TextToolCall,
)
from parley_chat.ports.toolbox import ToolDefinition

logger = logging.getLogger(__name__)

FIRST_SLICE, LARGEST_SLICE = 64, 512
"""How many tokens of output are held at a time: few at first, because many texts may begin at once, and twice as many each time."""
LEAST_TO_BEGIN = 16
"""With fewer tokens of output no model is asked."""
PICTURE_TOKENS = 1_000
"""What a picture of usual size takes."""
HOLD_PAUSES_SECONDS = (0.1, 0.4, 1.6)
"""Between the tries to hold."""
FORGOTTEN_AFTER = timedelta(minutes=1)
"""How long after the end of its time what is held for a text is given back, if nobody has done so."""


class TextSpending:
    """What is held for one text. Of no use to anybody else, nor from two tasks at once."""

    def __init__(
        self,
        books: BudgetBooks,
        prices: ModelPrices,
        holder: Holder,
        now: Callable[[], datetime],
        *,
        has_budgets: bool = True,
    ) -> None:
        self._books = books
        self._prices = prices
        self.holder = holder
        self._now = now
        self._meter: CallMeter | None = None
        self._slice = FIRST_SLICE
        self._granted_tokens = 0
        self._granted_cost = 0
        self._has_budgets = has_budgets

    async def before_call(
        self, request: GenerationRequest | TextRequest, *, used_tokens: int = 0, used_cost_usd_micros: int | None = 0
    ) -> None:
        """Holds what a call of a model needs to begin. `used_…` is what the text took before, None for a cost that is not known.

        Raises BudgetExceededError.
        """
        if not self._has_budgets:
            return
        price = await self._prices.price(self.holder.user_id, request.model)
        if used_cost_usd_micros is not None:
            used_cost = used_cost_usd_micros * FINE
        else:
            used_cost = used_tokens * price.output_usd_micros if price else 0
        self._meter = CallMeter(used_tokens, used_cost, tokens_read(request), price)
        await self._hold(LEAST_TO_BEGIN)

    async def follow(self, event: GenerationEvent | TextModelEvent) -> None:
        """Counts what a model did, and holds more before what is held is used up. Raises BudgetExceededError when there is no more."""
        if self._meter is None or not self._has_budgets:
            return
        meter = self._meter
        match event:
            case GenerationStarted(price=price) | TextStarted(price=price):
                if meter.begin(price):
                    await self._hold(LEAST_TO_BEGIN)
            case GenerationSwitched(price=price) | TextSwitched(price=price):
                meter.switch(price)
                await self._hold(LEAST_TO_BEGIN)
            case TokensUsed():
                meter.use(event)
            case GeneratedText(text) | GeneratedReasoning(text) | TextPiece(text) | ReasoningPiece(text):
                await self._wrote(meter, len(text))
            case GeneratedToolCall(_, arguments_json) | TextToolCall(_, arguments_json):
                await self._wrote(meter, len(arguments_json))
            case _:
                pass

    async def give_back(self) -> None:
        """Gives back what is held for a text that took nothing."""
        if self._has_budgets:
            await self._books.release(self.holder)

    async def _wrote(self, meter: CallMeter, characters: int) -> None:
        meter.wrote(characters)
        left = self._granted_tokens - meter.tokens()
        if meter.output_price:
            left = min(left, (self._granted_cost - meter.cost()) // meter.output_price)
        # What comes next is most likely no more than what ever came at once.
        if left < meter.largest_piece:
            await self._hold(meter.largest_piece)

    async def _hold(self, least: int) -> None:
        meter = self._meter
        assert meter is not None  # noqa: S101 - for the type checker: nobody holds before a call
        wish = Wish(
            used_tokens=meter.tokens(),
            used_cost=meter.cost(),
            price=meter.output_price,
            wished=max(self._slice, 2 * least),
            least=least,
        )
        granted = await self._hold_patiently(wish)
        if granted is None:
            self._has_budgets = False
            return
        self._granted_tokens = wish.used_tokens + granted
        self._granted_cost = wish.used_cost + granted * wish.price
        self._slice = min(2 * self._slice, LARGEST_SLICE)

    async def _hold_patiently(self, wish: Wish) -> int | None:
        """Holds, and tries again when the database is busy or away for a moment."""
        for pause in HOLD_PAUSES_SECONDS:
            try:
                return await self._books.hold(self.holder, wish, self._now())
            except BudgetExceededError:
                raise
            except Exception:
                logger.warning("a budget is looked at later", exc_info=True, extra={"holder_id": self.holder.holder_id})
                await asyncio.sleep(pause)
        return await self._books.hold(self.holder, wish, self._now())


class Spending:
    """Begins to keep texts within budgets."""

    def __init__(
        self, books: BudgetBooks, prices: ModelPrices, *, longest_text_seconds: float, now: Callable[[], datetime]
    ) -> None:
        self._books = books
        self._prices = prices
        self._longest_text = timedelta(seconds=longest_text_seconds)
        self._now = now

    def of_turn(self, user_id: str, turn_id: str) -> TextSpending:
        """Of the answer of a turn, which may have been held for before: the door has looked already."""
        return TextSpending(self._books, self._prices, Holder(user_id, turn_id, None), self._now)

    async def of_text(self, user_id: str) -> TextSpending:
        """Of a text without a session. Raises BudgetExceededError when nothing is left of one of its user's budgets."""
        now = self._now()
        holder = Holder(user_id, f"txt_{uuid4().hex}", now + self._longest_text + FORGOTTEN_AFTER)
        has_budgets = await self._books.check(user_id, now)
        return TextSpending(self._books, self._prices, holder, self._now, has_budgets=has_budgets)


def tokens_read(request: GenerationRequest | TextRequest) -> int:
    """Estimates what a model reads, rather too much than too little: in bytes, because letters beyond ASCII take more tokens."""
    texts = [request.instructions, *(line.text for line in request.lines), *(each.text for each in request.passages)]
    if isinstance(request, GenerationRequest):
        texts.append(request.answer_so_far)
    elif request.response_schema is not None:
        texts.append(json.dumps(request.response_schema))
    size = sum(len(text.encode(errors="surrogatepass")) for text in texts)
    rounds = (*request.rounds, *(each for line in request.lines for each in line.rounds))
    size += sum(each.characters() for each in rounds)
    pictures = sum(len(line.pictures) for line in request.lines)
    return tokens_of_characters(size) + PICTURE_TOKENS * pictures + tokens_of_tools(request.tools)


def tokens_of_tools(tools: Sequence[ToolDefinition]) -> int:
    """Estimates what a model reads of the tools that it may use."""
    return sum(
        tokens_of_characters(len(tool.name) + len(tool.description) + len(json.dumps(tool.parameters_schema)))
        for tool in tools
    )

"""What a message would cost, before it is sent. No model is asked and nothing is searched: what is not known is assumed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from parley_chat.domain.account import TokenPrice, TokensUsed
from parley_chat.domain.budgets import FINE, Amount, BudgetState, has_room_for
from parley_chat.domain.conversation import Message, Role, Route
from parley_chat.domain.prompt import INSTRUCTIONS, PromptLine, fit_history, time_line
from parley_chat.domain.routing import choose_route, goes_on
from parley_chat.operations.answer_writer import ROUTE_MODEL, AnswerLimits
from parley_chat.operations.model_prices import ModelPrices
from parley_chat.operations.project_briefs import ProjectBriefs
from parley_chat.operations.spending import tokens_read
from parley_chat.operations.tool_calls import ToolCalls
from parley_chat.ports.budgets import Budgets
from parley_chat.ports.conversations import Conversations
from parley_chat.ports.language_model import GenerationRequest

PASSAGE_TOKENS = 250
"""What a passage usually has."""
FEW_ANSWERS = 5
"""With fewer than these, the user's own say nothing."""
USUAL_OUTPUT = {Route.STANDARD: (30, 600), Route.ENHANCED: (80, 1_000)}
"""How many tokens answers usually have: nine of ten at least, and at most."""


@dataclass(frozen=True, slots=True)
class PlannedMessage:
    """A message that is not sent. Checked at the door."""

    user_id: str
    message: str
    session_id: str
    """Empty for a new one."""
    route: Route
    model: str
    """Empty for the route's."""
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What it would take."""

    route: Route
    model: str
    input_tokens: int
    output_tokens_low: int
    output_tokens_high: int
    price: TokenPrice | None
    """None when it is not known."""
    states: tuple[BudgetState, ...]

    def amount(self, output_tokens: int) -> Amount:
        """With so many tokens of output; without a price, no cost."""
        return Amount(self.input_tokens + output_tokens, self.cost(output_tokens) or 0)

    def cost(self, output_tokens: int) -> int | None:
        """Millionths of a US dollar, rounded up; None when the price is not known."""
        if self.price is None:
            return None
        return -(-self.price.of(TokensUsed(self.input_tokens, output_tokens, estimated=True)) // FINE)

    def fits(self, state: BudgetState, output_tokens: int) -> bool:
        """Whether a budget has room for it."""
        return not state.reached and has_room_for(state, self.amount(output_tokens))


class CostEstimates:
    """Estimates."""

    def __init__(
        self,
        conversations: Conversations,
        budgets: Budgets,
        prices: ModelPrices,
        tools: ToolCalls,
        projects: ProjectBriefs,
        limits: AnswerLimits,
        now: Callable[[], datetime],
    ) -> None:
        self._conversations = conversations
        self._budgets = budgets
        self._prices = prices
        self._tools = tools
        self._projects = projects
        self._limits = limits
        self._now = now

    async def estimate(self, planned: PlannedMessage) -> CostEstimate:
        """Estimates a message. Raises NotFoundError for a session that is not the user's."""
        earlier: Sequence[Message] = ()
        project_id = ""
        if planned.session_id:
            session = await self._conversations.get_session(planned.user_id, planned.session_id)
            project_id = session.project_id
            earlier = await self._conversations.told(
                session.session_id, session.tip_message_id, self._limits.history_messages
            )
        previous = earlier[0].route if earlier and goes_on(planned.message) else None
        route = choose_route(planned.message, planned.route, previous).route
        brief = await self._projects.brief(planned.user_id, project_id)
        told = (INSTRUCTIONS, time_line(self._now(), "UTC"), brief)
        enhanced = route is Route.ENHANCED
        request = GenerationRequest(
            user_id=planned.user_id,
            instructions="\n\n".join(part for part in told if part),
            lines=(
                *fit_history(earlier, budget_tokens=self._limits.history_tokens).lines,
                PromptLine(Role.USER, planned.message),
            ),
            passages=(),
            model=planned.model or ROUTE_MODEL[route],
            tools=await self._tools.offered(planned.user_id, planned.scopes) if enhanced else (),
        )
        low, high = _usual(await self._budgets.usual_output_tokens(planned.user_id, route), route)
        model = await self._prices.find(planned.user_id, request.model)
        return CostEstimate(
            route=route,
            model=model.model if model else request.model,
            input_tokens=tokens_read(request) + (self._limits.passages * PASSAGE_TOKENS if enhanced else 0),
            output_tokens_low=low,
            output_tokens_high=high,
            price=model.price if model else None,
            states=tuple(await self._budgets.states(planned.user_id, self._now())),
        )


def _usual(last: Sequence[int], route: Route) -> tuple[int, int]:
    """The lowest and the highest tenth of the last answers, by nearest rank."""
    if len(last) < FEW_ANSWERS:
        return USUAL_OUTPUT[route]
    ordered = sorted(last)
    return ordered[(len(ordered) - 1) // 10], ordered[-1 - (len(ordered) - 1) // 10]

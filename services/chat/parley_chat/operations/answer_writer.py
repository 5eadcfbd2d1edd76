"""The steps that write one answer: route, search, prompt, generation, and again when it is interrupted.

What becomes of the answer is turns.py's.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime

from parley_chat.domain.account import TokensUsed
from parley_chat.domain.answer_tally import AnswerTally
from parley_chat.domain.budgets import BudgetExceededError
from parley_chat.domain.conversation import Citation, Failure, OnFailure, Role, Route
from parley_chat.domain.errors import GenerationError, InferenceUnreachableError, KnowledgeUnavailableError
from parley_chat.domain.prompt import INSTRUCTIONS, PromptLine, estimate_tokens, fit_history, time_line
from parley_chat.domain.routing import choose_route, goes_on
from parley_chat.domain.tokens import FOUND_SCOPES
from parley_chat.domain.turn import (
    NoticeKind,
    ProviderSwitched,
    ReasoningDelta,
    RouteChosen,
    SourcesFound,
    TextDelta,
)
from parley_chat.operations.answer import Answer
from parley_chat.operations.answer_queue import AnswerQueue
from parley_chat.operations.answer_tools import AnswerTools
from parley_chat.operations.project_briefs import ProjectBriefs
from parley_chat.operations.spending import Spending
from parley_chat.ports.conversations import Conversations
from parley_chat.ports.knowledge import Knowledge
from parley_chat.ports.language_model import (
    GeneratedReasoning,
    GeneratedText,
    GeneratedToolCall,
    GenerationEnd,
    GenerationFinished,
    GenerationRequest,
    GenerationStarted,
    GenerationSwitched,
    LanguageModel,
)
from parley_chat.ports.metrics import Metrics
from parley_chat.ports.tracing import Stage, Tracing

_WrittenEvent = (
    GenerationStarted | GeneratedText | GeneratedReasoning | TokensUsed | GenerationSwitched | GenerationFinished
)

ROUTE_MODEL = {Route.STANDARD: "fast", Route.ENHANCED: "strong"}
"""The alias that inference knows for each route."""

END_NOTICES = {
    GenerationEnd.LENGTH: (NoticeKind.LENGTH_LIMIT, "The answer reached the model's output limit and ends early."),
    GenerationEnd.CONTENT_FILTER: (NoticeKind.CONTENT_FILTER, "The provider's content filter ended the answer early."),
}
SWITCH_WORDS = {
    "ERROR_REASON_PROVIDER_STALLED": "has fallen silent",
    "ERROR_REASON_PROVIDER_RATE_LIMITED": "takes no more requests right now",
}
BROKE_OFF = Failure(
    14, "ERROR_REASON_PROVIDER_UNAVAILABLE", "The model broke off before its answer was whole.", retryable=True
)
WAITED_TOO_LONG = Failure(
    14,
    "ERROR_REASON_PROVIDER_UNAVAILABLE",
    "No model could be reached for as long as an answer may wait.",
    retryable=True,
)
UNAVAILABLE = 14
QUEUE_AFTER_SECONDS = 2.0
"""How long a model is tried before an answer that may wait does so."""
FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """How much goes into a prompt, and how long the other services are waited for."""

    history_tokens: int
    """The budget for earlier messages, estimated tokens."""
    history_messages: int
    """How many earlier messages are read at most."""
    passages: int
    """How many passages the model is given at most."""
    search_seconds: float
    """After which the answer is given without context."""
    inference_patience_seconds: float
    """How long inference is tried again without progress before the answer fails."""


class _Patience:
    """How long inference is tried again. Begins anew with each piece of progress."""

    def __init__(self, seconds: float, written: int) -> None:
        self.written = written
        self._seconds = seconds
        self._delay = FIRST_DELAY_SECONDS
        self._since: float | None = None

    def pause(self, written: int, *, at_most: float | None) -> float | None:
        """Gives the seconds to pause before the next try; None when that would be past the patience."""
        now = time.monotonic()
        if self._since is None or written != self.written:
            self._delay, self._since, self.written = FIRST_DELAY_SECONDS, now, written
        seconds = self._seconds if at_most is None else min(self._seconds, at_most)
        if now + self._delay >= self._since + seconds:
            return None
        pause = self._delay * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries; guards no secret
        self._delay = min(2 * self._delay, LONGEST_DELAY_SECONDS)
        return pause


class AnswerWriter:
    """Writes answers. Holds nothing of any one of them, apart from those that wait for a model."""

    def __init__(
        self,
        conversations: Conversations,
        knowledge: Knowledge,
        model: LanguageModel,
        tracing: Tracing,
        metrics: Metrics,
        tally: AnswerTally,
        queue: AnswerQueue,
        tools: AnswerTools,
        projects: ProjectBriefs,
        spending: Spending,
        limits: AnswerLimits,
        now: Callable[[], datetime],
    ) -> None:
        self._conversations = conversations
        self._queue = queue
        self._tools = tools
        self._spending = spending
        self._projects = projects
        self._now = now
        self._knowledge = knowledge
        self._model = model
        self._tracing = tracing
        self._metrics = metrics
        self._tally = tally
        self._limits = limits

    async def write(self, answer: Answer) -> None:
        """Takes an answer from where it is to its last text.

        Raises GenerationError. Cancelling it closes the provider's connection.
        """
        of_turn = {"parley.turn.id": answer.turn.turn_id, "parley.session.id": answer.turn.session_id}
        with self._tracing.stage("chat.turn", of_turn) as stage:
            request = await self._prepare(answer, stage)
            if answer.has_budgets:
                answer.spending = self._spending.of_turn(answer.turn.user_id, answer.turn.turn_id)
            stage.record({"parley.turn.route": str(answer.route), "parley.turn.sources": len(answer.sources)})
            # A process before this one may have called them.
            waited = await self._tools.run(answer)
            while True:
                if waited:
                    # The user took a day, perhaps: the model is told the time, and what the project says, as they are now.
                    request = await self._prepare(answer, stage)
                calls = await self._generate_patiently(answer, await self._tools.with_tools(answer, request))
                if not calls:
                    return
                answer.end_attempt()
                await answer.call_tools(calls)
                waited = await self._tools.run(answer)

    async def _prepare(self, answer: Answer, stage: Stage) -> GenerationRequest:
        """Takes the steps before the generation, as far as the log does not show them done."""
        turn = answer.turn
        model = await self._choose_route(answer, stage)
        if answer.parts or answer.sources or answer.tool_uses:
            history = await self._history(answer)
        else:
            async with asyncio.TaskGroup() as steps:
                reading = steps.create_task(self._history(answer))
                searching = steps.create_task(self._sources(answer))
            history, answer.sources = reading.result(), searching.result()
            if answer.sources:
                await answer.log.append([SourcesFound(answer.sources)])
        brief = await self._projects.brief(turn.user_id, turn.project_id)
        told = (INSTRUCTIONS, time_line(self._now(), turn.time_zone), brief)
        request = GenerationRequest(
            user_id=turn.user_id,
            instructions="\n\n".join(part for part in told if part),
            lines=(*history, PromptLine(Role.USER, answer.message)),
            passages=answer.sources,
            model=model,
        )
        lines, passages = request.lines, request.passages
        texts = (INSTRUCTIONS, brief, *(line.text for line in lines), *(passage.text for passage in passages))
        answer.prompt_tokens = sum(map(estimate_tokens, texts))
        return request

    async def _choose_route(self, answer: Answer, stage: Stage) -> str:
        """Chooses the route, once a turn, and gives the model to ask."""
        turn = answer.turn
        if answer.route is None:
            asked = turn.wished_route is not Route.AUTOMATIC
            previous = None if asked else await self._previous_route(answer)
            decision = choose_route(answer.message, turn.wished_route, previous)
            answer.route, answer.route_reason = decision.route, decision.reason
            self._metrics.count_route(decision.route, asked=asked)
            # By what it was chosen, not the reason: that quotes the message.
            signs = "asked" if asked else ",".join(decision.signs) or "none"
            stage.record({"parley.turn.route_signs": signs})
            model = turn.model or ROUTE_MODEL[decision.route]
            await answer.log.append([*answer.opening(), RouteChosen(decision.route, decision.reason, model)])
        return turn.model or ROUTE_MODEL[answer.route]

    async def _previous_route(self, answer: Answer) -> Route | None:
        """The route of the answer that the message goes on from; None when it stands for itself."""
        if not (answer.parent_message_id and goes_on(answer.message)):
            return None
        before = await self._conversations.told(answer.turn.session_id, answer.parent_message_id, 1)
        return before[0].route if before else None

    async def _history(self, answer: Answer) -> tuple[PromptLine, ...]:
        most = self._limits.history_messages
        earlier = await self._conversations.told(answer.turn.session_id, answer.parent_message_id, most)
        history = fit_history(earlier, budget_tokens=self._limits.history_tokens)
        if history.trimmed or (len(earlier) == most and earlier[-1].parent_message_id):
            await answer.notice(
                NoticeKind.HISTORY_TRIMMED, "Older messages of this session were left out: not all fit."
            )
        return history.lines

    async def _sources(self, answer: Answer) -> tuple[Citation, ...]:
        if answer.route is not Route.ENHANCED:
            return ()
        with self._tracing.stage("chat.turn.search") as stage:
            try:
                async with asyncio.timeout(self._limits.search_seconds):
                    found = await self._knowledge.search(
                        answer.turn.user_id,
                        answer.message,
                        self._limits.passages,
                        answer.turn.project_id,
                        documents_only=not FOUND_SCOPES.issubset(answer.turn.scopes),
                    )
            except (KnowledgeUnavailableError, TimeoutError):
                words = "The documents cannot be searched right now; this answer is given without them."
                await answer.notice(NoticeKind.WITHOUT_CONTEXT, words)
                self._tally.without_context()
                self._metrics.count_without_context()
                return ()
            stage.record({"parley.search.passages": len(found)})
            return found

    async def _generate_patiently(self, answer: Answer, request: GenerationRequest) -> list[GeneratedToolCall]:
        """Generates, and again from where the answer is while no model can be reached, as the request's policy says.

        Gives the tools that the model calls; none when the answer is whole.
        """
        patience = _Patience(self._limits.inference_patience_seconds, len(answer.parts))
        try:
            while True:
                if answer.queued_since and not await self._queue.wait(answer):
                    raise GenerationError(WAITED_TOO_LONG)
                try:
                    resumed = replace(request, rounds=answer.rounds, answer_so_far=answer.text_of_round)
                    return await self._generate(answer, resumed)
                except BudgetExceededError as error:
                    await answer.log.append([error.reached])
                    raise
                except GenerationError as error:
                    pause = self._pause_after(error, answer, patience)
                answer.end_attempt()
                await answer.notice(NoticeKind.TRYING_AGAIN, "The model service is temporarily unable; trying again.")
                if answer.parts and answer.turn.on_failure is OnFailure.RESTART:
                    await answer.begin_anew()
                    patience.written = 0
                await asyncio.sleep(pause)
        finally:
            self._queue.drop(answer)

    def _pause_after(self, error: GenerationError, answer: Answer, patience: _Patience) -> float:
        """Decides how long to pause before the next try, in seconds, or raises the error again. Lets the answer wait when it should."""
        turn = answer.turn
        if turn.on_failure is OnFailure.FAIL and (answer.parts or not turn.queue_when_unavailable):
            raise error
        if answer.queued_since:
            # The queue says when.
            return 0.0
        if isinstance(error, InferenceUnreachableError):
            pause = patience.pause(
                len(answer.parts), at_most=QUEUE_AFTER_SECONDS if turn.queue_when_unavailable else None
            )
            if pause is not None:
                return pause
        elif not (error.failure.retryable and error.failure.code == UNAVAILABLE):
            # The model was reached; what it says will not change by waiting.
            raise error
        if not turn.queue_when_unavailable:
            raise error
        answer.begin_wait(self._now())
        self._tally.waits(error.failure.reason, answer.model)
        self._metrics.count_wait(error.failure.reason)
        return 0.0

    async def _generate(self, answer: Answer, request: GenerationRequest) -> list[GeneratedToolCall]:
        with self._tracing.stage("chat.turn.generate", {"gen_ai.request.model": request.model}) as stage:
            finished = False
            calls: list[GeneratedToolCall] = []
            if spending := answer.spending:
                used = answer.usage()
                tokens = used.input_tokens + used.output_tokens
                await spending.before_call(request, used_tokens=tokens, used_cost_usd_micros=used.cost_usd_micros)
            async with aclosing(self._model.generate(request)) as events:
                async for event in events:
                    if isinstance(event, GeneratedToolCall):
                        calls.append(event)
                    else:
                        finished = await self._take(answer, event, stage) or finished
                    if spending:
                        await spending.follow(event)
            if not finished:
                raise GenerationError(BROKE_OFF)
            # A call of what was not offered is not run: the text is the answer then.
            return calls if request.tools else []

    async def _take(self, answer: Answer, event: _WrittenEvent, stage: Stage) -> bool:
        """Keeps one event of the model; True for the one that ends the generation."""
        if answer.queued_since and isinstance(event, GeneratedText | GeneratedReasoning | GenerationFinished):
            await self._queue.leave(answer)
        match event:
            case GeneratedText(text):
                text = f"\n\n{text}" if answer.begins_paragraph else text
                answer.add(text)
                await answer.log.append([TextDelta(text)])
            case GeneratedReasoning(text):
                answer.account.wrote(len(text))
                await answer.log.append([ReasoningDelta(text)])
            case TokensUsed():
                answer.use(event)
            case GenerationStarted(model, offline, price):
                answer.begin_model(model, price)
                stage.record({"gen_ai.response.model": model})
                if offline:
                    words = "No model is configured: Parley's built-in offline model answers."
                    await answer.notice(NoticeKind.OFFLINE_MODEL, words)
            case GenerationSwitched(from_model, to_model, reason, price):
                answer.switch_model(to_model, price)
                self._tally.switched(reason, from_model, to_model)
                self._metrics.count_switch(from_model, to_model, reason)
                stage.record({"gen_ai.response.model": to_model, "parley.switch.reason": reason})
                failed = f"The model {from_model}" if from_model else "The model"
                words = f"{failed} {SWITCH_WORDS.get(reason, 'is unavailable')}; {to_model} goes on."
                at = answer.log.last_sequence
                await answer.log.append([ProviderSwitched(from_model, to_model, reason, at, words)])
            case GenerationFinished(end):
                if end in END_NOTICES:
                    await answer.notice(*END_NOTICES[end])
                usage = answer.usage()
                stage.record(
                    {
                        "gen_ai.usage.input_tokens": usage.input_tokens,
                        "gen_ai.usage.output_tokens": usage.output_tokens,
                        "parley.time_to_first_token_ms": usage.time_to_first_token_ms,
                    }
                )
                return True
        return False

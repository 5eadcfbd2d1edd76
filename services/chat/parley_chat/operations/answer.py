"""The steps that write one answer: route, search, prompt, generation. What becomes of the answer is turns.py's."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass, field

from parley_chat.domain.conversation import Citation, Failure, Message, MessageState, Role, Route, Usage
from parley_chat.domain.errors import GenerationError, KnowledgeUnavailableError
from parley_chat.domain.prompt import INSTRUCTIONS, PromptLine, cited, estimate_tokens, fit_history
from parley_chat.domain.routing import choose_route
from parley_chat.domain.turn import (
    Notice,
    NoticeKind,
    ReasoningDelta,
    RouteChosen,
    SourcesFound,
    TextDelta,
    Turn,
    TurnStarted,
)
from parley_chat.ports.conversations import Conversations
from parley_chat.ports.knowledge import Knowledge
from parley_chat.ports.language_model import (
    GeneratedReasoning,
    GeneratedText,
    GenerationEnd,
    GenerationEvent,
    GenerationFinished,
    GenerationRequest,
    GenerationStarted,
    LanguageModel,
    TokensUsed,
)
from parley_chat.ports.tracing import Stage, Tracing
from parley_chat.ports.turn_log import TurnLogWriter

ROUTE_MODEL = {Route.STANDARD: "fast", Route.ENHANCED: "strong"}
"""The alias that inference knows for each route."""

END_NOTICES = {
    GenerationEnd.LENGTH: Notice(
        NoticeKind.LENGTH_LIMIT, "The answer reached the model's output limit and ends early."
    ),
    GenerationEnd.CONTENT_FILTER: Notice(
        NoticeKind.CONTENT_FILTER, "The provider's content filter ended the answer early."
    ),
}


@dataclass(slots=True)
class Answer:
    """An answer while it is written. Its one writer is the turn's task."""

    turn: Turn
    message: str
    """What the user said."""
    wished_route: Route
    model: str
    """The model that the request names; after the start of generation, the one that answers."""
    parent_message_id: str
    """What the user's message follows; empty for the first of a session."""
    trace_id: str
    log: TurnLogWriter
    started: float = field(default_factory=time.monotonic)
    first_text: float | None = None
    route: Route | None = None
    sources: tuple[Citation, ...] = ()
    parts: list[str] = field(default_factory=list)
    tokens: TokensUsed | None = None
    prompt_tokens: int = 0
    """The estimate of what the model reads."""
    generating: bool = False

    def usage(self) -> Usage:
        """Tells what the answer took until now: the provider's figures, or else an estimate."""
        tokens = self.tokens
        if tokens is None:
            read = self.prompt_tokens if self.generating else 0
            tokens = TokensUsed(read, estimate_tokens("".join(self.parts)), estimated=True)
        return Usage(
            input_tokens=tokens.input_tokens,
            output_tokens=tokens.output_tokens,
            estimated=tokens.estimated,
            time_to_first_token_ms=0 if self.first_text is None else _milliseconds(self.first_text - self.started),
            duration_ms=_milliseconds(time.monotonic() - self.started),
        )

    def as_message(self, state: MessageState, failure: Failure | None = None) -> Message:
        """Makes the message that is stored when the turn has ended."""
        text = "".join(self.parts)
        return Message(
            message_id=self.turn.message_id,
            session_id=self.turn.session_id,
            parent_message_id=self.turn.user_message_id,
            role=Role.ASSISTANT,
            text=text,
            state=state,
            create_time=self.turn.create_time,
            turn_id=self.turn.turn_id,
            citations=cited(text, self.sources),
            usage=self.usage(),
            route=self.route,
            model=self.model if self.generating else "",
            failure=failure,
            trace_id=self.trace_id,
        )


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """How much goes into a prompt, and how long a search may take."""

    history_tokens: int
    """The budget for earlier messages, estimated tokens."""
    history_messages: int
    """How many earlier messages are read at most."""
    passages: int
    """How many passages the model is given at most."""
    search_seconds: float
    """After which the answer is given without context."""


class AnswerWriter:
    """Writes answers. Holds nothing of any one of them."""

    def __init__(
        self,
        conversations: Conversations,
        knowledge: Knowledge,
        model: LanguageModel,
        tracing: Tracing,
        limits: AnswerLimits,
    ) -> None:
        self._conversations = conversations
        self._knowledge = knowledge
        self._model = model
        self._tracing = tracing
        self._limits = limits

    async def write(self, answer: Answer) -> None:
        """Takes an answer from its start to its last text. Raises GenerationError; cancelling it closes the provider's connection."""
        with self._tracing.stage("chat.turn", {"parley.turn.id": answer.turn.turn_id}) as stage:
            request = await self._prepare(answer)
            stage.record({"parley.turn.route": str(answer.route), "parley.turn.sources": len(answer.sources)})
            await self._generate(answer, request)

    async def _prepare(self, answer: Answer) -> GenerationRequest:
        turn = answer.turn
        decision = choose_route(answer.message, answer.wished_route)
        answer.route = decision.route
        model = answer.model or ROUTE_MODEL[decision.route]
        await answer.log.append(
            [
                TurnStarted(
                    turn.session_id, turn.user_message_id, turn.message_id, turn.client_message_id, answer.trace_id
                ),
                RouteChosen(decision.route, decision.reason, model),
            ]
        )
        history, answer.sources = await asyncio.gather(self._history(answer), self._sources(answer))
        if answer.sources:
            await answer.log.append([SourcesFound(answer.sources)])
        request = GenerationRequest(
            user_id=turn.user_id,
            instructions=INSTRUCTIONS,
            lines=(*history, PromptLine(Role.USER, answer.message)),
            passages=answer.sources,
            model=model,
        )
        answer.prompt_tokens = sum(
            estimate_tokens(text)
            for text in (
                INSTRUCTIONS,
                *(line.text for line in request.lines),
                *(source.text for source in answer.sources),
            )
        )
        return request

    async def _history(self, answer: Answer) -> tuple[PromptLine, ...]:
        earlier = await self._conversations.ancestors(
            answer.turn.session_id, answer.parent_message_id, self._limits.history_messages
        )
        history = fit_history(earlier, budget_tokens=self._limits.history_tokens)
        if history.trimmed:
            await answer.log.append(
                [Notice(NoticeKind.HISTORY_TRIMMED, "Older messages of this session were left out: not all fit.")]
            )
        return history.lines

    async def _sources(self, answer: Answer) -> tuple[Citation, ...]:
        if answer.route is not Route.ENHANCED:
            return ()
        with self._tracing.stage("chat.turn.search") as stage:
            try:
                async with asyncio.timeout(self._limits.search_seconds):
                    found = await self._knowledge.search(answer.turn.user_id, answer.message, self._limits.passages)
            except (KnowledgeUnavailableError, TimeoutError):
                await answer.log.append(
                    [
                        Notice(
                            NoticeKind.WITHOUT_CONTEXT,
                            "The documents cannot be searched right now; this answer is given without them.",
                        )
                    ]
                )
                return ()
            stage.record({"parley.search.passages": len(found)})
            return found

    async def _generate(self, answer: Answer, request: GenerationRequest) -> None:
        with self._tracing.stage("chat.turn.generate", {"gen_ai.request.model": request.model}) as stage:
            answer.generating = True
            finished = False
            async with aclosing(self._model.generate(request)) as events:
                async for event in events:
                    finished = await self._take(answer, event, stage) or finished
            if not finished:
                raise GenerationError(
                    Failure(
                        14,
                        "ERROR_REASON_PROVIDER_UNAVAILABLE",
                        "The model broke off before its answer was whole.",
                        retryable=True,
                    )
                )

    async def _take(self, answer: Answer, event: GenerationEvent, stage: Stage) -> bool:
        """Keeps one event of the model; True for the one that ends the generation."""
        match event:
            case GeneratedText(text):
                if answer.first_text is None:
                    answer.first_text = time.monotonic()
                answer.parts.append(text)
                await answer.log.append([TextDelta(text)])
            case GeneratedReasoning(text):
                await answer.log.append([ReasoningDelta(text)])
            case TokensUsed():
                answer.tokens = event
            case GenerationStarted(model, offline):
                answer.model = model
                stage.record({"gen_ai.response.model": model})
                if offline:
                    await answer.log.append(
                        [
                            Notice(
                                NoticeKind.OFFLINE_MODEL,
                                "No model is configured: Parley's built-in offline model answers.",
                            )
                        ]
                    )
            case GenerationFinished(end):
                if end in END_NOTICES:
                    await answer.log.append([END_NOTICES[end]])
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


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))

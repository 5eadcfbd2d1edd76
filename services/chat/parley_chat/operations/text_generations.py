"""Texts that belong to no session: one request, one text, nothing kept. A call that is cut ends the generation.

Agents and content write through here too. What a user may have written at once is admission.py's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

from parley_chat.domain.account import TokensUsed
from parley_chat.domain.conversation import Failure
from parley_chat.domain.errors import GenerationError
from parley_chat.domain.generation import GenerationUsage, Meter
from parley_chat.domain.models import AIState, AvailableModel, Provider, state_of
from parley_chat.domain.prompt import estimate_tokens, tokens_of_characters
from parley_chat.domain.usage import UsageOutcome, UsagePurpose, UsageRecord
from parley_chat.operations.admission import Admission
from parley_chat.operations.spending import Spending, TextSpending
from parley_chat.operations.usage_recording import UsageRecording
from parley_chat.ports.model_catalog import ModelCatalog
from parley_chat.ports.text_model import (
    ReasoningPiece,
    TextEnd,
    TextEnded,
    TextModel,
    TextPiece,
    TextRequest,
    TextStarted,
    TextSwitched,
    TextToolCall,
)
from parley_chat.ports.tracing import Stage, Tracing

LIST_SECONDS = 10.0
"""How long a list of models is waited for."""
HEALTH_SECONDS = 2.0
"""The same where no answer is an answer too."""

_STAGES = {
    UsagePurpose.TEXT: "chat.generate_text",
    UsagePurpose.CONTENT: "chat.content",
    UsagePurpose.AGENT: "chat.agent",
    UsagePurpose.SUGGESTION: "chat.suggest.model",
    UsagePurpose.TITLE: "chat.title.model",
    UsagePurpose.BATCH: "chat.batch",
}

_REFUSED = frozenset({"ERROR_REASON_INVALID_FIELD", "ERROR_REASON_MODEL_NOT_CAPABLE", "ERROR_REASON_MODEL_NOT_FOUND"})
"""What is wrong with a request, and not with a model."""

BROKE_OFF = Failure(
    14, "ERROR_REASON_PROVIDER_UNAVAILABLE", "The model broke off before its text was whole.", retryable=True
)
TOO_LONG = Failure(4, "ERROR_REASON_DEADLINE_EXCEEDED", "The text took longer than one may take.", retryable=True)


@dataclass(frozen=True, slots=True)
class TextFinished:
    """The text is whole."""

    end: TextEnd
    usage: GenerationUsage
    trace_id: str


TextEvent = TextStarted | TextPiece | ReasoningPiece | TextSwitched | TextFinished
RoundEvent = TextEvent | TextToolCall
"""`TextFinished` ends a round as it ends a text; its usage is that of the round."""


@dataclass(frozen=True, slots=True)
class WholeText:
    """A text that is whole."""

    text: str
    model: str
    """The one that finished."""
    end: TextEnd
    usage: GenerationUsage
    cached: bool
    offline: bool
    trace_id: str


@dataclass(frozen=True, slots=True)
class AIHealth:
    """How the AI side does."""

    state: AIState
    default_model: str
    """Empty while inference does not answer."""
    offline: bool
    providers: tuple[Provider, ...]


class TextGenerations:
    """Has texts written, and tells by which models."""

    def __init__(
        self,
        model: TextModel,
        catalog: ModelCatalog,
        admission: Admission,
        tracing: Tracing,
        recording: UsageRecording,
        spending: Spending,
        *,
        longest_seconds: float,
        now: Callable[[], datetime],
    ) -> None:
        self._model = model
        self._catalog = catalog
        self._admission = admission
        self._tracing = tracing
        self._recording = recording
        self._spending = spending
        self._longest_seconds = longest_seconds
        self._now = now

    async def stream(self, request: TextRequest) -> AsyncGenerator[TextEvent, None]:
        """Has a text written for a user. Raises GenerationError, TooManyTurnsError and DrainingError; closing it ends the generation."""
        with self._admission.places(request.user_id):
            async with aclosing(self.write(request, UsagePurpose.TEXT, Meter())) as events:
                async for event in events:
                    yield event

    async def stream_round(self, request: TextRequest) -> AsyncGenerator[RoundEvent, None]:
        """The same for a caller who runs the tools that were offered: the model's calls of them are among the events."""
        with self._admission.places(request.user_id):
            async with aclosing(self.write_round(request, UsagePurpose.TEXT, Meter(), spent_seconds=0)) as events:
                async for event in events:
                    yield event

    async def generate(self, request: TextRequest) -> WholeText:
        """Has a text written and gives it whole. Raises what `stream` does."""
        gathering = Gathering()
        async with aclosing(self.stream(request)) as events:
            async for event in events:
                gathering.take(event)
        return gathering.whole()

    async def write(self, request: TextRequest, purpose: UsagePurpose, meter: Meter) -> AsyncGenerator[TextEvent, None]:
        """The same for somebody who has a place already. The meter, which began when the user asked, tells what it took, whole or not."""
        async with aclosing(self.write_round(request, purpose, meter, spent_seconds=0)) as events:
            async for event in events:
                # No tool was offered: a call of one is not run, and the text is the answer.
                if not isinstance(event, TextToolCall):
                    yield event

    async def write_round(
        self, request: TextRequest, purpose: UsagePurpose, meter: Meter, *, spent_seconds: float
    ) -> AsyncGenerator[RoundEvent, None]:
        """The same for a text that is written in rounds, between which tools run: one of them, with the calls of tools that end it.

        `spent_seconds` is how much of the text's time is gone.
        """
        within_seconds = self._longest_seconds - spent_seconds
        if within_seconds <= 0:
            raise GenerationError(TOO_LONG)
        texts = (
            request.instructions,
            *(line.text for line in request.lines),
            *(each.text for each in request.passages),
        )
        rounds = (*request.rounds, *(each for line in request.lines for each in line.rounds))
        of_tools = tokens_of_characters(sum(each.characters() for each in rounds))
        meter.asked(sum(map(estimate_tokens, texts)) + of_tools)
        spending = await self._spending.of_text(request.user_id)
        attributes = {"gen_ai.request.model": request.model, "parley.agent.id": request.agent_id}
        with self._tracing.stage(_STAGES[purpose], {key: value for key, value in attributes.items() if value}) as stage:
            model, offline, refused, outcome = "", False, False, UsageOutcome.STOPPED
            try:
                await spending.before_call(request)
                async with aclosing(self._model.write(request, within_seconds=within_seconds)) as events:
                    async for event in events:
                        match event:
                            case TokensUsed():
                                meter.use(event)
                            case TextEnded(end):
                                meter.end()
                                outcome = UsageOutcome.COMPLETED
                                yield TextFinished(end, meter.usage(), self._tracing.current_trace_id())
                                return
                            case TextToolCall():
                                yield event
                            case _:
                                model, offline = _writer(event, model, offline=offline)
                                _measure(event, meter, stage)
                                yield event
                        await spending.follow(event)
                raise GenerationError(BROKE_OFF)
            except GenerationError as error:
                outcome = UsageOutcome.FAILED
                refused = not model and error.failure.reason in _REFUSED
                # Whoever was waited for only knows that the time it was given is over.
                if error.failure.reason == TOO_LONG.reason and meter.seconds() > 0.8 * within_seconds:
                    raise GenerationError(TOO_LONG) from error
                raise
            finally:
                meter.end()
                usage = meter.usage()
                _record(usage, stage)
                # Whoever only wanted to know whether a model is configured has used none, and neither has a request that none could take.
                asked_only = offline and outcome is UsageOutcome.STOPPED and meter.first_token is None
                if asked_only or refused:
                    self._recording.give_back(spending)
                else:
                    self._note(request, purpose, outcome, model, usage, spending)

    def _note(
        self,
        request: TextRequest,
        purpose: UsagePurpose,
        outcome: UsageOutcome,
        model: str,
        usage: GenerationUsage,
        spending: TextSpending,
    ) -> None:
        self._recording.note(
            UsageRecord(
                user_id=request.user_id,
                end_time=self._now(),
                purpose=purpose,
                outcome=outcome,
                model=model,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                estimated=usage.estimated,
                cost_usd_micros=usage.cost_usd_micros,
                time_to_first_token_ms=usage.time_to_first_token_ms,
                duration_ms=usage.duration_ms,
                session_id=request.session_id,
                project_id=request.project_id,
            ),
            holder_id=spending.holder.holder_id,
        )

    async def models(self, user_id: str) -> Sequence[AvailableModel]:
        """Lists the models that a request may name, the default first."""
        return await self._catalog.models(user_id, within_seconds=LIST_SECONDS)

    async def health(self, user_id: str) -> AIHealth:
        """Tells how the AI side does; also when inference does not answer."""
        try:
            providers = await self._catalog.providers(user_id, within_seconds=HEALTH_SECONDS)
            models = await self._catalog.models(user_id, within_seconds=HEALTH_SECONDS)
        except GenerationError:
            return AIHealth(AIState.UNAVAILABLE, "", offline=False, providers=())
        default = models[0] if models else None
        return AIHealth(
            state=state_of(providers),
            default_model=default.model if default else "",
            offline=bool(default and default.offline),
            providers=tuple(providers),
        )


class Gathering:
    """Puts a text together from its events."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._started = TextStarted("", offline=False, cached=False)
        self._model = ""
        self._finished: TextFinished | None = None

    def take(self, event: TextEvent) -> None:
        """Takes the next event. Reasoning is no part of a text."""
        match event:
            case TextStarted():
                self._started, self._model = event, event.model
            case TextSwitched():
                self._model = event.to_model
            case TextPiece(text):
                self._parts.append(text)
            case TextFinished():
                self._finished = event
            case ReasoningPiece():
                pass

    def text(self) -> WholeText | None:
        """Gives the text; None when it is not whole."""
        if self._finished is None:
            return None
        return WholeText(
            text="".join(self._parts),
            model=self._model,
            end=self._finished.end,
            usage=self._finished.usage,
            cached=self._started.cached,
            offline=self._started.offline,
            trace_id=self._finished.trace_id,
        )

    def whole(self) -> WholeText:
        """Gives the text. Raises GenerationError when it is not whole."""
        text = self.text()
        if text is None:
            raise GenerationError(BROKE_OFF)
        return text


def _writer(event: TextEvent, model: str, *, offline: bool) -> tuple[str, bool]:
    """The model that writes from here on, and whether it is the built-in one."""
    match event:
        case TextStarted():
            return event.model, event.offline
        case TextSwitched():
            return event.to_model, offline
        case _:
            return model, offline


def _measure(event: TextStarted | TextPiece | ReasoningPiece | TextSwitched, meter: Meter, stage: Stage) -> None:
    match event:
        case TextPiece(text):
            meter.wrote(len(text))
        case ReasoningPiece(text):
            meter.wrote(len(text), reasoning=True)
        case TextStarted():
            meter.begin(event.price, cached=event.cached)
            stage.record({"gen_ai.response.model": event.model, "parley.cached": event.cached})
        case TextSwitched():
            meter.switch(event.price)
            stage.record({"gen_ai.response.model": event.to_model, "parley.switch.reason": event.reason})


def _record(usage: GenerationUsage, stage: Stage) -> None:
    stage.record(
        {
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "parley.time_to_first_token_ms": usage.time_to_first_token_ms,
        }
    )

"""An answer while it is written: what there is of it, and what it took. How it is written is answer_writer.py's."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from parley_chat.domain.conversation import Citation, Failure, Message, MessageState, Role, Route, Usage
from parley_chat.domain.prompt import cited, tokens_of_characters
from parley_chat.domain.turn import (
    Notice,
    NoticeKind,
    RouteChosen,
    SourcesFound,
    Turn,
    TurnEvent,
    TurnRestarted,
    TurnStarted,
    text_of,
)
from parley_chat.ports.language_model import TokensUsed
from parley_chat.ports.turn_log import TurnLogWriter


@dataclass(slots=True)
class Answer:
    """An answer and its log. Its one writer is the turn's task."""

    turn: Turn
    message: str
    """What the user said."""
    parent_message_id: str
    """What the user's message follows; empty for the first of a session."""
    trace_id: str
    log: TurnLogWriter
    started: float = field(default_factory=time.monotonic)
    first_text: float | None = None
    route: Route | None = None
    model: str = ""
    """The model that answers; empty until one has begun."""
    sources: tuple[Citation, ...] = ()
    parts: list[str] = field(default_factory=list)
    prompt_tokens: int = 0
    """The estimate of what a model reads."""
    generating: bool = False
    """Whether a model has taken the request of the attempt that runs."""
    noticed: set[NoticeKind] = field(default_factory=set)
    _tokens: TokensUsed | None = None
    """The provider's figures of the attempt that runs."""
    _spent: TokensUsed = field(default=TokensUsed(0, 0, estimated=False))
    """What the attempts before it took."""
    _attempt_characters: int = 0

    @classmethod
    def restored(
        cls,
        turn: Turn,
        question: Message,
        trace_id: str,
        log: TurnLogWriter,
        events: Sequence[TurnEvent],
        now: datetime,
    ) -> Answer:
        """Makes the answer that a process before this one had begun, of the events that it logged."""
        text = text_of(events)
        answer = cls(
            turn=turn,
            message=question.text,
            parent_message_id=question.parent_message_id,
            trace_id=trace_id,
            log=log,
            started=time.monotonic() - max(0.0, (now - turn.create_time).total_seconds()),
            route=next((event.body.route for event in events if isinstance(event.body, RouteChosen)), None),
            sources=next((event.body.citations for event in events if isinstance(event.body, SourcesFound)), ()),
            parts=[text] if text else [],
            noticed={event.body.kind for event in events if isinstance(event.body, Notice)},
        )
        if text:
            # When it came is not logged; 0 ms says so.
            answer.first_text = answer.started
            answer._attempt_characters = len(text)
        return answer

    @property
    def text(self) -> str:
        """What is written until now."""
        return "".join(self.parts)

    def add(self, text: str) -> None:
        """Adds text."""
        if self.first_text is None:
            self.first_text = time.monotonic()
        self.parts.append(text)
        self._attempt_characters += len(text)

    def use(self, tokens: TokensUsed) -> None:
        """Takes the provider's figures of the attempt that runs."""
        self._tokens = tokens

    def end_attempt(self) -> None:
        """Puts what the attempt took to the account, before another one; what the provider did not say is estimated."""
        self._spent = self._total()
        self._tokens = None
        self._attempt_characters = 0
        self.generating = False

    def opening(self) -> tuple[TurnStarted, ...]:
        """What has to be logged before anything else: `started`, unless it is there already."""
        if self.log.last_sequence:
            return ()
        turn = self.turn
        return (
            TurnStarted(turn.session_id, turn.user_message_id, turn.message_id, turn.client_message_id, self.trace_id),
        )

    async def begin_anew(self) -> None:
        """Drops the text, and tells the readers."""
        self.parts.clear()
        await self.log.append([TurnRestarted()])

    async def notice(self, kind: NoticeKind, words: str) -> None:
        """Tells the readers something once."""
        if kind not in self.noticed:
            self.noticed.add(kind)
            await self.log.append([Notice(kind, words)])

    def usage(self) -> Usage:
        """Tells what the answer took until now, all attempts together."""
        total = self._total()
        return Usage(
            input_tokens=total.input_tokens,
            output_tokens=total.output_tokens,
            estimated=total.estimated,
            time_to_first_token_ms=0 if self.first_text is None else _milliseconds(self.first_text - self.started),
            duration_ms=_milliseconds(time.monotonic() - self.started),
        )

    def _total(self) -> TokensUsed:
        attempt = self._tokens
        if attempt is None:
            read = self.prompt_tokens if self.generating else 0
            attempt = TokensUsed(read, tokens_of_characters(self._attempt_characters), estimated=True)
        spent = self._spent
        return TokensUsed(
            spent.input_tokens + attempt.input_tokens,
            spent.output_tokens + attempt.output_tokens,
            estimated=spent.estimated or attempt.estimated,
        )

    def as_message(self, state: MessageState, failure: Failure | None = None) -> Message:
        """Makes the message that is stored when the turn has ended."""
        text = self.text
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
            model=self.model,
            failure=failure,
            trace_id=self.trace_id,
        )


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))

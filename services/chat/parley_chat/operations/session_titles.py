"""Has a model name sessions, behind the backs of their users: after the first answer of a session that its user did not name, once.

Nobody waits for it. A process that ends before it has asked leaves it to the next answer of the session; one that ends while it asks
leaves the session the title that it has.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from contextlib import aclosing

from parley_chat.domain.conversation import Message, Role
from parley_chat.domain.errors import GenerationError
from parley_chat.domain.generation import Meter, Sampling
from parley_chat.domain.prompt import PromptLine
from parley_chat.domain.titles import INSTRUCTIONS, MOST_OUTPUT_TOKENS, title_of_model, told
from parley_chat.domain.turn import NoticeKind
from parley_chat.domain.usage import UsagePurpose
from parley_chat.operations.answer import Answer
from parley_chat.operations.text_generations import TextFinished, TextGenerations
from parley_chat.ports.metrics import Metrics
from parley_chat.ports.text_model import TextEnd, TextPiece, TextRequest, TextStarted
from parley_chat.ports.title_store import TitleStore
from parley_chat.ports.tracing import Tracing

logger = logging.getLogger(__name__)

_MODEL = "fast"
_AT_ONCE = 8
"""How many titles this process has made at a time."""
_WAITING_MOST = 1000
"""More are left to the next answers of their sessions."""
_KNOWN_MOST = 10_000


class SessionTitles:
    """Names sessions. Keeps the ids of those that need no name any more, as many as fit."""

    def __init__(
        self, titles: TitleStore, generations: TextGenerations, tracing: Tracing, metrics: Metrics, *, seconds: float
    ) -> None:
        """`seconds` is how long a model may take; 0 asks none."""
        self._titles = titles
        self._generations = generations
        self._tracing = tracing
        self._metrics = metrics
        self._seconds = seconds
        self._known: OrderedDict[str, None] = OrderedDict()
        self._making: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(_AT_ONCE)

    def after(self, answer: Answer, message: Message) -> None:
        """An answer is whole and stored. Never fails, and does not wait."""
        session_id = message.session_id
        if not self._seconds or session_id in self._known or len(self._making) >= _WAITING_MOST:
            return
        # The offline model makes no titles; when a model is configured later, it may.
        if NoticeKind.OFFLINE_MODEL in answer.noticed or not message.text.strip():
            return
        self._note(session_id)
        making = asyncio.create_task(
            self._make(answer.turn.user_id, session_id, answer.turn.project_id, told(answer.message, message.text)),
            name=f"title {session_id}",
            context=self._tracing.detached_context(),
        )
        self._making.add(making)
        making.add_done_callback(self._making.discard)

    async def close(self) -> None:
        """Gives up what is being made."""
        for making in self._making:
            making.cancel()
        if self._making:
            await asyncio.wait(self._making)

    def _note(self, session_id: str) -> None:
        self._known[session_id] = None
        while len(self._known) > _KNOWN_MOST:
            self._known.popitem(last=False)

    async def _make(self, user_id: str, session_id: str, project_id: str, material: str) -> None:
        request = TextRequest(
            user_id,
            (PromptLine(Role.USER, material),),
            instructions=INSTRUCTIONS,
            model=_MODEL,
            sampling=Sampling(max_output_tokens=MOST_OUTPUT_TOKENS),
            session_id=session_id,
            project_id=project_id,
        )
        try:
            async with self._room:
                if not await self._titles.claim(user_id, session_id):
                    return
                with self._tracing.stage("chat.title") as stage:
                    outcome = await self._name(request)
                    stage.record({"parley.title.outcome": outcome})
        except Exception:
            # The session has a title all the same.
            logger.exception("a session could not be named", extra={"session_id": session_id})
            outcome = "failed"
        self._metrics.count_title(outcome)

    async def _name(self, request: TextRequest) -> str:
        """Asks a model and gives the session what it says; what came of it, in a word."""
        try:
            async with asyncio.timeout(self._seconds):
                title = title_of_model(await self._write(request))
        except (GenerationError, TimeoutError, ValueError) as error:
            told_of = {"session_id": request.session_id, "error_type": type(error).__name__}
            logger.info("no model named a session", extra=told_of)
            return "failed"
        if not title:
            return "unusable"
        return "made" if await self._titles.give(request.user_id, request.session_id, title) else "unwanted"

    async def _write(self, request: TextRequest) -> str:
        """Lets the model write, or raises GenerationError or ValueError. Empty when no model is configured."""
        pieces: list[str] = []
        async with aclosing(self._generations.write(request, UsagePurpose.TITLE, Meter())) as events:
            async for event in events:
                match event:
                    case TextStarted(offline=True):
                        return ""
                    case TextPiece(text):
                        pieces.append(text)
                    case TextFinished(end) if end is not TextEnd.STOP:
                        raise ValueError(f"ended by {end}")
                    case _:
                        pass
        return "".join(pieces)

"""The spans of the other replicas of chat, which are asked over Redis when somebody looks at a trace. Nothing is written there until then.

Every replica hears the question, tells what it keeps of the trace, and says so to who asked: as many answers come as heard it. It has
connections of its own, so that no turn waits behind it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from parley_chat.adapters.redis_connection import RedisConnection
from parley_chat.adapters.span_packing import pack_spans, unpack_spans
from parley_chat.domain.traces import Span
from parley_chat.ports.span_source import SpanSource, SpansUnavailableError

logger = logging.getLogger(__name__)

BYTES_MOST = 1024 * 1024
"""Of one replica's answer; the spans that do not fit in are left out."""
_ANSWERS_MOST = 32
"""How many questions are answered at the same time; further ones are not."""
_NUMBER_BYTES = 16


@dataclass
class _Question:
    """What waits for answers."""

    spans: list[Span] = field(default_factory=list)
    answers: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class RedisSpans:
    """Asks the replicas, this one too, and answers them from `own`; until it is closed."""

    def __init__(self, redis: RedisConnection, own: Sequence[SpanSource], *, seconds: float = 1.5) -> None:
        self._redis = redis
        self._own = own
        self._seconds = seconds
        self._asked = f"{redis.prefix}:spans"
        self._told = f"{redis.prefix}:spans:{secrets.token_hex(_NUMBER_BYTES)}"
        self._questions: dict[bytes, _Question] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._is_closed = False
        redis.news.listen(self._asked).call(self._hear_question)
        # Subscribed to after the other one, in the order of their names: who hears answers hears questions.
        self._answers = redis.news.listen(self._told)
        self._answers.call(self._hear_answer)

    async def spans_of(self, trace_id: str, user_id: str) -> Sequence[Span]:
        """Those of a trace. Raises SpansUnavailableError, with what was told, when a replica has not told its own in time."""
        del user_id
        number = secrets.token_bytes(_NUMBER_BYTES)
        question = self._questions[number] = _Question()
        words = json.dumps({"trace_id": trace_id, "tell": self._told, "number": number.hex()})
        try:
            async with asyncio.timeout(self._seconds):
                if not self._answers.version:
                    # At the start: an answer that came now would be missed.
                    await self._answers.changed(0, self._seconds)
                heard = int(await self._redis.command("PUBLISH", self._asked, words, patience_seconds=0))
                while question.answers < max(heard, 1):
                    question.changed.clear()
                    await question.changed.wait()
        except (OSError, TimeoutError) as error:
            raise SpansUnavailableError(question.spans) from error
        finally:
            del self._questions[number]
        return question.spans

    async def close(self) -> None:
        """Answers nobody any more."""
        self._is_closed = True
        if self._answering:
            await asyncio.wait(self._answering)

    def _hear_question(self, message: bytes) -> None:
        if self._is_closed or len(self._answering) >= _ANSWERS_MOST:
            return
        task = asyncio.create_task(self._answer(message))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, message: bytes) -> None:
        try:
            question = json.loads(message)
            trace_id, tell, number = (str(question[name]) for name in ("trace_id", "tell", "number"))
            kept = [span for source in self._own for span in await source.spans_of(trace_id, "")]
            answer = bytes.fromhex(number) + pack_spans(kept, BYTES_MOST)
            await self._redis.command("PUBLISH", tell, answer, patience_seconds=0)
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("another process could not be told the spans of a trace", extra={"error": str(error)})

    def _hear_answer(self, message: bytes) -> None:
        # Whoever asked may have gone.
        question = self._questions.get(message[:_NUMBER_BYTES])
        if question is not None:
            question.spans += unpack_spans(message[_NUMBER_BYTES:])
            question.answers += 1
            question.changed.set()

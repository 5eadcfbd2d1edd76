"""Uses every service once, from end to end, in a user's name. Not how Parley is while nobody asks, which is system_status.py's."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from parley_chat.domain.conversation import Role, new_turn_id
from parley_chat.domain.errors import DrainingError, GenerationError, KnowledgeUnavailableError, TooManyTurnsError
from parley_chat.domain.generation import Sampling
from parley_chat.domain.prompt import PromptLine
from parley_chat.domain.turn import TextDelta
from parley_chat.operations.text_generations import TextGenerations
from parley_chat.ports.database_probe import DatabaseProbe
from parley_chat.ports.knowledge import Knowledge
from parley_chat.ports.search_index import DeletedItem, IndexItem, SearchIndex
from parley_chat.ports.text_model import TextRequest
from parley_chat.ports.tracing import Tracing
from parley_chat.ports.turn_log import TurnLog

logger = logging.getLogger(__name__)

LOCAL_SECONDS = 5.0
"""How long a check of something that is near may take."""
MODEL_SECONDS = 25.0
"""How long the model may take for its few words."""
MODEL_TOKENS = 16
"""The most that it writes. A model that reasons may need them all for that, and then has answered without a word."""

_PROMPT = "This is a test of the connection. Answer with the one word: ready."
_ITEM_TYPE = "self_test"


class _CheckFailedError(Exception):
    """A check did not find what it looked for. Its text is for people."""


@dataclass(frozen=True, slots=True)
class Check:
    """What came of one check."""

    name: str
    service: str
    passed: bool
    seconds: float
    message: str
    """For people; never empty when it failed."""


@dataclass(frozen=True, slots=True)
class SelfTestReport:
    """What came of all."""

    checks: tuple[Check, ...]
    seconds: float
    trace_id: str

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)


class SelfTest:
    """The use case."""

    def __init__(
        self,
        database: DatabaseProbe,
        log: TurnLog,
        generations: TextGenerations,
        index: SearchIndex,
        knowledge: Knowledge,
        tracing: Tracing,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._log = log
        self._generations = generations
        self._index = index
        self._knowledge = knowledge
        self._tracing = tracing
        self._now = now

    async def run(self, user_id: str) -> SelfTestReport:
        """Checks one thing after the other, so that none is slower for another. Raises nothing that a check raised."""
        started = time.monotonic()
        checks = (
            await self._checked("database", "chat", LOCAL_SECONDS, self._write_to_database),
            await self._checked("turn_log", "chat", LOCAL_SECONDS, self._keep_events),
            await self._checked("model", "inference", MODEL_SECONDS, lambda: self._ask_model(user_id)),
            await self._checked("search", "retrieval", LOCAL_SECONDS, lambda: self._find_item(user_id)),
        )
        return SelfTestReport(checks, time.monotonic() - started, self._tracing.current_trace_id())

    async def _checked(self, name: str, service: str, seconds: float, work: Callable[[], Awaitable[str]]) -> Check:
        started = time.monotonic()
        passed = False
        with self._tracing.stage(f"chat.self_test.{name}") as stage:
            try:
                async with asyncio.timeout(seconds):
                    message = await work()
                passed = True
            except TimeoutError:
                message = f"It took longer than {seconds:g} seconds."
            except _CheckFailedError as error:
                message = str(error)
            except GenerationError as error:
                message = error.failure.message
            except TooManyTurnsError:
                message = "You have as many running answers as you may; try again when one has ended."
            except DrainingError:
                message = "This process is about to end."
            except KnowledgeUnavailableError:
                message = "Retrieval does not answer."
            except Exception:
                # Whatever it was is the finding; its own words may hold what is nobody's business.
                logger.exception("a check of the self-test failed", extra={"check": name})
                message = f"It failed inside {service}; its log says why."
            stage.record({"parley.self_test.passed": passed})
        return Check(name, service, passed, time.monotonic() - started, message)

    async def _write_to_database(self) -> str:
        await self._database.write()
        return "It takes writes."

    async def _keep_events(self) -> str:
        turn_id = new_turn_id()
        log = await self._log.begin(turn_id)
        try:
            await log.append([TextDelta("ready")])
            kept = [event.body for event in await self._log.read(turn_id)]
        finally:
            await log.close()
            await self._log.delete(turn_id)
        if kept != [TextDelta("ready")]:
            raise _CheckFailedError("What was written is not what is read.")
        return "Events are kept and read."

    async def _ask_model(self, user_id: str) -> str:
        sampling = Sampling(max_output_tokens=MODEL_TOKENS)
        text = await self._generations.generate(
            TextRequest(user_id, (PromptLine(Role.USER, _PROMPT),), sampling=sampling)
        )
        if text.offline:
            return "No provider is configured: the built-in offline model answers."
        return f"{text.model} answers."

    async def _find_item(self, user_id: str) -> str:
        now = self._now()
        # A word that is nowhere else, so that nothing else is found.
        item_id = word = f"selftest{uuid.uuid4().hex}"
        version = int(now.timestamp() * 1000)
        item = IndexItem(_ITEM_TYPE, item_id, version, "Self-test", word, "", now)
        try:
            await self._index.put(user_id, [item])
            found = await self._knowledge.search(user_id, word, 1)
        finally:
            await self._index.delete(user_id, [DeletedItem(_ITEM_TYPE, item_id, version + 1)])
        if [passage.document_id for passage in found] != [item_id]:
            raise _CheckFailedError("What was put into the index is not found.")
        return "What is put into the index is found."

"""Checks JSON Schemas, and documents against them, in a process of its own (schema_worker.py), which is started when it is first needed.

It is ended and started anew when a question takes too long, and answers one question at a time: an ordinary one takes it a millisecond.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from parley_inference.ports.schema_checker import Misfit, UnusableSchemaError

_logger = logging.getLogger(__name__)

_WAIT_SECONDS = 60.0
"""For an answer. The process ends itself long before, by the time that it has computed; this is for a machine that stands still."""
_MOST_KNOWN = 1_000
"""How many schemas are remembered as good."""
_MOST_BYTES_OF_AN_ANSWER = 64 * 1024
_TOO_COMPLEX = "is too complex to be checked"


class SchemaProcessError(Exception):
    """The process cannot be started or used. Nothing that a caller sent is to blame."""


class SchemaProcess:
    """A SchemaChecker. Close it at the end."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._known: OrderedDict[bytes, None] = OrderedDict()

    async def check(self, schema: Mapping[str, Any]) -> None:
        """Raises UnusableSchemaError. A schema that was good is good the next time without being looked at."""
        text = json.dumps(schema, sort_keys=True)
        digest = hashlib.sha256(text.encode()).digest()
        if digest in self._known:
            self._known.move_to_end(digest)
            return
        answer = await self._answer_to({"schema": schema})
        if answer is None:
            raise UnusableSchemaError(_TOO_COMPLEX)
        if words := answer.get("unusable"):
            raise UnusableSchemaError(str(words))
        self._known[digest] = None
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)

    async def misfits(self, schema: Mapping[str, Any], document: str) -> Sequence[Misfit]:
        """Where JSON text does not satisfy a schema; none when it does."""
        answer = await self._answer_to({"schema": schema, "document": document})
        if answer is None:
            return [Misfit("$", _TOO_COMPLEX)]
        if words := answer.get("unusable"):
            raise SchemaProcessError(f"a schema that was checked cannot be used: {words}")
        return [Misfit(path, words) for path, words in answer["misfits"]]

    async def close(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is not None:
            await _end(process)

    async def _answer_to(self, question: dict[str, Any]) -> dict[str, Any] | None:
        """The process's answer; None when it ended over the question, because it took too long or too much memory."""
        async with self._turn:
            process = self._process if self._process is not None and self._process.returncode is None else None
            if process is None:
                process = self._process = await _start()
            try:
                answer = await self._exchange(process, json.dumps(question).encode() + b"\n")
            except BaseException:
                # Nobody reads the answer that may still come: the next question must not get it.
                self._process = None
                await asyncio.shield(_end(process))
                raise
            if answer is None:
                self._process = None
                await asyncio.shield(_end(process))
                if (process.returncode or 0) > 0:
                    raise SchemaProcessError(
                        f"the process that checks JSON Schemas ended with code {process.returncode}"
                    )
                _logger.warning("a JSON Schema took too long to check, or too much memory")
            return answer

    async def _exchange(self, process: asyncio.subprocess.Process, question: bytes) -> dict[str, Any] | None:
        assert process.stdin is not None  # noqa: S101 - for the type checker: see _start
        assert process.stdout is not None  # noqa: S101 - for the type checker: see _start
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                process.stdin.write(question)
                await process.stdin.drain()
                line = await process.stdout.readline()
                if not line:
                    # It ends: its exit code says why.
                    await process.wait()
        except (TimeoutError, ConnectionError):
            return None
        answer = json.loads(line) if line.endswith(b"\n") else None
        return answer if isinstance(answer, dict) else None


async def _start() -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "parley_inference.adapters.schema_worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_MOST_BYTES_OF_AN_ANSWER,
        )
    except OSError as error:
        raise SchemaProcessError(f"the process that checks JSON Schemas does not start: {error.strerror}") from error


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    if process.stdin is not None:
        process.stdin.close()
    await process.wait()

"""A provider that gives every prompt an answer of its own, slowly, and goes on with it as a model does that is asked to.

It keeps book: when which prompt was asked, when which connection was left by its client, and every request to go on with a text that is
not the beginning of that prompt's answer. Its answers are numbered words with the prompt's key in each, so that whoever reads one
sees at once what is missing, doubled, or another prompt's.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from parley_testing.fake_openai import FakeOpenAI, RecordedRequest, Reply

_KEY = re.compile(r"\bkey-([0-9a-z]+)\b")
_REPEATED_WORDS = 3


@dataclass(frozen=True, slots=True)
class Script:
    """How one prompt is answered."""

    key: str
    """What its words are told by: digits and small letters."""
    words: int
    words_per_second: float
    first_word_seconds: float = 0.0

    @property
    def prompt(self) -> str:
        """What to ask to get this answer."""
        return f"Count for key-{self.key}, please."

    @property
    def pieces(self) -> tuple[str, ...]:
        """The answer, one delta each. Some hold characters of more than one byte."""
        return tuple(
            f"{self.key}.{number}{'·é…🙂'[number % 4]} " if number % 5 == 0 else f"{self.key}.{number} "
            for number in range(1, self.words + 1)
        )

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Asked:
    """A generation that began."""

    key: str
    time: float
    """`time.monotonic()`."""
    written: int
    """How many characters of the answer the request knew."""


@dataclass(frozen=True, slots=True)
class Left:
    """A generation whose client closed the connection before its end."""

    key: str
    time: float
    """`time.monotonic()`."""


class FaultUpstream(FakeOpenAI):
    """Answers what `answer` was told of; every other prompt as FakeOpenAI does."""

    def __init__(self, seed: str) -> None:
        super().__init__()
        self.asked: list[Asked] = []
        self.left: list[Left] = []
        self.wrong: list[str] = []
        """What no service should have asked for."""
        self._scripts: dict[str, Script] = {}
        self._random = Random(seed)

    def answer(self, script: Script) -> None:
        """Answers the script's prompt from now on."""
        self._scripts[script.key] = script

    async def _complete(self, request: RecordedRequest, reply: Reply, *connection: Any) -> bool:
        script = self._script_of(request.body)
        if script is not None:
            reply = Reply(
                pieces=self._rest(script, request.body),
                tokens_per_second=script.words_per_second,
                first_token_seconds=script.first_word_seconds,
            )
        return await super()._complete(request, reply, *connection)

    async def _stream(self, request: Mapping[str, Any], reply: Reply, *connection: Any) -> bool:
        whole = await super()._stream(request, reply, *connection)
        script = self._script_of(request)
        if script is not None and not whole:
            self.left.append(Left(script.key, time.monotonic()))
        return whole

    def _script_of(self, request: Mapping[str, Any]) -> Script | None:
        """The script of the last message that names one: messages before it are the session's history."""
        for message in reversed(request.get("messages") or []):
            keys = _KEY.findall(str(message.get("content") or "")) if message.get("role") == "user" else []
            if keys:
                return self._scripts.get(keys[-1])
        return None

    def _rest(self, script: Script, request: Mapping[str, Any]) -> Sequence[str]:
        """What is still to be said: behind the last message of the assistant, when it stands behind the prompt."""
        messages = request.get("messages") or []
        written = ""
        for message in reversed(messages):
            if message.get("role") == "assistant":
                written = str(message.get("content") or "")
            if script.prompt in str(message.get("content") or ""):
                break
        else:
            written = ""
        self.asked.append(Asked(script.key, time.monotonic(), len(written)))
        if not script.text.startswith(written):
            self.wrong.append(f"{script.key}: asked to go on after {written[-80:]!r}")
        pieces, end = script.pieces, 0
        for number, piece in enumerate(pieces):
            if end >= len(written):
                # A model that goes on sometimes repeats its last words.
                repeated = _REPEATED_WORDS if number >= _REPEATED_WORDS and self._random.random() < 0.25 else 0
                return pieces[number - repeated :]
            end += len(piece)
        return ()

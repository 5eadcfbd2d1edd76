"""Keeps whole answers for those who want the same request answered again without a model. In memory, and no longer than the process."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from parley_inference.domain.models import Model
from parley_inference.domain.prompt import GenerationRequest

MOST_ENTRIES = 10_000
_ENTRY_BYTES = 600
"""What an entry takes beside its text: the objects, a key, its place in the order."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """A whole answer."""

    text: str
    reasoning: str
    model: str
    """As its provider names it."""
    provider: str
    offline: bool


@dataclass(frozen=True, slots=True)
class _Entry:
    answer: KeptAnswer
    size: int
    kept_at: float
    seconds: int


class AnswerCache:
    """The answers that were used last, up to a number of bytes and of entries. Keys are digests: no prompt is kept."""

    def __init__(self, most_bytes: int, *, clock: Callable[[], float], most_entries: int = MOST_ENTRIES) -> None:
        """Keeps nothing when `most_bytes` is 0."""
        self.found = 0
        """How often it had what was asked for."""
        self.missed = 0
        """How often it had not."""
        self._most_bytes = most_bytes
        self._most_entries = most_entries
        self._clock = clock
        self._bytes = 0
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()

    @property
    def keeps_any(self) -> bool:
        """Whether it keeps anything at all."""
        return self._most_bytes > 0

    @property
    def used_bytes(self) -> int:
        """What it takes now, about: never more than it may."""
        return self._bytes

    def get(self, key: bytes, seconds: int) -> KeptAnswer | None:
        """The answer, when it is not older than `seconds`, nor than it was to be kept for; None when there is no such answer."""
        found = self._find(key, seconds)
        self.found += found is not None
        self.missed += found is None
        return found

    def _find(self, key: bytes, seconds: int) -> KeptAnswer | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        age = self._clock() - entry.kept_at
        if age > entry.seconds:
            self._drop(key)
            return None
        if age > seconds:
            return None
        self._entries.move_to_end(key)
        return entry.answer

    def put(self, key: bytes, answer: KeptAnswer, seconds: int) -> None:
        """Keeps an answer for so long, and lets go of those that were used longest ago. One larger than the whole is not kept."""
        # Four bytes a character is what Python takes at most.
        size = 4 * (len(answer.text) + len(answer.reasoning)) + _ENTRY_BYTES
        if size > self._most_bytes:
            return
        self._drop(key)
        self._entries[key] = _Entry(answer, size, self._clock(), seconds)
        self._bytes += size
        while self._bytes > self._most_bytes or len(self._entries) > self._most_entries:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.size


def key_of(request: GenerationRequest, model: Model, user_id: str) -> bytes:
    """The key of an answer: the same only for the same request, model and user. For how long it is to be kept makes no difference."""
    asked = replace(request, model="", cache_seconds=0)
    told = json.dumps([model.provider, model.name, user_id, asked], default=_plain, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(told.encode()).digest()


def _plain(value: Any) -> Any:
    """What JSON has no word for. All fields of a dataclass count, also those that it gets one day."""
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} cannot be part of a key")

"""Models in a folder: a file for each version, written once and whole. Files are numbers and words in JSON; nothing in them can run.

`<folder>/<hash of the user>/<name>/000001.json` has three lines: what it is with the SHA-256 of the rest, the card, and the model. Several
processes may share the folder: whoever changes a user's models holds the user's lock, which ends with its holder.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from parley_inference.domain.lead_model_json import BYTES_MOST
from parley_inference.domain.model_card_json import read_card, written_card
from parley_inference.domain.scoring import ScoringModel, StoredModel, TrainedModel
from parley_inference.domain.scoring_errors import (
    ScoringModelDamagedError,
    ScoringModelLimitError,
    ScoringModelNotFoundError,
)

_logger = logging.getLogger(__name__)

MODELS_MOST = 100
"""How many models a user may have."""
VERSIONS_KEPT = 10
_FORMAT = "parley-scoring-model-1"
_FILE_MOST = BYTES_MOST + 1_000_000
_VERSION_FILE = re.compile(r"(\d{6,9})\.json")
_REMOVED = ".removed-"
_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600


class FolderScoringModels:
    """Keeps models below one folder, which is made when it is needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def add(self, user_id: str, name: str, trained: TrainedModel) -> ScoringModel:
        """Keeps a model as the next version of its name; the oldest versions beyond the bound are removed."""
        return await asyncio.to_thread(self._add, user_id, name, trained)

    async def check_room(self, user_id: str, name: str) -> None:
        """Raises ScoringModelLimitError when a model of this name would be one too many."""
        await asyncio.to_thread(self._check_room, user_id, name)

    async def newest(self, user_id: str) -> list[ScoringModel]:
        """The newest version of each model, by name. Damaged ones are left out, and logged."""
        return await asyncio.to_thread(self._newest, user_id)

    async def get(self, user_id: str, name: str, version: int) -> StoredModel:
        """One version, the newest when 0."""
        return await asyncio.to_thread(self._get, user_id, name, version)

    async def delete(self, user_id: str, name: str) -> None:
        """Removes all versions at once: no reader finds some of them."""
        await asyncio.to_thread(self._delete, user_id, name)

    def _add(self, user_id: str, name: str, trained: TrainedModel) -> ScoringModel:
        create_time = datetime.now(UTC)
        content = _content(name, create_time, trained)
        with self._changing(user_id):
            self._check_room(user_id, name)
            place = self._place(user_id) / name
            place.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
            versions = _versions(place)
            version = max(versions, default=0) + 1
            _write_once(place / f"{version:06}.json", content)
            for old in sorted(versions)[: -(VERSIONS_KEPT - 1)]:
                (place / f"{old:06}.json").unlink(missing_ok=True)
        return ScoringModel(name, version, create_time, trained.card)

    def _check_room(self, user_id: str, name: str) -> None:
        names = self._names(user_id)
        if name not in names and len(names) >= MODELS_MOST:
            raise ScoringModelLimitError(MODELS_MOST)

    def _newest(self, user_id: str) -> list[ScoringModel]:
        found = []
        for name in self._names(user_id):
            try:
                found.append(self._get(user_id, name, 0).model)
            except ScoringModelNotFoundError:
                continue  # It was deleted meanwhile.
            except ScoringModelDamagedError as error:
                _logger.error("a scoring model is left out of the list: %s", error)  # noqa: TRY400 - its words say all
        return found

    def _get(self, user_id: str, name: str, version: int) -> StoredModel:
        place = self._place(user_id) / name
        version = version or max(_versions(place), default=0)
        try:
            with (place / f"{version:06}.json").open("rb") as file:
                content = file.read(_FILE_MOST + 1)
        except FileNotFoundError:
            raise ScoringModelNotFoundError(name, version) from None
        try:
            return _read(name, version, content)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ScoringModelDamagedError(name, version, f"{type(error).__name__}: {error}") from error

    def _delete(self, user_id: str, name: str) -> None:
        if name not in self._names(user_id):
            raise ScoringModelNotFoundError(name, 0)
        with self._changing(user_id):
            place = self._place(user_id)
            removed = place / f"{_REMOVED}{secrets.token_hex(8)}"
            try:
                (place / name).rename(removed)
            except FileNotFoundError:
                raise ScoringModelNotFoundError(name, 0) from None
            _sync(place)
            for left in place.glob(f"{_REMOVED}*"):  # Also what a crash left of an earlier one.
                shutil.rmtree(left, ignore_errors=True)

    def _names(self, user_id: str) -> list[str]:
        try:
            entries = sorted(entry.name for entry in self._place(user_id).iterdir() if not entry.name.startswith("."))
        except FileNotFoundError:
            return []
        # A name without a version is what a crash left of its first one.
        return [name for name in entries if _versions(self._place(user_id) / name)]

    def _place(self, user_id: str) -> Path:
        return self._folder / hashlib.sha256(user_id.encode()).hexdigest()[:32]

    @contextlib.contextmanager
    def _changing(self, user_id: str) -> Iterator[None]:
        place = self._place(user_id)
        place.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        descriptor = os.open(place / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _versions(place: Path) -> list[int]:
    try:
        matches = [_VERSION_FILE.fullmatch(entry.name) for entry in place.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [int(match[1]) for match in matches if match]


def _content(name: str, create_time: datetime, trained: TrainedModel) -> bytes:
    about = {"name": name, "create_time": create_time.isoformat(), "card": written_card(trained.card)}
    rest = json.dumps(about, allow_nan=False, separators=(",", ":")).encode() + b"\n" + trained.lead_model + b"\n"
    head = {"format": _FORMAT, "sha256": hashlib.sha256(rest).hexdigest()}
    return json.dumps(head).encode() + b"\n" + rest


def _read(name: str, version: int, content: bytes) -> StoredModel:
    """Raises ValueError, KeyError, TypeError or RecursionError for what `_content` does not write."""
    if len(content) > _FILE_MOST:
        raise ValueError("the file is too large")
    head, _, rest = content.partition(b"\n")
    if json.loads(head) != {"format": _FORMAT, "sha256": hashlib.sha256(rest).hexdigest()}:
        raise ValueError("the file is of another format, or was changed since it was written")
    written, _, lead_model = rest.partition(b"\n")
    about = json.loads(written)
    if about["name"] != name:
        raise ValueError("the file is of another model")
    create_time = datetime.fromisoformat(about["create_time"])
    return StoredModel(
        ScoringModel(name, version, create_time, read_card(about["card"])), lead_model.removesuffix(b"\n")
    )


def _write_once(path: Path, content: bytes) -> None:
    """Writes the file whole or not at all, and never over another one."""
    unfinished = path.with_name(f".{secrets.token_hex(8)}.unfinished")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE_FILE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(unfinished)
    finally:
        unfinished.unlink(missing_ok=True)
    _sync(path.parent)
    _sync(path.parent.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Models in a folder: a file for each version, written once and whole, at `<folder>/<hash of the user>/<name>/000001.json`.

Several processes may share the folder: whoever changes a user's models holds the user's lock, which ends with its holder.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from parley_inference.domain.scoring import ScoringModel, StoredModel, TrainedModel
from parley_inference.domain.scoring_errors import (
    ScoringModelDamagedError,
    ScoringModelLimitError,
    ScoringModelNotFoundError,
)
from parley_inference.domain.scoring_model_file import (
    FILE_BYTES_MOST,
    MODELS_MOST,
    VERSIONS_KEPT,
    file_name,
    folder_of_user,
    read_scoring_model,
    version_of_file,
    written_scoring_model,
)

_logger = logging.getLogger(__name__)

_REMOVED = ".removed-"
_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600


class FolderScoringModels:
    """Keeps models below one folder, which is made when it is needed."""

    def __init__(self, folder: Path, *, models_most: int = MODELS_MOST) -> None:
        self._folder = folder
        self._models_most = models_most

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
        content = written_scoring_model(name, create_time, trained)
        with self._changing(user_id):
            self._check_room(user_id, name)
            place = self._place(user_id) / name
            place.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
            versions = _versions(place)
            version = max(versions, default=0) + 1
            _write_once(place / file_name(version), content)
            for old in sorted(versions)[: -(VERSIONS_KEPT - 1)]:
                (place / file_name(old)).unlink(missing_ok=True)
        return ScoringModel(name, version, create_time, trained.card)

    def _check_room(self, user_id: str, name: str) -> None:
        names = self._names(user_id)
        if name not in names and len(names) >= self._models_most:
            raise ScoringModelLimitError(self._models_most)

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
            with (place / file_name(version)).open("rb") as file:
                content = file.read(FILE_BYTES_MOST + 1)
        except FileNotFoundError:
            raise ScoringModelNotFoundError(name, version) from None
        return read_scoring_model(name, version, content)

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
        return self._folder / folder_of_user(user_id)

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
        versions = [version_of_file(entry.name) for entry in place.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [version for version in versions if version]


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

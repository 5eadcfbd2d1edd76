"""Models in a bucket of an object store that speaks S3: an object for each version, `<prefix>/<hash of the user>/<name>/000001.json`.

Nothing locks: a version is taken by whoever writes it first, with a PUT that fails when the object is there (`If-None-Match: *`, RFC 9110
section 13.1.2). So a user with several trainings that end in the same instant may come to have a few models more than the limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from parley_inference.domain.scoring import ScoringModel, StoredModel, TrainedModel
from parley_inference.domain.scoring_errors import (
    ScoringModelDamagedError,
    ScoringModelLimitError,
    ScoringModelNotFoundError,
    ScoringStoreUnavailableError,
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

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

_logger = logging.getLogger(__name__)

_CONNECT_TIMEOUT, _CALL_TIMEOUT = timedelta(seconds=5), timedelta(seconds=30)
_RETRY_TIMEOUT = timedelta(seconds=20)
_RETRIES = 3
_READ_AT_ONCE = 8


def open_bucket(
    *,
    bucket: str,
    prefix: str,
    endpoint_url: str,
    region: str,
    access_key_id: str,
    secret_access_key: str,
    session_token: str,
) -> S3Store:
    """The place in the bucket. Nothing is asked of the server yet. Without a key, the machine's or pod's own at AWS is used."""
    # Plain HTTP only where the operator wrote it.
    client: ClientConfig = {
        "connect_timeout": _CONNECT_TIMEOUT,
        "timeout": _CALL_TIMEOUT,
        "allow_http": endpoint_url.startswith("http://"),
    }
    config: S3Config = {"region": region}
    if endpoint_url:
        config["endpoint"] = endpoint_url
    if access_key_id:
        config["access_key_id"] = access_key_id
        config["secret_access_key"] = secret_access_key
    if session_token:
        config["session_token"] = session_token
    retries: RetryConfig = {"max_retries": _RETRIES, "retry_timeout": _RETRY_TIMEOUT}
    return S3Store(bucket, prefix=prefix or None, config=config, client_options=client, retry_config=retries)


class S3ScoringModels:
    """Keeps models in a bucket. Several processes may share it."""

    def __init__(self, bucket: S3Store, *, models_most: int = MODELS_MOST) -> None:
        self._bucket = bucket
        self._models_most = models_most

    async def add(self, user_id: str, name: str, trained: TrainedModel) -> ScoringModel:
        """Keeps a model as the next version of its name; the oldest versions beyond the bound are removed."""
        create_time = datetime.now(UTC)
        content = written_scoring_model(name, create_time, trained)
        with _told():
            kept = await self._versions(user_id)
            self._check(kept, name)
            versions = kept[name]
            version = max(versions, default=0) + 1
            while not await self._put(_key(user_id, name, version), content):
                versions.append(version)
                version += 1
        await self._prune(user_id, name, sorted(versions)[: -(VERSIONS_KEPT - 1)])
        return ScoringModel(name, version, create_time, trained.card)

    async def check_room(self, user_id: str, name: str) -> None:
        """Raises ScoringModelLimitError when a model of this name would be one too many."""
        with _told():
            self._check(await self._versions(user_id), name)

    async def newest(self, user_id: str) -> list[ScoringModel]:
        """The newest version of each model, by name. Damaged ones are left out, and logged."""
        with _told():
            kept = await self._versions(user_id)
        reading = asyncio.Semaphore(_READ_AT_ONCE)

        async def read(name: str) -> ScoringModel | None:
            async with reading:
                try:
                    return (await self.get(user_id, name, max(kept[name]))).model
                except ScoringModelNotFoundError:
                    return None  # It was deleted meanwhile.
                except ScoringModelDamagedError as error:
                    _logger.error("a scoring model is left out of the list: %s", error)  # noqa: TRY400 - its words say all
                    return None

        found = await asyncio.gather(*(read(name) for name in sorted(kept)))
        return [model for model in found if model]

    async def get(self, user_id: str, name: str, version: int) -> StoredModel:
        """One version, the newest when 0."""
        with _told():
            version = version or max((await self._versions(user_id, name))[name], default=0)
            content = await self._read(_key(user_id, name, version)) if version else None
        if content is None:
            raise ScoringModelNotFoundError(name, version)
        return read_scoring_model(name, version, content)

    async def delete(self, user_id: str, name: str) -> None:
        """Removes all versions, the newest last: until the end the model is what it was, and what breaks off is done again."""
        with _told():
            versions = (await self._versions(user_id, name))[name]
            if not versions:
                raise ScoringModelNotFoundError(name, 0)
            for version in sorted(versions):
                await self._delete(_key(user_id, name, version))

    def _check(self, kept: dict[str, list[int]], name: str) -> None:
        if name not in kept and len(kept) >= self._models_most:
            raise ScoringModelLimitError(self._models_most)

    async def _versions(self, user_id: str, name: str = "") -> defaultdict[str, list[int]]:
        """The versions that are kept of each of the user's models, or of one; in no order."""
        kept: defaultdict[str, list[int]] = defaultdict(list)
        async for key in self._keys(f"{folder_of_user(user_id)}/{name}".removesuffix("/")):
            *_, of, file = key.split("/")
            if version := version_of_file(file):
                kept[of].append(version)
        return kept

    async def _keys(self, folder: str) -> AsyncIterator[str]:
        async for page in obstore.list(self._bucket, folder):
            for found in page:
                yield found["path"]

    async def _put(self, key: str, content: bytes) -> bool:
        """Whether the object is this one: False when another one was there first."""
        try:
            await obstore.put_async(self._bucket, key, content, mode="create", use_multipart=False)
        except AlreadyExistsError:
            # A call that was repeated because its answer was lost meets what it has written itself.
            return await self._read(key) == content
        return True

    async def _read(self, key: str) -> bytes | None:
        """What is in an object, at most a byte more than a file may have; None when it is not there."""
        try:
            found = await obstore.get_async(self._bucket, key)
            if found.meta["size"] > FILE_BYTES_MOST:
                return b"\0" * (FILE_BYTES_MOST + 1)
            return bytes(await found.bytes_async())
        except FileNotFoundError:
            return None

    async def _delete(self, key: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            await obstore.delete_async(self._bucket, key)

    async def _prune(self, user_id: str, name: str, versions: list[int]) -> None:
        """Removes versions. What cannot be removed now is when the next version comes: the new one is kept in any case."""
        try:
            for version in versions:
                await self._delete(_key(user_id, name, version))
        except (BaseError, OSError) as error:
            _logger.warning("old versions of a scoring model are left for later: %s", _first_line(error))


def _key(user_id: str, name: str, version: int) -> str:
    return f"{folder_of_user(user_id)}/{name}/{file_name(version)}"


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What the store says against it becomes ScoringStoreUnavailableError."""
    try:
        yield
    except (BaseError, OSError) as error:
        raise ScoringStoreUnavailableError(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)

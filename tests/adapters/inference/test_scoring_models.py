"""Where models are kept: versions, users, several processes at once, crashes, and files that are not what was written."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import pickle
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import obstore
import pytest
from aiohttp import ClientSession, web
from obstore.store import S3Store
from parley_inference.adapters.folder_scoring_models import FolderScoringModels
from parley_inference.adapters.s3_scoring_models import S3ScoringModels, open_bucket
from parley_inference.domain.scoring import (
    CalibrationBin,
    ColumnKind,
    ModelCard,
    ScoringColumn,
    ScoringMethod,
    ScoringQuality,
    TrainedModel,
)
from parley_inference.domain.scoring_errors import (
    ScoringModelDamagedError,
    ScoringModelLimitError,
    ScoringModelNotFoundError,
    ScoringStoreUnavailableError,
)
from parley_inference.ports.scoring import ScoringModels
from parley_testing.object_store import ACCESS_KEY_ID, SECRET_ACCESS_KEY, ObjectStore, object_store

__all__ = ["object_store"]  # a fixture that pytest finds by its name

USER, OTHER = f"usr_{'1' * 32}", f"usr_{'2' * 32}"
CARD = ModelCard(
    label_column="won",
    positive_label="yes",
    row_count=100,
    positive_count=40,
    columns=(ScoringColumn("größe", ColumnKind.NUMERIC, 0.25),),
    method=ScoringMethod.BASELINE,
    quality=ScoringQuality(0.7, 0.1, 0.2, 0.24, (CalibrationBin(0.1, 0.2, 50), CalibrationBin(0.6, 0.5, 50)), 5),
    warnings=("few rows",),
)


def model(base: float = 0.5) -> TrainedModel:
    return TrainedModel(CARD, json.dumps({"base": base}).encode())


class FolderShelf:
    """A folder that several processes may keep models in, and a look behind their backs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def models(self, models_most: int = 100) -> ScoringModels:
        """The store, as one process has it."""
        return FolderScoringModels(self.folder, models_most=models_most)

    async def files(self) -> list[str]:
        """What is kept, as `<user>/<name>/<file>`."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*.json"))

    async def read(self, file: str) -> bytes:
        return (self.folder / file).read_bytes()

    async def write(self, file: str, content: bytes) -> None:
        (self.folder / file).write_bytes(content)


class BucketShelf:
    """The same in a bucket."""

    def __init__(self, url: str, bucket: str) -> None:
        self.url = url
        self._bucket = bucket

    def open(self, url: str = "") -> S3Store:
        return open_bucket(
            bucket=self._bucket,
            prefix="leads/models",
            endpoint_url=url or self.url,
            region="eu-central-1",
            access_key_id=ACCESS_KEY_ID,
            secret_access_key=SECRET_ACCESS_KEY,
            session_token="",
        )

    def models(self, models_most: int = 100) -> ScoringModels:
        """The store, as one process has it."""
        return S3ScoringModels(self.open(), models_most=models_most)

    async def files(self) -> list[str]:
        """What is kept, as `<user>/<name>/<file>`."""
        return sorted([found["path"] async for page in obstore.list(self.open()) for found in page])

    async def read(self, file: str) -> bytes:
        return bytes(await (await obstore.get_async(self.open(), file)).bytes_async())

    async def write(self, file: str, content: bytes) -> None:
        await obstore.put_async(self.open(), file, content)


Shelf = FolderShelf | BucketShelf


@pytest.fixture
def folder(tmp_path: Path) -> FolderShelf:
    return FolderShelf(tmp_path / "scoring")


@pytest.fixture
def bucket(object_store: ObjectStore) -> BucketShelf:
    return BucketShelf(object_store.url, object_store.new_bucket())


@pytest.fixture(params=["folder", "bucket"])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    found: Shelf = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def models(shelf: Shelf) -> ScoringModels:
    return shelf.models()


async def test_what_is_kept_is_read_back_and_versions_count_from_1(models: ScoringModels) -> None:
    first, second = await models.add(USER, "deals", model(1)), await models.add(USER, "deals", model(2))
    assert (first.version, second.version) == (1, 2)
    stored = await models.get(USER, "deals", 1)
    assert (stored.model, stored.lead_model) == (first, model(1).lead_model)
    assert (await models.get(USER, "deals", 0)).model == second
    assert stored.model.card == CARD


async def test_a_user_sees_only_what_is_the_users_own(models: ScoringModels) -> None:
    await models.add(USER, "deals", model())
    assert await models.newest(OTHER) == []
    for call in (models.get(OTHER, "deals", 0), models.get(OTHER, "deals", 1), models.delete(OTHER, "deals")):
        with pytest.raises(ScoringModelNotFoundError):
            await call
    assert (await models.get(USER, "deals", 0)).model.version == 1


async def test_the_list_has_the_newest_version_of_each_by_name(models: ScoringModels) -> None:
    for name in ("b", "a", "b"):
        await models.add(USER, name, model())
    assert [(one.name, one.version) for one in await models.newest(USER)] == [("a", 1), ("b", 2)]


async def test_a_version_that_is_not_there_is_not_found(models: ScoringModels) -> None:
    await models.add(USER, "deals", model())
    with pytest.raises(ScoringModelNotFoundError):
        await models.get(USER, "deals", 2)


async def test_the_newest_ten_versions_are_kept_and_numbers_are_not_used_again(
    models: ScoringModels, shelf: Shelf
) -> None:
    for _ in range(13):
        last = await models.add(USER, "deals", model())
    assert last.version == 13
    assert [file.split("/")[-1] for file in await shelf.files()] == [f"{number:06}.json" for number in range(4, 14)]


async def test_a_deleted_model_is_gone_whole_and_begins_anew(models: ScoringModels, shelf: Shelf) -> None:
    await models.add(USER, "deals", model())
    await models.add(USER, "deals", model())
    await models.delete(USER, "deals")
    assert await shelf.files() == []
    assert await models.newest(USER) == []
    assert (await models.add(USER, "deals", model())).version == 1


async def test_a_user_may_have_only_so_many_and_go_on_with_those(shelf: Shelf) -> None:
    models = shelf.models(models_most=2)
    for name in ("a", "b"):
        await models.add(USER, name, model())
    with pytest.raises(ScoringModelLimitError):
        await models.check_room(USER, "c")
    with pytest.raises(ScoringModelLimitError):
        await models.add(USER, "c", model())
    await models.check_room(USER, "a")
    assert (await models.add(USER, "a", model())).version == 2
    await models.add(OTHER, "c", model())


async def test_the_users_id_is_no_part_of_a_path(models: ScoringModels, shelf: Shelf) -> None:
    strange = "../../etc/\0/x" * 3
    await models.add(strange, "deals", model())
    assert (await models.get(strange, "deals", 0)).model.version == 1
    (file,) = await shelf.files()
    assert re.fullmatch(r"[0-9a-f]{32}/deals/000001\.json", file)


async def test_only_the_owner_of_the_folder_may_read(folder: FolderShelf) -> None:
    await folder.models().add(USER, "deals", model())
    (file,) = await folder.files()
    path = folder.folder / file
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


async def test_several_at_once_get_a_version_each(shelf: Shelf) -> None:
    several = [shelf.models() for _ in range(4)]
    made = await asyncio.gather(*(one.add(USER, "deals", model()) for one in several for _ in range(2)))
    assert sorted(one.version for one in made) == list(range(1, 9))


ADDS = """
import asyncio, sys, pathlib
from parley_inference.adapters.folder_scoring_models import FolderScoringModels
from parley_inference.domain.model_card_json import read_card
from parley_inference.domain.scoring import TrainedModel
import json
models = FolderScoringModels(pathlib.Path(sys.argv[1]))
card = read_card(json.loads(sys.argv[3]))
for _ in range(5):
    print(asyncio.run(models.add(sys.argv[2], "deals", TrainedModel(card, b"{}"))).version, flush=True)
"""


def test_two_processes_never_give_the_same_version(tmp_path: Path) -> None:
    from parley_inference.domain.model_card_json import written_card

    arguments = [sys.executable, "-c", ADDS, str(tmp_path), USER, json.dumps(written_card(CARD))]
    running = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    versions = [int(line) for process in running for line in process.communicate(timeout=60)[0].split()]
    assert [process.returncode for process in running] == [0, 0]
    assert sorted(versions) == list(range(1, 11))


async def test_what_a_crash_left_of_a_write_or_a_delete_is_nothing(folder: FolderShelf) -> None:
    models = folder.models()
    await models.add(USER, "deals", model())
    (file,) = await folder.files()
    place = (folder.folder / file).parent
    (place / ".0badc0de.unfinished").write_bytes(b"half")
    (place.parent / "begun").mkdir()
    (place.parent / ".removed-1").mkdir()
    (place.parent / ".removed-1" / "000001.json").write_bytes(b"left")
    assert [one.name for one in await models.newest(USER)] == ["deals"]
    with pytest.raises(ScoringModelNotFoundError):
        await models.get(USER, "begun", 0)
    assert (await models.add(USER, "deals", model())).version == 2
    await models.delete(USER, "deals")
    assert await folder.files() == []


async def test_a_version_is_written_whole_or_not_at_all(folder: FolderShelf, monkeypatch: pytest.MonkeyPatch) -> None:
    models = folder.models()
    await models.add(USER, "deals", model())

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            await models.add(USER, "deals", model())
    (file,) = await folder.files()
    assert [path.name for path in (folder.folder / file).parent.iterdir()] == ["000001.json"]
    assert (await models.add(USER, "deals", model())).version == 2


class Bomb:
    """What a pickle could do."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.abort, ()


def signed(rest: bytes, form: str = "parley-scoring-model-1") -> bytes:
    return json.dumps({"format": form, "sha256": hashlib.sha256(rest).hexdigest()}).encode() + b"\n" + rest


HOSTILE = {
    "empty": b"",
    "a pickle": pickle.dumps(Bomb()),
    "not JSON": b"{" * 50,
    "deep": b"[" * 200_000,
    "another format": signed(b"{}\n{}\n", "parley-scoring-model-2"),
    "no card": signed(b"{}\n{}\n"),
    "a card of nothing": signed(b'{"name": "deals", "create_time": "2026-01-01T00:00:00+00:00", "card": {}}\n{}\n'),
    "a list": signed(b"[]\n[]\n"),
    "deep and signed": signed(b"[" * 200_000 + b"\n{}\n"),
    "another's name": signed(b'{"name": "other", "create_time": "2026-01-01T00:00:00+00:00", "card": {}}\n{}\n'),
    "huge": b"x" * 6_000_000,
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
async def test_a_file_that_is_none_of_ours_is_damaged_and_nothing_more(
    models: ScoringModels, shelf: Shelf, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    await models.add(USER, "deals", model())
    await models.add(USER, "others", model())
    file = next(file for file in await shelf.files() if "/deals/" in file)
    await shelf.write(file, content)
    with pytest.raises(ScoringModelDamagedError):
        await models.get(USER, "deals", 0)
    with caplog.at_level(logging.ERROR):
        assert [one.name for one in await models.newest(USER)] == ["others"]
    assert "deals" in caplog.text
    await models.delete(USER, "deals")
    assert file not in await shelf.files()


async def test_a_file_that_was_cut_or_changed_by_hand_is_damaged(models: ScoringModels, shelf: Shelf) -> None:
    await models.add(USER, "deals", model(0.25))
    (file,) = await shelf.files()
    content = await shelf.read(file)
    for changed in (content[:-1], content[: len(content) // 2], content.replace(b"0.25", b"0.26")):
        assert changed != content
        await shelf.write(file, changed)
        with pytest.raises(ScoringModelDamagedError):
            await models.get(USER, "deals", 0)
    await shelf.write(file, content)
    assert (await models.get(USER, "deals", 0)).model.version == 1


async def test_one_model_is_not_taken_for_another_whose_name_begins_like_it(models: ScoringModels) -> None:
    await models.add(USER, "deal", model(1))
    await models.add(USER, "deals", model(2))
    await models.delete(USER, "deal")
    assert [one.name for one in await models.newest(USER)] == ["deals"]
    with pytest.raises(ScoringModelNotFoundError):
        await models.get(USER, "deal", 0)


async def test_other_files_in_the_bucket_are_left_alone(bucket: BucketShelf) -> None:
    models = bucket.models()
    await models.add(USER, "deals", model())
    (file,) = await bucket.files()
    note, stray = file.replace("000001.json", "note.txt"), "README.txt"
    await bucket.write(note, b"mine")
    await bucket.write(stray, b"mine")
    assert [one.version for one in await models.newest(USER)] == [1]
    await models.delete(USER, "deals")
    assert await bucket.files() == sorted([note, stray])


@asynccontextmanager
async def relay_that_loses_the_first_answer_to_a_write(url: str) -> AsyncIterator[tuple[str, list[str]]]:
    """Where it listens, and the writes whose answers it lost."""
    lost: list[str] = []
    async with AsyncExitStack() as closing:
        client = await closing.enter_async_context(ClientSession(auto_decompress=False))

        async def relayed(request: web.Request) -> web.Response:
            headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
            async with client.request(
                request.method, url + request.path_qs, headers=headers, data=await request.read()
            ) as answer:
                body = await answer.read()
            if request.method == "PUT" and not lost:
                lost.append(request.path)
                assert request.transport is not None
                request.transport.abort()
            return web.Response(status=answer.status, body=body, content_type=answer.content_type)

        application = web.Application()
        application.router.add_route("*", "/{path:.*}", relayed)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        closing.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", lost


async def test_a_version_that_was_written_though_its_answer_was_lost_is_kept_once(bucket: BucketShelf) -> None:
    async with relay_that_loses_the_first_answer_to_a_write(bucket.url) as (url, lost):
        made = await S3ScoringModels(bucket.open(url)).add(USER, "deals", model())
    assert len(lost) == 1
    assert made.version == 1
    assert len(await bucket.files()) == 1


@pytest.mark.parametrize("how", ["away", "no bucket"])
async def test_a_store_that_does_not_answer_is_told_without_a_secret(
    how: str, object_store: ObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    url = object_store.url if how == "no bucket" else f"http://127.0.0.1:{port}"
    models = BucketShelf(url, "nobody-made-this").models()
    for call in (
        models.add(USER, "deals", model()),
        models.check_room(USER, "deals"),
        models.newest(USER),
        models.get(USER, "deals", 0),
        models.delete(USER, "deals"),
    ):
        with pytest.raises(ScoringStoreUnavailableError) as raised:
            await call
        assert SECRET_ACCESS_KEY not in str(raised.value) + caplog.text
        assert "\n" not in str(raised.value)

"""Where models are kept: versions, users, several processes at once, crashes, and files that are not what was written."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from parley_inference.adapters import folder_scoring_models
from parley_inference.adapters.folder_scoring_models import FolderScoringModels
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
)

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


@pytest.fixture
def models(tmp_path: Path) -> FolderScoringModels:
    return FolderScoringModels(tmp_path / "scoring")


def files(tmp_path: Path) -> list[Path]:
    return sorted(path for path in tmp_path.rglob("*.json"))


async def test_what_is_kept_is_read_back_and_versions_count_from_1(models: FolderScoringModels) -> None:
    first, second = await models.add(USER, "deals", model(1)), await models.add(USER, "deals", model(2))
    assert (first.version, second.version) == (1, 2)
    stored = await models.get(USER, "deals", 1)
    assert (stored.model, stored.lead_model) == (first, model(1).lead_model)
    assert (await models.get(USER, "deals", 0)).model == second
    assert stored.model.card == CARD


async def test_a_user_sees_only_what_is_the_users_own(models: FolderScoringModels) -> None:
    await models.add(USER, "deals", model())
    assert await models.newest(OTHER) == []
    for call in (models.get(OTHER, "deals", 0), models.get(OTHER, "deals", 1), models.delete(OTHER, "deals")):
        with pytest.raises(ScoringModelNotFoundError):
            await call
    assert (await models.get(USER, "deals", 0)).model.version == 1


async def test_the_list_has_the_newest_version_of_each_by_name(models: FolderScoringModels) -> None:
    for name in ("b", "a", "b"):
        await models.add(USER, name, model())
    assert [(one.name, one.version) for one in await models.newest(USER)] == [("a", 1), ("b", 2)]


async def test_a_version_that_is_not_there_is_not_found(models: FolderScoringModels) -> None:
    await models.add(USER, "deals", model())
    with pytest.raises(ScoringModelNotFoundError):
        await models.get(USER, "deals", 2)


async def test_the_newest_ten_versions_are_kept_and_numbers_are_not_used_again(
    models: FolderScoringModels, tmp_path: Path
) -> None:
    for _ in range(13):
        last = await models.add(USER, "deals", model())
    assert last.version == 13
    assert [path.name for path in files(tmp_path)] == [f"{number:06}.json" for number in range(4, 14)]


async def test_a_deleted_model_is_gone_whole_and_begins_anew(models: FolderScoringModels, tmp_path: Path) -> None:
    await models.add(USER, "deals", model())
    await models.add(USER, "deals", model())
    await models.delete(USER, "deals")
    assert files(tmp_path) == []
    assert await models.newest(USER) == []
    assert (await models.add(USER, "deals", model())).version == 1


async def test_a_user_may_have_only_so_many_and_go_on_with_those(
    models: FolderScoringModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_scoring_models, "MODELS_MOST", 2)
    for name in ("a", "b"):
        await models.add(USER, name, model())
    with pytest.raises(ScoringModelLimitError):
        await models.check_room(USER, "c")
    with pytest.raises(ScoringModelLimitError):
        await models.add(USER, "c", model())
    await models.check_room(USER, "a")
    assert (await models.add(USER, "a", model())).version == 2
    await models.add(OTHER, "c", model())


async def test_the_users_id_is_no_part_of_a_path_and_only_the_owner_may_read(
    models: FolderScoringModels, tmp_path: Path
) -> None:
    strange = "../../etc/\0/x" * 3
    await models.add(strange, "deals", model())
    assert (await models.get(strange, "deals", 0)).model.version == 1
    (path,) = files(tmp_path)
    assert path.parent.parent.parent == tmp_path / "scoring"
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


async def test_several_at_once_get_a_version_each(models: FolderScoringModels, tmp_path: Path) -> None:
    others = [FolderScoringModels(tmp_path / "scoring") for _ in range(3)]
    made = await asyncio.gather(*(one.add(USER, "deals", model()) for one in [models, *others] for _ in range(2)))
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


async def test_what_a_crash_left_of_a_write_or_a_delete_is_nothing(models: FolderScoringModels, tmp_path: Path) -> None:
    await models.add(USER, "deals", model())
    place = files(tmp_path)[0].parent
    (place / ".0badc0de.unfinished").write_bytes(b"half")
    (place.parent / "begun").mkdir()
    (place.parent / ".removed-1").mkdir()
    (place.parent / ".removed-1" / "000001.json").write_bytes(b"left")
    assert [one.name for one in await models.newest(USER)] == ["deals"]
    with pytest.raises(ScoringModelNotFoundError):
        await models.get(USER, "begun", 0)
    assert (await models.add(USER, "deals", model())).version == 2
    await models.delete(USER, "deals")
    assert files(tmp_path) == []


async def test_a_version_is_written_whole_or_not_at_all(
    models: FolderScoringModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await models.add(USER, "deals", model())

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            await models.add(USER, "deals", model())
    assert [path.name for path in files(tmp_path)] == ["000001.json"]
    assert [path.name for path in files(tmp_path)[0].parent.iterdir()] == ["000001.json"]
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
    models: FolderScoringModels, tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    await models.add(USER, "deals", model())
    await models.add(USER, "others", model())
    path = next(path for path in files(tmp_path) if path.parent.name == "deals")
    path.write_bytes(content)
    with pytest.raises(ScoringModelDamagedError):
        await models.get(USER, "deals", 0)
    with caplog.at_level(logging.ERROR):
        assert [one.name for one in await models.newest(USER)] == ["others"]
    assert "deals" in caplog.text
    await models.delete(USER, "deals")
    assert path.exists() is False


async def test_a_file_that_was_cut_or_changed_by_hand_is_damaged(models: FolderScoringModels, tmp_path: Path) -> None:
    await models.add(USER, "deals", model(0.25))
    (path,) = files(tmp_path)
    content = path.read_bytes()
    for changed in (content[:-1], content[: len(content) // 2], content.replace(b"0.25", b"0.26")):
        assert changed != content
        path.write_bytes(changed)
        with pytest.raises(ScoringModelDamagedError):
            await models.get(USER, "deals", 0)
    path.write_bytes(content)
    assert (await models.get(USER, "deals", 0)).model.version == 1

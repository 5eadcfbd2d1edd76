"""Who is trained for when: one after the other, a bounded number waiting, and nobody filling the queue alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from parley_inference.adapters.folder_scoring_models import FolderScoringModels
from parley_inference.domain.scoring import (
    LeadScore,
    ModelCard,
    ScoringMethod,
    ScoringQuality,
    TrainedModel,
    Training,
)
from parley_inference.domain.scoring_errors import ScoringQueueFullError
from parley_inference.operations.scoring import TRAININGS_OF_USER, TRAININGS_WAITING, Scoring

CARD = ModelCard("won", "yes", 20, 10, (), ScoringMethod.BASELINE, ScoringQuality(0.5, 0, 0.2, 0.2, (), 5), ())


class SlowTrainer:
    """Trains when it is let."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.running = 0
        self.most_running = 0

    async def train(self, training: Training) -> TrainedModel:
        del training
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self.let.wait()
        finally:
            self.running -= 1
        return TrainedModel(CARD, b"{}")


class NoScorer:
    """Is not asked."""

    async def score(self, lead_model: bytes, leads: object, contribution_limit: int) -> list[LeadScore]:
        raise AssertionError


def begin(scoring: Scoring, user: str) -> asyncio.Task[object]:
    return asyncio.create_task(scoring.train(user, "deals", Training(label_column="won", csv="x")))


async def settled(scoring: Scoring, count: int) -> None:
    while scoring.trainings < count:  # noqa: ASYNC110 - the operation says a number, and has no event
        await asyncio.sleep(0)


async def test_one_runs_at_a_time_and_too_many_are_refused(tmp_path: Path) -> None:
    trainer = SlowTrainer()
    scoring = Scoring(FolderScoringModels(tmp_path), trainer, NoScorer())
    tasks = [begin(scoring, f"usr_{number}") for number in range(1 + TRAININGS_WAITING)]
    await settled(scoring, len(tasks))
    with pytest.raises(ScoringQueueFullError):
        await begin(scoring, "usr_late")
    trainer.let.set()
    await asyncio.gather(*tasks)
    assert trainer.most_running == 1
    await begin(scoring, "usr_late")
    assert scoring.trainings == 0


async def test_one_user_does_not_fill_the_queue(tmp_path: Path) -> None:
    trainer = SlowTrainer()
    scoring = Scoring(FolderScoringModels(tmp_path), trainer, NoScorer())
    tasks = [begin(scoring, "usr_1") for _ in range(TRAININGS_OF_USER)]
    await settled(scoring, len(tasks))
    with pytest.raises(ScoringQueueFullError):
        await begin(scoring, "usr_1")
    other = begin(scoring, "usr_2")
    trainer.let.set()
    await asyncio.gather(*tasks, other)


async def test_who_leaves_the_queue_gives_up_the_place(tmp_path: Path) -> None:
    trainer = SlowTrainer()
    scoring = Scoring(FolderScoringModels(tmp_path), trainer, NoScorer())
    first, second = begin(scoring, "usr_1"), begin(scoring, "usr_1")
    await settled(scoring, 2)
    second.cancel()
    await asyncio.wait([second])
    assert scoring.trainings == 1
    third = begin(scoring, "usr_1")
    await settled(scoring, 2)
    first.cancel()
    await asyncio.wait([first])
    trainer.let.set()
    await third
    assert [one.version for one in await scoring.listed("usr_1")] == [1]

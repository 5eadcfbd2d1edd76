"""Lead scoring: trains, keeps, tells and applies the models of a user. How one is learned and where it is kept are adapters' business."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

from parley_inference.domain.scoring import LeadScore, ScoringModel, Training, Value
from parley_inference.domain.scoring_errors import ScoringModelDamagedError, ScoringQueueFullError
from parley_inference.ports.scoring import LeadScorer, LeadTrainer, ScoringModels

TRAININGS_WAITING = 8
TRAININGS_OF_USER = 2
"""Running and waiting ones of one user, so that nobody fills the queue alone."""


class Scoring:
    """The use cases of lead scoring. One training runs at a time, and a bounded number waits."""

    def __init__(self, models: ScoringModels, trainer: LeadTrainer, scorer: LeadScorer) -> None:
        self._models = models
        self._trainer = trainer
        self._scorer = scorer
        self._turn = asyncio.Lock()
        self._trainings: Counter[str] = Counter()

    @property
    def trainings(self) -> int:
        """How many run and wait."""
        return self._trainings.total()

    async def train(self, user_id: str, name: str, training: Training) -> ScoringModel:
        """Trains the next version of a model and keeps it. Raises ScoringQueueFullError when too many wait."""
        await self._models.check_room(user_id, name)
        if self._trainings[user_id] >= TRAININGS_OF_USER:
            raise ScoringQueueFullError(TRAININGS_OF_USER)
        if self.trainings > TRAININGS_WAITING:
            raise ScoringQueueFullError(TRAININGS_WAITING)
        self._trainings[user_id] += 1
        try:
            async with self._turn:
                trained = await self._trainer.train(training)
        finally:
            self._trainings[user_id] -= 1
            if not self._trainings[user_id]:
                del self._trainings[user_id]
        return await self._models.add(user_id, name, trained)

    async def listed(self, user_id: str) -> list[ScoringModel]:
        """The newest version of each model, by name."""
        return await self._models.newest(user_id)

    async def get(self, user_id: str, name: str, version: int) -> ScoringModel:
        """One version, the newest when 0."""
        return (await self._models.get(user_id, name, version)).model

    async def delete(self, user_id: str, name: str) -> None:
        """Removes all versions."""
        await self._models.delete(user_id, name)

    async def score(
        self, user_id: str, name: str, version: int, leads: Sequence[Mapping[str, Value]], contribution_limit: int
    ) -> tuple[int, list[LeadScore]]:
        """The version that scored, and one score for each lead."""
        stored = await self._models.get(user_id, name, version)
        known = {column.name for column in stored.model.card.columns}
        leads = [{name: value for name, value in lead.items() if name in known} for lead in leads]
        try:
            scores = await self._scorer.score(stored.lead_model, leads, contribution_limit)
        except ValueError as error:
            raise ScoringModelDamagedError(name, stored.model.version, str(error)) from error
        return stored.model.version, scores

"""What lead scoring needs of the world: something that learns, something that scores, and a place for models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from parley_inference.domain.scoring import LeadScore, ScoringModel, StoredModel, TrainedModel, Training, Value


class LeadTrainer(Protocol):
    """Learns models, one at a time. A call that is cancelled ends the work."""

    async def train(self, training: Training) -> TrainedModel:
        """Learns a model. TrainingDataUnusableError, ScoringTooLongError, ScoringTooLargeError, ScoringNotInstalledError."""
        ...


class LeadScorer(Protocol):
    """Scores leads. A call that is cancelled ends the work."""

    async def score(
        self, lead_model: bytes, leads: Sequence[Mapping[str, Value]], contribution_limit: int
    ) -> list[LeadScore]:
        """One score for each lead, in their order. Raises ValueError, with words for the log, when the model cannot be read."""
        ...


class ScoringModels(Protocol):
    """Keeps models by user and name. What is written is never changed; several processes may use it at once."""

    async def add(self, user_id: str, name: str, trained: TrainedModel) -> ScoringModel:
        """Keeps a model as the next version of its name. ScoringModelLimitError when a new name is one too many."""
        ...

    async def check_room(self, user_id: str, name: str) -> None:
        """Raises ScoringModelLimitError when `add` would."""
        ...

    async def newest(self, user_id: str) -> list[ScoringModel]:
        """The newest version of each of the user's models, by name. Damaged ones are left out, and logged."""
        ...

    async def get(self, user_id: str, name: str, version: int) -> StoredModel:
        """One version, the newest when 0. ScoringModelNotFoundError; ScoringModelDamagedError."""
        ...

    async def delete(self, user_id: str, name: str) -> None:
        """Removes all versions, readable or not. ScoringModelNotFoundError."""
        ...

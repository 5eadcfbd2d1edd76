"""Training and scoring in processes of their own: one that learns, which is large, and one that scores, which starts quickly."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from parley_inference.adapters.worker_process import WorkerEndedError, WorkerProcess
from parley_inference.domain.model_card_json import read_card
from parley_inference.domain.scoring import Contribution, LeadScore, TrainedModel, Training, Value
from parley_inference.domain.scoring_errors import (
    ScoringFailedError,
    ScoringNotInstalledError,
    ScoringTooLargeError,
    ScoringTooLongError,
    TrainingDataUnusableError,
)

MODULE = "parley_inference.adapters.scoring_worker"
IDLE_SECONDS = 60.0
"""How long a process is kept for the next request."""
SCORING_SECONDS = 60.0
_ROWS_IN_FRAME = 500
_TRAINING_NICENESS = 10
_SCORING_NICENESS = 2


class ProcessLeadTrainer:
    """Trains in a process with bounded memory and time."""

    def __init__(self, *, seconds: float, megabytes: int, idle_seconds: float = IDLE_SECONDS) -> None:
        self._seconds = seconds
        self._megabytes = megabytes
        self.process = WorkerProcess(MODULE, str(megabytes), str(_TRAINING_NICENESS), idle_seconds=idle_seconds)

    async def train(self, training: Training) -> TrainedModel:
        """Learns a model."""
        request = {
            "job": "train",
            "label_column": training.label_column,
            "positive_label": training.positive_label,
            "csv": training.csv,
            "names": training.names,
            "column_kinds": dict(training.column_kinds),
        }
        reply = (await _replies(self.process, [request, *_cut(training.rows)], self._seconds, self._megabytes))[-1]
        return TrainedModel(read_card(reply["card"]), reply["lead_model"].encode())

    async def close(self) -> None:
        """Ends the process."""
        await self.process.close()


class ProcessLeadScorer:
    """Scores in a process with bounded memory and time."""

    def __init__(self, *, megabytes: int, idle_seconds: float = IDLE_SECONDS) -> None:
        self._megabytes = megabytes
        self.process = WorkerProcess(MODULE, str(megabytes), str(_SCORING_NICENESS), idle_seconds=idle_seconds)

    async def score(
        self, lead_model: bytes, leads: Sequence[Mapping[str, Value]], contribution_limit: int
    ) -> list[LeadScore]:
        """One score for each lead."""
        request = {"job": "score", "lead_model": lead_model.decode(), "contribution_limit": contribution_limit}
        replies = await _replies(self.process, [request, *_cut(leads)], SCORING_SECONDS, self._megabytes)
        return [_lead_score(one) for reply in replies for one in reply["scores"]]

    async def close(self) -> None:
        """Ends the process."""
        await self.process.close()


async def _replies(process: WorkerProcess, frames: Sequence[Any], seconds: float, megabytes: int) -> list[Any]:
    try:
        async with asyncio.timeout(seconds) as limit:
            replies = await process.request(frames)
    except TimeoutError as error:
        if limit.expired():
            raise ScoringTooLongError(seconds) from error
        raise
    except WorkerEndedError as error:
        raise ScoringFailedError(str(error)) from error
    last = replies[-1] if replies else {"error": "failed", "detail": "no reply"}
    match last.get("error"):
        case None:
            return replies
        case "unusable":
            raise TrainingDataUnusableError(last["field"], last["words"])
        case "memory":
            await process.close()
            raise ScoringTooLargeError(megabytes)
        case "not_installed":
            raise ScoringNotInstalledError(last["detail"])
        case "damaged":
            raise ValueError(last["detail"])
        case _:
            raise ScoringFailedError(last["detail"])


def _cut(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Lists of so few rows that writing one does not hold up the loop."""
    for begin in range(0, len(rows), _ROWS_IN_FRAME):
        yield rows[begin : begin + _ROWS_IN_FRAME]


def _lead_score(given: Any) -> LeadScore:
    contributions = tuple(Contribution(**one) for one in given["contributions"])
    return LeadScore(given["score"], given["log_odds"], contributions)

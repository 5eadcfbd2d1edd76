"""What is measured for the operator."""

from __future__ import annotations

from typing import Protocol

from parley_retrieval.domain.jobs import JobStage, JobState


class Metrics(Protocol):
    """Measures. Never called once per chunk."""

    def searched(self, mode: str, passages: int, seconds: float) -> None:
        """Measures a search that found so many passages, by how was searched in the end: `hybrid`, `keyword` or `semantic`."""
        ...

    def stage_ended(self, stage: JobStage, seconds: float, made: int) -> None:
        """Measures a stage of a job; `made` are the pages or characters that were read, or the chunks."""
        ...

    def job_ended(self, state: JobState) -> None:
        """Counts a job that nothing happens to any more, or that waits for its next attempt."""
        ...


class NoMetrics:
    """Measures nothing."""

    def searched(self, mode: str, passages: int, seconds: float) -> None:
        """See `Metrics`."""

    def stage_ended(self, stage: JobStage, seconds: float, made: int) -> None:
        """See `Metrics`."""

    def job_ended(self, state: JobState) -> None:
        """See `Metrics`."""

"""The metrics of retrieval, in OpenTelemetry's words: `parley_shared.metering` keeps them and sends them where the settings say."""

from __future__ import annotations

from parley_shared.metering import Counter, Histogram

from parley_retrieval.domain.jobs import JobStage, JobState

SEARCHES = Counter(
    "parley.retrieval.searches", "{search}", "Searches, by how was searched and by whether anything was found."
)
SEARCH_DURATION = Histogram(
    "parley.retrieval.search.duration",
    "s",
    "How long a search took, the embedding of its question included.",
    (0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0, 8.0),
)
JOBS = Counter("parley.retrieval.jobs", "{job}", "Jobs of ingestion, by the state that they came to.")
JOB_STAGE_DURATION = Histogram(
    "parley.retrieval.job.stage.duration",
    "s",
    "How long a stage of a job of ingestion took.",
    (0.05, 0.25, 1.0, 4.0, 16.0, 64.0, 256.0),
)
CHUNKS = Counter("parley.retrieval.chunks", "{chunk}", "Chunks that jobs of ingestion wrote into the index.")


class OtelMetrics:
    """The port `Metrics`."""

    def searched(self, mode: str, passages: int, seconds: float) -> None:
        """Adds a search."""
        SEARCHES.add(1, {"parley.search.mode": mode, "parley.search.outcome": "found" if passages else "empty"})
        SEARCH_DURATION.record(seconds, {"parley.search.mode": mode})

    def stage_ended(self, stage: JobStage, seconds: float, made: int) -> None:
        """Adds a stage, and its chunks when it is the one that writes them."""
        JOB_STAGE_DURATION.record(seconds, {"parley.job.stage": stage.value})
        if stage is JobStage.INDEXED:
            CHUNKS.add(made, {})

    def job_ended(self, state: JobState) -> None:
        """Adds a job."""
        JOBS.add(1, {"parley.job.state": state.value})

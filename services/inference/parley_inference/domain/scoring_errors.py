"""What can go wrong with lead scoring. The words for people are in servicers/scoring_status.py.

InferenceError
  ├ TrainingDataUnusableError       the rows cannot train a model
  ├ ScoringModelNotFoundError       the user has no such model, or not this version
  ├ ScoringModelDamagedError        what is kept of a model cannot be read
  ├ ScoringModelLimitError          the user has as many models as may be
  ├ ScoringStoreUnavailableError    what keeps models does not answer, or refuses
  ├ ScoringQueueFullError           as many trainings wait as may
  ├ ScoringTooLongError             the work took longer than it may
  ├ ScoringTooLargeError            the work needed more memory than it may
  ├ ScoringNotInstalledError        the package that trains is missing
  └ ScoringFailedError              the process that works broke off
"""

from __future__ import annotations

from parley_inference.domain.errors import InferenceError


class TrainingDataUnusableError(InferenceError):
    """The rows cannot train a model. The words say what is missing, complete as a sentence for people."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(f"{field}: {words}")
        self.field = field
        """`csv`, `rows`, `label_column`, `positive_label` or `column_kinds`."""
        self.words = words


class ScoringModelNotFoundError(InferenceError):
    """The user has no such model, or not this version of it."""

    def __init__(self, name: str, version: int) -> None:
        super().__init__(f"scoring model {name!r} version {version} not found")


class ScoringModelDamagedError(InferenceError):
    """What is kept of a model is not what was written. `detail` is for the log."""

    def __init__(self, name: str, version: int, detail: str) -> None:
        super().__init__(f"scoring model {name!r} version {version}: {detail}")
        self.name = name
        self.version = version
        self.detail = detail


class ScoringModelLimitError(InferenceError):
    """The user has as many models as may be."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} models")
        self.limit = limit


class ScoringStoreUnavailableError(InferenceError):
    """What keeps models does not answer, or refuses what is asked. The words are for the log."""


class ScoringQueueFullError(InferenceError):
    """As many trainings wait as may."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} trainings wait")
        self.limit = limit


class ScoringTooLongError(InferenceError):
    """The work took longer than it may."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"longer than {seconds:g} s")
        self.seconds = seconds


class ScoringTooLargeError(InferenceError):
    """The work needed more memory than it may."""

    def __init__(self, megabytes: int) -> None:
        super().__init__(f"more than {megabytes} MB")
        self.megabytes = megabytes


class ScoringNotInstalledError(InferenceError):
    """The package that trains is not installed."""


class ScoringFailedError(InferenceError):
    """The process that works broke off. The message is for the log."""

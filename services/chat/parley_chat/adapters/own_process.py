"""What this process of chat tells of itself: what it serves, and what it keeps data in."""

from __future__ import annotations

from parley_shared.process_figures import PROCESS_ID, Figures, served, transactions, window_seconds
from parley_shared.sql import Database

from parley_chat.domain.traffic import ProcessReport, StoreReport, Traffic

_OTHERS = ("parley.inference.v1.", "parley.retrieval.v1.", "parley.system.v1.")
"""What is not chat's, in a process that serves more than chat, and what only asks how all of it is."""


class OwnProcess:
    """The port `ProcessReports`, for this process."""

    def __init__(self, database: Database, *, turns_in_redis: bool) -> None:
        self._database = database
        self._turns = "redis" if turns_in_redis else "folder"

    def latest(self) -> ProcessReport:
        """The figures now."""
        return ProcessReport(
            PROCESS_ID,
            {service: _traffic(figures) for service, figures in served(_is_work).items()},
            (
                StoreReport("database", self._database.dialect, _traffic(transactions(self._database.traffic))),
                StoreReport("turns", self._turns),
            ),
        )


def _is_work(method: str) -> bool:
    return method.startswith("parley.") and not method.startswith(_OTHERS)


def _traffic(figures: Figures) -> Traffic:
    return Traffic(window_seconds(), figures.calls, figures.errors, figures.running)

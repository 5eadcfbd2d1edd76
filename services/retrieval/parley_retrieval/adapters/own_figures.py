"""What this process tells of itself for the map of the system: what it serves, and what it keeps data in."""

from __future__ import annotations

from parley.system.v1.traffic_pb2 import ProcessFigures, StoreFigures
from parley_shared.process_figures import pack_figures, pack_process, transactions
from parley_shared.sql import Database

_OWN = "parley.retrieval.v1."
_ASKED_BY_STATUS = f"{_OWN}IngestService/GetIngestionQueue"


class OwnFigures:
    """Figures of this process. Read at once: nothing is asked for them."""

    def __init__(self, database: Database, *, has_qdrant: bool) -> None:
        self._database = database
        self._index = "qdrant" if has_qdrant else "folder"

    def told(self) -> ProcessFigures:
        """The figures now."""
        database = pack_figures(transactions(self._database.traffic))
        stores = [
            StoreFigures(name="database", kind=self._database.dialect, traffic=database),
            StoreFigures(name="index", kind=self._index),
            StoreFigures(name="files", kind="folder"),
        ]
        return pack_process(_is_work, stores)


def _is_work(method: str) -> bool:
    # Chat asks for the queue every two seconds while somebody looks at the system.
    return method.startswith(_OWN) and method != _ASKED_BY_STATUS

"""What retrieval tells of itself with its queue: who called, and what it keeps data in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from parley.retrieval.v1 import ingest_service_pb2, ingest_service_pb2_grpc
from parley_shared import rpc_traffic


@pytest.fixture(autouse=True)
def _nothing_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was counted before the test, and what it counts stays for an hour, however slow the machine."""
    monkeypatch.setattr(rpc_traffic, "_methods", {})
    monkeypatch.setattr(rpc_traffic, "RECENT_SECONDS", 3_600)


async def test_what_is_served_is_told_by_caller_and_what_is_kept_by_what_it_is(serve: Any, tmp_path: Path) -> None:
    async with serve(tmp_path) as retrieval:
        user = retrieval.caller()
        jobs = ingest_service_pb2_grpc.IngestServiceStub(retrieval.channel)
        service = retrieval.caller(scopes=("index:read",))
        for _ in range(4):
            await user.search("quokkas")
        async with asyncio.timeout(60):
            # A caller may have its answer a moment before the call is counted.
            while True:
                queue = await jobs.GetIngestionQueue(
                    ingest_service_pb2.GetIngestionQueueRequest(), metadata=service.metadata
                )
                counted = {caller.service: caller.traffic.call_count for caller in queue.figures.callers}
                if counted.get("", 0) >= 4:
                    break
                await asyncio.sleep(0.01)
    # Who asks for the queue is not counted: chat does it all the time.
    assert counted == {"": 4}
    stores = {store.name: store for store in queue.figures.stores}
    assert list(stores) == ["database", "index", "files"]
    assert stores["database"].kind in {"sqlite", "postgresql"}
    assert stores["database"].traffic.call_count > 0
    assert stores["database"].traffic.error_count == 0
    assert (stores["index"].kind, stores["files"].kind) == ("folder", "folder")
    assert not stores["index"].HasField("traffic")

"""The traffic that inference tells with its providers: the calls of each, and who called this process."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from parley.inference.v1 import embedding_service_pb2, model_service_pb2
from parley_inference.domain import provider_traffic
from parley_shared import rpc_traffic
from parley_shared.channels import bearer
from parley_testing.fake_openai import FakeOpenAI, Reply

USER = f"usr_{'2' * 32}"


@pytest.fixture(autouse=True)
def _nothing_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was counted before the test, and what it counts stays for an hour, however slow the machine."""
    monkeypatch.setattr(rpc_traffic, "_methods", {})
    monkeypatch.setattr(rpc_traffic, "RECENT_SECONDS", 3_600)
    monkeypatch.setattr(provider_traffic, "RECENT_SECONDS", 3_600)


async def told(service: Any) -> model_service_pb2.ListProvidersResponse:
    request = model_service_pb2.ListProvidersRequest()
    response: model_service_pb2.ListProvidersResponse = await service.models.ListProviders(
        request, metadata=service.metadata()
    )
    return response


async def test_calls_of_a_provider_are_counted_with_failures_and_the_time_to_the_first_text(
    online: Any, upstream: FakeOpenAI, ask: Any
) -> None:
    assert (await told(online)).providers[0].traffic.call_count == 0
    for _ in range(3):
        assert (await online.stream(ask()))[1] is None
    await online.embeddings.Embed(embedding_service_pb2.EmbedRequest(texts=["a"]), metadata=online.metadata())
    traffic = (await told(online)).providers[0].traffic
    assert (traffic.call_count, traffic.error_count, traffic.running_count) == (4, 0, 0)
    # Of a fake on the same machine it may be less than half a millisecond.
    assert traffic.time_to_first_token_ms >= 0
    upstream.reply = Reply(status=401, error={"message": "Incorrect API key provided."})
    assert (await online.stream(ask()))[1] is not None
    traffic = (await told(online)).providers[0].traffic
    assert (traffic.call_count, traffic.error_count) == (5, 1)


async def test_who_calls_this_process_is_told_and_who_only_asks_is_not_counted(offline: Any, ask: Any) -> None:
    for service, calls in (("chat", 3), ("retrieval", 2)):
        metadata = bearer(offline.keys.mint(USER, ("inference:invoke",), act={"sub": service}))
        for _ in range(calls):
            async for _event in offline.generations.StreamGenerate(ask(), metadata=metadata):
                pass
        await offline.models.ListModels(model_service_pb2.ListModelsRequest(), metadata=metadata)
    async with asyncio.timeout(30):
        # A caller may have its answer a moment before the call is counted.
        while True:
            figures = (await told(offline)).figures
            counted = {caller.service: caller.traffic.call_count for caller in figures.callers}
            if sum(counted.values()) >= 5:
                break
            await asyncio.sleep(0.01)
    assert counted == {"chat": 3, "retrieval": 2}
    assert len(figures.process_id) == 8

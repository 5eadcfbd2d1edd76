"""Texts, agents and content through the one port, as those have them who configured nothing: the built-in model answers."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import Any

import pytest
from parley.ai.v1 import content_service_pb2
from parley_testing import grpc_web
from parley_testing.fake_openai import FakeOpenAI, Reply
from parley_testing.mesh import Mesh, SignedUp

GENERATE = ("/api/v2/ai/generate", {"prompt": "Hello"})
AGENT = ("/api/v2/ai/agents/summarizer/process", {"input": "Parley is a backend for chat. It has three services."})
CONTENT = ("/api/v2/ai/content", {"template_id": "blog_post", "fields": {"topic": "Green tea"}})


@pytest.fixture(scope="module")
def user(mesh: Mesh) -> SignedUp:
    return mesh.sign_up()


def post(mesh: Mesh, user: SignedUp, path: str, body: dict[str, Any]) -> tuple[int, str, str]:
    """The status, the content type and the body of the answer."""
    headers = {"authorization": user.authorization}
    status, received, answer = mesh.exchange("POST", path, body, headers=headers)
    return status, received["content-type"], answer.decode()


def events_of(body: str) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in body.splitlines() if line]


@pytest.mark.parametrize(("path", "body"), [GENERATE, AGENT, CONTENT])
def test_a_text_comes_whole_or_as_events_from_one_address(
    mesh: Mesh, user: SignedUp, path: str, body: dict[str, Any]
) -> None:
    status, content_type, answer = post(mesh, user, path, body)
    assert (status, content_type) == (200, "application/json")
    whole = json.loads(answer)
    text = whole["variants"][0]["text"] if "variants" in whole else whole["text"]
    assert whole["usage"]["output_tokens"] > 0
    assert len(whole["trace_id"]) == 32

    status, content_type, answer = post(mesh, user, path, {**body, "stream": True})
    assert (status, content_type) == (200, "text/event-stream")
    events = events_of(answer)
    assert "started" in events[0]
    assert "finished" in events[-1]
    assert "".join(event.get("text_delta", "") for event in events) == text, "the built-in model always says the same"
    # The twin's own address does the same.
    assert "finished" in events_of(post(mesh, user, f"{path}:stream", body)[2])[-1]


def test_what_a_stream_fails_for_is_its_last_event_and_otherwise_the_status(mesh: Mesh, user: SignedUp) -> None:
    body = {"prompt": "Hello", "model": "gpt-9"}
    status, content_type, answer = post(mesh, user, "/api/v2/ai/generate", {**body, "stream": True})
    assert (status, content_type) == (200, "text/event-stream")
    assert events_of(answer)[-1]["failed"]["reason"] == "ERROR_REASON_MODEL_NOT_FOUND"
    status, _, answer = post(mesh, user, "/api/v2/ai/generate", body)
    assert status == 404
    assert json.loads(answer)["details"][0]["reason"] == "ERROR_REASON_MODEL_NOT_FOUND"
    # What is refused at the door never becomes a stream.
    status, content_type, answer = post(mesh, user, "/api/v2/ai/generate", {"prompt": " ", "stream": True})
    assert (status, content_type) == (400, "application/json")
    assert "prompt" in json.loads(answer)["message"]


def test_a_researcher_reads_documents_and_names_them(mesh: Mesh, user: SignedUp) -> None:
    path = "/api/v2/ai/agents/researcher/process"
    _, _, answer = post(mesh, user, path, {"input": "How do I add a provider?", "stream": True})
    events = events_of(answer)
    sources = events[0]["sources"]["sources"]
    assert [source["number"] for source in sources] == list(range(1, len(sources) + 1))
    assert any(source["document_title"] == "Add a provider" for source in sources)
    assert "[1]" in "".join(event.get("text_delta", "") for event in events)


def test_content_streams_over_grpc_web_with_all_its_variants(mesh: Mesh, user: SignedUp) -> None:
    answer = grpc_web.call(
        mesh.grpc_address,
        "/parley.ai.v1.ContentService/StreamContent",
        content_service_pb2.StreamContentRequest(
            template_id="blog_post", fields={"topic": "Green tea"}, variant_count=3
        ),
        headers={"authorization": user.authorization},
    )
    assert (answer.http_status, answer.status) == (200, 0)
    events = [content_service_pb2.StreamContentResponse.FromString(message) for message in answer.messages]
    assert {event.variant for event in events if event.HasField("finished")} == {0, 1, 2}


def test_what_can_be_named_is_listed(mesh: Mesh, user: SignedUp) -> None:
    def get(path: str) -> dict[str, Any]:
        status, answer = mesh.request("GET", path, headers={"authorization": user.authorization})
        assert status == 200
        told: dict[str, Any] = json.loads(answer)
        return told

    (model,) = get("/api/v2/ai/models")["models"]
    assert (model["model"], model["offline"], model["available"]) == ("offline", True, True)
    health = get("/api/v2/ai/health")
    assert (health["state"], health["default_model"], health["offline"]) == ("AI_STATE_HEALTHY", "offline", True)
    agents = [agent["agent_id"] for agent in get("/api/v2/ai/agents")["agents"]]
    assert {"researcher", "summarizer", "task_planner", "data_analyst"} <= set(agents)
    assert agents == sorted(agents)
    templates = {template["template_id"] for template in get("/api/v2/ai/content/templates")["templates"]}
    assert {"email", "blog_post"} <= templates


@pytest.mark.parametrize("streamed", [True, False])
async def test_who_hangs_up_ends_the_generation_at_the_provider(
    replicated: Mesh, counted: FakeOpenAI, streamed: bool
) -> None:
    user = await asyncio.to_thread(replicated.sign_up)
    cut, open_before = counted.streams_cut, counted.streams_open
    # It says three words, and nothing more for as long as anybody waits.
    counted.enqueue(Reply(stall_after=3))
    connection = http.client.HTTPConnection(replicated.grpc_address, timeout=60)
    try:
        body = json.dumps({"prompt": "Count.", "stream": streamed})
        headers = {"authorization": user.authorization, "content-type": "application/json"}
        await asyncio.to_thread(connection.request, "POST", "/api/v2/ai/generate", body, headers)
        await counted.wait_for(lambda: counted.streams_open > open_before, "the provider to be asked")
        if streamed:
            response = await asyncio.to_thread(connection.getresponse)
            assert b"started" in await asyncio.to_thread(response.readline)
    finally:
        connection.close()
    await counted.wait_for(lambda: counted.streams_cut > cut, "the provider's connection to be closed")


async def test_a_text_of_a_provider_is_measured(replicated: Mesh, counted: FakeOpenAI) -> None:
    user = await asyncio.to_thread(replicated.sign_up)
    counted.enqueue(Reply(input_tokens=70, tokens_per_second=100))
    headers = {"authorization": user.authorization}
    status, answer = await asyncio.to_thread(
        replicated.request, "POST", "/api/v2/ai/generate", {"prompt": "Count."}, headers=headers
    )
    assert status == 200
    whole = json.loads(answer)
    assert "word200" in whole["text"]
    usage = whole["usage"]
    assert (usage["input_tokens"], usage["estimated"]) == (70, False)
    assert 0 < usage["time_to_first_token_ms"] <= usage["duration_ms"]
    assert usage["output_tokens_per_second"] > 0
    assert "cost_usd_micros" not in usage, "nobody set a price"

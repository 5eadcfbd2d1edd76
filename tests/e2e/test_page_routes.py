"""The page tells which way an answer took and why, and suggests what to say next."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from parley.chat.v1 import chat_service_pb2 as pb
from parley.chat.v1 import chat_service_pb2_grpc, message_pb2
from parley_testing.mesh import Mesh
from parley_testing.page import Reader, open_browser
from playwright.async_api import Browser, Locator, expect


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as opened:
        yield opened


@pytest.fixture
async def reader(browser: Browser, mesh: Mesh) -> AsyncIterator[Reader]:
    async with Reader.arrive(browser, mesh.base_url) as arrived:
        await arrived.sign_up()
        yield arrived


async def figures(reader: Reader) -> Locator:
    """Opens the card of the newest answer."""
    await reader.answer.get_by_role("button", name="About this answer").click()
    return reader.page.get_by_role("dialog", name="About this answer")


async def test_an_answer_tells_its_route_and_why_also_after_a_reload(reader: Reader) -> None:
    await reader.ask("Thanks!")
    await reader.wait_for_the_end()
    await expect(await figures(reader)).to_contain_text("is small talk: “thanks”")
    await reader.page.keyboard.press("Escape")
    await reader.ask("Compare the two routes of Parley")
    await reader.wait_for_the_end()
    await expect(await figures(reader)).to_contain_text("asks for analysis: “compare”")
    await reader.reload()
    await expect(reader.answer).to_be_visible()
    card = await figures(reader)
    await expect(card).to_contain_text("Enhanced")
    await expect(card).to_contain_text("asks for analysis: “compare”")


async def test_a_suggestion_after_an_answer_is_sent_with_the_keyboard(reader: Reader) -> None:
    await reader.ask("How do I add a provider?")
    await reader.wait_for_the_end()
    chip = reader.page.get_by_role("list", name="Suggestions").get_by_role("button").first
    prompt = await chip.inner_text()
    await chip.focus()
    await chip.press("Enter")
    await expect(reader.page.get_by_role("log").get_by_text(prompt, exact=True).first).to_be_visible()
    await expect(reader.page.get_by_role("article", name="Answer")).to_have_count(2)
    await reader.wait_for_the_end()
    # What was said is not suggested again.
    after = reader.page.get_by_role("list", name="Suggestions").get_by_role("button")
    await expect(after).not_to_have_count(0)
    assert prompt not in await after.all_inner_texts()


async def test_the_suggestions_over_rest_and_grpc_are_the_same_and_follow_the_users_documents(mesh: Mesh) -> None:
    user = mesh.sign_up()
    text = "# Lease of the flat\n\n## Notice\n\nThe notice period is three months.\n\n## Pets\n\nCats are allowed."
    body = json.dumps({"title": "Lease of the flat", "text": text}).encode()
    rest(mesh, "/api/v1/documents", user.authorization, body)
    found = rest(mesh, "/api/v2/chat/suggestions?limit=3", user.authorization)["suggestions"]
    assert len(found) == 3
    assert "Lease of the flat" in found[0]["prompt"]
    assert found[0]["route"] == "ROUTE_ENHANCED"
    assert "Lease of the flat" in found[0]["reason"]
    async with grpc.aio.insecure_channel(mesh.grpc_address) as channel:
        response = await chat_service_pb2_grpc.ChatServiceStub(channel).SuggestPrompts(
            pb.SuggestPromptsRequest(limit=3), metadata=user.metadata
        )
    assert [each.prompt for each in response.suggestions] == [each["prompt"] for each in found]
    assert {each.route for each in response.suggestions} <= {message_pb2.ROUTE_STANDARD, message_pb2.ROUTE_ENHANCED}


def rest(mesh: Mesh, path: str, authorization: str, body: bytes | None = None) -> dict[str, Any]:
    headers = {"authorization": authorization, "content-type": "application/json"}
    request = urllib.request.Request(f"{mesh.base_url}{path}", data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        answer: dict[str, Any] = json.load(response)
    return answer

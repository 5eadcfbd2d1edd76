"""How Parley is, in the page: the badge, the view of the whole system, its self-test, and the trace of an answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from parley_testing.mesh import Mesh
from parley_testing.page import Reader, open_browser
from playwright.async_api import Browser, expect


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as opened:
        yield opened


async def test_the_badge_leads_to_every_part_of_the_system_and_to_a_self_test_that_passes(
    browser: Browser, mesh: Mesh
) -> None:
    async with Reader.arrive(browser, mesh.base_url) as reader:
        page = reader.page
        await reader.sign_up()
        # It is there with the sidebar and without.
        await page.get_by_role("button", name="Hide conversations").click()
        await page.get_by_role("button", name="Status: Everything works").click()
        await page.get_by_role("link", name="All about the system").click()
        await expect(page.get_by_role("heading", name="System")).to_be_visible()
        services = page.get_by_role("region", name="Services").get_by_role("listitem")
        await expect(services).to_have_count(3)
        for place, name in enumerate(("Conversations", "Models", "Knowledge base")):
            await expect(services.nth(place)).to_contain_text(name)
            await expect(services.nth(place)).to_contain_text("answers")
            await expect(services.nth(place)).to_contain_text("release")
        await expect(page.get_by_role("region", name="Feature flags")).to_be_visible()
        # The map says the same as its table, and what this reader did is in it.
        table = page.get_by_role("region", name="Figures of the map")
        await page.get_by_text("The figures as a table").click()
        row = table.get_by_role("row", name=re.compile("^Edge Conversations "))
        await expect(row).to_contain_text(re.compile(r"\d/(s|min)"))
        await expect(table.get_by_role("row").filter(has_text="offline")).to_have_count(1)
        await page.get_by_role("button", name="Run the self-test").click()
        checks = page.get_by_role("list", name="Checks").get_by_role("listitem")
        await expect(checks).to_have_count(4)
        await expect(page.get_by_role("region", name="Self-test")).to_contain_text("Everything passed")


async def test_an_answer_opens_its_trace_from_the_edge_to_the_provider(browser: Browser, mesh: Mesh) -> None:
    async with Reader.arrive(browser, mesh.base_url) as reader:
        page = reader.page
        # A trace that is asked for before any of it is kept is answered with a 404, which the browser logs.
        reader.forgive("status of 404")
        await reader.sign_up()
        await reader.ask("How do I add a provider?")
        await reader.wait_for_the_end()
        spans = page.get_by_role("dialog", name="Trace of this answer").get_by_role("list", name="Spans")
        services = ("Edge", "Chat", "Retrieval", "Inference")

        async def whole() -> bool:
            """Opens it, and tells whether everybody's part is there; the page asks for more for a while."""
            await reader.answer.get_by_role("button", name="About this answer").click()
            await page.get_by_role("button", name="What happened inside").click()
            try:
                for service in services:
                    await expect(spans.get_by_role("button", name=f"{service}: ").first).to_be_visible(timeout=30_000)
            except AssertionError:
                return False
            return True

        async with asyncio.timeout(150):
            while not await whole():
                await page.get_by_role("button", name="Close").click()
        await expect(page.get_by_role("dialog", name="Trace of this answer")).to_contain_text("first token after")
        await spans.get_by_role("button", name="Inference: chat offline").click()
        await expect(spans).to_contain_text("gen_ai.response.time_to_first_chunk")


async def test_a_token_is_made_in_the_page_shown_once_and_revoked(browser: Browser, mesh: Mesh) -> None:
    async with Reader.arrive(browser, mesh.base_url) as reader:
        page = reader.page
        await reader.sign_up()
        await page.get_by_role("button", name="Account of").click()
        await page.get_by_role("menuitem", name="Account").click()
        await expect(page.get_by_role("list", name="Recent activity")).to_contain_text("The account was made")
        await page.get_by_role("button", name="Make a token").click()
        await page.get_by_label("What it is for").fill("a script")
        await page.get_by_role("button", name="Only read").click()
        await page.get_by_role("button", name="Make the token").click()
        token = (await page.get_by_test_id("token").inner_text()).strip()
        headers = {"authorization": f"Bearer {token}"}
        listed = await page.request.get(f"{mesh.base_url}/api/v2/chat/sessions", headers=headers)
        assert listed.ok
        await page.get_by_role("button", name="Done").click()
        await expect(page.get_by_text(token)).to_have_count(0)
        tokens = page.get_by_role("list", name="Your access tokens")
        await expect(tokens).to_contain_text("a script")
        await page.get_by_role("button", name="Revoke a script").click()
        await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        await expect(tokens).to_have_count(0)
        await expect(page.get_by_role("list", name="Recent activity")).to_contain_text(
            "An access token was revoked: “a script”"
        )
        refused = await page.request.get(f"{mesh.base_url}/api/v2/chat/sessions", headers=headers)
        assert refused.status == 401

"""How Parley is, in the page: the badge, the view of the whole system, its self-test, and the trace of an answer."""

from __future__ import annotations

import asyncio
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

"""How Parley is, in the page: the badge, the view of the whole system, and its self-test."""

from __future__ import annotations

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

"""The page follows what happens: what is done on one device shows on another, without anybody touching it."""

from __future__ import annotations

import re

from parley_testing.mesh import Mesh
from parley_testing.page import Reader, open_browser
from playwright.async_api import Locator, expect


def sidebar(reader: Reader) -> Locator:
    return reader.page.get_by_role("navigation", name="Conversations")


async def test_what_happens_on_one_device_shows_on_the_other(mesh: Mesh) -> None:
    async with (
        open_browser() as browser,
        Reader.arrive(browser, mesh.base_url) as here,
        Reader.arrive(browser, mesh.base_url) as there,
    ):
        email = await here.sign_up()
        await there.sign_in(email)
        await expect(there.composer).to_be_visible()

        await here.ask("How do I add a provider?")
        await here.wait_for_the_end()
        link = sidebar(there).get_by_role("link", name="How do I add a provider?")
        await expect(link).to_be_visible()
        await link.click()
        await expect(there.answer_text).to_contain_text("provider")

        # A question there is an answer that grows here, and the other way round.
        await there.ask("And how do I remove one?")
        await expect(here.page.get_by_role("log")).to_contain_text("And how do I remove one?")
        await expect(here.page.get_by_role("article", name="Answer")).to_have_count(2)
        await here.wait_for_the_end()
        await there.wait_for_the_end()
        assert await here.answer_text.inner_text() == await there.answer_text.inner_text()

        await sidebar(here).get_by_role("link", name="How do I add a provider?").dblclick()
        field = here.page.get_by_role("textbox", name="Title of the conversation")
        await field.fill("Providers")
        await field.press("Enter")
        await expect(sidebar(there).get_by_role("link", name="Providers")).to_be_visible()

        await sidebar(here).get_by_role("link", name="Providers").hover()
        await sidebar(here).get_by_role("button", name="More for Providers").click()
        await here.page.get_by_role("menuitem", name="Delete").click()
        await here.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(sidebar(there).get_by_role("link", name="Providers")).to_have_count(0)
        await expect(there.page).to_have_url(f"{mesh.base_url}/")
        await expect(there.page.get_by_role("alert")).to_have_text(re.compile("deleted on another device"))

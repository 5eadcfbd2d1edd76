"""Conversations of many messages: all of their text can be read and found, and the reader's place in them is kept."""

from __future__ import annotations

import pytest
from parley_shared.sql import Database
from parley_testing.long_sessions import QUESTION, seed
from parley_testing.mesh import Mesh
from parley_testing.page import Reader, open_browser
from playwright.async_api import expect

MESSAGES = 230
"""More than two pages."""
ANSWER = "They eat **small fish**.\n\n" + "And what they find at the edges of the ice, mostly in the morning. " * 12
PUT = """async (index) => {
    const scroller = document.querySelector("[role=log]").parentElement
    const message = () => document.querySelectorAll("[data-message]")[index]
    const offset = () => message().getBoundingClientRect().top - scroller.getBoundingClientRect().top
    for (let frame = 0; frame < 600; frame += 1) {
        // As a reader would: what comes into sight takes its real room, and the page below is where it was only then.
        if (Math.abs(offset() - 20) < 2) break
        scroller.scrollTop += offset() - 20
        await new Promise(requestAnimationFrame)
    }
    return message().dataset.message
}"""


@pytest.mark.timeout(300)
async def test_a_long_conversation_is_whole_and_keeps_the_readers_place(mesh: Mesh) -> None:
    async with open_browser() as browser, Reader.arrive(browser, mesh.base_url) as reader:
        page = reader.page
        await reader.sign_up()
        user = await page.evaluate("JSON.parse(localStorage.getItem('parley.sign-in')).user.userId")
        database = Database.open(f"sqlite:///{mesh.home / 'chat' / 'chat.db'}")
        try:
            await seed(database, user, MESSAGES, title="Herons", answer=ANSWER)
        finally:
            await database.close()
        await reader.reload()
        sidebar = page.get_by_role("navigation", name="Conversations")
        await sidebar.get_by_role("link", name="Herons").click()
        await expect(reader.answer.get_by_role("button", name="Copy answer")).to_be_in_viewport()
        messages = page.locator("[data-message]")
        await expect(messages).to_have_count(100)
        # What is far away is there as text, and not drawn.
        await expect(messages.first).to_contain_text("herons" if await is_question(reader, 0) else "small fish")
        drawn = page.get_by_role("button", name="Copy answer", include_hidden=True)
        assert await drawn.count() < 40

        # Whoever searches with the browser searches in all of it.
        await page.keyboard.press("Control+f")
        await expect(messages).to_have_count(MESSAGES)
        await expect(page.get_by_role("button", name="Show earlier messages")).to_have_count(0)
        await expect(messages.first).to_contain_text(QUESTION.strip())
        await expect(reader.answer).to_be_in_viewport()

        # What comes near is drawn, and a place that was left is come back to.
        message_id = await page.evaluate(PUT, 101)
        there = page.locator(f'[data-message="{message_id}"]')
        await expect(there.get_by_role("button", name="Copy answer")).to_be_visible()
        await expect(there.locator("strong")).to_have_text("small fish")
        await page.get_by_role("button", name="New chat").click()
        await expect(messages).to_have_count(0)
        await sidebar.get_by_role("link", name="Herons").click()
        await expect(there).to_be_in_viewport()
        await page.get_by_role("button", name="To the newest message").click()
        await expect(reader.answer).to_be_in_viewport()
        await expect(page.get_by_role("button", name="To the newest message")).to_have_count(0)


async def is_question(reader: Reader, index: int) -> bool:
    """Whether a message on the screen is the reader's own."""
    return await reader.page.locator("[data-message]").nth(index).get_by_text("You said:").count() > 0

"""Tools in the page: what the model did is shown where it did it, also after a reload."""

from __future__ import annotations

import re

from parley_testing.mesh import Mesh
from parley_testing.page import Reader, open_browser
from playwright.async_api import expect


async def test_a_reminder_shows_the_task_that_was_made_and_still_does_after_a_reload(mesh: Mesh) -> None:
    async with open_browser() as browser, Reader.arrive(browser, mesh.base_url, timezone_id="Europe/Berlin") as reader:
        await reader.sign_up()
        await reader.ask("Remind me to call the dentist tomorrow at nine")
        await reader.wait_for_the_end()
        tools = reader.answer.get_by_role("list", name="Tools")
        made = re.compile(r"Created the task “call the dentist”, due .*9:00", re.IGNORECASE)
        await expect(tools.get_by_role("listitem")).to_have_count(1)
        await expect(tools).to_contain_text(made)
        await tools.get_by_text("Created the task").click()
        await expect(tools).to_contain_text('"time_zone": "Europe/Berlin"')
        await reader.ask("What are my tasks?")
        await reader.wait_for_the_end()
        await expect(tools).to_contain_text("Looked at your tasks: 1")
        await expect(reader.answer_text).to_contain_text("call the dentist")
        await reader.reload()
        await expect(reader.page.get_by_role("list", name="Tools").first).to_contain_text(made)
        await expect(reader.page.get_by_role("list", name="Tools").last).to_contain_text("Looked at your tasks: 1")

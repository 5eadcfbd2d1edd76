"""Tasks in the page: what the assistant does with them shows at once, they are worked on by keyboard, and they remind."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

from parley_testing.mesh import Mesh
from parley_testing.page import Reader, open_browser
from playwright.async_api import expect


async def token_of(reader: Reader) -> str:
    token: str = await reader.page.evaluate("JSON.parse(localStorage.getItem('parley.sign-in')).accessToken")
    return token


def due_in(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_tasks_of_the_assistant_and_of_other_devices_show_at_once_and_are_worked_on_by_keyboard(
    mesh: Mesh,
) -> None:
    async with (
        open_browser() as browser,
        Reader.arrive(browser, mesh.base_url) as here,
        Reader.arrive(browser, mesh.base_url) as there,
    ):
        email = await here.sign_up()
        await there.sign_in(email)
        await there.page.get_by_role("link", name="Tasks", exact=True).click()
        await expect(there.page.get_by_role("heading", name="Nothing to do")).to_be_visible()

        await here.ask("Remind me to call the dentist tomorrow at nine")
        tomorrow = there.page.get_by_role("region", name="Tomorrow")
        await expect(tomorrow).to_contain_text("call the dentist")
        await expect(tomorrow).to_contain_text("By the assistant")

        field = there.page.get_by_role("textbox", name="New task")
        await field.fill("Buy bread")
        await field.press("Enter")
        undated = there.page.get_by_role("region", name="No date")
        await expect(undated.get_by_role("listitem")).to_have_count(1)
        await undated.get_by_role("button", name="Edit Buy bread").press("Enter")
        form = there.page.get_by_role("form", name="Edit Buy bread")
        await form.get_by_label("Due", exact=True).fill("2031-05-06T09:00")
        await form.get_by_label("Repeats").select_option("FREQ=WEEKLY")
        await form.get_by_label("30 minutes before").check()
        await form.get_by_label("Title").fill("Buy fresh bread")
        await form.get_by_label("Title").press("Enter")
        later = there.page.get_by_role("region", name="Later")
        await expect(later).to_contain_text("Buy fresh bread")
        await expect(later).to_contain_text(re.compile("Due May 6, 2031 9:00.*every week.*Reminds 30 minutes before"))

        box = tomorrow.get_by_role("checkbox", name=re.compile("call the dentist", re.IGNORECASE))
        await box.press("Space")
        await expect(tomorrow).to_have_count(0)
        await there.page.get_by_text("Completed", exact=True).click()
        done = there.page.get_by_role("list", name="Completed")
        await expect(done).to_contain_text("call the dentist")

        await later.get_by_role("button", name="Delete Buy fresh bread").click()
        await there.page.get_by_role("dialog", name="Delete this task?").get_by_role("button", name="Delete").click()
        await expect(later).to_have_count(0)


async def test_a_reminder_shows_on_every_device_until_its_task_is_done_also_when_it_came_while_away(mesh: Mesh) -> None:
    async with (
        open_browser() as browser,
        Reader.arrive(browser, mesh.base_url) as here,
        Reader.arrive(browser, mesh.base_url) as there,
    ):
        email = await here.sign_up()
        headers = {"authorization": f"Bearer {await token_of(here)}"}
        task = {"title": "Take the cake out", "due_time": due_in(3), "remind_minutes_before": [0]}
        status, body = mesh.request("POST", "/api/v1/tasks", task, headers=headers)
        assert status == 200, body
        card = here.page.get_by_role("article", name="Reminder: Take the cake out")
        await expect(card).to_be_visible()

        # The other device was not there when it came.
        await there.sign_in(email)
        away = there.page.get_by_role("article", name="Reminder: Take the cake out")
        await expect(away).to_be_visible()
        await here.reload()
        await expect(card).to_be_visible()

        await away.get_by_role("button", name="Done").click()
        await expect(away).to_have_count(0)
        await expect(card).to_have_count(0)
        task_id = json.loads(body)["task"]["task_id"]
        _, body = mesh.request("GET", f"/api/v1/tasks/{task_id}", headers=headers)
        assert json.loads(body)["task"]["state"] == "TASK_STATE_COMPLETED"

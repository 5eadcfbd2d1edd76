"""Approvals in the page: what a tool wants is shown where it wants it, on every device and after a reload; one decision is everybody's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from parley_testing.fake_openai import FakeOpenAI, FakeToolCall, Reply
from parley_testing.mesh import Mesh
from parley_testing.page import Reader, open_browser
from playwright.async_api import Locator, expect

DONE = Reply(pieces=("All ", "tidy."))


@pytest.fixture(scope="module")
async def upstream() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI(DONE) as fake:
        yield fake


@pytest.fixture(scope="module")
async def asking_mesh(upstream: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """A Parley whose model calls the tools that the test says, and is asked for nothing else."""
    environment = {
        "OPENAI_BASE_URL": upstream.base_url,
        "OPENAI_API_KEY": "sk-test",
        "PARLEY_INFERENCE_MODEL": "fake-model",
        "PARLEY_CHAT_SUGGESTION_SECONDS": "0",
        "PARLEY_CHAT_TITLE_SECONDS": "0",
    }
    mesh = await asyncio.to_thread(Mesh.start, tmp_path_factory.mktemp("asking") / "home", environment)
    try:
        yield mesh
    finally:
        await asyncio.to_thread(mesh.stop)


async def make_task(reader: Reader, mesh: Mesh, title: str) -> str:
    token = await reader.page.evaluate("JSON.parse(localStorage.getItem('parley.sign-in')).accessToken")
    headers = {"authorization": f"Bearer {token}"}
    status, body = await asyncio.to_thread(mesh.request, "POST", "/api/v1/tasks", {"title": title}, headers=headers)
    assert status == 200, body
    return str(json.loads(body)["task"]["task_id"])


def card(reader: Reader) -> Locator:
    return reader.page.get_by_role("region", name="Delete the task")


async def test_a_call_waits_on_every_device_and_after_a_reload_until_it_is_changed_and_approved(
    asking_mesh: Mesh, upstream: FakeOpenAI
) -> None:
    async with (
        open_browser() as browser,
        Reader.arrive(browser, asking_mesh.base_url) as here,
        Reader.arrive(browser, asking_mesh.base_url) as there,
    ):
        # What the server refuses with is an answer to the console too.
        here.forgive("status of 400")
        email = await here.sign_up()
        wanted, other = [await make_task(here, asking_mesh, title) for title in ("Renew the passport", "Pay the rent")]
        upstream.reply = Reply(pieces=(), tool_calls=(FakeToolCall("delete_task", json.dumps({"task_id": wanted})),))
        await here.ask("Tidy up my tasks", route="Enhanced")
        await expect(card(here)).to_contain_text("Renew the passport")
        await expect(card(here)).to_contain_text("for good")
        upstream.reply = DONE

        await here.reload()
        await expect(card(here)).to_contain_text("Renew the passport")
        await there.sign_in(email)
        await there.page.get_by_role("link", name="Waits for your approval: Tidy up my tasks").click()
        await expect(card(there)).to_contain_text("Renew the passport")

        await card(here).get_by_role("button", name="Change").click()
        field = card(here).get_by_role("textbox")
        await field.fill('{"task_id": ')
        await expect(card(here).get_by_role("alert")).to_contain_text("no JSON yet")
        await expect(card(here).get_by_role("button", name="Approve")).to_be_disabled()
        await field.fill(json.dumps({"task_id": other}))
        await card(here).get_by_role("button", name="Approve").click()
        for reader in (here, there):
            await expect(card(reader)).to_have_count(0)
            await reader.wait_for_the_end()
            await expect(reader.answer_text).to_have_text("All tidy.")
            tools = reader.answer.get_by_role("list", name="Tools")
            await tools.get_by_text("Deleted the task").click()
            await expect(tools).to_contain_text("You approved it with changes")
        await there.page.get_by_role("link", name="Tasks", exact=True).click()
        tasks = there.page.get_by_role("main")
        await expect(tasks).to_contain_text("Renew the passport")
        await expect(tasks).not_to_contain_text("Pay the rent")


async def test_a_call_that_is_denied_does_not_run_and_the_model_is_told_why(
    asking_mesh: Mesh, upstream: FakeOpenAI
) -> None:
    async with open_browser() as browser, Reader.arrive(browser, asking_mesh.base_url) as reader:
        await reader.sign_up()
        task_id = await make_task(reader, asking_mesh, "Renew the passport")
        upstream.reply = Reply(pieces=(), tool_calls=(FakeToolCall("delete_task", json.dumps({"task_id": task_id})),))
        await reader.ask("Tidy up my tasks", route="Enhanced")
        await card(reader).get_by_role("button", name="Deny").click()
        upstream.reply = DONE
        await card(reader).get_by_role("textbox").fill("I still need it")
        await card(reader).get_by_role("button", name="Deny").click()
        await reader.wait_for_the_end()
        await expect(reader.answer.get_by_role("list", name="Tools")).to_contain_text("you denied it")
        assert "I still need it" in json.dumps(upstream.requests[-1].body["messages"][-1])
        await reader.page.get_by_role("link", name="Tasks", exact=True).click()
        await expect(reader.page.get_by_role("main")).to_contain_text("Renew the passport")

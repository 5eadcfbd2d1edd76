"""The list of conversations: found, renamed, deleted, opened by address, and added to through other doors."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from parley_testing.mesh import Mesh
from parley_testing.page import Reader, open_browser
from playwright.async_api import Browser, Download, Locator, expect


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as opened:
        yield opened


@pytest.fixture
async def reader(browser: Browser, mesh: Mesh) -> AsyncIterator[Reader]:
    async with Reader.arrive(browser, mesh.base_url) as arrived:
        await arrived.sign_up()
        yield arrived


def sidebar(reader: Reader) -> Locator:
    return reader.page.get_by_role("navigation", name="Conversations")


async def converse(reader: Reader, words: str) -> None:
    """A new conversation with one question."""
    if await reader.page.get_by_role("list", name="First questions").count() == 0:
        await sidebar(reader).get_by_role("button", name="New chat").click()
    await reader.ask(words, route="Standard")
    await reader.wait_for_the_end()


async def choose(reader: Reader, title: str, item: str) -> None:
    await sidebar(reader).get_by_role("link", name=title).hover()
    await sidebar(reader).get_by_role("button", name=f"More for {title}").click()
    await reader.page.get_by_role("menuitem", name=item).click()


async def test_a_conversation_is_renamed_where_it_stands(reader: Reader) -> None:
    await converse(reader, "Hello Parley")
    await choose(reader, "Hello Parley", "Rename")
    field = reader.page.get_by_role("textbox", name="Title of the conversation")
    await expect(field).to_be_focused()
    await field.fill("A greeting")
    # The new title is on the screen before the server has it.
    async with reader.page.expect_response("**/UpdateSession") as renamed:
        await field.press("Enter")
    assert (await renamed.value).ok
    await expect(sidebar(reader).get_by_role("link", name="A greeting")).to_be_visible()
    await reader.reload()
    await expect(sidebar(reader).get_by_role("link", name="A greeting")).to_be_visible()
    await expect(reader.page).to_have_title("A greeting – Parley")


async def test_escape_leaves_a_title_as_it_was(reader: Reader) -> None:
    await converse(reader, "Hello Parley")
    await choose(reader, "Hello Parley", "Rename")
    await reader.page.get_by_role("textbox", name="Title of the conversation").fill("Something else")
    await reader.page.keyboard.press("Escape")
    await expect(sidebar(reader).get_by_role("link", name="Hello Parley")).to_be_visible()


async def test_a_conversation_is_deleted_after_a_question_and_its_address_leads_nowhere(reader: Reader) -> None:
    reader.forgive("status of 404")
    await converse(reader, "Hello Parley")
    address = reader.page.url
    await choose(reader, "Hello Parley", "Delete")
    dialog = reader.page.get_by_role("dialog", name="Delete this conversation?")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(sidebar(reader).get_by_role("link", name="Hello Parley")).to_be_visible()
    await choose(reader, "Hello Parley", "Delete")
    await dialog.get_by_role("button", name="Delete").click()
    await expect(sidebar(reader).get_by_role("link", name="Hello Parley")).to_have_count(0)
    await expect(reader.page).to_have_url(f"{reader.base_url}/")
    await reader.page.goto(address)
    await expect(reader.page.get_by_role("heading", name="There is no such conversation")).to_be_visible()


async def test_conversations_are_found_by_words_in_their_messages(reader: Reader) -> None:
    await converse(reader, "Hello, this is about marmalade")
    await converse(reader, "Hello, this is about gooseberries")
    search = reader.page.get_by_role("textbox", name="Search conversations")
    await search.fill("marmalade")
    found = reader.page.get_by_role("list", name="Found conversations").get_by_role("link")
    await expect(found).to_have_count(1)
    await expect(found).to_contain_text("marmalade")
    await found.click()
    await expect(reader.page.get_by_role("log")).to_contain_text("marmalade")
    await search.fill("nothing like it")
    await expect(sidebar(reader)).to_contain_text("Nothing holds “nothing like it”.")
    await search.press("Escape")
    await expect(sidebar(reader).get_by_role("link", name=re.compile("gooseberries"))).to_be_visible()


async def test_a_search_is_done_by_keys_alone_and_marks_its_words(reader: Reader) -> None:
    await converse(reader, "Hello, this is about marmalade")
    page = reader.page
    await page.keyboard.press("Control+k")
    search = page.get_by_role("textbox", name="Search conversations")
    await expect(search).to_be_focused()
    await search.fill("MARMA")
    found = page.get_by_role("list", name="Found conversations").get_by_role("link")
    await expect(found.locator("mark").first).to_have_text("marma")
    await search.press("ArrowDown")
    await expect(found).to_be_focused()
    await found.press("F2")
    await page.get_by_role("textbox", name="Title of the conversation").fill("Jam")
    await page.keyboard.press("Enter")
    await expect(found).to_contain_text("Jam")
    await page.keyboard.press("Control+Shift+O")
    await expect(page).to_have_url(f"{reader.base_url}/")
    await page.keyboard.press("Control+/")
    await expect(page.get_by_role("dialog", name="Keys")).to_contain_text("Search conversations")


async def test_back_and_forward_go_through_the_conversations(reader: Reader) -> None:
    await converse(reader, "The first one")
    await converse(reader, "The second one")
    await sidebar(reader).get_by_role("link", name="The first one").click()
    await expect(reader.page.get_by_role("log")).to_contain_text("The first one")
    await reader.page.go_back()
    await expect(reader.page.get_by_role("log")).to_contain_text("The second one")
    await reader.page.go_forward()
    await expect(reader.page.get_by_role("log")).to_contain_text("The first one")


async def test_a_message_sent_through_another_door_shows_when_the_reader_comes_back(reader: Reader, mesh: Mesh) -> None:
    await converse(reader, "Said in the page")
    token = await reader.page.evaluate("JSON.parse(localStorage.getItem('parley.sign-in')).accessToken")
    headers = {"authorization": f"Bearer {token}"}
    elsewhere = {"message": "Said through REST", "route": "ROUTE_STANDARD"}
    status, body = mesh.request("POST", "/api/v2/chat/send", elsewhere, headers=headers)
    assert status == 200, body
    here = {**elsewhere, "message": "Added through REST", "session_id": reader.session_id}
    assert mesh.request("POST", "/api/v2/chat/send", here, headers=headers)[0] == 200
    await reader.page.evaluate("dispatchEvent(new Event('focus'))")
    await expect(sidebar(reader).get_by_role("link", name="Said through REST")).to_be_visible()
    await expect(reader.page.get_by_role("log")).to_contain_text("Added through REST")
    await reader.page.goto(f"{reader.base_url}/c/{json.loads(body)['session_id']}")
    await expect(reader.page.get_by_role("log")).to_contain_text("Said through REST")


async def test_another_users_conversation_is_not_there(reader: Reader, mesh: Mesh) -> None:
    reader.forgive("status of 404")
    stranger = mesh.sign_up()
    headers = {"authorization": stranger.authorization}
    _, body = mesh.request("POST", "/api/v2/chat/sessions", {"title": "Private"}, headers=headers)
    session_id = json.loads(body)["session"]["session_id"]
    await reader.page.goto(f"{reader.base_url}/c/{session_id}")
    await expect(reader.page.get_by_role("heading", name="There is no such conversation")).to_be_visible()
    await expect(sidebar(reader)).not_to_contain_text("Private")


async def test_older_conversations_come_as_the_list_is_scrolled(reader: Reader, mesh: Mesh) -> None:
    token = await reader.page.evaluate("JSON.parse(localStorage.getItem('parley.sign-in')).accessToken")
    headers = {"authorization": f"Bearer {token}"}
    for number in range(60):
        mesh.request("POST", "/api/v2/chat/sessions", {"title": f"Conversation {number}"}, headers=headers)
    await reader.reload()
    await expect(sidebar(reader).get_by_role("link", name="Conversation 59")).to_be_visible()
    first = sidebar(reader).get_by_role("link", name="Conversation 0", exact=True)
    await expect(first).to_have_count(0)
    await sidebar(reader).get_by_role("link", name="Conversation 11", exact=True).scroll_into_view_if_needed()
    await expect(first).to_have_count(1)


async def text_of(download: Download) -> str:
    path = Path(await download.path())
    return await asyncio.to_thread(path.read_text, "utf-8")


async def test_a_conversation_is_saved_as_a_file_of_either_kind(reader: Reader) -> None:
    await converse(reader, "Keep this conversation")
    async with reader.page.expect_download() as downloading:
        await choose(reader, "Keep this conversation", "Export as Markdown")
    markdown = await downloading.value
    assert markdown.suggested_filename == "Keep-this-conversation.md"
    text = await text_of(markdown)
    assert text.startswith("# Keep this conversation\n")
    assert "## Assistant (offline)" in text
    async with reader.page.expect_download() as downloading:
        await choose(reader, "Keep this conversation", "Export as JSON")
    whole = json.loads(await text_of(await downloading.value))
    assert [message["role"] for message in whole["messages"]] == ["ROLE_USER", "ROLE_ASSISTANT"]
    assert whole["session"]["title"] == "Keep this conversation"

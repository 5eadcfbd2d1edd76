"""Answers in the page, from the offline model: cited, and every citation opens."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from parley_testing.mesh import Mesh
from parley_testing.page import Reader, open_browser
from playwright.async_api import Browser, FilePayload, expect

QUESTION = "How do I add a provider?"
LEASE = FilePayload(
    name="lease.md",
    mimeType="text/markdown",
    buffer=b"# The lease of the lighthouse\n\nThe notice period of the lighthouse is eleven weeks.\n",
)
PICTURE = FilePayload(name="photo.png", mimeType="image/png", buffer=b"\x89PNG\r\n\x1a\n" + b"\0" * 32)


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as opened:
        yield opened


@pytest.fixture
async def reader(browser: Browser, mesh: Mesh) -> AsyncIterator[Reader]:
    async with Reader.arrive(browser, mesh.base_url) as arrived:
        await arrived.sign_up()
        yield arrived


@pytest.mark.parametrize("place", range(4))
async def test_every_first_question_gets_a_cited_answer(reader: Reader, place: int) -> None:
    await reader.page.get_by_role("list", name="First questions").get_by_role("button").nth(place).click()
    await reader.wait_for_the_end()
    assert len(await reader.answer_text.inner_text()) > 40
    await expect(reader.answer_text.get_by_role("button", name="Source 1")).not_to_have_count(0)
    assert reader.session_id


async def test_the_page_says_that_no_model_is_configured(reader: Reader) -> None:
    await reader.ask(QUESTION)
    await reader.wait_for_the_end()
    await expect(reader.answer.get_by_role("status").first).to_contain_text(
        re.compile("offline|no model", re.IGNORECASE)
    )
    await reader.page.get_by_role("button", name="Status: Everything works").click()
    await expect(reader.page.get_by_role("dialog", name="Status")).to_contain_text("The offline model answers.")


async def test_a_citation_opens_its_passage_and_then_the_document_at_the_passage(reader: Reader) -> None:
    await reader.ask(QUESTION)
    await reader.wait_for_the_end()
    mark = reader.answer_text.get_by_role("button", name="Source 1").first
    await mark.click()
    card = reader.page.get_by_role("dialog", name="Source 1")
    passage = await card.get_by_role("group", name="Passage").inner_text()
    assert passage.strip()
    await card.get_by_role("button", name="Open document").click()
    document = reader.page.get_by_role("complementary", name="Document:")
    marked = document.locator("[data-passage]").first
    await expect(marked).to_be_in_viewport()
    first_words = " ".join(passage.split()[:3])
    await expect(document.locator("[data-passage]").filter(has_text=first_words)).not_to_have_count(0)
    await reader.page.keyboard.press("Escape")
    await expect(document).to_be_hidden()
    await expect(mark).to_be_focused()


async def test_a_source_below_the_answer_opens_too_and_escape_closes_it(reader: Reader) -> None:
    await reader.ask(QUESTION)
    await reader.wait_for_the_end()
    source = reader.answer.get_by_role("region", name="Sources").get_by_role("button").first
    await source.click()
    card = reader.page.get_by_role("dialog", name=re.compile("Source"))
    await expect(card).to_be_visible()
    await reader.page.keyboard.press("Escape")
    await expect(card).to_be_hidden()
    await expect(source).to_be_focused()


async def test_an_answer_says_what_it_took(reader: Reader) -> None:
    await reader.ask(QUESTION, route="Enhanced")
    await reader.wait_for_the_end()
    line = reader.answer.get_by_role("button", name="About this answer")
    await expect(line).to_contain_text("Enhanced")
    await expect(line).to_contain_text("offline")
    await line.press("Enter")
    figures = reader.page.get_by_role("dialog", name="About this answer")
    for words in (
        "asked for by the request",
        "offline",
        "First word",
        "In all",
        "read",
        "written",
        "per second",
        "Cost",
    ):
        await expect(figures).to_contain_text(words)
    await reader.page.keyboard.press("Escape")
    await expect(figures).to_be_hidden()
    await expect(line).to_be_focused()


async def test_the_trace_of_an_answer_can_be_copied(browser: Browser, mesh: Mesh) -> None:
    async with Reader.arrive(browser, mesh.base_url, permissions=["clipboard-read", "clipboard-write"]) as reader:
        await reader.sign_up()
        await reader.ask(QUESTION)
        await reader.wait_for_the_end()
        await reader.answer.get_by_role("button", name="About this answer").click()
        await reader.page.get_by_role("button", name="Copy trace").click()
        # The clipboard takes what is written to it when it likes.
        await reader.page.wait_for_function(
            "navigator.clipboard.readText().then((text) => /^[0-9a-f]{32}$/.test(text))"
        )
        copied = await reader.page.evaluate("navigator.clipboard.readText()")
        await expect(reader.page.get_by_role("button", name=f"Copy trace {copied}")).to_be_visible()


async def test_a_route_that_is_chosen_is_taken(reader: Reader) -> None:
    await reader.ask("Hello there", route="Standard")
    await reader.wait_for_the_end()
    await expect(reader.answer.get_by_role("button", name="About this answer")).to_contain_text("Standard")


async def test_a_conversation_is_the_same_after_a_reload(reader: Reader) -> None:
    await reader.ask(QUESTION)
    await reader.wait_for_the_end()
    before = await reader.answer_text.inner_text()
    await reader.reload()
    await expect(reader.answer_text).to_be_visible()
    await reader.wait_for_answer(before)
    await expect(reader.answer.get_by_role("region", name="Sources")).to_be_visible()


async def test_shift_and_enter_make_a_line_and_enter_sends(reader: Reader) -> None:
    await reader.composer.fill("one")
    await reader.composer.press("Shift+Enter")
    await reader.composer.press_sequentially("two")
    await expect(reader.composer).to_have_value("one\ntwo")
    await reader.composer.press("Enter")
    await expect(reader.page.get_by_role("log").get_by_text("one\ntwo")).to_be_visible()
    await expect(reader.composer).to_have_value("")
    await reader.wait_for_the_end()


async def test_a_file_beside_a_message_is_read_in_and_cited(reader: Reader) -> None:
    page = reader.page
    await page.get_by_label("Files to attach").set_input_files([LEASE, PICTURE])
    attached = page.get_by_role("list", name="Attached files").get_by_role("listitem")
    await expect(attached).to_have_count(2)
    await expect(attached.filter(has_text="photo.png")).to_contain_text("picture")
    await reader.composer.fill("What is the notice period of the lighthouse?")
    # A message does not go out as if what could not be read had been.
    await expect(page.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    await page.get_by_role("button", name="Remove photo.png").click()
    # It waits for the rest by itself.
    await reader.composer.press("Enter")
    await expect(reader.composer).to_have_value("")
    await expect(attached.filter(has_text="The lease of the lighthouse")).to_be_visible()
    await reader.wait_for_the_end()
    await expect(reader.answer).to_contain_text("eleven weeks")
    sources = reader.answer.get_by_role("region", name="Sources")
    await expect(sources).to_contain_text("The lease of the lighthouse")
    await reader.reload()
    await expect(attached).to_have_text("The lease of the lighthouse")
    # What it was changed to still names its files, and its field does not.
    await page.get_by_role("button", name="Edit message").click()
    await expect(page.get_by_role("textbox", name="Edit message")).to_have_value(
        "What is the notice period of the lighthouse?"
    )


async def test_what_a_message_would_take_is_told_and_a_model_can_be_chosen(reader: Reader) -> None:
    await reader.composer.fill(QUESTION)
    await expect(reader.page.get_by_role("note", name="An estimate for")).to_contain_text("tokens")
    await reader.page.get_by_role("button", name="Route").click()
    await reader.page.get_by_role("menuitemradio", name="offline").click()
    await expect(reader.page.get_by_role("button", name="Route: Automatic, model: offline")).to_be_visible()
    async with reader.page.expect_request("**/StreamReply") as asked:
        await reader.composer.press("Enter")
    assert b"offline" in ((await asked.value).post_data_buffer or b"")
    await reader.wait_for_the_end()
    await reader.answer.get_by_role("button", name="About this answer").click()
    figures = reader.page.get_by_role("dialog", name="About this answer")
    await expect(figures).to_contain_text(re.compile(r"Conversation[\d,]+ tokens"))

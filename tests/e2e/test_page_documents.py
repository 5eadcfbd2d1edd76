"""Documents in the page: files are added and seen on their way, answers come from them, and they are deleted again."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from parley_testing.mesh import Mesh
from parley_testing.page import Reader, open_browser
from playwright.async_api import Browser, FilePayload, Locator, expect

LARCH = FilePayload(
    name="larch.md",
    mimeType="text/markdown",
    buffer=b"# The larch at the mill\n\nThe larch at the mill was planted in 1871 by the miller Aurelia Quandt.\n",
)
BROKEN = FilePayload(
    name="broken.pdf", mimeType="application/pdf", buffer=b"%PDF-1.7\n" + b"not a page in sight\n" * 20
)


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as opened:
        yield opened


@pytest.fixture
async def reader(browser: Browser, mesh: Mesh) -> AsyncIterator[Reader]:
    async with Reader.arrive(browser, mesh.base_url) as arrived:
        await arrived.sign_up()
        await arrived.page.get_by_role("link", name="Documents").click()
        await expect(arrived.page.get_by_text("No documents yet")).to_be_visible()
        yield arrived


def row_of(reader: Reader, name: str) -> Locator:
    """What the page says of a file on its way."""
    return reader.page.get_by_role("list", name="Being added").get_by_role("listitem").filter(has_text=name)


def documents(reader: Reader) -> Locator:
    """The list of documents."""
    return reader.page.get_by_role("list", name="Your documents").get_by_role("listitem")


async def add(reader: Reader, *files: FilePayload) -> None:
    """Chooses files, as with the button."""
    await reader.page.get_by_label("Files to add").set_input_files(list(files))


async def test_a_file_becomes_a_document_that_answers_and_is_deleted_again(reader: Reader) -> None:
    page = reader.page
    await add(reader, LARCH, BROKEN)
    await expect(row_of(reader, "larch.md")).to_contain_text("Added")
    failed = row_of(reader, "broken.pdf")
    await expect(failed.get_by_role("button", name="Hide broken.pdf")).to_be_visible()
    await expect(failed).to_contain_text(re.compile("damaged|broken|cut off|cannot be read", re.IGNORECASE))
    await expect(failed.get_by_role("button", name="Try again")).to_have_count(0)
    await expect(page.get_by_role("status").filter(has_text="1 added.")).to_contain_text("broken.pdf failed")
    await expect(documents(reader)).to_have_count(1)
    await expect(documents(reader)).to_contain_text("The larch at the mill")
    await expect(documents(reader)).to_contain_text("Markdown · today")

    await reader.reload()
    assert page.url.endswith("/documents")
    await expect(documents(reader)).to_have_count(1)
    await expect(failed).to_be_visible()
    await expect(row_of(reader, "larch.md")).to_have_count(0)
    await failed.get_by_role("button", name="Hide broken.pdf").click()
    await expect(failed).to_have_count(0)

    await documents(reader).get_by_role("button", name="The larch at the mill").first.click()
    panel = page.get_by_role("complementary", name="Document: The larch at the mill")
    await expect(panel).to_contain_text("Aurelia Quandt")
    await expect(panel).not_to_contain_text("has changed")
    await panel.get_by_role("button", name="Close document").click()

    await page.get_by_role("button", name="New chat").click()
    await reader.ask("Who planted the larch at the mill?", route="Enhanced")
    await reader.wait_for_the_end()
    await expect(reader.answer_text).to_contain_text("Aurelia Quandt")
    sources = reader.answer.get_by_role("region", name="Sources")
    await expect(sources.get_by_role("button").first).to_contain_text("The larch at the mill")

    await page.get_by_role("link", name="Documents").click()
    await page.get_by_role("button", name="Delete The larch at the mill").click()
    await page.get_by_role("dialog", name="Delete this document?").get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("No documents yet")).to_be_visible()
    await reader.reload()
    await expect(page.get_by_text("No documents yet")).to_be_visible()
    await expect(page.get_by_role("list", name="Being added")).to_have_count(0)


async def test_a_file_that_is_there_is_not_added_twice_and_one_that_was_deleted_is_added_anew(reader: Reader) -> None:
    row = row_of(reader, "larch.md")
    await add(reader, LARCH)
    await expect(row).to_contain_text("Added")
    await reader.page.get_by_role("button", name="Clear finished").click()
    await expect(row).to_have_count(0)
    await add(reader, LARCH)
    await expect(row).to_contain_text("You had this file already")
    await expect(documents(reader)).to_have_count(1)
    await reader.page.get_by_role("button", name="Delete The larch at the mill").click()
    await reader.page.get_by_role("button", name="Delete", exact=True).click()
    await expect(reader.page.get_by_text("No documents yet")).to_be_visible()
    await add(reader, LARCH)
    await expect(row).to_contain_text("Added")
    await expect(documents(reader)).to_have_count(1)


async def test_passages_are_found_with_their_words_marked_narrowed_by_filters_and_opened_where_they_stand(
    reader: Reader,
) -> None:
    page = reader.page
    elm = FilePayload(name="elm.txt", mimeType="text/plain", buffer=b"The elm at the mill has never been felled.\n")
    await add(reader, LARCH, elm)
    await expect(documents(reader)).to_have_count(2)
    box = page.get_by_role("textbox", name="Search in documents")
    await box.fill("planted by the miller")
    found = page.get_by_role("list", name="Found passages").get_by_role("listitem")
    await expect(found.first).to_contain_text("The larch at the mill")
    await expect(found.first.locator("mark").filter(has_text="planted")).to_have_count(1)
    await expect(documents(reader)).to_have_count(0)

    await page.get_by_label("Kind").select_option(label="Text")
    await box.fill("mill")
    await expect(found).to_have_count(1)
    await expect(found).to_contain_text("elm.txt")
    await page.get_by_label("Kind").select_option(label="PDF")
    await expect(page.get_by_text("No passage fits “mill”")).to_be_visible()
    await page.get_by_label("Kind").select_option(label="All kinds")
    await expect(found).to_have_count(2)

    await found.get_by_role("button", name="The larch at the mill").click()
    panel = page.get_by_role("complementary", name="Document: The larch at the mill")
    await expect(panel.locator("[data-passage]")).to_contain_text("Aurelia Quandt")
    await page.keyboard.press("Escape")
    await box.press("Escape")
    await expect(documents(reader)).to_have_count(2)


async def test_files_are_dropped_anywhere_and_one_that_is_too_large_is_not_sent(reader: Reader) -> None:
    sent: list[str] = []
    reader.page.on("request", lambda request: sent.append(request.url) if "/api/ingest" in request.url else None)
    await reader.page.evaluate(
        """() => {
            const dropped = new DataTransfer()
            dropped.items.add(new File(["Rooks nest in the elm."], "rooks.txt"))
            dropped.items.add(new File([new Uint8Array(100_000_001)], "large.bin"))
            for (const type of ["dragover", "drop"])
                document.body.dispatchEvent(new DragEvent(type, { dataTransfer: dropped, bubbles: true, cancelable: true }))
        }"""
    )
    await expect(row_of(reader, "large.bin")).to_contain_text("larger than 100 MB")
    await expect(row_of(reader, "rooks.txt")).to_contain_text("Added")
    await expect(documents(reader)).to_have_count(1)
    assert len(sent) == 1


async def test_a_file_is_cancelled_while_it_is_sent_and_sent_again_when_the_way_was_cut(reader: Reader) -> None:
    reader.forgive("Failed to load resource")
    await reader.page.route("**/api/ingest", lambda route: route.abort("connectionreset"), times=1)
    await add(reader, LARCH)
    row = row_of(reader, "larch.md")
    await expect(row).to_contain_text("Parley can't be reached")
    await row.get_by_role("button", name="Try again").click()
    await expect(row).to_contain_text("Added")

    await reader.page.route("**/api/ingest", lambda route: None)
    await add(reader, BROKEN)
    await reader.page.get_by_role("button", name="Cancel broken.pdf").click()
    await expect(row_of(reader, "broken.pdf")).to_have_count(0)

"""Insights in the page: leads are scored and say why, content is written, recommendations learn, and usage shows what it took."""

from __future__ import annotations

import asyncio
import csv
import io
import re

from parley_testing.axe import axe
from parley_testing.leads import as_csv, leads
from parley_testing.mesh import Mesh
from parley_testing.page import Reader, open_browser
from playwright.async_api import Download, expect


async def text_of(download: Download) -> str:
    path = await download.path()
    return await asyncio.to_thread(path.read_text, "utf-8")


async def test_a_model_is_trained_from_a_file_tells_how_good_it_is_and_scores_leads_with_reasons(mesh: Mesh) -> None:
    ended = as_csv(leads(60)).encode()
    # As a spreadsheet in Europe saves it, and with a column that the model does not know.
    rows = [{"company": f"Company {number}"} | row for number, row in enumerate(leads(30, seed=5))]
    fresh = as_csv([{name: value for name, value in row.items() if name != "won"} for row in rows]).replace(",", ";")
    async with open_browser() as browser, Reader.arrive(browser, mesh.base_url, reduced_motion="reduce") as reader:
        page = reader.page
        await reader.sign_up()
        await page.get_by_role("link", name="Insights").click()
        await page.get_by_role("link", name="Lead scoring").click()
        file = page.get_by_label("Leads that have ended")
        await file.set_input_files({"name": "bad.csv", "mimeType": "text/csv", "buffer": b"a,won\n1,yes\n2\n"})
        await expect(
            page.get_by_text("Line 3: There are 1 values for 2 columns: column “won” has none.")
        ).to_be_visible()
        await file.set_input_files({"name": "Ended deals.csv", "mimeType": "text/csv", "buffer": ended})
        form = page.get_by_role("form", name="Train a model")
        await expect(form.get_by_label("The column that says how it ended")).to_have_value("won")
        await expect(form.get_by_label("Its value for a good end")).to_have_value("yes")
        assert await axe(reader) == []
        await form.get_by_role("button", name="Train", exact=True).click()

        model = page.get_by_role("region", name="ended-deals")
        await expect(model).to_contain_text(re.compile(r"AUC 0\.\d{3}"))
        await expect(model).to_contain_text("few rows")
        await model.get_by_text("As a table").click()
        await expect(model.get_by_role("table", name="Scores and what came true")).to_be_visible()

        await model.get_by_label("Open leads").set_input_files(
            {"name": "open.csv", "mimeType": "text/csv", "buffer": fresh.encode()}
        )
        table = model.get_by_role("table", name="Scored leads")
        whys = table.get_by_role("button", name="why")
        await expect(whys).to_have_count(30)
        await whys.first.press("Enter")
        await expect(table.get_by_role("list", name="Why").get_by_role("listitem")).to_have_count(4)
        assert await axe(reader) == []
        async with page.expect_download() as download:
            await model.get_by_role("button", name="Save as CSV").click()
        saved = list(csv.DictReader(io.StringIO(await text_of(await download.value))))
        scores = [float(row["score"]) for row in saved]
        assert scores == sorted(scores, reverse=True)
        assert {row["company"] for row in saved} == {row["company"] for row in rows}
        assert "speaks" in saved[0]["reasons"]

        await model.get_by_text("One lead").click()
        await model.get_by_label("source").fill("referral")
        await model.get_by_label("source").press("Enter")
        await expect(model.get_by_role("list", name="Why")).to_contain_text("source referral")
        # Only the panel scrolls, whatever had the focus.
        assert await page.evaluate("document.documentElement.scrollTop + document.body.scrollTop") == 0


async def test_content_is_written_from_templates_and_recommendations_take_in_what_is_thought_of_them(
    mesh: Mesh,
) -> None:
    async with open_browser() as browser, Reader.arrive(browser, mesh.base_url, reduced_motion="reduce") as reader:
        page = reader.page
        await reader.sign_up()
        await page.goto(f"{mesh.base_url}/content")
        await page.get_by_role("button", name="E-mail").click()
        write = page.get_by_role("button", name="Write", exact=True)
        await write.click()
        await expect(page.get_by_label("Purpose")).to_be_focused()
        await page.get_by_label("Purpose").fill("invite the team")
        await page.get_by_role("radiogroup", name="Versions").get_by_text("2").click()
        await write.click()
        for version in ("Version 1", "Version 2"):
            await expect(page.get_by_role("article", name=version)).to_contain_text("invite the team")
        await page.get_by_role("button", name="Add Version 1 to the documents").click()
        await expect(page.get_by_text("It is being added to your documents.")).to_be_visible()
        await page.get_by_role("button", name="Write a template").click()
        await page.get_by_label("Title").fill("Toast")
        await page.get_by_label("Instructions").fill("A toast for {who}.")
        await page.get_by_role("button", name="Keep").click()
        await page.get_by_label("Who", exact=True).fill("Ann Ottershaw")
        await write.click()
        await expect(page.get_by_role("article", name="Toast")).to_contain_text("Ann Ottershaw")
        assert await axe(reader) == []

        await page.get_by_role("link", name="Recommendations").click()
        await page.get_by_role("button", name="Try it with samples").click()
        items = page.get_by_role("list", name="Recommended").locator("> li")
        await expect(items).to_have_count(12)
        await items.filter(has_text="Hand grinder").get_by_role("button", name="Like").click()
        disliked = items.filter(has_text="Fountain pen")
        await disliked.get_by_role("button", name="Not for me").click()
        await expect(page.get_by_text("They are recorded, and count from the next list on.")).to_be_visible()
        await page.get_by_role("button", name="Recommend anew").click()
        await expect(items.filter(has_text="like “Hand grinder”, which they liked").first).to_be_visible()
        await expect(disliked).to_have_count(0)
        await items.first.get_by_role("button", name="Open").click()
        await expect(items.first.get_by_role("list", name="Like")).to_be_visible()
        assert await axe(reader) == []


async def test_usage_shows_by_day_on_a_phone_in_the_dark_and_every_tab_fits(mesh: Mesh) -> None:
    phone = {"width": 360, "height": 780}
    async with (
        open_browser() as browser,
        Reader.arrive(browser, mesh.base_url, viewport=phone, color_scheme="dark", reduced_motion="reduce") as reader,
    ):
        page = reader.page
        await reader.sign_up()
        await reader.ask("How do I add a provider?")
        await reader.wait_for_the_end()
        await page.goto(f"{mesh.base_url}/usage")
        await page.get_by_role("radiogroup", name="What the plot shows").get_by_text("Requests").click()
        # Its title and the suggestions after it may count too, and may still be on their way.
        row = page.get_by_role("table", name="Usage by model").get_by_role("row", name=re.compile("offline"))
        await expect(row.first).to_be_visible()
        plot = page.get_by_role("slider", name="Requests by day")
        await plot.focus()
        await expect(plot).to_have_attribute("aria-valuenow", "30")
        await plot.press("ArrowLeft")
        await expect(plot).to_have_attribute("aria-valuenow", "29")
        await page.get_by_label("Split by").select_option("Purpose")
        await expect(page.get_by_role("table", name="Usage by purpose")).to_contain_text("Answers")
        async with page.expect_download() as download:
            await page.get_by_role("button", name="Save as CSV").click()
        assert (await text_of(await download.value)).startswith("day,purpose,")
        await page.get_by_text("Day by day").click()
        for tab, ready in (
            ("Usage", page.get_by_role("table", name="Usage by day and purpose")),
            ("Lead scoring", page.get_by_role("button", name="Choose a CSV file")),
            ("Content", page.get_by_role("button", name="Write", exact=True)),
            ("Recommendations", page.get_by_role("heading", name="The catalog is empty")),
            ("Batches", page.get_by_role("heading", name="No batches yet")),
        ):
            await page.get_by_role("navigation", name="Insights").get_by_role("link", name=tab).click()
            await expect(ready).to_be_visible()
            assert await axe(reader) == []
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab

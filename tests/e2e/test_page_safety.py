"""What an answer must not be able to do to its reader, and whether everybody can use the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from parley_testing.axe import axe
from parley_testing.fake_openai import FakeOpenAI, Reply
from parley_testing.mesh import Mesh
from parley_testing.page import Reader, open_browser
from playwright.async_api import Browser, FilePayload, expect

HOSTILE = """Hello <script>window.ran = 1</script> <img src=x onerror="window.ran = 2"> <b onclick="window.ran = 3">bold</b>

<iframe srcdoc="<script>parent.ran = 4</script>"></iframe>
<style>body { display: none }</style>

[a link](javascript:window.ran=5) [another](JaVaScRiPt:window.ran=6) [data](data:text/html,<script>window.ran=7</script>)
![picture](https://tracker.example/pixel.png) ![drawn](data:image/svg+xml,<svg/onload=window.ran=8>)

<https://example.com/auto> and [a real one](https://example.com/page "title")

```html
<script>window.ran = 9</script>
```

| <img src=https://tracker.example/cell.png> | b |
| --- | --- |
| `<script>window.ran = 10</script>` | ![x](//tracker.example/y.png) |

$$\\href{javascript:window.ran=11}{press} \\htmlData{onclick=window.ran=12}{x} \\text{<img src=x onerror=window.ran=13>}$$

$$\\includegraphics{https://tracker.example/z.png}$$ and \\(x < y\\).

The end."""


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
async def upstream() -> AsyncIterator[FakeOpenAI]:
    # In pieces of seven characters, so that every tag and link is half there for a moment.
    pieces = [HOSTILE[start : start + 7] for start in range(0, len(HOSTILE), 7)]
    async with FakeOpenAI(Reply(pieces=pieces, tokens_per_second=150)) as fake:
        yield fake


@pytest.fixture(scope="module")
async def hostile_mesh(upstream: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """A Parley whose model has only bad intentions."""
    home = tmp_path_factory.mktemp("hostile") / "home"
    environment = {
        "OPENAI_BASE_URL": upstream.base_url,
        "OPENAI_API_KEY": "sk-test",
        "PARLEY_INFERENCE_MODEL": "fake-model",
    }
    mesh = await asyncio.to_thread(Mesh.start, home, environment)
    try:
        yield mesh
    finally:
        await asyncio.to_thread(mesh.stop)


async def test_nothing_in_an_answer_runs_loads_or_changes_the_page(browser: Browser, hostile_mesh: Mesh) -> None:
    # That no other host was asked is checked when the reader leaves.
    async with Reader.arrive(browser, hostile_mesh.base_url) as reader:
        await reader.sign_up()
        await reader.ask("Say something.")
        await reader.wait_for_the_end()
        for again in range(2):
            await expect(reader.answer_text).to_contain_text("The end.")
            assert await reader.page.evaluate("window.ran") is None
            assert (
                await reader.answer_text.locator("script, img, iframe, style, object, svg[onload], [onclick]").count()
                == 0
            )
            links = await reader.answer_text.locator("a").evaluate_all("links => links.map((link) => link.href)")
            assert all(link.startswith(("https://", "http://", "mailto:")) for link in links), links
            for link in await reader.answer_text.locator("a").all():
                assert "noopener" in (await link.get_attribute("rel") or "")
            if not again:
                # The same once more as a stored message.
                await reader.reload()


async def test_a_hostile_name_and_title_are_only_words(browser: Browser, hostile_mesh: Mesh) -> None:
    async with Reader.arrive(browser, hostile_mesh.base_url) as reader:
        await reader.sign_up("<img src=x onerror=window.ran=1>", email="hostile-name@example.com")
        await reader.ask("<script>window.ran = 2</script> & co")
        await reader.wait_for_the_end()
        await expect(reader.page.get_by_role("log")).to_contain_text("<script>window.ran = 2</script> & co")
        assert await reader.page.evaluate("window.ran") is None


async def test_the_page_cannot_be_framed_and_runs_no_inline_script(mesh: Mesh) -> None:
    _, headers, body = mesh.exchange("GET", "/")
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy.split("style-src")[0]
    assert b"<script>" not in body


async def test_nothing_in_a_document_runs_loads_or_changes_the_page(browser: Browser, hostile_mesh: Mesh) -> None:
    page_of_the_web = f"<!doctype html><title>Kind words</title><body onload='window.ran = 20'>{HOSTILE}</body>"
    async with Reader.arrive(browser, hostile_mesh.base_url) as reader:
        page = reader.page
        await reader.sign_up()
        await page.get_by_role("link", name="Documents").click()
        files = [
            FilePayload(name="hostile.md", mimeType="text/markdown", buffer=b"# Kind words\n\n" + HOSTILE.encode()),
            FilePayload(name="hostile.html", mimeType="text/html", buffer=page_of_the_web.encode()),
        ]
        await page.get_by_label("Files to add").set_input_files(files)
        documents = page.get_by_role("list", name="Your documents").get_by_role("listitem")
        await expect(documents).to_have_count(2)
        # What is found of it, too.
        await page.get_by_role("textbox", name="Search in documents").fill("window ran end")
        found = page.get_by_role("list", name="Found passages")
        await expect(found).to_contain_text("window")
        assert await page.evaluate("window.ran") is None
        await page.get_by_role("textbox", name="Search in documents").press("Escape")
        for number in range(2):
            await documents.nth(number).get_by_role("button").first.click()
            text = page.get_by_role("group", name="Text of the document")
            await expect(text).to_contain_text("The end.")
            assert await page.evaluate("window.ran") is None
            assert await text.locator("script, img, iframe, style, object, svg[onload], [onclick]").count() == 0
            links = await text.locator("a").evaluate_all("links => links.map((link) => link.href)")
            assert all(link.startswith(("https://", "http://", "mailto:")) for link in links), links
            await page.get_by_role("button", name="Close document").click()


@pytest.mark.parametrize("size", [{"width": 1440, "height": 900}, {"width": 390, "height": 844}], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_view_meets_wcag_aa(browser: Browser, mesh: Mesh, scheme: str, size: dict[str, int]) -> None:
    async with Reader.arrive(
        browser, mesh.base_url, color_scheme=scheme, viewport=size, reduced_motion="reduce"
    ) as reader:
        reader.forgive("status of 401")
        page = reader.page
        await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        assert await axe(reader) == []
        await reader.sign_in("nobody@example.com", "wrong password")
        await expect(page.get_by_role("alert")).to_be_visible()
        assert await axe(reader) == []
        await reader.sign_up(email=f"{scheme}-{size['width']}@example.com")
        assert await axe(reader) == []
        await reader.ask("How do I add a provider?")
        await reader.wait_for_the_end()
        assert await axe(reader) == []
        await reader.answer_text.get_by_role("button", name="Source 1").first.click()
        await expect(page.get_by_role("dialog", name="Source 1")).to_be_visible()
        assert await axe(reader) == []
        await page.get_by_role("button", name="Open document").click()
        await expect(page.locator("[data-passage]").first).to_be_visible()
        assert await axe(reader) == []
        await page.keyboard.press("Escape")
        if size["width"] < 1024:
            await page.get_by_role("button", name="Show conversations").click()
        await page.get_by_role("button", name="Account of").click()
        await expect(page.get_by_role("menu")).to_be_visible()
        assert await axe(reader) == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("size", [{"width": 1440, "height": 900}, {"width": 390, "height": 844}], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_panel_of_the_workspace_meets_wcag_aa(
    browser: Browser, mesh: Mesh, scheme: str, size: dict[str, int]
) -> None:
    async with Reader.arrive(
        browser, mesh.base_url, color_scheme=scheme, viewport=size, reduced_motion="reduce"
    ) as reader:
        page = reader.page
        await reader.sign_up(email=f"panels-{scheme}-{size['width']}@example.com")
        token = await page.evaluate("JSON.parse(localStorage.getItem('parley.sign-in')).accessToken")
        soon = (datetime.now(UTC) + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
        for path, body in (
            ("/api/v1/tasks", {"title": "Take the cake out", "due_time": soon, "remind_minutes_before": [0]}),
            ("/api/v1/tasks", {"title": "Water the plants", "priority": "TASK_PRIORITY_HIGH"}),
            ("/api/v1/projects", {"title": "Garden", "description": "The *garden* behind the mill."}),
            ("/api/v1/documents", {"title": "Larches", "text": "# Larches\n\nThe larch was planted in 1871."}),
            ("/api/v1/calendar/events", {"title": "Lunch", "start_time": soon}),
            ("/api/v2/budgets", {"name": "Fun", "period": "BUDGET_PERIOD_DAY", "limit_tokens": 5000}),
        ):
            status, answer = await asyncio.to_thread(
                mesh.request, "POST", path, body, headers={"authorization": f"Bearer {token}"}
            )
            assert status == 200, answer
        for panel, ready, opened in (
            ("/tasks", page.get_by_role("article", name="Reminder: Take the cake out"), "Date and more"),
            ("/calendar", page.get_by_role("button", name="Lunch").first, "Connect a calendar"),
            ("/system", page.get_by_role("region", name="Providers of models"), "Run the self-test"),
            ("/usage", page.get_by_role("meter", name="Fun: tokens"), "Set a budget"),
        ):
            await page.goto(f"{mesh.base_url}{panel}")
            await expect(ready).to_be_visible()
            await page.get_by_role("button", name=opened).click()
            assert await axe(reader) == []
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await page.goto(f"{mesh.base_url}/calendar")
        await page.get_by_role("button", name="Day", exact=True).click()
        await expect(page.get_by_role("group", name="The hours of the day")).to_be_visible()
        assert await axe(reader) == []
        await page.get_by_role("button", name="Lunch").first.click()
        await expect(page.get_by_role("dialog")).to_be_visible()
        assert await axe(reader) == []
        await page.goto(f"{mesh.base_url}/documents")
        await page.get_by_role("textbox", name="Search in documents").fill("larch")
        await expect(page.get_by_role("list", name="Found passages")).to_contain_text("1871")
        assert await axe(reader) == []
        await page.get_by_role("button", name="Clear the search").click()
        await page.get_by_role("button", name="Delete Larches").click()
        await expect(page.get_by_role("dialog", name="Delete this document?")).to_be_visible()
        assert await axe(reader) == []
        await page.goto(f"{mesh.base_url}/projects")
        await expect(page.get_by_role("button", name="Go into it: Garden")).to_be_visible()
        assert await axe(reader) == []
        if size["width"] < 1024:
            await page.get_by_role("button", name="Show conversations").click()
        await page.get_by_role("button", name="Project:").click()
        await expect(page.get_by_role("menuitemradio", name="Garden")).to_be_visible()
        assert await axe(reader) == []
        await page.get_by_role("menuitem", name="New project").click()
        await expect(page.get_by_role("dialog", name="New project")).to_be_visible()
        assert await axe(reader) == []


async def test_a_question_is_asked_and_its_source_read_with_the_keyboard_alone(browser: Browser, mesh: Mesh) -> None:
    async with Reader.arrive(browser, mesh.base_url) as reader:
        await reader.sign_up()
        keyboard = reader.page.keyboard
        await expect(reader.composer).to_be_focused()
        await keyboard.type("How do I add a provider?")
        await keyboard.press("Enter")
        await reader.wait_for_the_end()
        for _ in range(60):
            await keyboard.press("Shift+Tab")
            name = await reader.page.evaluate("document.activeElement.getAttribute('aria-label') ?? ''")
            if name.startswith("Source 1"):
                break
        await keyboard.press("Enter")
        card = reader.page.get_by_role("dialog", name="Source 1")
        await expect(card).to_be_focused()
        await keyboard.press("Escape")
        await expect(card).to_be_hidden()


async def test_a_phone_shows_everything_without_scrolling_sideways(browser: Browser, mesh: Mesh) -> None:
    async with Reader.arrive(
        browser, mesh.base_url, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True
    ) as reader:
        await reader.sign_up()
        await reader.composer.fill("How do I call Parley with grpcurl?")
        await reader.page.get_by_role("button", name="Send", exact=True).tap()
        await reader.wait_for_the_end()
        assert await reader.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await reader.page.get_by_role("button", name="Show conversations").tap()
        await reader.page.get_by_role("button", name="Status").tap()
        await expect(reader.page.get_by_role("dialog", name="Status")).to_be_visible()
        await reader.page.keyboard.press("Escape")
        await reader.page.get_by_role("button", name="New chat").tap()
        await expect(reader.page.get_by_role("list", name="First questions")).to_be_visible()
        await expect(reader.page.get_by_role("navigation", name="Conversations")).to_be_hidden()

"""A reader at Parley's page: real Chromium, the page as the edge serves it, and what every test of it wants to know afterwards.

    async with open_browser() as browser, Reader.arrive(browser, mesh.base_url) as reader:
        await reader.sign_up("Ada")
        await reader.ask("How do I add a provider?")
        await expect(reader.answer).to_contain_text("provider")

When a Reader leaves, the test fails if the page logged an error, threw one, or asked any other host for anything. A test in which
a console error is to be expected (Chromium logs every failed request) says so with `reader.forgive("…")`.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Request,
    async_playwright,
    expect,
)

from parley_testing.tools import ROOT, require_tool

# Chromium in a closed network: without these it looks up its maker's hosts at every start.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_PICTURES = ROOT / ".build" / "screenshots"
"""What each reader saw last: looked at by people, compared with nothing."""
_PICTURE_MILLISECONDS = 10_000
_taken: Counter[tuple[str, str]] = Counter()
"""How many pictures each test has."""
_SECONDS = 60_000
"""How long an expectation may take to come true, milliseconds."""

PASSWORD = "correct horse battery staple"


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """A headless Chromium. The test is skipped, or failed where everything is required, when there is none."""
    chromium = require_tool("chromium")
    expect.set_options(timeout=_SECONDS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Reader:
    """Somebody with a browser of their own: no other reader's storage, no other reader's sign-in."""

    context: BrowserContext
    page: Page
    base_url: str
    trouble: list[str] = field(default_factory=list)
    """Errors that the page logged or threw."""
    hosts: set[str] = field(default_factory=set)
    """Every host that the page asked for anything."""
    _forgiven: list[str] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def arrive(cls, browser: Browser, base_url: str, **context: Any) -> AsyncIterator[Self]:
        """Opens the page in a new context. `context`: Playwright's, for example `color_scheme="dark"`."""
        made = await browser.new_context(**{"viewport": {"width": 1280, "height": 860}} | context)
        made.set_default_timeout(_SECONDS)
        reader = cls(made, await made.new_page(), base_url)
        reader.watch(reader.page)
        try:
            await reader.page.goto(base_url)
            yield reader
            reader.check()
        finally:
            await reader.take_picture()
            await made.close()

    def watch(self, page: Page) -> None:
        """Notes what the page logs, throws and asks for."""
        page.on("console", self._logged)
        page.on("pageerror", lambda error: self.trouble.append(f"thrown: {error}"))
        page.on("request", self._requested)

    def forgive(self, words: str) -> None:
        """Leaves out console errors that hold these words."""
        self._forgiven.append(words)

    def check(self) -> None:
        """Fails when the page was in trouble, or asked another host."""
        trouble = [line for line in self.trouble if not any(words in line for words in self._forgiven)]
        assert trouble == []
        assert self.hosts <= {urlsplit(self.base_url).netloc}

    async def take_picture(self) -> None:
        """Keeps what the page shows as `.build/screenshots/<file>/<test>.png`, with a number where a test has several."""
        file, _, test = os.environ.get("PYTEST_CURRENT_TEST", "by_hand").partition("::")
        words = re.sub(r"\W+", "-", test.partition(" ")[0])[:120].strip("-") or "page"
        folder = _PICTURES / file.rpartition("/")[2].removesuffix(".py")
        folder.mkdir(parents=True, exist_ok=True)
        _taken[file, words] += 1
        number = _taken[file, words]
        # A page that its test has closed, or that hangs, has no picture.
        with suppress(Error):
            path = folder / f"{words}{f'-{number}' if number > 1 else ''}.png"
            await self.page.screenshot(path=path, timeout=_PICTURE_MILLISECONDS)

    async def sign_up(self, name: str = "Ada", email: str | None = None) -> str:
        """Makes an account in the page. Returns its address."""
        email = email or f"{secrets.token_hex(8)}-{name.lower()}@example.com"
        await self.page.get_by_role("button", name="Create one").click()
        await self.page.get_by_label("Name").fill(name)
        await self.page.get_by_label("E-mail address").fill(email)
        await self.page.get_by_label("Password").fill(PASSWORD)
        await self.page.get_by_role("button", name="Create account").click()
        await expect(self.composer).to_be_visible()
        return email

    async def sign_in(self, email: str, password: str = PASSWORD) -> None:
        """Fills in the card and presses the button. Does not wait for what comes of it."""
        await self.page.get_by_label("E-mail address").fill(email)
        await self.page.get_by_label("Password").fill(password)
        await self.page.get_by_role("button", name="Sign in").click()

    async def ask(self, words: str, route: str | None = None) -> None:
        """Writes a message and sends it with Enter."""
        if route is not None:
            await self.page.get_by_role("button", name="Route").click()
            await self.page.get_by_role("menuitemradio", name=route).click()
        await self.composer.fill(words)
        await self.composer.press("Enter")

    @property
    def composer(self) -> Locator:
        """Where messages are written."""
        return self.page.get_by_role("textbox", name="Message", exact=True)

    @property
    def answer(self) -> Locator:
        """The newest answer."""
        return self.page.get_by_role("article", name="Answer").last

    @property
    def answer_text(self) -> Locator:
        """The newest answer's own text, without sources and figures."""
        return self.answer.locator(".markdown").last

    @property
    def stop_button(self) -> Locator:
        """There while an answer is written."""
        return self.page.get_by_role("button", name="Stop", exact=True)

    async def reload(self) -> None:
        """Loads the page again, as its reader would. Not Playwright's `reload`: Chromium refuses that between two documents."""
        async with self.page.expect_event("domcontentloaded"):
            await self.page.evaluate("() => void setTimeout(() => location.reload())")

    async def wait_for_answer(self, text: str, *, seconds: float = _SECONDS / 1000) -> None:
        """Waits until the newest answer's text is exactly this, line breaks and all."""
        seen = ""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while (seen := await self.answer_text.inner_text()) != text:  # noqa: ASYNC110 - a page tells nobody
                    await asyncio.sleep(0.05)
        assert seen == text

    async def wait_for_the_end(self) -> None:
        """Waits until no answer is written any more."""
        await expect(self.page.get_by_role("button", name="Send", exact=True)).to_be_visible()
        await expect(self.answer).to_have_attribute("aria-busy", "false")

    @property
    def session_id(self) -> str:
        """The session in the address bar."""
        found = re.fullmatch(r"/c/(ses_[0-9a-f]{32})", urlsplit(self.page.url).path)
        assert found is not None, f"no session is open: {self.page.url}"
        return found[1]

    def _logged(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.trouble.append(f"{message.type}: {message.text}")

    def _requested(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in {"http", "https", "ws", "wss"}:
            self.hosts.add(address.netloc)

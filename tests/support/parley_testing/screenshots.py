"""Takes the pictures of the README: drives a real Parley in a browser, with a scripted provider, in the light and in the dark.

    python -m parley_testing.screenshots [folder]

What is asked and answered is always the same; times are those of the run. Not a test: nothing is compared.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser, expect

from parley_testing.fake_openai import FakeOpenAI, Reply
from parley_testing.mesh import Mesh
from parley_testing.page import PASSWORD, Reader, open_browser

FOLDER = Path(__file__).parents[3] / "docs" / "images"
BYTES_MOST = 200_000
"""Of one picture: they are in the repository for ever."""

Look = Literal["light", "dark"]
_QUESTION = "How do I add a provider, and what happens when it fails?"
_ANSWER = """\
Name it in `parley.toml`, and say who goes on when it fails [1]:

```toml
[providers.house]
base_url = "https://llm.example.org/v1"

[fallbacks]
default = ["cloud/small"]
```

| when the provider | then |
|---|---|
| does not take the request | it is tried again, with pauses |
| falls silent in the middle | the next model **goes on from the same word** |
| fails again and again | its circuit breaker leaves it alone for a while |

The answer says where it switched, and both attempts are on the bill [2]. Nothing that a tool did is done twice.
"""
_OTHERS = ("Summarize the minutes of the spring meeting.", "What is due this week?", "Draft a note about the release.")
_TITLES = ("Minutes of the spring meeting", "Due this week", "A note about the release", "Providers that fail")


async def main(folder: Path) -> None:
    """Takes them all."""
    with tempfile.TemporaryDirectory() as scratch:
        async with FakeOpenAI(Reply(tuple(_ANSWER), tokens_per_second=600, first_token_seconds=0.3)) as upstream:
            upstream.models = ("large",)
            variables = {
                "OPENAI_BASE_URL": upstream.base_url,
                "OPENAI_API_KEY": "none",
                "PARLEY_INFERENCE_MODEL": "large",
                "PARLEY_INFERENCE_MODELS": "small",
                "PARLEY_CHAT_SUGGESTION_SECONDS": "0",
            }
            mesh = await asyncio.to_thread(Mesh.start, Path(scratch) / "home", variables)
            try:
                async with open_browser() as browser:
                    for look in ("light", "dark"):
                        await _take(browser, mesh, look, folder)
            finally:
                await asyncio.to_thread(mesh.stop)


async def _take(browser: Browser, mesh: Mesh, look: Look, folder: Path) -> None:
    viewport = {"width": 1280, "height": 980}
    async with Reader.arrive(browser, mesh.base_url, color_scheme=look, viewport=viewport, locale="en-US") as reader:
        # A trace that is asked for before any of it is kept is answered with a 404, which the browser logs.
        reader.forgive("status of 404")
        page = reader.page
        email = await reader.sign_up("Ada", f"ada-{look}@example.org")
        for question in _OTHERS:
            await reader.ask(question)
            await reader.wait_for_the_end()
            await page.get_by_role("button", name="New chat").first.click()
        await reader.ask(_QUESTION, route="Enhanced")
        await reader.wait_for_the_end()
        await _name_sessions(reader, email)

        async def shot(name: str) -> None:
            await page.mouse.move(0, 0)
            # Neither the mouse nor the focus shows a hint.
            await page.evaluate("() => document.activeElement?.blur()")
            await expect(page.get_by_role("tooltip")).to_have_count(0)
            path = folder / f"{name}-{look}.png"
            picture = await page.screenshot(path=path, animations="disabled", caret="hide")
            if len(picture) > BYTES_MOST:
                raise SystemExit(f"{path.name} has {len(picture):,} bytes, more than {BYTES_MOST:,}.")
            print(path.name)

        await shot("chat")
        await _trace(reader, lambda: shot("trace"))
        await page.get_by_role("button", name="Status: ").first.click()
        await page.get_by_role("link", name="All about the system").click()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog", name="Status")).to_have_count(0)
        await expect(page.get_by_role("heading", name="Map")).to_be_visible()
        await page.get_by_role("heading", name="Map").evaluate("heading => heading.scrollIntoView({block: 'start'})")
        await shot("system")


async def _name_sessions(reader: Reader, email: str) -> None:
    """Gives the sessions short names, as a model would have."""
    request = reader.page.request
    sign_in = f"{reader.base_url}/api/v2/identity/sign-in"
    signed_in = await (await request.post(sign_in, data={"email": email, "password": PASSWORD})).json()
    headers = {"authorization": f"Bearer {signed_in['tokens']['access_token']}"}
    listed = await (await request.get(f"{reader.base_url}/api/v2/chat/sessions", headers=headers)).json()
    for session, title in zip(reversed(listed["sessions"]), _TITLES, strict=True):
        path = f"{reader.base_url}/api/v2/chat/sessions/{session['session_id']}"
        answer = await request.patch(path, headers=headers, data={"title": title})
        assert answer.ok, await answer.text()
    for title in _TITLES:
        await expect(reader.page.get_by_role("link", name=title)).to_be_visible()


async def _trace(reader: Reader, shot: Callable[[], Awaitable[None]]) -> None:
    """Opens the answer's trace, again until the edge's part is there."""
    page = reader.page
    spans = page.get_by_role("dialog", name="Trace of this answer").get_by_role("list", name="Spans")
    async with asyncio.timeout(150):
        while True:
            await reader.answer.get_by_role("button", name="About this answer").click()
            await page.get_by_role("button", name="What happened inside").click()
            try:
                for service in ("Edge", "Chat", "Retrieval", "Inference"):
                    await expect(spans.get_by_role("button", name=f"{service}: ").first).to_be_visible(timeout=20_000)
            except AssertionError:
                await page.get_by_role("button", name="Close").click()
                continue
            break
    await shot()
    await page.get_by_role("button", name="Close").click()


if __name__ == "__main__":
    chosen = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    chosen.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(chosen))

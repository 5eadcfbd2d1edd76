"""`make bench-page`: how smooth the page is, in real Chromium: frame times, long tasks and layout shift. Asserts nothing.

Three things are looked at: an answer of 5,000 tokens that comes at 100 a second, a session of 500 messages that is opened, and the same
session scrolled to its beginning and back. The browser draws in software here, so that figures of two machines are far apart; those of two
builds of the page on one machine are what to compare (`ARGS="--page web/dist"`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from parley_shared.sql import Database
from parley_testing.fake_openai import FakeOpenAI, Reply
from parley_testing.long_sessions import seed
from parley_testing.page import Reader, open_browser
from playwright.async_api import Browser, expect
from running import ROOT, parley

RESULT = ROOT / ".build" / "bench" / "page.json"
TOKENS = 5_000
TOKENS_PER_SECOND = 100
MESSAGES = 500
WHEEL_PIXELS = 600
"""How far one turn of the wheel goes; one comes every 50 ms."""

SECTION = """## What herons eat

In the **northern lake** they eat small fish, frogs and, in a hard winter, what they find at the edges of the ice [as was seen
in 1871](https://example.com/herons). Nobody knows why they stay:

- the ice is thin where the `stream` comes in,
- the reed keeps the wind away, and
- *somebody feeds them*.

| month | fish | frogs |
| --- | ---: | ---: |
| January | 12 | 0 |
| April | 31 | 17 |

```python
def eats(heron: Heron, fish: Fish) -> bool:
    return fish.length < heron.bill * 1.5 and not heron.is_asleep
```

"""

# Every frame's time, and what the browser itself calls long or a shift that nobody asked for.
WATCH = """() => {
    const seen = (window.seen = { frames: [], tasks: [], shift: 0, on: true })
    let last
    const frame = (now) => {
        if (!seen.on) return
        if (last !== undefined) seen.frames.push(now - last)
        last = now
        requestAnimationFrame(frame)
    }
    requestAnimationFrame(frame)
    seen.ends = [
        ["longtask", (entry) => seen.tasks.push(entry.duration)],
        ["layout-shift", (entry) => entry.hadRecentInput || (seen.shift += entry.value)],
    ].map(([type, note]) => {
        const observer = new PerformanceObserver((list) => list.getEntries().forEach(note))
        observer.observe({ type })
        return () => {
            observer.takeRecords().forEach(note)
            observer.disconnect()
        }
    })
}"""
SEEN = """() => {
    const { seen } = window
    seen.on = false
    for (const end of seen.ends) end()
    return { frames: seen.frames, tasks: seen.tasks, shift: seen.shift }
}"""


@dataclass(frozen=True)
class Figures:
    """What was seen while one thing was done."""

    seconds: float
    frames: int
    frame_median: float
    """Milliseconds, as all frame times."""
    frame_p95: float
    frame_longest: float
    long_tasks: int
    """Tasks of more than 50 ms, in which nothing that is typed or pressed is answered."""
    long_tasks_ms: float
    layout_shift: float
    """The sum of the scores of shifts that no input caused; 0 is none."""


async def main() -> None:
    """Runs the bench and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, default=ROOT / "web" / "dist", help="the built page")
    parser.add_argument("--tokens", type=int, default=TOKENS)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--only", choices=["stream", "session"], help="one half of it")
    asked = parser.parse_args()
    pieces = tokens_of(asked.tokens)
    found: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory() as home:
        async with FakeOpenAI(Reply(pieces=pieces, tokens_per_second=TOKENS_PER_SECOND)) as provider:
            variables = {
                "OPENAI_BASE_URL": provider.base_url,
                "OPENAI_API_KEY": "sk-bench",
                "PARLEY_INFERENCE_MODEL": "fake-model",
                "PARLEY_CHAT_TITLE_SECONDS": "0",
                "PARLEY_CHAT_SUGGESTION_SECONDS": "0",
                "PARLEY_EDGE_PAGE": str(asked.page.resolve()),
            }
            running = parley(Path(home), variables)
            up = await asyncio.to_thread(running.__enter__)
            try:
                async with open_browser() as browser:
                    if asked.only != "session":
                        found[f"streaming {asked.tokens:,} tokens"] = await streaming(browser, up.url)
                    if asked.only != "stream":
                        found |= await long_session(browser, up.url, Path(home), asked.messages)
            finally:
                await asyncio.to_thread(running.__exit__, None, None, None)
    show(found)


def tokens_of(count: int) -> list[str]:
    """So many pieces of about four characters, as a model's tokens are."""
    text = SECTION * (1 + 4 * count // len(SECTION))
    return [text[start : start + 4] for start in range(0, 4 * count, 4)]


async def streaming(browser: Browser, url: str) -> Figures:
    """One long answer, from its first word to its last."""
    async with Reader.arrive(browser, url) as reader:
        await reader.sign_up()
        await reader.ask("What do herons eat?", route="Standard")
        await expect(reader.answer_text).to_contain_text("northern")
        began = await watch(reader)
        # As long as it takes, and no shorter than the provider needs.
        await expect(reader.page.get_by_role("button", name="Send", exact=True)).to_be_visible(timeout=600_000)
        return await seen(reader, began)


async def long_session(browser: Browser, url: str, home: Path, size: int) -> dict[str, Figures]:
    """Opens a long session, goes to its beginning, and back to its end."""
    found: dict[str, Figures] = {}
    async with Reader.arrive(browser, url) as reader:
        await reader.sign_up()
        user = await reader.page.evaluate("JSON.parse(localStorage.getItem('parley.sign-in')).user.userId")
        database = Database.open(f"sqlite:///{home / 'chat' / 'chat.db'}")
        try:
            await seed(database, user, size, title="A long one", answer=SECTION * 2)
        finally:
            await database.close()
        await reader.reload()
        link = reader.page.get_by_role("navigation", name="Conversations").get_by_role("link", name="A long one")
        await expect(link).to_be_visible()
        began = await watch(reader)
        await link.click()
        await expect(reader.answer.get_by_role("button", name="Copy answer")).to_be_in_viewport()
        name = f"{size:,} messages"
        await settle(reader)
        found[f"{name}: opened"] = await seen(reader, began)
        log = reader.page.get_by_role("log")
        await log.hover()
        began = await watch(reader)
        await wheel(reader, -WHEEL_PIXELS, "scroller.scrollTop <= 0")
        found[f"{name}: to the beginning"] = await seen(reader, began)
        began = await watch(reader)
        await wheel(reader, WHEEL_PIXELS, "scroller.scrollTop + scroller.clientHeight >= scroller.scrollHeight - 4")
        found[f"{name}: back to the end"] = await seen(reader, began)
        began = await watch(reader)
        await reader.composer.press_sequentially("Do they sleep there, too?", delay=30)
        found[f"{name}: typing"] = await seen(reader, began)
    return found


async def wheel(reader: Reader, pixels: int, there: str) -> None:
    """Turns the wheel until it is there, and what is loaded on the way is there too."""
    # Not by role and name: to find those would keep the page busier than all that is measured.
    arrived = f"""() => {{
        const log = document.querySelector("[role=log]")
        const scroller = log.parentElement
        const older = log.querySelector(":scope > button")
        if (!({there})) return false
        if ({pixels} > 0 || !older) return true
        // A reader of a page that does not load them by itself presses it.
        older.click()
        return false
    }}"""
    still = 0
    while still < 10:
        await reader.page.mouse.wheel(0, pixels)
        await asyncio.sleep(0.05)
        still = still + 1 if await reader.page.evaluate(arrived) else 0


async def settle(reader: Reader) -> None:
    """Until the browser has had nothing to do for a while."""
    await reader.page.evaluate("new Promise((quiet) => requestIdleCallback(() => setTimeout(quiet, 500)))")


async def watch(reader: Reader) -> float:
    """Begins to look at frames."""
    await reader.page.evaluate(WATCH)
    return time.monotonic()


async def seen(reader: Reader, began: float) -> Figures:
    """What was seen since."""
    took: Any = await reader.page.evaluate(SEEN)
    frames = took["frames"]
    return Figures(
        seconds=time.monotonic() - began,
        frames=len(frames),
        frame_median=statistics.median(frames),
        frame_p95=statistics.quantiles(frames, n=20, method="inclusive")[-1],
        frame_longest=max(frames),
        long_tasks=len(took["tasks"]),
        long_tasks_ms=sum(took["tasks"]),
        layout_shift=took["shift"],
    )


def show(found: dict[str, Figures]) -> None:
    """Prints the table, and keeps the figures."""
    print(f"\n{platform.machine()}, headless Chromium\n")
    print("| | seconds | frame median | p95 | longest | long tasks | layout shift |")
    print("|---|---|---|---|---|---|---|")
    for name, each in found.items():
        times = " | ".join(f"{value:.0f} ms" for value in (each.frame_median, each.frame_p95, each.frame_longest))
        tasks = f"{each.long_tasks}, {each.long_tasks_ms:.0f} ms"
        print(f"| {name} | {each.seconds:.1f} | {times} | {tasks} | {each.layout_shift:.4f} |")
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({name: asdict(each) for name, each in found.items()}, indent=2))


if __name__ == "__main__":
    asyncio.run(main())

"""A page of another origin, in real Chromium, that calls through the edge: with fetch, and with OpenAI's own browser client."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from parley_testing.page import open_browser
from parley_testing.small_edge import SmallEdge, free_ports, running_edge
from playwright.async_api import Page

OPENAI = Path(__file__).parents[2] / "node_modules" / "openai"
"""OpenAI's package: modules that a browser takes as they are."""
SENT = (
    "idempotency-key",
    "baggage",
    "cache-control",
    "parley-time-zone",
    "tracestate",
    "x-requested-with",
    "x-request-id",
    "openai-organization",
    "x-stainless-retry-count",
    "x-stainless-timeout",
)
FETCH = """
async ({ url, headers }) => {
  try {
    const answer = await fetch(url, { headers });
    return `${answer.status} ${answer.headers.get("x-trace-id")?.length}`;
  } catch (error) {
    return String(error);
  }
}
"""
LIST_MODELS = """
async ({ baseURL, apiKey }) => {
  const { OpenAI } = await import("/openai/index.mjs");
  const client = new OpenAI({ baseURL, apiKey, dangerouslyAllowBrowser: true, maxRetries: 0, organization: "org", project: "proj" });
  return (await client.models.list()).data.length;
}
"""


@dataclass
class Elsewhere:
    """A page, and the edge that it calls."""

    page: Page
    edge: SmallEdge

    async def fetched(self, *headers: str) -> str:
        """What a page reads of an answer: its status, and how long its trace id is; or why it reads nothing."""
        sent = {"authorization": self.edge.authorization(), **dict.fromkeys(headers, "a=1")}
        url = f"http://{self.edge.address}/api/v2/chat/sessions"
        return str(await self.page.evaluate(FETCH, {"url": url, "headers": sent}))


@pytest.fixture(scope="module")
async def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Elsewhere]:
    """A page of an origin that the edge allows."""
    (port,) = free_ports(1)
    origin = f"http://127.0.0.1:{port}"
    site = web.Application()

    async def index(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>elsewhere</title>", content_type="text/html")

    site.router.add_get("/", index)
    site.router.add_static("/openai", OPENAI)
    runner = web.AppRunner(site)
    async with contextlib.AsyncExitStack() as closing:
        await runner.setup()
        closing.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", port).start()
        edge = await closing.enter_async_context(
            running_edge(tmp_path_factory.mktemp("elsewhere"), PARLEY_EDGE_ALLOWED_ORIGINS=origin)
        )
        browser = await closing.enter_async_context(open_browser())
        page = await browser.new_page()
        await page.goto(origin)
        yield Elsewhere(page, edge)


async def test_a_page_of_an_allowed_origin_may_send_the_headers_that_clients_send_and_no_others(
    elsewhere: Elsewhere,
) -> None:
    assert await elsewhere.fetched() == "200 32"
    assert await elsewhere.fetched(*SENT) == "200 32"
    assert "Failed to fetch" in await elsewhere.fetched("x-unheard-of")


async def test_openais_client_in_a_page_of_another_origin_is_served(elsewhere: Elsewhere) -> None:
    asked = {"baseURL": f"http://{elsewhere.edge.address}/openai/v1", "apiKey": elsewhere.edge.keys.mint("usr_1")}
    async with asyncio.timeout(60):
        assert await elsewhere.page.evaluate(LIST_MODELS, asked) == 0

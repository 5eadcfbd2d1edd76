"""Answers that take their time: stopped, reloaded in the middle, cut off and failed, from an upstream that is slow on purpose."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from parley_testing.fake_openai import FakeOpenAI, Reply, numbered_words
from parley_testing.mesh import Mesh
from parley_testing.page import Reader, open_browser
from playwright.async_api import Browser, expect

AWAY = Reply(status=503, error={"message": "The model is being moved."})
FORMULAS = (
    "It holds that $a^2 + b^2 = c^2$, for between $5 and $6:\n\n$$\n\\frac{1}{2}\n$$\n\n",
    "and \\(\\href{javascript:alert(1)}{x}\\) is no link, $\\frac{$ no formula.",
)
QUOTA_ENDS = b'data: {"error": {"message": "The quota is used up.", "type": "rate_limit_error", "code": 429}}\n\n'
WORDS = 120
TEXT = "".join(numbered_words(WORDS)).strip()
# With `upstream.go_on.clear()` an answer stops in its middle until the test has done what it does there, however slow the machine is.
SLOW = Reply(pieces=numbered_words(WORDS), tokens_per_second=30, waits_after=40)


def delta(text: str) -> bytes:
    """An event of a provider, as it is on the wire."""
    return b"data: %s\n\n" % json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode()


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
async def upstream() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI(SLOW) as fake:
        yield fake


@pytest.fixture(scope="module")
async def slow_mesh(upstream: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """A Parley whose model writes 30 words a second for four seconds."""
    home = tmp_path_factory.mktemp("slow") / "home"
    environment = {
        "OPENAI_BASE_URL": upstream.base_url,
        "OPENAI_API_KEY": "sk-test",
        "PARLEY_INFERENCE_MODEL": "fake-model",
        "PARLEY_INFERENCE_IDLE_TIMEOUT_SECONDS": "600",
        # These tests count what the provider is asked.
        "PARLEY_CHAT_SUGGESTION_SECONDS": "0",
    }
    mesh = await asyncio.to_thread(Mesh.start, home, environment)
    try:
        yield mesh
    finally:
        await asyncio.to_thread(mesh.stop)


@pytest.fixture
async def reader(browser: Browser, slow_mesh: Mesh, upstream: FakeOpenAI) -> AsyncIterator[Reader]:
    try:
        async with Reader.arrive(browser, slow_mesh.base_url) as arrived:
            await arrived.sign_up()
            yield arrived
    finally:
        upstream.reply = SLOW
        upstream.go_on.set()


async def test_text_grows_on_the_screen_while_the_model_writes(reader: Reader, upstream: FakeOpenAI) -> None:
    upstream.go_on.clear()
    await reader.ask("Count, please.")
    await expect(reader.answer_text).to_contain_text("word5 ")
    assert "word100" not in await reader.answer_text.inner_text()
    upstream.go_on.set()
    await reader.wait_for_the_end()
    await reader.wait_for_answer(TEXT)


async def test_formulas_are_drawn_prices_are_not_and_reasoning_is_folded(reader: Reader, upstream: FakeOpenAI) -> None:
    upstream.enqueue(Reply(pieces=FORMULAS, reasoning=("The reader wants Pythagoras.",)))
    await reader.ask("Pythagoras, please.")
    await reader.wait_for_the_end()
    # What would be a link is drawn as the name of the command; what has no end is not drawn.
    await expect(reader.answer_text.locator("math")).to_have_count(3)
    await expect(reader.answer_text.locator("code")).to_have_text("\\frac{")
    await expect(reader.answer_text.locator(".formula-display math mfrac")).to_have_count(1)
    await expect(reader.answer_text).to_contain_text("for between $5 and $6")
    await expect(reader.answer_text.locator("a, script, [style], [href]")).to_have_count(0)
    thought = reader.answer.get_by_role("group", name="Reasoning")
    await expect(thought).to_be_hidden()
    await reader.answer.get_by_text("Reasoning", exact=True).first.click()
    await expect(thought).to_have_text("The reader wants Pythagoras.")


async def test_stop_keeps_what_was_written_and_closes_the_provider(reader: Reader, upstream: FakeOpenAI) -> None:
    upstream.go_on.clear()
    cut = upstream.streams_cut
    await reader.ask("Count, please.")
    await expect(reader.answer_text).to_contain_text("word5 ")
    await reader.composer.press("Escape")
    await expect(reader.answer).to_contain_text("You stopped this answer")
    await upstream.wait_for(lambda: upstream.streams_cut == cut + 1, "the provider's connection to be closed")
    written = await reader.answer_text.inner_text()
    assert TEXT.startswith(written)
    assert len(written) < len(TEXT)
    await reader.reload()
    await expect(reader.answer).to_contain_text("You stopped this answer")
    await reader.wait_for_answer(written)


async def test_a_reload_in_the_middle_goes_on_without_a_gap_or_a_repeat(reader: Reader, upstream: FakeOpenAI) -> None:
    upstream.go_on.clear()
    asked = len(upstream.requests)
    await reader.ask("Count, please.")
    await expect(reader.answer_text).to_contain_text("word10 ")
    await reader.reload()
    await expect(reader.stop_button).to_be_visible()
    upstream.go_on.set()
    await reader.wait_for_the_end()
    await reader.wait_for_answer(TEXT)
    assert len(upstream.requests) == asked + 1


async def test_a_second_tab_watches_the_same_answer_and_can_stop_it(reader: Reader, upstream: FakeOpenAI) -> None:
    upstream.go_on.clear()
    await reader.ask("Count, please.")
    await expect(reader.answer_text).to_contain_text("word5 ")
    second = await reader.context.new_page()
    reader.watch(second)
    await second.goto(reader.page.url)
    await expect(second.get_by_role("article", name="Answer")).to_contain_text("word10 ")
    await second.get_by_role("button", name="Stop", exact=True).click()
    for page in (second, reader.page):
        await expect(page.get_by_role("article", name="Answer")).to_contain_text("You stopped this answer")


async def test_a_lost_network_is_told_and_the_answer_goes_on_when_it_is_back(
    reader: Reader, upstream: FakeOpenAI
) -> None:
    reader.forgive("ERR_INTERNET_DISCONNECTED")
    upstream.go_on.clear()
    await reader.ask("Count, please.")
    await expect(reader.answer_text).to_contain_text("word5 ")
    await reader.context.set_offline(True)
    await expect(reader.page.get_by_text("Connection lost, reconnecting…")).to_be_visible()
    await expect(reader.page.get_by_role("status").filter(has_text="You are offline.")).to_be_visible()
    upstream.go_on.set()
    await reader.context.set_offline(False)
    await expect(reader.page.get_by_text("Connection lost, reconnecting…")).to_be_hidden()
    await reader.wait_for_the_end()
    await reader.wait_for_answer(TEXT)


async def test_a_message_sent_without_a_network_arrives_once_when_it_is_back(
    reader: Reader, upstream: FakeOpenAI
) -> None:
    reader.forgive("ERR_INTERNET_DISCONNECTED")
    asked = len(upstream.requests)
    await reader.context.set_offline(True)
    await reader.ask("Count, please.")
    await expect(reader.page.get_by_text("Connection lost, reconnecting…")).to_be_visible()
    await reader.context.set_offline(False)
    await reader.wait_for_the_end()
    await reader.wait_for_answer(TEXT)
    assert len(upstream.requests) == asked + 1


async def test_going_elsewhere_and_back_while_an_answer_is_written_loses_nothing(
    reader: Reader, upstream: FakeOpenAI
) -> None:
    upstream.go_on.clear()
    await reader.ask("Count, please.")
    await expect(reader.answer_text).to_contain_text("word5 ")
    await reader.page.get_by_role("button", name="New chat").click()
    await expect(reader.page.get_by_role("list", name="First questions")).to_be_visible()
    await reader.page.go_back()
    upstream.go_on.set()
    await reader.wait_for_the_end()
    await reader.wait_for_answer(TEXT)


async def test_a_failed_answer_is_told_in_words_and_trying_again_makes_an_alternative(
    reader: Reader, upstream: FakeOpenAI
) -> None:
    await reader.ask("Count, please.")
    await reader.wait_for_the_end()
    # A provider that breaks off is waited for. One whose quota ends in the middle of an answer is not.
    upstream.enqueue(Reply(body=[*(delta(word) for word in numbered_words(9)), QUOTA_ENDS]))
    await reader.ask("Count once more.")
    alert = reader.answer.get_by_role("alert")
    await expect(alert).to_be_visible()
    assert not set("_/{}") & set(await alert.inner_text())
    await expect(reader.answer_text).to_contain_text("word9")
    await alert.get_by_role("button", name="Try again").click()
    alternatives = reader.page.get_by_role("group", name="Alternatives")
    await expect(alternatives).to_have_text("2/2")
    await reader.wait_for_the_end()
    await reader.wait_for_answer(TEXT)
    await alternatives.get_by_role("button", name="Earlier version").click()
    await expect(alternatives).to_have_text("1/2")
    await expect(reader.answer.get_by_role("alert")).to_be_visible()


@pytest.mark.timeout(300)
async def test_a_message_waits_in_its_place_while_no_model_can_be_reached(reader: Reader, upstream: FakeOpenAI) -> None:
    upstream.reply = AWAY
    await reader.ask("Count, please.")
    await expect(reader.answer).to_contain_text("Waiting for a model: place 1")
    await expect(reader.stop_button).to_be_enabled()
    # It is read out: nothing around it says that it is busy.
    place = reader.page.locator("[aria-live=polite]").filter(has_text="place 1")
    await expect(place).to_have_count(1)
    await expect(reader.answer).to_have_attribute("aria-busy", "false")
    await reader.reload()
    await expect(reader.answer).to_contain_text("Waiting for a model: place 1")
    upstream.reply = SLOW
    # A provider that failed for long is asked again after up to a minute.
    await reader.wait_for_answer(TEXT, seconds=180)
    await reader.wait_for_the_end()
    await expect(reader.answer).not_to_contain_text("Waiting for a model")


async def test_stop_ends_the_waiting_for_a_model(reader: Reader, upstream: FakeOpenAI) -> None:
    upstream.reply = AWAY
    await reader.ask("Count, please.")
    await expect(reader.answer).to_contain_text("Waiting for a model: place 1")
    await reader.stop_button.click()
    await expect(reader.answer).to_contain_text("You stopped this answer")
    await expect(reader.answer).not_to_contain_text("Waiting for a model")


async def test_an_edited_question_stands_beside_the_first_one(reader: Reader) -> None:
    await reader.ask("Count, please.")
    await reader.wait_for_the_end()
    await reader.ask("And now to a hundred.")
    await reader.wait_for_the_end()
    await reader.composer.press("ArrowUp")
    await reader.page.get_by_role("textbox", name="Edit message").fill("And now to a thousand.")
    await reader.page.get_by_role("textbox", name="Edit message").press("Enter")
    await expect(reader.page.get_by_role("log")).to_contain_text("And now to a thousand.")
    await expect(reader.page.get_by_role("log")).not_to_contain_text("And now to a hundred.")
    await reader.wait_for_the_end()
    await expect(reader.page.get_by_role("group", name="Alternatives")).to_have_text("2/2")


async def test_what_stands_on_the_screen_does_not_move_while_the_answer_grows(
    reader: Reader, upstream: FakeOpenAI
) -> None:
    upstream.go_on.clear()
    await reader.page.evaluate(
        """() => {
            window.shift = 0;
            new PerformanceObserver((list) => {
                for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
            }).observe({ type: "layout-shift", buffered: false });
        }"""
    )
    await reader.ask("Count, please.")
    await expect(reader.answer_text).to_contain_text("word5 ")
    await reader.page.evaluate("() => { window.shift = 0; }")
    upstream.go_on.set()
    await reader.wait_for_the_end()
    assert await reader.page.evaluate("window.shift") < 0.01


async def test_a_killed_chat_is_told_and_nothing_that_was_read_is_lost(
    reader: Reader, slow_mesh: Mesh, upstream: FakeOpenAI
) -> None:
    reader.forgive("Failed to load resource")
    upstream.go_on.clear()
    await reader.ask("Count, please.")
    await expect(reader.answer_text).to_contain_text("word10 ")
    await asyncio.to_thread(slow_mesh.restart, "chat", seconds=60)
    upstream.go_on.set()
    await reader.wait_for_the_end()
    await reader.wait_for_answer(TEXT)

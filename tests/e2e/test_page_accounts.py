"""Signing up, in and out in the page."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from parley_testing.mesh import Mesh
from parley_testing.page import PASSWORD, Reader, open_browser
from playwright.async_api import Browser, expect


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as opened:
        yield opened


@pytest.fixture
async def reader(browser: Browser, mesh: Mesh) -> AsyncIterator[Reader]:
    async with Reader.arrive(browser, mesh.base_url) as arrived:
        yield arrived


async def test_a_newcomer_signs_up_is_greeted_by_name_and_is_still_signed_in_after_a_reload(reader: Reader) -> None:
    await reader.sign_up("Grace")
    await expect(reader.page.get_by_role("heading", name="Grace")).to_be_visible()
    await reader.reload()
    await expect(reader.page.get_by_role("heading", name="Grace")).to_be_visible()


async def test_reloading_again_and_again_does_not_end_the_sign_in(reader: Reader) -> None:
    await reader.sign_up("Grace")
    for _ in range(4):
        # Each load cuts off whatever the one before had under way. Not `reload`: Chromium refuses that between two documents.
        await reader.page.goto(reader.page.url, wait_until="commit")
    await expect(reader.page.get_by_role("heading", name="Grace")).to_be_visible()


async def test_somebody_who_signed_up_can_sign_in_elsewhere(browser: Browser, mesh: Mesh, reader: Reader) -> None:
    email = await reader.sign_up("Grace")
    async with Reader.arrive(browser, mesh.base_url) as elsewhere:
        await elsewhere.sign_in(email.upper())
        await expect(elsewhere.page.get_by_role("heading", name="Grace")).to_be_visible()


async def test_a_wrong_password_is_told_in_words(reader: Reader, mesh: Mesh) -> None:
    reader.forgive("status of 401")
    await reader.sign_in(mesh.sign_up().email, "not the password")
    await expect(reader.page.get_by_role("alert")).to_have_text(
        "That e-mail address and password don't match. Check both and try again."
    )
    await expect(reader.page.get_by_label("Password")).to_be_focused()


async def test_an_address_that_has_an_account_is_told_beside_the_address(reader: Reader, mesh: Mesh) -> None:
    reader.forgive("status of 409")
    page = reader.page
    await page.get_by_role("button", name="Create one").click()
    await page.get_by_label("E-mail address").fill(mesh.sign_up().email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_label("E-mail address")).to_have_accessible_description(
        "There is an account with this e-mail address already. Sign in instead."
    )


async def test_fields_that_do_not_fit_are_told_beside_the_fields(reader: Reader) -> None:
    reader.forgive("status of 400")
    page = reader.page
    await page.get_by_role("button", name="Create one").click()
    await page.get_by_label("E-mail address").fill("nobody")
    await page.get_by_label("Password").fill("short")
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_label("E-mail address")).to_have_accessible_description(
        "This doesn't look like an e-mail address."
    )
    await expect(page.get_by_label("Password")).to_have_accessible_description("A password has 8 to 256 characters.")


async def test_signing_out_in_one_tab_signs_out_every_tab_for_good(reader: Reader) -> None:
    await reader.sign_up("Grace")
    second = await reader.context.new_page()
    reader.watch(second)
    await second.goto(reader.base_url)
    await expect(second.get_by_role("heading", name="Grace")).to_be_visible()
    await second.get_by_role("button", name="Account of Grace").click()
    await second.get_by_role("menuitem", name="Sign out").click()
    for page in (second, reader.page):
        await expect(page.get_by_role("heading", name="Welcome back")).to_be_visible()
    await reader.reload()
    await expect(reader.page.get_by_role("heading", name="Welcome back")).to_be_visible()


async def test_tabs_that_find_the_token_expired_renew_it_once_and_stay_signed_in(reader: Reader) -> None:
    await reader.sign_up("Grace")
    pages = [reader.page, await reader.context.new_page(), await reader.context.new_page()]
    # As it is a quarter of an hour after signing in: the access token is due, and every tab needs a new one at once.
    await reader.page.evaluate(
        """() => {
            const key = "parley.sign-in";
            const kept = JSON.parse(localStorage.getItem(key));
            localStorage.setItem(key, JSON.stringify({ ...kept, renewAt: 0 }));
        }"""
    )
    for page in pages:
        reader.watch(page)
        await page.goto(reader.base_url, wait_until="commit")
    for page in pages:
        await expect(page.get_by_role("heading", name="Grace")).to_be_visible()
        await expect(page.get_by_role("button", name="Status: Everything works")).to_be_visible()


async def test_a_chosen_theme_is_there_after_a_reload(reader: Reader) -> None:
    await reader.sign_up("Grace")
    await reader.page.get_by_role("button", name="Account of Grace").click()
    await reader.page.get_by_role("menuitemradio", name="Dark").click()
    await reader.reload()
    await expect(reader.page.locator("html")).to_have_attribute("data-theme", "dark")
    await expect(reader.page.locator("body")).to_have_css("background-color", "rgb(23, 25, 28)")

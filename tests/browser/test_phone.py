"""The demo, played in a real browser: what a customer sees, and what the meter beside it shows."""

import pytest
from playwright.async_api import Browser

from tests.browser.phone_page import PATIENCE_MS, balance_millicredits, open_phone, total_shown, until_true, write

pytestmark = pytest.mark.browser


async def test_a_customer_books_in_german_and_the_balance_drops_by_the_receipts(demo: str, browser: Browser) -> None:
    page = await open_phone(browser, demo)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    await page.reload()
    before = await balance_millicredits(page)
    offer = await write(page, "Haben Sie nächste Woche etwas frei für einen Haarschnitt?", 1)
    assert "digitale Assistentin (KI)" in offer
    assert "• " in offer
    first = await total_shown(page)
    assert await balance_millicredits(page) == before - first
    assert "Gebucht ✓ Haarschnitt" in await write(page, "Der erste passt", 2)
    await until_true(
        page, "spent => Number(document.querySelector('#balance').dataset.millicredits) < spent", arg=before - first
    )
    assert await balance_millicredits(page) == before - first - await total_shown(page)
    assert "kostenlos" in await page.inner_text("#receipt")
    assert "Offline-Modell, regelbasiert" in await page.inner_text("#model")

    spent = await balance_millicredits(page)
    await page.click("[data-act=repeat]")
    await page.locator("#said", has_text="nur einmal").wait_for()
    await page.click("[data-act=grant]")
    await until_true(
        page, "before => Number(document.querySelector('#balance').dataset.millicredits) > before", arg=spent
    )
    assert await balance_millicredits(page) == spent + 5_000_000  # and the repeated webhook cost nothing
    assert await page.locator(".bubble:not(.mine)").count() == 2
    assert problems == []


async def test_a_customer_reacts_with_the_keyboard_and_takes_it_back(demo: str, browser: Browser) -> None:
    page = await open_phone(browser, demo)
    await write(page, "Wo kann ich parken?", 1)
    for given in (1, 0):
        await page.focus(".react")
        for key in ("Enter", "Tab", "Enter"):
            await page.keyboard.press(key)
        await until_true(page, "given => document.querySelectorAll('.given').length === given", arg=given)
    assert "Wielandstraße" in await page.inner_text(".bubble:not(.mine)")


async def test_a_person_takes_over_until_the_agent_is_given_the_chat_back(demo: str, browser: Browser) -> None:
    page = await open_phone(browser, demo)
    assert "an einen Menschen aus unserem Team" in await write(page, "Mensch bitte", 1)
    await page.fill("#text", "Hallo?")
    await page.keyboard.press("Enter")
    await page.locator("#journey .now", has_text="Ein Mensch antwortet").wait_for(timeout=PATIENCE_MS)
    await page.click("[data-act=give_back]")
    await page.locator(".bubble:not(.mine)").nth(1).wait_for(timeout=PATIENCE_MS)
    await page.locator("#give-back").wait_for(state="hidden")


async def test_an_empty_wallet_pauses_and_a_grant_answers_what_waited(demo: str, browser: Browser) -> None:
    page = await open_phone(browser, demo)
    await page.click("[data-act=drain]")
    await until_true(page, "() => Number(document.querySelector('#balance').dataset.millicredits) < 21_000")
    await page.fill("#text", "Was kostet ein Haarschnitt?")
    await page.click(".send")
    await page.locator("#journey .bad", has_text="Guthaben reicht nicht").wait_for(timeout=PATIENCE_MS)
    await page.locator(".bubble:not(.mine)", has_text="Wir melden uns").wait_for(timeout=PATIENCE_MS)
    assert await page.locator("#receipt tr").count() == 0
    await page.click("[data-act=grant]")
    await page.locator(".bubble:not(.mine)", has_text="42 Euro").wait_for(timeout=PATIENCE_MS)
    total = await total_shown(page)
    assert 5_000_000 < await balance_millicredits(page) + total < 5_021_000
    await page.locator("#journey .done", has_text="Gelesen").wait_for(timeout=PATIENCE_MS)


async def test_a_narrow_phone_in_english_scrolls_only_down(demo: str, browser: Browser) -> None:
    page = await open_phone(browser, demo, width=390, dark=True)
    await page.click("[data-language=en]")
    answer = await write(page, "How much is a haircut?", 1)
    assert "42 Euro" in answer
    await total_shown(page)
    assert "free" in await page.inner_text("#receipt")
    for width in (390, 1280):
        await page.set_viewport_size({"width": width, "height": 844})
        assert await page.evaluate("document.documentElement.scrollWidth") == width
    await page.fill("#text", "Do you have anything free on Friday?")
    await page.click("#voice")
    await page.locator(".heard").wait_for()
    await page.locator(".bubble:not(.mine)").nth(1).wait_for(timeout=PATIENCE_MS)
    await page.click("#image")
    await page.locator(".bubble:not(.mine)", has_text="I got it").wait_for(timeout=PATIENCE_MS)


async def test_a_message_that_comes_a_day_late_is_not_answered_and_costs_nothing(demo: str, browser: Browser) -> None:
    page = await open_phone(browser, demo)
    before = await balance_millicredits(page)
    await page.click("[data-act=late]")
    await page.locator("#window", has_text="geschlossen").wait_for(timeout=PATIENCE_MS)
    await page.locator("#journey .bad", has_text="keine Antwort").wait_for(timeout=PATIENCE_MS)
    assert await page.locator(".bubble:not(.mine)").count() == 0
    assert await balance_millicredits(page) == before

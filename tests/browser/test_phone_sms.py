"""The demo by SMS in a real browser: what a text costs while it is typed, and what an answer has cost."""

from typing import Final

import pytest
from playwright.async_api import Browser, Page

from tests.browser.phone_page import PATIENCE_MS, balance_millicredits, open_phone, total_shown, until_true, write

RECEIVED: Final = 200_000  # millicredits a segment
SENT: Final = 2_500_000

pytestmark = pytest.mark.browser


async def choose_sms(page: Page) -> None:
    """Change to SMS with the keyboard alone."""
    await page.focus("button[data-channel=whatsapp]")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.locator("button[data-channel=sms][aria-pressed=true]").wait_for()
    await page.locator(".empty").wait_for()


async def count_shown(page: Page, text: str, *, segments: int) -> str:
    """Type a text and return what the counter says once it has caught up."""
    await page.fill("#text", "")
    await page.locator("#counter[data-segments='0']").wait_for(timeout=PATIENCE_MS)
    await page.type("#text", text[:3])
    await page.fill("#text", text)
    counter = page.locator(f"#counter[data-segments='{segments}'][data-characters='{len(text)}']")
    await counter.wait_for(timeout=PATIENCE_MS)
    return await counter.inner_text()


async def test_segments_and_price_are_shown_while_a_text_is_typed(demo: str, browser: Browser) -> None:
    page = await open_phone(browser, demo)
    assert not await page.is_visible("#counter")
    await choose_sms(page)
    shown = await count_shown(page, "a" * 160, segments=1)
    assert ("160 Zeichen · GSM-7 · 1 Segment" in shown, "200 Credits" in shown) == (True, True)
    shown = await count_shown(page, "a" * 161, segments=2)
    assert ("161 Zeichen · GSM-7 · 2 Segmente" in shown, "400 Credits" in shown) == (True, True)
    assert "UCS-2 · 2 Segmente" in await count_shown(page, "a" * 70 + "😊", segments=2)
    await page.click("[data-language=en]")
    await page.locator("#counter", has_text="71 characters · UCS-2 · 2 segments").wait_for(timeout=PATIENCE_MS)
    await page.click("button[data-channel=whatsapp]")
    assert not await page.is_visible("#counter")


async def test_an_answer_by_sms_shows_its_segments_and_the_balance_drops_by_both_receipts(
    demo: str, browser: Browser
) -> None:
    page = await open_phone(browser, demo)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    await choose_sms(page)
    before = await balance_millicredits(page)
    answer = await write(page, "Was kostet ein Haarschnitt?", 1)
    assert "42 Euro" in answer
    assert "2 Segmente · 5.000 Credits" in answer  # the first answer begins with the greeting
    assert "1 Segment · 200 Credits" in await page.inner_text(".bubble.mine")
    await page.locator("#receipt .line", has_text="Gesendete SMS").wait_for(timeout=PATIENCE_MS)
    total = await total_shown(page)
    assert 2 * SENT < total < 2 * SENT + 1_000_000
    await page.locator("#journey li:last-child.done", has_text="Zugestellt").wait_for(timeout=PATIENCE_MS)
    assert await balance_millicredits(page) == before - RECEIVED - total
    await page.click("[data-act=repeat]")
    await page.locator("#said", has_text="nur einmal").wait_for(timeout=PATIENCE_MS)
    assert await balance_millicredits(page) == before - RECEIVED - total
    await page.click("button[data-channel=whatsapp]")
    await page.locator(".empty").wait_for(timeout=PATIENCE_MS)
    assert await page.locator("#receipt tr").count() == 0
    assert problems == []


async def test_an_appointment_is_booked_by_sms_with_signs_that_every_phone_can_show(
    demo: str, browser: Browser
) -> None:
    page = await open_phone(browser, demo)
    await choose_sms(page)
    assert "\n- " in await write(page, "Haben Sie nächste Woche etwas frei für einen Haarschnitt?", 1)
    answer = await write(page, "Der erste passt", 2)
    assert "Gebucht Haarschnitt am" in answer
    assert "1 Segment · 2.500 Credits" in answer
    await page.locator("#receipt .line", has_text="Werkzeuge").wait_for(timeout=PATIENCE_MS)


async def test_stop_is_answered_by_twilio_alone_until_start(demo: str, browser: Browser) -> None:
    page = await open_phone(browser, demo)
    await choose_sms(page)
    await write(page, "Wann haben Sie geöffnet?", 1)
    assert "unsubscribed" in await write(page, "STOP", 2)
    await page.locator("#journey .bad", has_text="Abgemeldet").wait_for(timeout=PATIENCE_MS)
    spent = await balance_millicredits(page)
    await page.fill("#text", "Haben Sie noch auf?")
    await page.keyboard.press("Enter")
    await until_true(
        page, "paid => Number(document.querySelector('#balance').dataset.millicredits) === paid", arg=spent - RECEIVED
    )
    assert await page.locator(".bubble:not(.mine)").count() == 2
    assert "re-subscribed" in await write(page, "START", 3)
    await page.locator("#journey .done", has_text="Keine Antwort nötig").wait_for(timeout=PATIENCE_MS)
    assert "42 Euro" in await write(page, "Was kostet ein Haarschnitt?", 4)


async def test_sms_on_a_narrow_phone_scrolls_only_down(demo: str, browser: Browser) -> None:
    page = await open_phone(browser, demo, width=390, dark=True)
    await page.click("[data-language=en]")
    await choose_sms(page)
    await write(page, "How much is a haircut?", 1)
    await total_shown(page)
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    assert not await page.is_visible("#voice")

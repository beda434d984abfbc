"""Pictures of the customer's phone in every light and width, to be looked at: `python -m tests.browser.screenshots`."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from playwright.async_api import Browser, Page

from tests.browser.phone_page import choose_call, dial, pick
from tests.browser.running import MICROPHONE_HZ, chromium, microphone, own_folder, running_demo

SIZES = ((1280, 900), (390, 844))
PATIENCE_MS = 30_000


async def say(page: Page, text: str) -> None:
    """Write and wait for the answer and its last report."""
    answers = await page.locator(".bubble:not(.mine)").count()
    await page.fill("#text", text)
    await page.keyboard.press("Enter")
    await page.locator(".bubble:not(.mine)").nth(answers).wait_for(timeout=PATIENCE_MS)
    await page.locator("#journey li:last-child.done").wait_for(timeout=PATIENCE_MS)


async def before_the_first_word(page: Page) -> None:
    await page.locator("#journey li").first.wait_for()


async def a_booking(page: Page) -> None:
    await say(page, "Haben Sie morgen Nachmittag etwas frei für einen Haarschnitt?")
    await say(page, "Der zweite passt")


async def a_booking_in_english(page: Page) -> None:
    await page.click("[data-language=en]")
    await say(page, "Do you have anything free on Saturday for a men's haircut?")
    await say(page, "The first one works")
    await say(page, "When is my appointment?")
    await say(page, "Please cancel my appointment")


async def pictures_and_voice(page: Page) -> None:
    await page.fill("#text", "Was kostet ein Haarschnitt?")
    await page.click("#voice")
    await page.locator(".bubble:not(.mine)").first.wait_for(timeout=PATIENCE_MS)
    await page.click("#image")
    await page.locator(".bubble:not(.mine)").nth(1).wait_for(timeout=PATIENCE_MS)
    await page.locator(".react").last.click()
    await page.locator(".choice:not([hidden]) button").nth(1).click()
    await page.locator(".given").wait_for()


async def a_late_message(page: Page) -> None:
    await page.click("[data-act=late]")
    await page.locator("#journey .bad").wait_for(timeout=PATIENCE_MS)


async def texts_by_sms(page: Page) -> None:
    await page.click("button[data-channel=sms]")
    await page.locator(".empty").wait_for()
    await say(page, "Was kostet ein Haarschnitt?")
    await say(page, "Wann haben Sie geöffnet?")
    await page.fill("#text", "Super, dann komme ich am Samstag vorbei 😊")
    await page.locator("#counter.wide[data-segments='1']").wait_for()


async def stop_by_sms(page: Page) -> None:
    await page.click("[data-language=en]")
    await page.click("button[data-channel=sms]")
    await say(page, "How much is a haircut?")
    await page.fill("#text", "STOP")
    await page.keyboard.press("Enter")
    await page.locator(".carrier").wait_for(timeout=PATIENCE_MS)
    await page.locator("#journey .bad").wait_for(timeout=PATIENCE_MS)


async def before_a_call(page: Page) -> None:
    await choose_call(page)


async def a_call_that_rings(page: Page) -> None:
    await choose_call(page)
    await page.evaluate("() => { navigator.mediaDevices.getUserMedia = () => new Promise(() => {}); }")
    await page.click("#dial")


async def a_call(page: Page) -> None:
    await choose_call(page)
    await dial(page)
    await page.locator("#presence", has_text="begrüßt").wait_for(timeout=PATIENCE_MS)
    await pick(page, "Ich hätte gern morgen Nachmittag einen Haarschnitt")
    await page.locator(".bubble.mine").wait_for(timeout=PATIENCE_MS)
    await page.locator("#presence", has_text="spricht").wait_for(timeout=PATIENCE_MS)


async def keys_in_a_call(page: Page) -> None:
    await choose_call(page)
    await dial(page)
    await page.click("#keys")
    for key in "12#":
        await page.keyboard.press(key)


async def after_a_call_in_english(page: Page) -> None:
    await page.click("[data-language=en]")
    await choose_call(page)
    await dial(page)
    for said, heard in (("How much is a haircut?", "takes 45 minutes"), ("Thank you, goodbye!", "Goodbye!")):
        await pick(page, said)
        await page.locator(".bubble:not(.mine)", has_text=heard).wait_for(timeout=PATIENCE_MS)
    await page.locator("#journey li:last-child.done").wait_for(timeout=PATIENCE_MS)


async def a_declined_call(page: Page) -> None:
    await choose_call(page)
    await page.click("#dial")
    await page.locator("#journey .bad").wait_for(timeout=PATIENCE_MS)


async def an_empty_wallet(page: Page) -> None:
    await page.click("[data-act=drain]")
    await page.fill("#text", "Was kostet ein Haarschnitt?")
    await page.keyboard.press("Enter")
    await page.locator("#journey .bad").wait_for(timeout=PATIENCE_MS)


SCENES: tuple[Callable[[Page], Awaitable[None]], ...] = (
    before_the_first_word,
    a_booking,
    a_booking_in_english,
    pictures_and_voice,
    a_late_message,
    texts_by_sms,
    stop_by_sms,
    before_a_call,
    a_call_that_rings,
    a_call,
    keys_in_a_call,
    after_a_call_in_english,
    an_empty_wallet,  # nothing is answered after it
    a_declined_call,
)


async def take(browser: Browser, address: str, folder: Path) -> None:
    for scene in SCENES:
        page = await browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light", locale="de-DE")
        await page.goto(address)
        await page.click("[data-act=customer]")
        await page.locator(".empty").wait_for()
        await scene(page)
        for light in ("light", "dark"):
            for width, height in SIZES:
                await page.emulate_media(color_scheme=light, reduced_motion="reduce")
                await page.set_viewport_size({"width": width, "height": height})
                await page.wait_for_timeout(300)
                await page.screenshot(path=folder / f"{scene.__name__}-{width}-{light}.png", full_page=True)
        await page.close()


async def main(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    with own_folder() as data, running_demo(data) as address:
        async with chromium(*microphone(data / "quiet.wav", bytes(2 * MICROPHONE_HZ))) as browser:
            await take(browser, address, folder)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots")))

"""The demo by phone in a real browser with a microphone: what one hears and reads, and what the meter shows."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, Page

from gateway.simulator.speech import VOICE_HZ, spoken_samples
from tests.browser.phone_page import (
    PATIENCE_MS,
    balance_millicredits,
    choose_call,
    dial,
    open_phone,
    pick,
    until_true,
)
from tests.browser.running import (
    MICROPHONE_HZ,
    ROOT,
    chromium,
    environ,
    microphone,
    own_folder,
    running_demo,
)

SILENCE: Final = bytes(2 * MICROPHONE_HZ)  # a second
ENOUGH_FOR_A_SHORT_CALL: Final = 300  # credits, beside the 20 that are left: 15 s of both talking

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with own_folder() as made:
        yield made


@pytest.fixture(scope="module")
def demo(folder: Path) -> Iterator[str]:
    with running_demo(folder) as address:
        yield address


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    """A browser in a quiet room."""
    async with chromium(*microphone(tmp_path / "quiet.wav", SILENCE)) as launched:
        yield launched


def problems_of(page: Page) -> Sequence[str]:
    """What the browser complains about from now on."""
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    return problems


async def spent_millicredits(page: Page) -> int:
    return int(await page.get_attribute("#window", "data-millicredits") or "")


async def receipts_millicredits(page: Page) -> int:
    """What the listed receipts of this customer's calls sum up to."""
    amounts = await page.eval_on_selector_all("#recent li", "rows => rows.map(row => Number(row.dataset.millicredits))")
    return sum(amounts)


async def greeting_heard(page: Page) -> None:
    """Wait for some words of the greeting: two seconds."""
    await page.locator("#presence", has_text="begrüßt").wait_for(timeout=PATIENCE_MS)
    await until_true(page, "() => window.telephone.heard > 16_000")


async def is_over(page: Page, note: str) -> None:
    await page.locator("#call-note", has_text=note).wait_for(timeout=PATIENCE_MS)
    await page.locator("#journey li:last-child.done", has_text="Beendet").wait_for(timeout=PATIENCE_MS)


def grant(folder: Path, amount_credits: int) -> None:
    """Give the salon credits while the demo runs."""
    command = [sys.executable, "-m", "gateway", "credits", "grant", "Salon Lindenhof", str(amount_credits)]
    more = ["--reason", "Ein kurzer Anruf"]
    subprocess.run([*command, *more], cwd=ROOT, env=environ(folder / "demo"), check=True, capture_output=True)


async def test_a_customer_interrupts_books_and_says_goodbye_while_the_credits_run(demo: str, browser: Browser) -> None:
    page = await open_phone(browser, demo)
    problems = problems_of(page)
    await choose_call(page)
    before = await balance_millicredits(page)
    await page.locator("#quick button:disabled").first.wait_for()
    await dial(page)
    await greeting_heard(page)
    await pick(page, "Ich hätte gern morgen Nachmittag einen Haarschnitt")
    # The greeting, as far as it was heard.
    await page.locator(".bubble.cut", has_text="…").wait_for(timeout=PATIENCE_MS)
    await page.locator(".bubble.mine", has_text="morgen Nachmittag").wait_for(timeout=PATIENCE_MS)
    await page.locator("#presence", has_text="spricht").wait_for(timeout=PATIENCE_MS)
    early = await spent_millicredits(page)
    await pick(page, "Der erste passt")
    await page.locator(".bubble:not(.mine)", has_text="Gebucht: Haarschnitt am").wait_for(timeout=PATIENCE_MS)
    late = await spent_millicredits(page)
    assert 95_000 <= early < late
    assert await balance_millicredits(page) == before - 95_000  # what is used since then is held
    await pick(page, "Danke, tschüss!")
    await is_over(page, "Der Salon hat aufgelegt")
    assert "Auf Wiederhören" in await page.inner_text(".bubble:last-child")
    await until_true(page, "() => document.querySelectorAll('#recent li').length === 2")
    paid = await receipts_millicredits(page)
    assert late <= paid == await spent_millicredits(page)
    assert await balance_millicredits(page) == before - paid
    assert "zurückgelegt" not in await page.inner_text("#held")

    await page.click("[data-act=repeat]")
    await page.locator("#said", has_text="nur einmal").wait_for(timeout=PATIENCE_MS)
    await page.click("[data-act=grant]")
    await until_true(
        page,
        "before => Number(document.querySelector('#balance').dataset.millicredits) === before",
        arg=before - paid + 5_000_000,
    )
    assert (await receipts_millicredits(page), problems) == (paid, [])


async def test_keys_mute_and_hanging_up_in_english_on_a_narrow_phone(demo: str, browser: Browser) -> None:
    page = await open_phone(browser, demo, width=390, dark=True)
    problems = problems_of(page)
    await page.click("[data-language=en]")
    await choose_call(page)
    await dial(page)
    await page.locator("#presence", has_text="greets").wait_for(timeout=PATIENCE_MS)
    await page.click("#mute")
    await page.locator("#call-note", has_text="muted").wait_for()
    frames = await page.evaluate("() => window.telephone.frames")
    await page.focus("#keys")
    for key in ("Enter", "1", "#"):
        await page.keyboard.press(key)
    await page.locator("#call-note", has_text="1 #").wait_for()
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    await page.keyboard.press("Escape")
    assert not await page.is_visible("#keypad")
    await page.locator(".bubble.mine", has_text="1#").wait_for(timeout=PATIENCE_MS)
    assert await page.evaluate("() => window.telephone.frames") == frames
    await page.click("#mute")
    await until_true(page, "before => window.telephone.frames > before", arg=frames)
    await pick(page, "How much is a haircut?")
    await page.locator(".bubble.mine", has_text="How much").wait_for(timeout=PATIENCE_MS)
    await page.locator("#presence", has_text="speaks").wait_for(timeout=PATIENCE_MS)
    await page.click("#dial")
    await page.locator("#call-note", has_text="You have hung up").wait_for(timeout=PATIENCE_MS)
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    assert problems == []


async def test_a_voice_interrupts_the_agent_who_says_that_it_did_not_understand(demo: str, tmp_path: Path) -> None:
    said = spoken_samples("Hallo, können Sie mich hören?", "de")
    slower = b"".join(said[at : at + 2] * (MICROPHONE_HZ // VOICE_HZ) for at in range(0, len(said), 2))
    async with chromium(*microphone(tmp_path / "voice.wav", 3 * SILENCE + slower + 12 * SILENCE)) as browser:
        page = await open_phone(browser, demo)
        await choose_call(page)
        await dial(page)
        await page.locator(".bubble.cut").wait_for(timeout=PATIENCE_MS)
        await page.locator(".bubble:not(.mine)", has_text="nicht verstanden").wait_for(timeout=PATIENCE_MS)
        assert await page.locator(".bubble.mine").count() == 0
        await page.click("button[data-channel=sms]")  # whoever leaves hangs up
        await page.click("button[data-channel=voice]")
        await is_over(page, "Sie haben aufgelegt")


async def test_two_windows_have_one_telephone_and_a_reload_hangs_up(demo: str, browser: Browser) -> None:
    page = await open_phone(browser, demo)
    other = await browser.new_page(locale="de-DE")
    await other.goto(demo)
    for window in (page, other):
        await choose_call(window)
    await dial(page)
    await other.locator("#call-note", has_text="In einem anderen Fenster").wait_for(timeout=PATIENCE_MS)
    assert await other.is_disabled("#dial")
    await page.reload()
    await other.locator("#dial:enabled").wait_for(timeout=PATIENCE_MS)
    await is_over(page, "Sie haben aufgelegt")


async def test_a_call_without_a_microphone_says_what_can_be_done(demo: str, browser: Browser) -> None:
    page = await open_phone(browser, demo)
    await choose_call(page)
    await page.evaluate("() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('none')); }")
    await dial(page)
    await page.locator("#call-note", has_text="Ohne Mikrofon").wait_for(timeout=PATIENCE_MS)
    await page.click("#dial")
    await is_over(page, "Sie haben aufgelegt")


async def test_an_empty_wallet_declines_a_call_and_one_that_runs_dry_ends_it_politely(
    demo: str, browser: Browser, folder: Path
) -> None:
    page = await open_phone(browser, demo)
    await choose_call(page)
    await page.click("[data-act=drain]")
    await until_true(page, "() => Number(document.querySelector('#balance').dataset.millicredits) < 21_000")
    before = await balance_millicredits(page)
    await page.click("#dial")
    await page.locator("#call-note", has_text="Das Guthaben reicht nicht").wait_for(timeout=PATIENCE_MS)
    await page.locator("#journey .bad", has_text="nicht angenommen").wait_for(timeout=PATIENCE_MS)
    assert await page.locator("#recent li").count() == await spent_millicredits(page) == 0
    assert await balance_millicredits(page) == before

    grant(folder, ENOUGH_FOR_A_SHORT_CALL)
    await until_true(page, "() => Number(document.querySelector('#balance').dataset.millicredits) > 300_000")
    before = await balance_millicredits(page)
    await dial(page)
    await page.locator("#presence", has_text="kommt zum Schluss").wait_for(timeout=PATIENCE_MS)
    await pick(page, "Wann haben Sie geöffnet?")
    await page.locator("#presence", has_text="Guthaben zu Ende").wait_for(timeout=PATIENCE_MS)
    await is_over(page, "Das Guthaben ist aufgebraucht")
    await until_true(page, "() => document.querySelectorAll('#recent li').length === 2")
    paid = await receipts_millicredits(page)
    assert 0 <= await balance_millicredits(page) == before - paid
    assert paid == await spent_millicredits(page) > 95_000

    await page.click("[data-act=grant]")
    await until_true(page, "() => Number(document.querySelector('#balance').dataset.millicredits) > 5_000_000")

"""What tests do on the phone's page, and what they read there."""

import asyncio

from playwright.async_api import Browser, Page

PATIENCE_MS = 30_000


async def open_phone(browser: Browser, demo: str, *, width: int = 1280, dark: bool = False) -> Page:
    """The page, with a customer who has not written yet."""
    page = await browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", locale="de-DE"
    )
    await page.goto(demo)
    await page.click("[data-act=customer]")
    await page.locator("#said", has_text="Neues Gespräch").wait_for(timeout=PATIENCE_MS)
    await page.locator(".empty").wait_for(timeout=PATIENCE_MS)
    return page


async def write(page: Page, text: str, answers: int) -> str:
    """Write a message and return the answer, which is so many-th."""
    await page.fill("#text", text)
    await page.keyboard.press("Enter")
    await page.locator(".bubble:not(.mine)").nth(answers - 1).wait_for(timeout=PATIENCE_MS)
    return await page.locator(".bubble:not(.mine)").nth(answers - 1).inner_text()


async def choose_call(page: Page) -> None:
    """Change to the telephone."""
    await page.click("button[data-channel=voice]")
    await page.locator("#call").wait_for(timeout=PATIENCE_MS)
    await page.locator(".empty").wait_for(timeout=PATIENCE_MS)


async def dial(page: Page) -> None:
    """Call, and wait until the salon is heard."""
    await page.click("#dial")
    await until_true(page, "() => Boolean(window.telephone) && window.telephone.heard > 0")


async def pick(page: Page, text: str) -> None:
    """Say one of the sentences that the page offers."""
    await page.locator("#quick button:enabled", has_text=text).click(timeout=PATIENCE_MS)


async def until_true(page: Page, question: str, arg: object = None) -> None:
    """Ask the page again and again. Its own policy forbids what `wait_for_function` would have it evaluate."""
    async with asyncio.timeout(PATIENCE_MS / 1_000):
        while not await page.evaluate(question, arg):  # noqa: ASYNC110 - the page calls nobody
            await asyncio.sleep(0.05)


async def balance_millicredits(page: Page) -> int:
    await until_true(page, "() => document.querySelector('#balance').dataset.millicredits !== undefined")
    return int(await page.get_attribute("#balance", "data-millicredits") or "")


async def total_shown(page: Page) -> int:
    """The receipt's total, after its lines were added up."""
    await page.locator("#receipt .sum").wait_for(timeout=PATIENCE_MS)
    lines = await page.eval_on_selector_all(
        "#receipt .line", "rows => rows.map(row => Number(row.dataset.millicredits))"
    )
    total = int(await page.get_attribute("#receipt .sum", "data-millicredits") or "")
    assert len(lines) >= 2
    assert sum(lines) == total > 0
    return total

"""The price page in a real browser: the sum follows while one types."""

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser

from gateway.dashboard import pages, prices
from gateway.dashboard.figures import credits_text
from gateway.web import application
from metering.plans import load_plans
from metering.rates import load_rate_cards
from tests.gateway.dashboard.conftest import NOW

PATIENCE_MS = 15_000

pytestmark = pytest.mark.browser


@pytest.fixture
async def address() -> AsyncIterator[str]:
    shown = prices.routes(rate_cards=load_rate_cards(), plans=load_plans(), plans_are_examples=True, now=lambda: NOW)
    app = application(pages.routes() + shown, body_bytes_max=1_000, https=False, stopping=lambda: False)
    async with TestServer(app) as server:
        yield str(server.make_url("/prices"))


@pytest.mark.parametrize("locale", ["de-DE", "en-GB"])
async def test_the_sum_follows_what_is_typed_in_either_language(address: str, browser: Browser, locale: str) -> None:
    first, then, by_month = (credits_text(total, locale[:2]) for total in (150_000_000, 375_000_000, 376_000_000))
    assert first == ("150.000" if locale == "de-DE" else "150,000")
    page = await browser.new_page(locale=locale, viewport={"width": 1280, "height": 900})
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    await page.goto(address)
    assert await page.inner_text("#total") == first
    assert not await page.is_visible(".calculate")
    await page.fill("#sms_sent", "3")
    await page.locator("#total", has_text=then).wait_for(timeout=PATIENCE_MS)
    assert then in await page.inner_text("#said")
    await page.get_by_role("radio").nth(1).focus()
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("ArrowRight")
    await page.locator("#total", has_text=then).wait_for(timeout=PATIENCE_MS)
    assert await page.input_value("#chats") == "300"
    await page.fill("#chats", "302")
    await page.locator("#total", has_text=by_month).wait_for(timeout=PATIENCE_MS)
    await page.reload()
    assert await page.inner_text("#total") == by_month
    assert problems == []


async def test_the_page_scrolls_only_down_on_a_narrow_phone_and_works_without_scripts(
    address: str, browser: Browser
) -> None:
    context = await browser.new_context(
        java_script_enabled=False, viewport={"width": 390, "height": 844}, locale="de-DE", color_scheme="dark"
    )
    page = await context.new_page()
    await page.goto(address)
    await page.fill("#mobile_numbers", "1")
    await page.click(".calculate")
    assert await page.inner_text("#total") == "210.000"
    await context.close()
    page = await browser.new_page(viewport={"width": 390, "height": 844}, locale="de-DE")
    await page.goto(f"{address}?chats=10&sms_sent=1&sms_received=1&call_minutes=1&local_numbers=1&mobile_numbers=1")
    assert await page.evaluate("document.documentElement.scrollWidth") == 390

"""One demo for each module, and a browser for each test."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser

from tests.browser.running import CHROMIUM, chromium, own_folder, running_demo


@pytest.fixture(scope="module", autouse=True)
def _a_chromium_is_here() -> None:
    if not CHROMIUM.exists():
        assert not os.environ.get("CI"), "CI needs a Chromium"
        pytest.skip("there is no Chromium here")


@pytest.fixture(scope="module")
def demo() -> Iterator[str]:
    with own_folder() as folder, running_demo(folder) as address:
        yield address


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as launched:
        yield launched

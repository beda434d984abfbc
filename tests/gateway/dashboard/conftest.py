"""The public pages on a server of their own, with a rate card and plans of one's choice; no database."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.dashboard import pages, prices
from gateway.web import application
from metering.plans import Plans, load_plans
from metering.rates import RateCards, load_rate_cards

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)


@dataclass(frozen=True)
class Shown:
    """What a reader got."""

    status: int
    headers: Mapping[str, str]
    text: str


@dataclass(frozen=True)
class Reader:
    """Somebody who looks at the pages."""

    client: "TestClient[Any, Any]"

    async def get(self, path: str, **headers: str) -> Shown:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.get(path, headers=named) as response:
            return Shown(response.status, response.headers, await response.text())


Open = Callable[..., Awaitable[Reader]]


@pytest.fixture
async def open_pages() -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def open_them(
            rate_cards: RateCards | None = None, plans: Plans | None = None, *, are_examples: bool = True
        ) -> Reader:
            routes = pages.routes() + prices.routes(
                rate_cards=rate_cards or load_rate_cards(),
                plans=load_plans() if plans is None else plans,
                plans_are_examples=are_examples,
                now=lambda: NOW,
            )
            app = application(routes, body_bytes_max=1_000, https=False, stopping=lambda: False)
            return Reader(await stack.enter_async_context(TestClient(TestServer(app))))

        yield open_them

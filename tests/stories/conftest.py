"""A world with one salon that has credits."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.logs import configure_logs
from tests.stories.world import World, opened

CREDITS = 10_000


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    configure_logs()
    async with opened(database_url, tmp_path) as opened_world:
        await opened_world.add_salon("Salon Lindenhof", amount_credits=CREDITS)
        yield opened_world

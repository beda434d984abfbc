"""A salon that can be rung at."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID

import pytest

from gateway.db import Database
from tests.cast import Cast
from tests.conftest import Clock
from tests.gateway.voice.a_call import Salon, open_salon
from tests.gateway.wiring import wired


@pytest.fixture
async def salon(
    db: Database, clock: Clock, new_id: Callable[[], UUID], cast: Cast, tmp_path: Path
) -> AsyncIterator[Salon]:
    async with wired(db, clock, new_id, tmp_path) as services:
        yield await open_salon(services, cast)

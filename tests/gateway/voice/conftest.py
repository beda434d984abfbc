"""A salon that can be rung at."""

import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from gateway.db import Database
from tests.cast import Cast
from tests.conftest import Clock
from tests.gateway.voice.a_call import Salon, open_salon
from tests.gateway.voice.telephone import Telephone, opened_telephone
from tests.gateway.wiring import wired


@pytest.fixture
async def salon(
    db: Database, clock: Clock, new_id: Callable[[], UUID], cast: Cast, tmp_path: Path
) -> AsyncIterator[Salon]:
    async with wired(db, clock, new_id, tmp_path) as services:
        yield await open_salon(services, cast)


@pytest.fixture
def open_telephone(
    db: Database, clock: Clock, new_id: Callable[[], UUID], cast: Cast, tmp_path: Path
) -> Callable[..., contextlib.AbstractAsyncContextManager[Telephone]]:
    return partial(opened_telephone, db, clock, new_id, cast, tmp_path)

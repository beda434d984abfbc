"""A salon with an empty calendar and two customers."""

from collections.abc import Callable
from uuid import UUID

import pytest

from gateway.db import Database
from tests.agents.tools.salon import Salon, open_salon
from tests.conftest import Clock

ANNA, BEN = UUID(int=101), UUID(int=102)


@pytest.fixture
async def salon(db: Database, clock: Clock, new_id: Callable[[], UUID]) -> Salon:
    return await open_salon(db, clock, new_id)

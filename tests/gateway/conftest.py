"""An inbox to write to."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID

import pytest

from gateway.db import Database
from tests.cast import Cast
from tests.conftest import Clock
from tests.gateway.mailroom import Mailroom, opened
from tests.gateway.sms_mailroom import SmsMailroom, with_sms


@pytest.fixture
async def mailroom(
    db: Database, clock: Clock, new_id: Callable[[], UUID], cast: Cast, tmp_path: Path
) -> AsyncIterator[Mailroom]:
    async with opened(db, clock, new_id, cast, tmp_path) as room:
        yield room


@pytest.fixture
async def sms(mailroom: Mailroom) -> SmsMailroom:
    return await with_sms(mailroom)

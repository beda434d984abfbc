from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID

import pytest

from gateway.db import Database
from gateway.voice.credit.minutes import begin_minute, settle_minute
from gateway.voice.credit.settling import end_call
from tests.cast import Cast
from tests.conftest import Clock
from tests.gateway.voice.paying import CREDIT, FEE, Till, cost, open_till, used
from tests.gateway.wiring import wired

ENDPOINT = """INSERT INTO webhook_endpoint (tenant_id, endpoint_id, url, kinds, secret_encrypted, enabled, created_at)
              VALUES ($1, $2, 'https://owner.example/hook', '{}', 'x', true, now())"""


@pytest.fixture
async def till(
    db: Database, clock: Clock, new_id: Callable[[], UUID], cast: Cast, tmp_path: Path
) -> AsyncIterator[Till]:
    async with wired(db, clock, new_id, tmp_path) as services:
        till = await open_till(services, cast, clock)
        await till.grant(9_000 * CREDIT)
        yield till


async def test_an_owners_system_hears_once_what_a_call_was_and_cost(till: Till) -> None:
    account, held = await till.answered()
    await till.salon.do(ENDPOINT, account.tenant_id, till.services.new_id())
    await begin_minute(till.services, account, held)
    await settle_minute(till.services, account, held, used(1), provider_usage={})
    for _ in range(2):
        await end_call(till.services, account, reason="goodbye", figures={}, provider_usage={})
    async with till.services.db.transaction(account.tenant_id) as connection:
        bodies = await connection.fetch("SELECT kind, body FROM webhook_delivery")
    assert [row["kind"] for row in bodies] == ["call.ended"]
    told = bodies[0]["body"]["data"]
    assert (told["call_id"], told["reason"], told["minutes_charged"]) == (str(account.call_id), "goodbye", 1)
    assert told["charged_millicredits"] == FEE + cost(used(1))
    assert "caller" not in told

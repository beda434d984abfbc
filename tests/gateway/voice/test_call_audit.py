from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from gateway.db import Database
from gateway.voice.credit.audit import audit_calls
from gateway.voice.credit.minutes import begin_leg_minute, begin_minute, settle_minute
from metering.audit import Difference, audit
from tests.cast import Cast
from tests.conftest import Clock
from tests.gateway.voice.paying import CREDIT, Till, dial, open_till, used
from tests.gateway.wiring import wired


@pytest.fixture
async def till(
    db: Database, clock: Clock, new_id: Callable[[], UUID], cast: Cast, tmp_path: Path
) -> AsyncIterator[Till]:
    """Two calls: one of two minutes that was forwarded, one of a single minute."""
    async with wired(db, clock, new_id, tmp_path) as services:
        till = await open_till(services, cast, clock)
        await till.grant(9_000 * CREDIT)
        for minutes in (2, 1):
            account, held = await till.answered()
            for minute in range(1, minutes + 1):
                held = held if minute == 1 else await till.holds(account, minute)
                await begin_minute(services, account, held)
                await settle_minute(services, account, held, used(minute), provider_usage={})
            if minutes == 2:
                await dial(till, account, 1)
                await begin_leg_minute(services, account, 1, 1)
        yield till


async def differences(till: Till) -> list[str]:
    async with till.services.db.snapshot(till.tenant_id) as connection:
        found: tuple[Difference, ...] = await audit_calls(connection, till.tenant_id)
        found += await audit(connection, till.tenant_id, till.services.rate_cards)
    return [difference.what for difference in found]


async def test_calls_that_were_charged_as_they_are_noted_agree(till: Till) -> None:
    assert await differences(till) == []


LIES = {
    "minutes": "UPDATE call SET minutes_charged = minutes_charged + 1 WHERE minutes_charged = 2",
    "input tokens": "UPDATE call SET input_tokens = 1 WHERE minutes_charged = 2",
    "output tokens": "UPDATE call SET output_tokens = 1 WHERE minutes_charged = 1",
    "minutes of leg 1": "UPDATE call_leg SET minutes_charged = 3",
    "items of a minute": """UPDATE receipt SET lines = jsonb_set(lines, '{0,item}', '"voice_input"')
      WHERE lines -> 0 ->> 'item' = 'call_minute'""",
    "audio of a minute": """UPDATE receipt SET lines = jsonb_set(lines, '{1,quantity}', '1201')
      WHERE lines -> 1 ->> 'item' = 'voice_output'""",
}


@pytest.mark.parametrize("what", LIES)
async def test_a_call_that_is_not_what_was_charged_is_found(till: Till, database_url: str, what: str) -> None:
    owner = await asyncpg.connect(database_url)
    await owner.execute(LIES[what])
    await owner.close()
    assert what in await differences(till)


async def test_a_charge_of_a_call_that_there_never_was_is_found(till: Till) -> None:
    await till.salon.do("DELETE FROM call WHERE minutes_charged = 1")
    assert await differences(till) == ["call_minute", "voice_input", "voice_output"]

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from gateway.db import Database
from gateway.errors import StaleLeaseError
from gateway.voice import call_store
from gateway.voice.call import Away, Progress
from gateway.voice.credit.minutes import begin_minute, hold_first, settle_minute
from gateway.voice.credit.settling import end_call, note_duration
from gateway.voice.credit.sweeps import end_orphaned_calls
from metering.ledger import lock as lock_wallet
from tests.cast import Cast
from tests.conftest import Clock
from tests.gateway.voice.paying import CREDIT, FEE, Till, open_till, used
from tests.gateway.waiting import until_somebody_waits
from tests.gateway.wiring import wired


@pytest.fixture
async def till(
    db: Database, clock: Clock, new_id: Callable[[], UUID], cast: Cast, tmp_path: Path
) -> AsyncIterator[Till]:
    async with wired(db, clock, new_id, tmp_path) as services:
        till = await open_till(services, cast, clock)
        await till.grant(9_000 * CREDIT)
        yield till


async def test_a_call_whose_process_died_lets_go_of_everything_and_the_owner_is_told_once(
    till: Till, clock: Clock
) -> None:
    account, held = await till.answered()
    await begin_minute(till.services, account, held)
    await till.holds(account, 2)
    clock.advance(seconds=29)
    await end_orphaned_calls(till.services)
    assert (await till.call(account))["state"] == "live"
    clock.advance(seconds=1)
    await asyncio.gather(*(end_orphaned_calls(till.services) for _ in range(3)))
    row = await till.call(account)
    assert (row["state"], row["end_reason"]) == ("ended", "crashed")
    assert await till.wallet() == (9_000 * CREDIT - FEE, 0)
    assert await till.alerts() == ["call_crashed"]
    ended = till.services.metrics.registry.get_sample_value("turnmeter_calls_total", {"reason": "crashed"})
    assert ended == 1


async def test_a_process_that_was_only_slow_has_lost_its_call(till: Till, clock: Clock) -> None:
    account, held = await till.answered()
    await begin_minute(till.services, account, held)
    clock.advance(seconds=31)
    await end_orphaned_calls(till.services)
    with pytest.raises(StaleLeaseError):
        await settle_minute(till.services, account, held, used(1), provider_usage={})
    assert not await till.renews(account)
    await end_call(till.services, account, reason="goodbye", figures={}, provider_usage={})
    assert (await till.call(account))["end_reason"] == "crashed"
    assert await till.wallet() == (9_000 * CREDIT - FEE, 0)


async def test_a_call_that_was_renewed_in_time_goes_on(till: Till, clock: Clock) -> None:
    account, _ = await till.answered()
    clock.advance(seconds=31)
    await till.renews(account)
    await end_orphaned_calls(till.services)
    assert (await till.call(account))["state"] == "live"


async def test_a_call_that_is_renewed_while_it_is_swept_up_goes_on(till: Till, clock: Clock, db: Database) -> None:
    account, _ = await till.answered()
    clock.advance(seconds=31)
    async with db.transaction(till.tenant_id) as connection:
        await lock_wallet(connection, till.tenant_id)
        sweeping = asyncio.create_task(end_orphaned_calls(till.services))
        await until_somebody_waits(db)
        assert await till.renews(account)
    await sweeping
    assert (await till.call(account))["state"] == "live"
    assert len(await till.open_holds()) == 2


async def test_a_call_whose_stream_never_began_ends_without_a_word(till: Till, clock: Clock) -> None:
    account = await till.rings()
    await hold_first(till.services, account)
    clock.advance(seconds=15)
    await end_orphaned_calls(till.services)
    row = await till.call(account)
    assert (row["state"], row["end_reason"]) == ("ended", "not_connected")
    assert await till.alerts() == []
    assert await till.wallet() == (9_000 * CREDIT, 0)


@pytest.mark.parametrize(
    ("state", "reason", "waits_s"), [("away", "not_resumed", 0), ("forwarding", "forwarding_lost", 120)]
)
async def test_a_call_that_nobody_goes_on_with_ends(
    till: Till, clock: Clock, state: Away, reason: str, waits_s: int
) -> None:
    account, _ = await till.answered()
    async with till.services.db.transaction(till.tenant_id) as connection:
        until = clock.now() + timedelta(seconds=20)
        await call_store.save_progress(connection, account, Progress(), state=state, lease_until=until)
    clock.advance(seconds=waits_s + 19)
    await end_orphaned_calls(till.services)
    assert len(await till.open_holds()) == 2
    clock.advance(seconds=1)
    await till.sweep()
    assert (await till.call(account))["end_reason"] == reason
    assert await till.open_holds() == {}


async def test_minutes_of_an_orphan_are_corrected_too(till: Till, clock: Clock) -> None:
    account, held = await till.answered()
    await begin_minute(till.services, account, held)
    await begin_minute(till.services, account, await till.holds(account, 2))
    row = await till.call(account)
    await note_duration(till.services, till.tenant_id, row["call_sid"], 58)
    clock.advance(seconds=31)
    await end_orphaned_calls(till.services)
    assert await till.wallet() == (9_000 * CREDIT - FEE, 0)

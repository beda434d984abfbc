"""The owner hears at a fifth, at a tenth and when nothing more can be paid: once for each grant, whoever spent it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway.db import Database
from gateway.group_commit import Companion
from gateway.services import Services
from metering.connection import Connection
from metering.operations import Applied, Grant, Hold, Outcome, Refused
from tests.cast import Cast
from tests.conftest import Clock
from tests.gateway.wiring import wired
from tests.metering.operations import charge, hold


class Purse:
    """The broke tenant's wallet, through everything that is wired around it."""

    def __init__(self, services: Services, tenant_id: UUID) -> None:
        self.services, self.tenant_id = services, tenant_id

    async def grant(self, amount: int) -> None:
        grant_id = self.services.new_id()
        granted = Grant(
            reference=str(grant_id), grant_id=grant_id, kind="manual", amount_millicredits=amount, reason="test"
        )
        await self.services.ledger.submit(self.tenant_id, granted)

    async def spend(self, key: str, amount: int, companion: Companion | None = None) -> Outcome | None:
        return await self.services.ledger.submit(self.tenant_id, charge(key, amount), companion)

    async def ask(self, key: str, amount: int) -> Outcome | None:
        wanted: Hold = hold(key, amount, now=self.services.now())
        return await self.services.ledger.hold(self.tenant_id, wanted, wait_s=0.0)

    async def alerts(self) -> list[tuple[str, dict[str, Any]]]:
        async with self.services.db.transaction(self.tenant_id) as connection:
            rows = await connection.fetch("SELECT kind, detail FROM alert ORDER BY created_at, dedupe_key DESC")
        return [(row["kind"], row["detail"]) for row in rows]

    async def told(self) -> list[tuple[str, int]]:
        return [(kind, detail["percent"]) for kind, detail in await self.alerts()]


@pytest.fixture
async def purse(
    db: Database, clock: Clock, new_id: Callable[[], UUID], cast: Cast, tmp_path: Path
) -> AsyncIterator[Purse]:
    async with wired(db, clock, new_id, tmp_path) as services:
        yield Purse(services, cast.broke)


async def test_a_wallet_that_is_spent_tells_three_times(purse: Purse, clock: Clock) -> None:
    await purse.grant(1_000)
    for number in range(9):
        clock.advance(seconds=1)
        await purse.spend(f"sms:{number}", 100)
    clock.advance(seconds=1)
    refused = await purse.ask("turn:1:1", 150)
    assert isinstance(refused, Refused)
    clock.advance(seconds=1)
    await purse.ask("turn:2:1", 150)
    assert await purse.told() == [("low_balance", 20), ("low_balance", 10), ("paused", 0)]
    assert [detail["balance_millicredits"] for _, detail in await purse.alerts()] == [200, 100, 100]


async def test_the_next_grant_is_told_of_anew_and_an_unchanged_mark_is_not(purse: Purse, clock: Clock) -> None:
    await purse.grant(1_000)
    await purse.spend("sms:1", 850)
    clock.advance(seconds=1)
    await purse.grant(850)
    await purse.spend("sms:2", 800)
    assert await purse.told() == [("low_balance", 20), ("low_balance", 20)]
    marks = [detail["full_millicredits"] for _, detail in await purse.alerts()]
    assert marks == [1_000, 1_000]


async def test_charges_of_one_batch_tell_the_lowest_level_only(purse: Purse) -> None:
    await purse.grant(1_000)
    outcomes = await asyncio.gather(*(purse.spend(f"sms:{number}", 100) for number in range(9)))
    assert all(isinstance(outcome, Applied) for outcome in outcomes)
    assert ("low_balance", 10) in await purse.told()
    assert len(await purse.told()) <= 2  # the first charge may have been a batch of its own


async def test_a_charge_that_is_undone_has_told_nothing(purse: Purse) -> None:
    async def fail(_connection: Connection, _outcome: Outcome) -> None:
        raise ZeroDivisionError

    await purse.grant(1_000)
    with pytest.raises(ZeroDivisionError):
        await purse.spend("sms:1", 900, Companion(write=fail))
    assert await purse.told() == []


async def test_the_owner_learns_for_how_many_days_it_lasts(purse: Purse) -> None:
    await purse.grant(1_000)
    await purse.spend("sms:1", 850)
    [(_, detail)] = await purse.alerts()
    assert detail["days_left"] == 0  # 850 on the very first day


async def test_a_wallet_without_any_grant_is_told_of_once(purse: Purse) -> None:
    await purse.ask("turn:1:1", 100)
    await purse.ask("turn:2:1", 100)
    assert await purse.told() == [("paused", 0)]

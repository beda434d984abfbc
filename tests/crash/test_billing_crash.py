import asyncio
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from gateway.db import Database
from gateway.recurring import bill_months
from gateway.tenants import NewTenant, create_tenant
from metering.plans import load_plans
from tests.conftest import Clock
from tests.gateway.subscriber import Subscriber
from tests.gateway.wiring import wired

TENANTS = 60
ROUNDS = 6
LATER = datetime(2027, 6, 30, 12, tzinfo=UTC)

pytestmark = pytest.mark.crash


def killed(url: str, folder: Path, *, after_s: float) -> None:
    """Let a process do the months' work, kill it some time after it began."""
    arguments = [sys.executable, "-m", "tests.crash.biller", url, str(folder), LATER.isoformat()]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.kill()


async def test_cycles_cut_off_by_kill_9_are_granted_once(
    db: Database, database_url: str, clock: Clock, new_id: Callable[[], UUID], tmp_path: Path
) -> None:
    clock.at = datetime(2027, 1, 31, 11, tzinfo=UTC)
    async with wired(db, clock, new_id, tmp_path) as services:
        plan = load_plans().find("Start")
        everybody = [
            Subscriber(
                services=services,
                clock=clock,
                tenant=await create_tenant(
                    db, services.ledger, NewTenant(name=f"T{number}"), plan, now=clock.now(), new_id=new_id
                ),
            )
            for number in range(TENANTS)
        ]
        clock.at = LATER
        for _ in range(ROUNDS):
            after_s = random.uniform(0.0, 0.15)  # noqa: S311 - any moment will do
            await asyncio.to_thread(killed, database_url, tmp_path, after_s=after_s)
        await bill_months(replace(services, now=lambda: LATER))
        for each in everybody:
            assert [amount for _, amount in await each.grants()] == [150_000] * 6
            assert len(await each.invoices()) == 6
            assert (await each.subscription()).cycle == 6
            await each.audit()

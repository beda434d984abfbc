import asyncio
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from gateway import work_queue
from gateway.db import Database
from metering.audit import audit
from metering.ledger import apply
from metering.operations import ExpireHold
from tests.metering.operations import CARDS, grant

ROUNDS = 12
PLENTY = 10**12

pytestmark = pytest.mark.crash


def killed(url: str, tenant_id: UUID, name: str, *, after_s: float) -> list[str]:
    """Let a process charge, kill it some time after its first charge; return what it said was charged."""
    arguments = [sys.executable, "-m", "tests.crash.charger", url, str(tenant_id), name]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.kill()
        rest = process.stdout.read()
    return (first + rest).decode().split()


async def test_no_acknowledged_charge_is_lost_by_kill_9_and_orphan_holds_are_swept(
    db: Database, database_url: str, new_id: Callable[[], UUID]
) -> None:
    tenant_id, acknowledged = new_id(), set[str]()
    async with db.transaction(tenant_id) as connection:
        await apply(connection, tenant_id, [grant(PLENTY)], now=datetime.now(UTC))
    for number in range(ROUNDS):
        after_s = random.uniform(0.0, 0.3)  # noqa: S311 - any moment will do
        acknowledged |= set(await asyncio.to_thread(killed, database_url, tenant_id, str(number), after_s=after_s))
        async with db.snapshot(tenant_id) as connection:
            stored = {row["key"] for row in await connection.fetch("SELECT key FROM ledger_entry")}
            assert acknowledged <= stored
            assert await audit(connection, tenant_id, CARDS) == ()
    assert len(acknowledged) > ROUNDS

    later = datetime.now(UTC) + timedelta(minutes=5)
    async with db.queue() as connection:
        overdue = await work_queue.overdue_holds(connection, now=later, limit=1_000)
    assert overdue
    expiries = [ExpireHold(hold_key=each.hold_key) for each in overdue if each.hold_key is not None]
    async with db.transaction(tenant_id) as connection:
        await apply(connection, tenant_id, expiries, now=later)
        charged = len(await connection.fetch("SELECT FROM ledger_entry WHERE kind = 'charge'"))
        wallet = await connection.fetchrow("SELECT balance_millicredits, held_millicredits FROM wallet")
        assert await audit(connection, tenant_id, CARDS) == ()
    assert wallet is not None
    assert tuple(wallet) == (PLENTY - 20 * charged, 0)

"""A process that charges one tenant until it is killed: `python -m tests.crash.charger URL TENANT ROUND`.

Prints the key of every charge that the ledger has acknowledged, a line each, and nothing that it has not.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime
from uuid import UUID

from gateway.db import Database
from gateway.group_commit import Ledger
from metering.operations import Applied, Held
from tests.gateway.spender import nobody_waits
from tests.metering.operations import capture, hold

AT_ONCE = 8


async def charge(ledger: Ledger, tenant_id: UUID, name: str) -> None:
    number = 0
    while True:
        number += 1
        key = f"turn:{name}-{number}"
        held = await ledger.hold(tenant_id, hold(f"{key}:1", 50, now=datetime.now(UTC)), wait_s=60.0)
        if not isinstance(held, Held):
            raise TypeError(held)
        captured = await ledger.submit(tenant_id, capture(key, f"{key}:1", 20))
        if isinstance(captured, Applied):
            os.write(1, f"{key}\n".encode())


async def main(url: str, tenant_id: UUID, name: str) -> None:
    db = await Database.connect(url, connections=4)
    ledger = Ledger(db, now=lambda: datetime.now(UTC), on_resumed=nobody_waits)
    await asyncio.gather(*(charge(ledger, tenant_id, f"{name}-{slot}") for slot in range(AT_ONCE)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], UUID(sys.argv[2]), sys.argv[3]))

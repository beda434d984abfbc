"""A process of its own that spends one tenant's credits: `python -m tests.gateway.spender URL TENANT NAME TURNS`.

Says "ready", waits for a line, and prints how the turns went, as JSON: {"paid": n, "insufficient_credits": n, …}.
"""

import asyncio
import json
import random
import sys
from collections import Counter
from datetime import UTC, datetime
from uuid import UUID

from gateway.db import Database
from gateway.group_commit import Ledger
from metering.connection import Connection
from metering.operations import Applied, Held, Refused
from tests.metering.operations import capture, hold

COST = 100
WAIT_S = 60.0  # far longer than any turn of these


def clock() -> datetime:
    return datetime.now(UTC)


async def nobody_waits(_connection: Connection, _tenant_id: UUID, _now: datetime) -> None:
    """What resumes with a paused wallet: nothing."""


async def turn(ledger: Ledger, tenant_id: UUID, name: str) -> str:
    """Hold up to five times what the answer will cost, think, capture; return how it went."""
    outcome = await ledger.hold(tenant_id, hold(f"turn:{name}:1", 5 * COST, COST, now=clock()), wait_s=WAIT_S)
    match outcome:
        case Held():
            await asyncio.sleep(random.uniform(0.0, 0.02))  # noqa: S311 - turns are not alike
            captured = await ledger.submit(tenant_id, capture(f"turn:{name}", f"turn:{name}:1", COST))
            return "paid" if isinstance(captured, Applied) else "lost"
        case Refused():
            return outcome.reason
        case None:
            return "unwanted"


async def spend(db: Database, tenant_id: UUID, name: str, turns: int) -> Counter[str]:
    """Run so many turns at once."""
    ledger = Ledger(db, now=clock, on_resumed=nobody_waits)
    ends = await asyncio.gather(*(turn(ledger, tenant_id, f"{name}-{number}") for number in range(turns)))
    await ledger.close()
    return Counter(ends)


async def main(url: str, tenant_id: UUID, name: str, turns: int) -> None:
    db = await Database.connect(url)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(json.dumps(await spend(db, tenant_id, name, turns)))
    await db.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], UUID(sys.argv[2]), sys.argv[3], int(sys.argv[4])))

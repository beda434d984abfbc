"""A process whose calls go on until it is killed: `python -m tests.crash.talker URL TENANT LINE AGENT FOLDER`.

Prints the key of every charge that was acknowledged, a line each, and nothing that was not.
"""

import asyncio
import os
import random
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import cast
from uuid import UUID

from agents.agent import parse_agent
from gateway.app import system_id
from gateway.db import Database
from gateway.voice.call import CallAccount, MinuteHeld
from gateway.voice.call_store import decline_call
from gateway.voice.credit.keys import audio_key, minute_key
from gateway.voice.credit.metered_minutes import MinuteUsage
from gateway.voice.credit.minutes import begin_minute, hold_first, hold_minute, release_minute, settle_minute
from gateway.voice.credit.settling import end_call, note_duration
from tests.conftest import Clock
from tests.gateway.voice.a_call import SALON, Salon
from tests.gateway.voice.paying import Till
from tests.gateway.wiring import wired

CALLS_AT_ONCE = 8


class Now:
    """The real time, where tests have their own."""

    def now(self) -> datetime:
        return datetime.now(UTC)


async def talk(till: Till) -> None:
    """Call after call, each of a few minutes that pass in no time."""
    while True:
        account = await till.rings(None)
        held = await hold_first(till.services, account)
        await pause()
        if isinstance(held, MinuteHeld):
            await minutes(till, await till.streams(account), held)
            continue
        async with till.services.db.transaction(till.tenant_id) as connection:
            await decline_call(connection, account, reason=held.reason, now=till.clock.now())
        await asyncio.sleep(0.05)


async def minutes(till: Till, account: CallAccount, held: MinuteHeld | None) -> None:
    services = till.services
    length = random.randint(1, 4)  # noqa: S311 - calls are not alike
    for minute in range(1, length + 1):
        if held is None:
            break
        await begin_minute(services, account, held)
        tell(minute_key(account.call_id, minute))
        await pause()
        ahead = await hold_minute(services, account, minute + 1)
        usage = MinuteUsage(minute, random.randint(1, 100), random.randint(1, 200))  # noqa: S311 - as above
        await settle_minute(services, account, held, usage, provider_usage={})
        tell(audio_key(held.audio_key))
        await pause()
        held = ahead if isinstance(ahead, MinuteHeld) else None
    if held is not None:
        await release_minute(services, account, held)
    duration = note_duration(services, till.tenant_id, f"CA{account.call_id.hex}", 60)
    await asyncio.gather(duration, end_call(services, account, reason="goodbye", figures={}, provider_usage={}))


async def pause() -> None:
    await asyncio.sleep(random.uniform(0.0, 0.005))  # noqa: S311 - as above


def tell(key: str) -> None:
    os.write(1, f"{key}\n".encode())


async def main(url: str, tenant_id: UUID, line_id: UUID, agent_id: UUID, folder: Path) -> None:
    db, clock = await Database.connect(url, connections=6), cast("Clock", Now())
    async with wired(db, clock, system_id, folder) as services:
        salon = Salon(services, tenant_id, agent_id, line_id, parse_agent(SALON))
        till = Till(services, clock, salon)
        await asyncio.gather(*(talk(till) for _ in range(CALLS_AT_ONCE)))


if __name__ == "__main__":
    tenant, line, agent = (UUID(text) for text in sys.argv[2:5])
    asyncio.run(main(sys.argv[1], tenant, line, agent, Path(sys.argv[5])))

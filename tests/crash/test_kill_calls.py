import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from gateway.db import Database
from gateway.voice.credit.settling import note_duration
from tests.cast import Cast
from tests.conftest import Clock
from tests.gateway.voice.paying import CREDIT, FEE, Till, open_till
from tests.gateway.wiring import wired

ROUNDS = 8
GRANT = 6_000 * CREDIT  # for a round: more than is held at once, less than calls can use

pytestmark = pytest.mark.crash


@pytest.fixture
async def till(
    db: Database, clock: Clock, new_id: Callable[[], UUID], cast: Cast, tmp_path: Path
) -> AsyncIterator[Till]:
    clock.at = datetime.now(UTC)
    async with wired(db, clock, new_id, tmp_path) as services:
        yield await open_till(services, cast, clock)


def killed(url: str, till: Till, folder: Path, *, after_s: float) -> list[str]:
    """Let a process talk and kill it some time after its first charge; return what it said was charged."""
    ids = (till.tenant_id, till.salon.line_id, till.salon.agent_id)
    arguments = [sys.executable, "-m", "tests.crash.talker", url, *map(str, ids), str(folder)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.kill()
        rest = process.stdout.read()
    return (first + rest).decode().split()


async def test_kill_9_in_the_middle_of_calls_loses_no_charge_doubles_none_and_leaves_nothing_held(
    till: Till, clock: Clock, database_url: str, tmp_path: Path
) -> None:
    acknowledged: set[str] = set()
    for _ in range(ROUNDS):
        await till.grant(GRANT)
        after_s = random.uniform(0.0, 0.5)  # noqa: S311 - any moment will do
        told = await asyncio.to_thread(killed, database_url, till, tmp_path, after_s=after_s)
        assert len(told) == len(set(told))
        acknowledged |= set(told)
        assert acknowledged <= set(await till.entries())
        balance, held = await till.wallet()
        assert 0 <= held <= balance
    assert len(acknowledged) > ROUNDS

    clock.at = datetime.now(UTC) + timedelta(minutes=5)
    await till.sweep()
    assert (await till.wallet())[1] == 0
    calls = await till.rows("SELECT state, call_sid, minutes_charged, duration_s FROM call")
    assert {call["state"] for call in calls} <= {"ended", "declined"}
    assert any(call["duration_s"] is None and call["minutes_charged"] for call in calls)  # what was cut off
    for call in calls:
        for _ in range(2):
            await note_duration(till.services, till.tenant_id, call["call_sid"], 60)
    entries = await till.entries()
    assert sum(key.endswith(":duration") for key in entries) == sum(
        max(0, call["minutes_charged"] - 1) for call in calls
    )
    assert {amount for key, amount in entries.items() if ":minute:" in key} == {-FEE, FEE}
    assert await till.wallet() == (ROUNDS * GRANT + sum(entries.values()), 0)

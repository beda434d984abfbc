"""The process that watches a forwarded call is killed, or stopped: another goes on, each minute is charged once."""

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from gateway.app import system_now
from gateway.simulator.twilio_call import PlacedCall
from gateway.simulator.twilio_exchange import Answer
from gateway.voice.credit.audit import audit_calls
from tests.bench.processes import free_port, wait_until_answers
from tests.crash.fast_gateway import SPEED
from tests.crash.test_kill import environment_of
from tests.stories.relay import CALLER, COLLEAGUE, FEE
from tests.stories.world import SALON, World, opened, until

PERSON_ONLY = SALON.replace(
    "[agent.hours]",
    f"""[agent.channel.voice]
enabled = false
[agent.voice]
when_unavailable = "forward"
transfer_to = "{COLLEAGUE}"
[agent.hours]""",
)
SOON_S = 60  # a lease that has soon run out
LATE_S = 86_400

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]


@dataclass
class Gateways:
    """Two gateways on one database. Twilio's webhooks go to the first of them that lives."""

    environment: dict[str, str]
    log: Path
    lease_s: int
    anchor: datetime = field(default_factory=system_now)
    urls: list[str] = field(default_factory=list)
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    async def start(self) -> None:
        port = free_port()
        arguments = ["-m", "tests.crash.fast_gateway", str(port), self.anchor.isoformat(), str(self.lease_s)]
        with self.log.open("ab") as sink:
            self.processes.append(
                subprocess.Popen([sys.executable, *arguments], env=self.environment, stdout=sink, stderr=sink)
            )
        self.urls.append(f"http://127.0.0.1:{port}")
        await wait_until_answers(f"{self.urls[-1]}/healthz", seconds=60)

    def url(self) -> str:
        return self.urls[0]

    async def end_first(self, number: signal.Signals) -> int:
        """End the gateway that has the call; return how it exited."""
        self.urls.pop(0)
        process = self.processes.pop(0)
        process.send_signal(number)
        return await asyncio.to_thread(process.wait, 60)


@contextlib.asynccontextmanager
async def two_gateways(database_url: str, folder: Path, *, lease_s: int) -> AsyncIterator[tuple[World, Gateways]]:
    async with opened(database_url, folder, serve=False) as world:
        await world.add_salon("Salon Lindenhof", amount_credits=10_000, file=PERSON_ONLY)
        world.twilio.calls.scale = float(SPEED)
        world.twilio.calls.answers[COLLEAGUE] = Answer()
        gateways = Gateways(environment_of(world, database_url, folder), folder / "gateways.log", lease_s)
        try:
            await gateways.start()
            await gateways.start()
            world.twilio.gateway_url = gateways.url
            yield world, gateways
        finally:
            for process in gateways.processes:
                process.kill()
                process.wait()


async def charges(world: World) -> list[str]:
    """Return the keys of what was charged for the call, without its name, as they came."""
    rows = await world.rows("SELECT key FROM ledger_entry WHERE key LIKE 'call:%' ORDER BY sequence")
    return [str(row["key"]).split(":", 2)[2] for row in rows]


async def charged(world: World, minute: int) -> None:
    """Wait until a minute has begun on both legs."""

    async def there() -> bool:
        return {f"minute:{minute}", f"leg:1:minute:{minute}"} <= set(await charges(world))

    await until(there, timeout_s=60)


async def adopted(world: World) -> None:
    async def there() -> bool:
        [row] = await world.rows("SELECT lease_epoch, state FROM call")
        assert row["state"] == "forwarding"
        return row["lease_epoch"] != 0

    await until(there, timeout_s=60)


async def put_through(world: World) -> PlacedCall:
    """Let two people talk into their second minute."""
    call = world.twilio.calls.place(CALLER, world.salon.business.display_number)
    await charged(world, 2)
    return call


async def is_over_and_paid(world: World, call: PlacedCall, before: int) -> None:
    """Let the caller hang up; everything that Twilio counted, and nothing else, was charged once."""
    await call.hang_up()
    await call.wait_for_end(timeout_s=60)

    async def settled() -> bool:
        [row] = await world.rows(
            """SELECT call.state, call.reconciled_at, leg.reconciled_at AS leg_reconciled_at
               FROM call JOIN call_leg leg USING (tenant_id, call_id)"""
        )
        return row["state"] == "ended" and None not in (row["reconciled_at"], row["leg_reconciled_at"])

    await until(settled, timeout_s=60)
    [row] = await world.rows(
        """SELECT call.end_reason, call.minutes_charged, call.duration_s, leg.minutes_charged AS leg_minutes,
                  leg.duration_s AS leg_duration_s, leg.outcome
           FROM call JOIN call_leg leg USING (tenant_id, call_id)"""
    )
    assert (row["end_reason"], row["outcome"], row["duration_s"]) == ("forwarded", "completed", call.duration_s)
    told, paid = await charges(world), 0
    for prefix, minutes, duration_s in (
        ("minute:", row["minutes_charged"], row["duration_s"]),
        ("leg:1:minute:", row["leg_minutes"], row["leg_duration_s"]),
    ):
        assert [key for key in told if key.startswith(prefix)] == [f"{prefix}{n + 1}" for n in range(int(str(minutes)))]
        paid += min(int(str(minutes)), -(-int(str(duration_s)) // 60))
    assert (await world.wallet())[:2] == (before - paid * FEE, 0)
    await world.audit()
    async with world.services.db.transaction(world.salon.tenant_id) as connection:
        assert await audit_calls(connection, world.salon.tenant_id) == ()


async def test_after_kill_9_another_process_watches_a_forwarded_call_and_charges_each_minute_once(
    database_url: str, tmp_path: Path
) -> None:
    async with two_gateways(database_url, tmp_path, lease_s=SOON_S) as (world, gateways):
        before, _, _ = await world.wallet()
        call = await put_through(world)
        assert await gateways.end_first(signal.SIGKILL) == -signal.SIGKILL
        await adopted(world)
        begun = len([key for key in await charges(world) if key.startswith("minute:")])
        await charged(world, max(4, begun + 1))
        await is_over_and_paid(world, call, before)


async def test_a_process_that_is_stopped_hands_a_forwarded_call_over_without_waiting_for_its_lease(
    database_url: str, tmp_path: Path
) -> None:
    async with two_gateways(database_url, tmp_path, lease_s=LATE_S) as (world, gateways):
        before, _, _ = await world.wallet()
        call = await put_through(world)
        assert await gateways.end_first(signal.SIGTERM) == 0
        await adopted(world)
        await charged(world, 4)
        await is_over_and_paid(world, call, before)

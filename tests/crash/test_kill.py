"""`kill -9` at random points: no message lost, no credit lost, nothing said or charged twice.

`CRASH_ROUNDS` sets the number of kills (200 without it).
"""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.simulator.customer import Customer
from gateway.simulator.openai_chat import Request, Said, last_customer_text
from tests.bench.processes import free_port, wait_until_answers
from tests.stories.serving import ACCESS_TOKEN, ACCOUNT_SID, APP_SECRET, AUTH_TOKEN
from tests.stories.world import SALON, World, opened, until

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "200"))
GATEWAYS = 2
ALIVE_S = (0.02, 0.5)  # how long a gateway serves before it is killed

# A thousand rounds of questions are more than one contact's daily limit.
GENEROUS = SALON.replace("[agent.hours]", "[agent.budgets]\ncontact = 1000000\n[agent.hours]")

pytestmark = [pytest.mark.crash, pytest.mark.timeout(1_800)]


@dataclass
class Gateways:
    """Some gateways on one database, killed and replaced."""

    forks: "subprocess.Popen[str]"
    ports: list[int] = field(default_factory=lambda: [free_port() for _ in range(GATEWAYS)])
    pids: dict[int, int] = field(default_factory=dict)
    turn: int = 0
    kills: int = 0

    async def start(self, port: int) -> None:
        assert self.forks.stdin is not None
        assert self.forks.stdout is not None
        self.forks.stdin.write(f"{port}\n")
        self.forks.stdin.flush()
        self.pids[port] = int(await asyncio.to_thread(self.forks.stdout.readline))

    async def all_answer(self) -> None:
        for port in self.ports:
            await wait_until_answers(f"http://127.0.0.1:{port}/healthz", seconds=30)

    def next_url(self) -> str:
        """Return each gateway's address in turn."""
        self.turn += 1
        return f"http://127.0.0.1:{self.ports[self.turn % GATEWAYS]}"

    async def kill_next(self) -> None:
        """Kill the gateway that has lived longest, at a random moment of its service, and start another."""
        self.kills += 1
        port = self.ports[self.kills % GATEWAYS]
        await wait_until_answers(f"http://127.0.0.1:{port}/healthz", seconds=30)
        await asyncio.sleep(random.uniform(*ALIVE_S))  # noqa: S311 - no secret
        os.kill(self.pids[port], signal.SIGKILL)
        await self.start(port)


@contextlib.asynccontextmanager
async def gateways(environment: dict[str, str], log: Path) -> AsyncIterator[Gateways]:
    with log.open("wb") as sink:
        forks = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.forked_gateways"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sink,
            text=True,
        )
        running = Gateways(forks)
        try:
            for port in running.ports:
                await running.start(port)
            yield running
        finally:
            for pid in running.pids.values():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            forks.communicate(timeout=10)


def environment_of(world: World, database_url: str, folder: Path) -> dict[str, str]:
    settings = world.services.settings
    return {
        **os.environ,
        "TURNMETER_DATABASE_URL": database_url,
        "TURNMETER_DATABASE_CONNECTIONS": "12",
        "TURNMETER_DATA_DIR": str(folder),
        "TURNMETER_CHAT_MODEL": settings.chat_model,
        "OPENAI_API_KEY": "crash",
        "OPENAI_BASE_URL": settings.openai_base_url,
        "WHATSAPP_API_URL": settings.whatsapp_api_url,
        "WHATSAPP_APP_SECRET": APP_SECRET,
        "WHATSAPP_VERIFY_TOKEN": "crash",
        "WHATSAPP_ACCESS_TOKEN": ACCESS_TOKEN,
        "TURNMETER_PUBLIC_URL": settings.public_url,
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "TWILIO_API_URL": settings.twilio_api_url,
        "TWILIO_MESSAGING_URL": settings.twilio_messaging_url,
    }


async def thoughtful(request: Request) -> Said:
    await asyncio.sleep(random.uniform(0, 0.15))  # noqa: S311 - no secret
    return Said(text=f"Antwort auf {last_customer_text(request)}.")


async def all_fates_known(world: World) -> None:
    """Wait until nothing is due and every message is known to have left or not."""
    await world.quiet(timeout_s=120)

    async def all_known() -> bool:
        return not await world.rows("SELECT message_id FROM outbox WHERE state NOT IN ('sent', 'failed')")

    await until(all_known, timeout_s=90)
    await world.quiet(timeout_s=60)


async def test_killed_again_and_again_nothing_is_lost_and_nothing_doubled(database_url: str, tmp_path: Path) -> None:
    async with opened(database_url, tmp_path, brain=thoughtful, serve=False) as world:
        await world.add_salon("Salon Lindenhof", amount_credits=1_000_000, file=GENEROUS)
        before, _, _ = await world.wallet()
        environment = environment_of(world, database_url, tmp_path)
        async with gateways(environment, tmp_path / "gateways.log") as running:
            world.meta.webhook_url = lambda: f"{running.next_url()}/webhooks/whatsapp"
            customers = [world.customer(number) for number in range(16)]
            stop = asyncio.Event()
            writing = [asyncio.create_task(_keep_writing(customer, stop)) for customer in customers]
            for _ in range(ROUNDS):
                await running.kill_next()
            stop.set()
            written = sum(await asyncio.gather(*writing))
            await all_fates_known(world)
        await _nothing_lost(world, customers, written)
        await _nothing_doubled(world, before)
        print(f"\n{ROUNDS} kills, {written} messages, {len(world.meta.sent)} answers")


async def _keep_writing(customer: Customer, stop: asyncio.Event) -> int:
    """Write, wait for an answer or lose patience, and write again."""
    written = 0
    while not stop.is_set():
        await customer.write(f"Frage {written} von {customer.address}")
        written += 1

        async def answered(count: int = len(customer.received)) -> bool:
            return len(customer.received) > count or stop.is_set()

        with contextlib.suppress(TimeoutError):
            await until(answered, timeout_s=random.uniform(0.5, 4))  # noqa: S311 - no secret
    return written


async def _nothing_lost(world: World, customers: list[Customer], written: int) -> None:
    """Every message was answered, and the answer read: unless two deaths in a row hid its fate, then it is refunded."""
    inbound = await world.rows(
        "SELECT m.text, t.state FROM message m LEFT JOIN turn t USING (turn_id) WHERE direction = 'in'"
    )
    assert len(inbound) == written
    assert Counter(row["state"] for row in inbound) == {"charged": written}
    for customer in customers:
        asked = max(int(str(row["text"]).split()[1]) for row in inbound if str(row["text"]).endswith(customer.address))
        answers = await world.rows(
            "SELECT state FROM message WHERE direction = 'out' AND text LIKE $1",
            f"%Frage {asked} von {customer.address}%",
        )
        assert answers in ([{"state": "read"}], [{"state": "refunded"}])


async def _nothing_doubled(world: World, before: int) -> None:
    per_message = Counter(sent.callback for sent in world.meta.sent)
    assert max(per_message.values()) == 1
    turns = await world.rows("SELECT turn_id FROM turn WHERE state = 'charged'")
    parts = await world.rows("SELECT turn_id, message_id, state FROM message WHERE direction = 'out'")
    assert Counter(str(part["turn_id"]) for part in parts) == Counter(str(turn["turn_id"]) for turn in turns)
    assert {str(part["message_id"]) for part in parts if part["state"] == "read"} == set(per_message)
    assert {part["state"] for part in parts} <= {"read", "refunded"}
    assert sum(part["state"] == "refunded" for part in parts) <= len(parts) / 50
    entries = await world.rows(
        "SELECT kind, sum(amount_millicredits)::bigint AS sum, count(*) FROM ledger_entry GROUP BY 1"
    )
    by_kind = {str(row["kind"]): (int(str(row["sum"])), int(str(row["count"]))) for row in entries}
    assert by_kind["charge"][1] - 1 == len(turns)  # and the line's rent
    receipts = await world.rows("SELECT sum(total_millicredits)::bigint AS spent FROM receipt WHERE subject = 'turn'")
    refunded = by_kind.get("refund", (0, 0))[0]
    assert await world.wallet() == (before - int(str(receipts[0]["spent"])) + refunded, 0, "active")
    await world.audit()

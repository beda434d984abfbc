"""The ledger alone: reserve and capture, through the group commit, beside pgbench making the same commits.

pgbench is PostgreSQL's own: per turn two transactions, each locking a wallet row, moving it and adding a row. It knows
no receipts, grants, budgets or chain, and it is written in C, so its figure is the most that such commits can reach.
"""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import uvloop

from gateway.db import Database
from gateway.group_commit import Ledger
from gateway.ids import uuid7
from gateway.migrate import upgrade
from gateway.postgres import join
from gateway.postgres_home import find_home
from metering.connection import Connection
from metering.operations import Applied, BudgetLimit, Capture, Grant, Held, Hold, ReceiptDraft
from metering.rates import Item, RateCard, load_rate_cards
from tests.bench.carriers import closed_loop

PGBENCH_S = 5
INPUT_TOKENS, OUTPUT_TOKENS, OUTPUT_TOKENS_MAX = 1_250, 60, 512
PLENTY = 10**15

PGBENCH_TABLES = """
CREATE TABLE wallet_like (id int PRIMARY KEY, balance bigint NOT NULL) WITH (fillfactor = 50);
INSERT INTO wallet_like SELECT n, 0 FROM generate_series(1, 1000) n;
CREATE TABLE entry_like (id bigserial PRIMARY KEY, wallet int NOT NULL, amount bigint NOT NULL, note text NOT NULL);
"""
PGBENCH_COMMIT = """BEGIN;
SELECT balance FROM wallet_like WHERE id = :wallet FOR UPDATE;
UPDATE wallet_like SET balance = balance + 1 WHERE id = :wallet;
INSERT INTO entry_like (wallet, amount, note) VALUES (:wallet, 1, 'turn');
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class LedgerFigures:
    """Charged turns per second, and what pgbench did on the same server with as many clients."""

    tenants: int
    in_flight: int
    turns_per_s: float
    pgbench_turns_per_s: float

    @property
    def share_of_pgbench(self) -> float:
        return self.turns_per_s / self.pgbench_turns_per_s


def some_id() -> UUID:
    return uuid7(unix_ms=int(datetime.now(UTC).timestamp() * 1000), random_bits=os.urandom(10))


async def nobody_waits(_connection: Connection, _tenant_id: UUID, _now: datetime) -> None:
    """What resumes with a paused wallet: nothing."""


@contextmanager
def server(*, in_flight: int) -> Iterator[tuple[str, Path]]:
    """A private PostgreSQL as turnmeter starts it, fsync on; yields its address and its programs' folder."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # the server's user must get in
        with join(folder, options={"max_connections": str(in_flight + 100)}) as running:
            yield running.url, find_home(folder / "postgres").binaries


class Turns:
    """Turns as the gateway charges them: one contact's daily limit, a receipt of three lines."""

    def __init__(self, ledger: Ledger, tenants: list[UUID], contacts: int) -> None:
        self.ledger, self.tenants = ledger, tenants
        self.contacts = [some_id() for _ in range(contacts)]
        self.card: RateCard = load_rate_cards().on(datetime.now(UTC).date())

    async def one(self, slot: int, number: int) -> None:
        tenant_id, turn_id, now = self.tenants[number % len(self.tenants)], some_id(), datetime.now(UTC)
        hold_key = f"turn:{turn_id}:1"
        outcome = await self.ledger.hold(tenant_id, self.hold(hold_key, self.contacts[slot], now), wait_s=60.0)
        if not isinstance(outcome, Held):
            raise TypeError(outcome)
        receipt = self.receipt(turn_id, self.contacts[slot], now)
        captured = await self.ledger.submit(
            tenant_id, Capture(hold_key=hold_key, key=f"turn:{turn_id}", receipt=receipt)
        )
        if not isinstance(captured, Applied):
            raise TypeError(captured)

    def hold(self, key: str, contact_id: UUID, now: datetime) -> Hold:
        asked = self.card.line(Item.CHAT_INPUT, INPUT_TOKENS).amount_millicredits
        token = self.card.line(Item.CHAT_OUTPUT, 1).amount_millicredits
        return Hold(
            key=key,
            max_millicredits=asked + OUTPUT_TOKENS_MAX * token,
            min_millicredits=asked + 128 * token,
            step_millicredits=token,
            may_shrink=False,
            expires_at=now + timedelta(seconds=60),
            rate_card=self.card.version,
            day=now.date(),
            budgets=(BudgetLimit(scope=f"contact:{contact_id}:whatsapp", limit_millicredits=PLENTY),),
        )

    def receipt(self, turn_id: UUID, contact_id: UUID, now: datetime) -> ReceiptDraft:
        line = self.card.line
        return ReceiptDraft(
            receipt_id=some_id(),
            subject="turn",
            rate_card=self.card.version,
            lines=(
                line(Item.CHAT_INPUT, INPUT_TOKENS),
                line(Item.CHAT_OUTPUT, OUTPUT_TOKENS),
                line(Item.WHATSAPP_MESSAGE, 1),
            ),
            day=now.date(),
            channel="whatsapp",
            turn_id=turn_id,
            contact_id=contact_id,
            provider_usage={"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS},
        )


async def charged_turns_per_s(url: str, *, tenants: int, in_flight: int, turns: int) -> float:
    db = await Database.connect(url)
    ledger = Ledger(db, now=lambda: datetime.now(UTC), on_resumed=nobody_waits)
    spending = Turns(ledger, [some_id() for _ in range(tenants)], in_flight)

    async def grant(_slot: int, number: int) -> None:
        first = Grant(reference="bench", grant_id=some_id(), kind="manual", amount_millicredits=PLENTY, reason="bench")
        await ledger.submit(spending.tenants[number], first)

    await closed_loop(16, tenants, grant)
    await closed_loop(in_flight, max(in_flight, turns // 10), spending.one)
    seconds = await closed_loop(in_flight, turns, spending.one)
    await ledger.close()
    await db.close()
    return turns / seconds


async def pgbench_turns_per_s(url: str, binaries: Path, *, rows: int, in_flight: int) -> float:
    connection = await asyncpg.connect(url)
    await connection.execute(PGBENCH_TABLES)
    await connection.close()
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(f"\\set wallet random(1, {rows})\n" + 2 * PGBENCH_COMMIT)
        script.flush()
        arguments = [
            *(str(binaries / "pgbench"), "--no-vacuum", "--protocol=prepared", f"--file={script.name}"),
            *(f"--client={in_flight}", f"--jobs={min(2, in_flight)}", f"--time={PGBENCH_S}", url),
        ]
        done = await asyncio.to_thread(subprocess.run, arguments, check=False, capture_output=True, text=True)
    found = re.search(r"^tps = ([0-9.]+)", done.stdout, re.MULTILINE)
    if done.returncode or not found:
        raise RuntimeError(f"pgbench failed: {done.stderr[-500:]}")
    return float(found[1])


async def measure(*, tenants: int, in_flight: int, turns: int) -> LedgerFigures:
    """Charge so many turns over so many tenants, then let pgbench commit as often on as many rows."""
    with server(in_flight=in_flight) as (url, binaries):
        await upgrade(url)
        ours = await charged_turns_per_s(url, tenants=tenants, in_flight=in_flight, turns=turns)
        theirs = await pgbench_turns_per_s(url, binaries, rows=tenants, in_flight=in_flight)
    return LedgerFigures(tenants, in_flight, ours, theirs)


if __name__ == "__main__":
    for tenants, in_flight in ((1, 32), (1, 200), (1_000, 32), (1_000, 200)):
        figures = uvloop.run(measure(tenants=tenants, in_flight=in_flight, turns=int((*sys.argv, "6000")[1])))
        print(
            f"{tenants} tenants, {in_flight} in flight: {figures.turns_per_s:,.0f} charged turns/s, "
            f"pgbench {figures.pgbench_turns_per_s:,.0f}/s, {figures.share_of_pgbench:.0%}"
        )

"""Every kind of lie in the books is found, whoever wrote it behind the ledger's back."""

import asyncio
import time
from collections.abc import Callable
from uuid import UUID

import asyncpg
import pytest

from gateway.db import Database
from metering.audit import Difference, audit_tenant
from metering.ledger import apply
from metering.operations import BudgetLimit, Operation, Release
from tests.conftest import Clock
from tests.metering.operations import CARDS, capture, charge, grant, hold, refund

LIMITS = (BudgetLimit(scope="channel:sms", limit_millicredits=10_000),)


@pytest.fixture
def tenant_id(new_id: Callable[[], UUID]) -> UUID:
    return new_id()


async def done(db: Database, clock: Clock, tenant_id: UUID, *operations: Operation) -> None:
    async with db.transaction(tenant_id) as connection:
        await apply(connection, tenant_id, operations, now=clock.now())


async def differences(db: Database, tenant_id: UUID) -> tuple[Difference, ...]:
    async with db.snapshot(tenant_id) as connection:
        return (await audit_tenant(connection, tenant_id, CARDS)).differences


@pytest.fixture
async def books(db: Database, clock: Clock, tenant_id: UUID, new_id: Callable[[], UUID]) -> UUID:
    """A wallet with one of everything; its neighbour's is never touched."""
    for owner in (tenant_id, new_id()):
        await done(
            *(db, clock, owner),
            *(
                grant(5_000),
                grant(100, "invoice 2"),
                hold("turn:1:1", 300, budgets=LIMITS),
                hold("open", 50, budgets=LIMITS),
            ),
            *(capture("turn:1", "turn:1:1", 350), charge("sms:1", 40), refund("refund:sms:1:a", "sms:1", 30)),
            *(hold("gone", 10), Release(hold_key="gone"), charge("sms:2", 0)),
        )
    return tenant_id


async def test_honest_books_agree_and_are_counted(db: Database, books: UUID) -> None:
    async with db.snapshot(books) as connection:
        audited = await audit_tenant(connection, books, CARDS)
    assert (audited.entries, audited.receipts, audited.differences) == (6, 3, ())


async def test_a_tenant_without_a_wallet_has_nothing_to_differ(db: Database, tenant_id: UUID) -> None:
    assert await differences(db, tenant_id) == ()


LIES = {
    "balance": "UPDATE wallet SET balance_millicredits = balance_millicredits + 1",
    "held": "UPDATE wallet SET held_millicredits = held_millicredits - 1",
    "last sequence": "UPDATE wallet SET sequence = sequence + 1",
    "last hash": "UPDATE wallet SET chain_hash = sha256('x')",
    "wallet": "DELETE FROM wallet",
    "hash": "UPDATE ledger_entry SET reason = 'bonus' WHERE sequence = 3",
    "sequence": "DELETE FROM ledger_entry WHERE sequence = 4",
    "balance before": """UPDATE ledger_entry SET balance_before_millicredits = balance_before_millicredits + 1,
      balance_after_millicredits = balance_after_millicredits + 1 WHERE sequence = 3""",
    "balance after": """UPDATE ledger_entry SET amount_millicredits = amount_millicredits + 1,
      balance_after_millicredits = balance_after_millicredits + 1 WHERE sequence = 3""",
    "charge of a refund": "UPDATE ledger_entry SET refunds_sequence = NULL WHERE kind = 'refund'",
    "refunds of a charge": "UPDATE ledger_entry SET refunds_sequence = 6 WHERE kind = 'refund'",
    "key's entry": "UPDATE charge_key SET sequence = 3 WHERE key = 'sms:1'",
    "keys without an entry": """INSERT INTO charge_key
      SELECT tenant_id, 'spare', payload_hash, 3 FROM charge_key LIMIT 1""",
    "credits moved": "UPDATE entry_grant SET amount_millicredits = amount_millicredits - 1 WHERE sequence = 3",
    "left of a grant": "UPDATE credit_grant SET remaining_millicredits = remaining_millicredits - 1",
    "amount of a grant": "UPDATE credit_grant SET amount_millicredits = amount_millicredits + 1",
    "left of all grants": "DELETE FROM credit_grant WHERE reference = 'invoice 2'",
    "receipt of a charge": "UPDATE ledger_entry SET receipt_id = NULL WHERE sequence = 3",
    "receipt's total": "UPDATE receipt SET total_millicredits = total_millicredits + 1 WHERE sequence = 3",
    "receipt's rate card": "UPDATE receipt SET rate_card = 'cheaper' WHERE sequence = 3",
    "receipt's lines": 'UPDATE receipt SET lines = \'[{"item": "chat_output"}]\' WHERE sequence = 3',
    "sum of the lines": "UPDATE receipt SET lines = '[]' WHERE sequence = 3",
    "amount of chat_output": """UPDATE receipt SET lines = jsonb_set(lines, '{0,quantity}', '349')
      WHERE sequence = 3""",
    "rate of chat_output": """UPDATE receipt SET lines = jsonb_set(lines, '{0,unit_millicredits}', '2')""",
    "rate of chat_outpour": """UPDATE receipt SET lines = jsonb_set(lines, '{0,item}', '"chat_outpour"')""",
    "receipts without an entry": "UPDATE receipt SET sequence = 2 WHERE sequence = 3",
    "end of a hold": "UPDATE hold SET captured_millicredits = NULL WHERE key = 'turn:1:1'",
    "held of a budget": "DELETE FROM budget_day",
    "charged of a budget": "UPDATE budget_day SET charged_millicredits = 299",
    "usage": "UPDATE usage_day SET amount_millicredits = amount_millicredits + 1 WHERE item = 'chat_output'",
}


@pytest.mark.parametrize("what", LIES)
async def test_every_lie_is_found(db: Database, books: UUID, database_url: str, what: str) -> None:
    owner = await asyncpg.connect(database_url)
    words = LIES[what]
    mine = f"tenant_id = '{books}'"
    if words.startswith("INSERT"):
        words = words.replace("FROM charge_key", f"FROM charge_key WHERE {mine}")
    else:
        words += f" AND {mine}" if " WHERE " in words else f" WHERE {mine}"
    assert not (await owner.execute(words)).endswith(" 0")
    await owner.close()
    assert what in {difference.what for difference in await differences(db, books)}


async def test_the_neighbours_books_still_agree(db: Database, books: UUID, database_url: str) -> None:
    owner = await asyncpg.connect(database_url)
    await owner.execute("UPDATE wallet SET balance_millicredits = balance_millicredits + 1 WHERE tenant_id = $1", books)
    neighbour = await owner.fetchval("SELECT tenant_id FROM wallet WHERE tenant_id <> $1", books)
    await owner.close()
    assert await differences(db, books)
    assert await differences(db, neighbour) == ()


async def test_charges_go_on_during_an_audit_and_do_not_confuse_it(db: Database, clock: Clock, books: UUID) -> None:
    async with db.snapshot(books) as connection:
        await connection.fetchval("SELECT 1")
        async with asyncio.timeout(10):
            await done(db, clock, books, charge("sms:3", 7))
        audited = await audit_tenant(connection, books, CARDS)
    assert (audited.entries, audited.differences) == (6, ())
    assert await differences(db, books) == ()


@pytest.mark.bench
async def test_a_long_ledger_is_audited_page_by_page(db: Database, clock: Clock, books: UUID) -> None:
    entries = 10_000
    for start in range(0, entries, 500):
        await done(db, clock, books, *(charge(f"message:{start + number}", 0) for number in range(500)))
    began = time.perf_counter()
    async with db.snapshot(books) as connection:
        audited = await audit_tenant(connection, books, CARDS)
    print(f"{audited.entries} entries audited in {time.perf_counter() - began:.2f} s")
    assert (audited.entries, audited.differences) == (entries + 6, ())

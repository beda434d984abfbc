from datetime import UTC, datetime, timedelta

from gateway.db import Database
from metering.entries import entries_between, list_entries, read_wallet
from metering.rates import Item, Line
from tests.metering.spending import Spending, some_id

AT = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


async def test_pages_walk_the_ledger_from_the_newest_entry_exactly_once(db: Database) -> None:
    spending = Spending(db, some_id())
    await spending.grant(10_000_000, AT)
    for minute in range(1, 7):
        await spending.charge([Line(Item.CHAT_INPUT, minute, 40)], AT + timedelta(minutes=minute))
    seen: list[int] = []
    async with db.transaction(spending.tenant_id) as connection:
        while page := await list_entries(connection, spending.tenant_id, limit=3, before=seen[-1] if seen else None):
            assert len(page) <= 3
            seen.extend(entry.sequence for entry in page)
    assert seen == [7, 6, 5, 4, 3, 2, 1]


async def test_an_entry_shows_the_balance_before_and_after_it(db: Database) -> None:
    spending = Spending(db, some_id())
    await spending.grant(500_000, AT, reference="order-17", reason="Paket M")
    receipt_id = await spending.charge([Line(Item.CHAT_INPUT, 1_209, 40)], AT)
    async with db.transaction(spending.tenant_id) as connection:
        charge, grant = await list_entries(connection, spending.tenant_id, limit=2)
        assert await entries_between(connection, spending.tenant_id, first=1, last=2) == [grant, charge]
    assert (grant.kind, grant.reason, grant.amount_millicredits) == ("grant", "Paket M", 500_000)
    assert "order-17" in grant.key
    assert (charge.kind, charge.receipt_id, charge.created_at) == ("charge", receipt_id, AT)
    assert (charge.balance_before_millicredits, charge.amount_millicredits) == (500_000, -48_360)
    assert charge.balance_after_millicredits == 451_640


async def test_a_refund_names_the_charge_it_gives_back(db: Database) -> None:
    spending = Spending(db, some_id())
    await spending.grant(500_000, AT)
    receipt_id = await spending.charge([Line(Item.CHAT_INPUT, 1_000, 40)], AT)
    await spending.refund(receipt_id, [Line(Item.CHAT_INPUT, 1_000, 40)], AT)
    async with db.transaction(spending.tenant_id) as connection:
        refund, charge, _ = await list_entries(connection, spending.tenant_id, limit=3)
    assert (refund.kind, refund.amount_millicredits, refund.refunds_sequence) == ("refund", 40_000, charge.sequence)


async def test_a_wallet_shows_what_is_available(db: Database) -> None:
    spending = Spending(db, some_id())
    await spending.grant(500_000, AT)
    async with db.transaction(spending.tenant_id) as connection:
        await connection.execute("UPDATE wallet SET held_millicredits = 120000, state = 'paused', paused_at = $1", AT)
        wallet = await read_wallet(connection, spending.tenant_id)
    assert (wallet.balance_millicredits, wallet.held_millicredits, wallet.available_millicredits) == (
        500_000,
        120_000,
        380_000,
    )
    assert (wallet.state, wallet.paused_at) == ("paused", AT)


async def test_a_tenant_that_never_had_credits_has_an_empty_wallet(db: Database) -> None:
    tenant_id = some_id()
    async with db.transaction(tenant_id) as connection:
        wallet = await read_wallet(connection, tenant_id)
        assert await list_entries(connection, tenant_id, limit=50) == []
    assert (wallet.balance_millicredits, wallet.available_millicredits, wallet.state) == (0, 0, "active")

"""What a wallet does on real PostgreSQL: every operation, repeated, refused, refunded."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from gateway.db import Database
from metering.ledger import apply
from metering.operations import (
    Applied,
    BudgetLimit,
    Capture,
    Charge,
    Ended,
    ExpireGrant,
    ExpireHold,
    Grant,
    Held,
    Hold,
    MustWait,
    Operation,
    Outcome,
    ReceiptDraft,
    Refund,
    Refused,
    Release,
)
from metering.rates import Item, Line
from tests.conftest import Clock
from tests.gateway.waiting import until_somebody_waits

DAY = date(2026, 11, 24)
NewId = Callable[[], UUID]


class Wallet:
    """One tenant's wallet, each operation in a transaction of its own."""

    def __init__(self, db: Database, clock: Clock, new_id: NewId) -> None:
        self.db, self.clock, self.new_id = db, clock, new_id
        self.tenant_id = new_id()

    async def do(self, *operations: Operation) -> list[Outcome]:
        async with self.db.transaction(self.tenant_id) as connection:
            return await apply(connection, self.tenant_id, operations, now=self.clock.now())

    async def one(self, operation: Operation) -> Outcome:
        return (await self.do(operation))[0]

    def grant(self, amount: int, reference: str = "first", expires_at: datetime | None = None) -> Grant:
        return Grant(
            reference=reference,
            grant_id=self.new_id(),
            kind="manual",
            amount_millicredits=amount,
            reason="test",
            expires_at=expires_at,
        )

    def hold(
        self,
        key: str,
        most: int,
        *,
        least: int | None = None,
        may_shrink: bool = False,
        budgets: tuple[BudgetLimit, ...] = (),
    ) -> Hold:
        return Hold(
            key=key,
            max_millicredits=most,
            min_millicredits=most if least is None else least,
            step_millicredits=10,
            may_shrink=may_shrink,
            expires_at=self.clock.now() + timedelta(seconds=30),
            rate_card="test",
            day=DAY,
            budgets=budgets,
        )

    def receipt(self, amount: int) -> ReceiptDraft:
        return ReceiptDraft(
            receipt_id=self.new_id(),
            subject="turn",
            rate_card="test",
            lines=(Line(Item.CHAT_OUTPUT, amount, 1),),
            day=DAY,
            channel="whatsapp",
        )

    def capture(self, key: str, hold_key: str, amount: int) -> Capture:
        return Capture(hold_key=hold_key, key=key, receipt=self.receipt(amount))

    def charge(self, key: str, amount: int) -> Charge:
        return Charge(key=key, receipt=self.receipt(amount))

    def refund(self, key: str, charge_key: str, amount: int) -> Refund:
        return Refund(
            key=key,
            charge_key=charge_key,
            lines=(Line(Item.CHAT_OUTPUT, amount, 1),),
            channel="whatsapp",
            day=DAY,
            reason="test",
        )

    async def figures(self) -> tuple[int, int, str]:
        async with self.db.transaction(self.tenant_id) as connection:
            row = await connection.fetchrow(
                "SELECT balance_millicredits, held_millicredits, state FROM wallet WHERE tenant_id = $1",
                self.tenant_id,
            )
        return (row["balance_millicredits"], row["held_millicredits"], row["state"]) if row else (0, 0, "active")

    async def remaining(self) -> dict[str, int]:
        async with self.db.transaction(self.tenant_id) as connection:
            rows = await connection.fetch(
                "SELECT reference, remaining_millicredits FROM credit_grant WHERE tenant_id = $1", self.tenant_id
            )
        return {row["reference"]: row["remaining_millicredits"] for row in rows}


@pytest.fixture
def wallet(db: Database, clock: Clock, new_id: NewId) -> Wallet:
    return Wallet(db, clock, new_id)


async def test_a_turn_is_held_captured_and_the_rest_returns(wallet: Wallet) -> None:
    await wallet.do(wallet.grant(1_000))
    assert await wallet.one(wallet.hold("turn:1:1", 300)) == Held(key="turn:1:1", amount_millicredits=300)
    assert await wallet.figures() == (1_000, 300, "active")
    captured = await wallet.one(wallet.capture("turn:1", "turn:1:1", 120))
    assert isinstance(captured, Applied)
    assert (captured.amount_millicredits, captured.balance_after_millicredits) == (-120, 880)
    assert await wallet.figures() == (880, 0, "active")


async def test_a_key_used_again_charges_once(wallet: Wallet) -> None:
    await wallet.do(wallet.grant(1_000), wallet.hold("turn:1:1", 300))
    capture = wallet.capture("turn:1", "turn:1:1", 120)
    first = await wallet.one(capture)
    again = await wallet.one(capture)
    assert isinstance(first, Applied)
    assert isinstance(again, Applied)
    assert again.replayed
    assert again.sequence == first.sequence
    assert await wallet.figures() == (880, 0, "active")


async def test_a_key_used_again_for_something_else_is_refused(wallet: Wallet) -> None:
    await wallet.do(wallet.grant(1_000), wallet.charge("sms:1", 100))
    refused = await wallet.one(wallet.charge("sms:1", 101))
    assert isinstance(refused, Refused)
    assert refused.reason == "key_reused"
    assert (await wallet.figures())[0] == 900


async def test_a_grant_counts_once_per_reference(wallet: Wallet) -> None:
    await wallet.do(wallet.grant(1_000, "invoice 7"))
    again = await wallet.one(wallet.grant(1_000, "invoice 7"))
    assert isinstance(again, Applied)
    assert again.replayed
    assert (await wallet.figures())[0] == 1_000


async def test_a_hold_waits_for_holds_in_flight_and_does_not_pause(wallet: Wallet) -> None:
    await wallet.do(wallet.grant(1_000), wallet.hold("turn:1:1", 800))
    assert isinstance(await wallet.one(wallet.hold("turn:2:1", 300)), MustWait)
    await wallet.do(wallet.capture("turn:1", "turn:1:1", 100))
    assert isinstance(await wallet.one(wallet.hold("turn:2:1", 300)), Held)
    assert (await wallet.figures())[2] == "active"


async def test_a_hold_shrinks_by_whole_steps_when_it_may(wallet: Wallet) -> None:
    await wallet.do(wallet.grant(1_005), wallet.hold("turn:1:1", 800))
    held = await wallet.one(wallet.hold("turn:2:1", 300, least=100, may_shrink=True))
    assert held == Held(key="turn:2:1", amount_millicredits=200)


async def test_a_hold_beyond_the_balance_shrinks_at_once(wallet: Wallet) -> None:
    await wallet.do(wallet.grant(255))
    held = await wallet.one(wallet.hold("turn:1:1", 800, least=100))
    assert held == Held(key="turn:1:1", amount_millicredits=250)


async def test_what_exceeds_the_balance_at_the_floor_pauses_and_a_grant_resumes(wallet: Wallet) -> None:
    await wallet.do(wallet.grant(99))
    refused = await wallet.one(wallet.hold("turn:1:1", 800, least=100))
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.paused_now) == ("insufficient_credits", True)
    assert (await wallet.figures())[2] == "paused"
    refused = await wallet.one(wallet.hold("turn:2:1", 50))
    assert isinstance(refused, Refused)
    assert refused.reason == "tenant_paused"
    resumed = await wallet.one(wallet.grant(500, "second"))
    assert isinstance(resumed, Applied)
    assert resumed.resumed
    assert (await wallet.figures())[2] == "active"


async def test_what_exceeds_the_hold_is_absorbed_and_the_receipt_still_adds_up(wallet: Wallet) -> None:
    await wallet.do(wallet.grant(1_000), wallet.hold("turn:1:1", 100))
    captured = await wallet.one(wallet.capture("turn:1", "turn:1:1", 130))
    assert isinstance(captured, Applied)
    assert (captured.amount_millicredits, captured.absorbed_millicredits) == (-100, 30)
    async with wallet.db.transaction(wallet.tenant_id) as connection:
        lines = await connection.fetchval("SELECT lines FROM receipt")
    assert sum(line["amount_millicredits"] for line in lines) == 100


async def test_an_expired_hold_is_charged_afresh_while_credits_last(wallet: Wallet) -> None:
    await wallet.do(wallet.grant(200), wallet.hold("turn:1:1", 100), wallet.hold("turn:2:1", 100))
    assert await wallet.one(ExpireHold(hold_key="turn:1:1")) == Ended(key="turn:1:1")
    assert (await wallet.figures())[1] == 200  # it had not expired yet
    wallet.clock.advance(seconds=31)
    await wallet.do(ExpireHold(hold_key="turn:1:1"), ExpireHold(hold_key="turn:2:1"))
    assert await wallet.figures() == (200, 0, "active")
    assert isinstance(await wallet.one(wallet.capture("turn:1", "turn:1:1", 150)), Applied)
    refused = await wallet.one(wallet.capture("turn:2", "turn:2:1", 60))
    assert isinstance(refused, Refused)
    assert refused.reason == "hold_ended"
    assert await wallet.figures() == (50, 0, "active")


async def test_a_released_hold_ends_once(wallet: Wallet) -> None:
    await wallet.do(wallet.grant(200), wallet.hold("turn:1:1", 100))
    await wallet.do(Release(hold_key="turn:1:1"), Release(hold_key="turn:1:1"), Release(hold_key="never"))
    assert await wallet.figures() == (200, 0, "active")
    again = await wallet.one(wallet.hold("turn:1:1", 100))
    assert isinstance(again, Refused)
    assert again.reason == "hold_ended"


async def test_grants_are_used_earliest_expiry_first(wallet: Wallet) -> None:
    soon, later = (datetime(2026, 12, day, tzinfo=UTC) for day in (1, 31))
    await wallet.do(wallet.grant(100, "for good"), wallet.grant(100, "later", later), wallet.grant(100, "soon", soon))
    await wallet.do(wallet.charge("sms:1", 150))
    assert await wallet.remaining() == {"soon": 0, "later": 50, "for good": 100}


async def test_a_refund_returns_to_the_grants_it_came_from_the_last_first(wallet: Wallet) -> None:
    soon = datetime(2026, 12, 1, tzinfo=UTC)
    await wallet.do(wallet.grant(100, "soon", soon), wallet.grant(100, "for good"), wallet.charge("turn:1", 150))
    await wallet.do(wallet.refund("refund:turn:1:a", "turn:1", 70))
    assert await wallet.remaining() == {"soon": 20, "for good": 100}
    await wallet.do(wallet.refund("refund:turn:1:b", "turn:1", 80))
    assert await wallet.remaining() == {"soon": 100, "for good": 100}
    refused = await wallet.one(wallet.refund("refund:turn:1:c", "turn:1", 1))
    assert isinstance(refused, Refused)
    assert refused.reason == "refund_exceeds_charge"


async def test_a_refund_to_an_expired_grant_lives_thirty_days(wallet: Wallet) -> None:
    soon = wallet.clock.now() + timedelta(seconds=10)
    await wallet.do(wallet.grant(100, "soon", soon), wallet.charge("turn:1", 60))
    wallet.clock.advance(seconds=11)
    await wallet.do(wallet.refund("refund:turn:1:a", "turn:1", 60))
    assert await wallet.remaining() == {"soon": 40, "refund:turn:1:a": 60}
    wallet.clock.advance(seconds=30 * 86_400 - 1)
    async with wallet.db.transaction(wallet.tenant_id) as connection:
        expires_at = await connection.fetchval("SELECT expires_at FROM credit_grant WHERE kind = 'refund'")
    assert expires_at - wallet.clock.now() == timedelta(seconds=1)


async def test_a_refund_of_what_was_never_charged_is_refused(wallet: Wallet) -> None:
    await wallet.do(wallet.grant(100))
    for key in ("turn:9", "grant:first"):
        refused = await wallet.one(wallet.refund("refund:x", key, 10))
        assert isinstance(refused, Refused)
        assert refused.reason == "no_such_charge"


async def test_expiry_takes_what_no_hold_needs_and_the_rest_later(wallet: Wallet) -> None:
    soon = wallet.clock.now() + timedelta(seconds=10)
    grant = wallet.grant(100, "soon", soon)
    await wallet.do(grant, wallet.hold("turn:1:1", 60))
    assert isinstance(await wallet.one(ExpireGrant(grant_id=grant.grant_id)), Ended)
    wallet.clock.advance(seconds=10)
    await wallet.do(ExpireGrant(grant_id=grant.grant_id))
    assert await wallet.figures() == (60, 60, "active")
    await wallet.do(Release(hold_key="turn:1:1"), ExpireGrant(grant_id=grant.grant_id))
    assert await wallet.figures() == (0, 0, "active")
    assert await wallet.remaining() == {"soon": 0}


async def test_a_daily_limit_counts_what_is_held_and_what_was_charged(wallet: Wallet) -> None:
    limit = (BudgetLimit(scope="contact:1:whatsapp", limit_millicredits=500),)
    await wallet.do(wallet.grant(10_000), wallet.hold("turn:1:1", 300, budgets=limit))
    refused = await wallet.one(wallet.hold("turn:2:1", 300, budgets=limit))
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.scope) == ("over_budget", "contact:1:whatsapp")
    await wallet.do(wallet.capture("turn:1", "turn:1:1", 100))
    shrunk = await wallet.one(wallet.hold("turn:3:1", 600, least=100, budgets=limit))
    assert shrunk == Held(key="turn:3:1", amount_millicredits=400)
    assert (await wallet.figures())[2] == "active"


async def test_a_free_receipt_is_an_entry_of_nothing(wallet: Wallet) -> None:
    free = await wallet.one(wallet.charge("message:1", 0))
    assert isinstance(free, Applied)
    assert free.amount_millicredits == 0
    assert free.receipt_id is not None


async def test_a_charge_never_goes_below_zero(wallet: Wallet) -> None:
    await wallet.do(wallet.grant(100), wallet.hold("turn:1:1", 60))
    refused = await wallet.one(wallet.charge("rental:1", 41))
    assert isinstance(refused, Refused)
    assert refused.reason == "insufficient_credits"
    assert await wallet.figures() == (100, 60, "active")


async def test_usage_is_what_was_charged_less_what_came_back(wallet: Wallet) -> None:
    await wallet.do(wallet.grant(1_000), wallet.charge("turn:1", 150), wallet.charge("turn:2", 50))
    await wallet.do(wallet.refund("refund:turn:1:a", "turn:1", 70))
    async with wallet.db.transaction(wallet.tenant_id) as connection:
        row = await connection.fetchrow("SELECT * FROM usage_day")
    assert row is not None
    assert (row["day"], row["channel"], row["item"]) == (DAY, "whatsapp", "chat_output")
    assert (row["quantity"], row["amount_millicredits"]) == (130, 130)


async def test_who_waited_for_the_wallet_reads_what_the_other_has_left(wallet: Wallet) -> None:
    await wallet.do(wallet.grant(1_000), wallet.hold("turn:1:1", 300))

    async def capture_again() -> Outcome:
        return await wallet.one(wallet.capture("turn:2", "turn:1:1", 100))

    async with wallet.db.transaction(wallet.tenant_id) as connection:
        await apply(connection, wallet.tenant_id, [wallet.capture("turn:1", "turn:1:1", 120)], now=wallet.clock.now())
        waiting = asyncio.create_task(capture_again())
        await until_somebody_waits(wallet.db)
    refused = await waiting
    assert isinstance(refused, Refused)
    assert refused.reason == "hold_ended"
    assert await wallet.figures() == (880, 0, "active")
    assert await wallet.remaining() == {"first": 880}

"""Operations in few words, priced by a card of its own: a millicredit a token. Readable amounts for tests of money."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from uuid import UUID, uuid5

from metering.operations import BudgetLimit, Capture, Charge, Grant, GrantKind, Hold, ReceiptDraft, Refund
from metering.rates import Item, Line, RateCard, RateCards
from tests.metering.spending import some_id

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
DAY = date(2026, 11, 24)
CARDS = RateCards((RateCard("test", date(2026, 1, 1), MappingProxyType({Item.CHAT_OUTPUT: 1, Item.TOOL_USE: 0})),))


def grant_id_of(reference: str) -> UUID:
    return uuid5(UUID(int=0), reference)


def grant(
    amount: int,
    reference: str = "invoice 1",
    *,
    expires_at: datetime | None = None,
    kind: GrantKind = "manual",
) -> Grant:
    return Grant(
        reference=reference,
        grant_id=grant_id_of(reference),
        kind=kind,
        amount_millicredits=amount,
        reason="test",
        expires_at=expires_at,
    )


def hold(
    key: str,
    most: int,
    least: int | None = None,
    *,
    budgets: Sequence[BudgetLimit] = (),
    may_shrink: bool = False,
    now: datetime = NOW,
) -> Hold:
    """A hold of 30 seconds that shrinks by tens; not at all without a `least`."""
    return Hold(
        key=key,
        max_millicredits=most,
        min_millicredits=most if least is None else least,
        step_millicredits=10,
        may_shrink=may_shrink,
        expires_at=now + timedelta(seconds=30),
        rate_card="test",
        day=DAY,
        budgets=tuple(budgets),
    )


def receipt(amount: int) -> ReceiptDraft:
    lines = (Line(Item.CHAT_OUTPUT, amount, 1),)
    return ReceiptDraft(receipt_id=some_id(), subject="turn", rate_card="test", lines=lines, day=DAY, channel="sms")


def capture(key: str, hold_key: str, amount: int) -> Capture:
    return Capture(hold_key=hold_key, key=key, receipt=receipt(amount))


def charge(key: str, amount: int) -> Charge:
    return Charge(key=key, receipt=receipt(amount))


def refund(key: str, charge_key: str, amount: int) -> Refund:
    lines = (Line(Item.CHAT_OUTPUT, amount, 1),)
    return Refund(key=key, charge_key=charge_key, lines=lines, channel="sms", day=DAY, reason="test")

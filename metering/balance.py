"""What an operation does to a wallet (pure): one outcome for each, decided in order.

Every amount is in millicredits. `decide` changes the books it is given; the ledger writes what has changed.
"""

from dataclasses import replace
from typing import assert_never
from uuid import UUID

from metering import giving_back, setting_aside
from metering.books import Books, ChargedBefore, GrantRow
from metering.operations import (
    Applied,
    Capture,
    Charge,
    ExpireExcess,
    ExpireGrant,
    ExpireHold,
    Grant,
    Hold,
    Operation,
    Outcome,
    ReceiptDraft,
    Refund,
    RefusalReason,
    Refused,
    Release,
)
from metering.posting import payload_hash, post, replayed
from metering.rates import ABSORBED_MILLICREDITS, Item, Line


def decide(books: Books, operation: Operation) -> Outcome:
    """Decide one operation and note what it changes."""
    match operation:
        case Hold() | Release() | ExpireHold():
            return setting_aside.decide(books, operation)
        case Grant():
            return _grant(books, operation)
        case Capture():
            return _capture(books, operation)
        case Charge():
            return _charge(books, operation)
        case Refund() | ExpireGrant() | ExpireExcess():
            return giving_back.decide(books, operation)
        case _:
            assert_never(operation)


def grant_key(reference: str) -> str:
    return f"grant:{reference}"


def _grant(books: Books, operation: Grant) -> Outcome:
    key = grant_key(operation.reference)
    hashed = payload_hash(operation)
    if key in books.keys:
        return replayed(books, key, hashed)
    row = GrantRow(
        grant_id=operation.grant_id,
        kind=operation.kind,
        reference=operation.reference,
        reason=operation.reason,
        amount=operation.amount_millicredits,
        remaining=operation.amount_millicredits,
        granted_at=books.now,
        expires_at=operation.expires_at,
    )
    books.grants[row.grant_id] = row
    books.new_grants.append(row)
    return post(
        books,
        kind="grant",
        key=key,
        amount=row.amount,
        payload=hashed,
        grants=[(row.grant_id, row.amount)],
        reason=operation.reason,
    )


def _capture(books: Books, operation: Capture) -> Outcome:
    hashed = payload_hash(operation)
    if operation.key in books.keys:
        return replayed(books, operation.key, hashed)
    receipt, absorbed = operation.receipt, 0
    hold = books.holds.get(operation.hold_key)
    if hold is not None and hold.state == "open":
        absorbed = max(0, receipt.total_millicredits - hold.amount)
        if absorbed:
            receipt = _without(receipt, absorbed)
        setting_aside.settle(books, hold, captured=receipt.total_millicredits)
    elif (hold is not None and hold.state == "captured") or receipt.total_millicredits > books.wallet.available:
        return _cannot_pay(books, operation.key, receipt, "hold_ended")
    elif hold is not None and hold.budget_day is not None:  # expired meanwhile: charged afresh, and counted
        for scope in hold.budget_scopes:
            books.move_budget(hold.budget_day, scope, charged=receipt.total_millicredits)
    return _charge_receipt(books, operation.key, receipt, hashed, absorbed=absorbed)


def _charge(books: Books, operation: Charge) -> Outcome:
    hashed = payload_hash(operation)
    if operation.key in books.keys:
        return replayed(books, operation.key, hashed)
    if operation.for_customer and books.wallet.paused:
        return _cannot_pay(books, operation.key, operation.receipt, "tenant_paused")
    if operation.receipt.total_millicredits > books.wallet.available:
        return _charge_refused(books, operation)
    return _charge_receipt(books, operation.key, operation.receipt, hashed)


def _charge_refused(books: Books, operation: Charge) -> Refused:
    if not operation.for_customer:
        return _cannot_pay(books, operation.key, operation.receipt, "insufficient_credits")
    if operation.receipt.total_millicredits <= books.wallet.balance:
        return _cannot_pay(books, operation.key, operation.receipt, "credits_in_flight")
    books.wallet.paused = books.wallet_changed = True
    return replace(_cannot_pay(books, operation.key, operation.receipt, "insufficient_credits"), paused_now=True)


def _without(receipt: ReceiptDraft, absorbed: int) -> ReceiptDraft:
    """Return the receipt with what its hold does not cover taken off by a line of its own."""
    return replace(receipt, lines=(*receipt.lines, Line(Item.ABSORBED, -absorbed, ABSORBED_MILLICREDITS)))


def _charge_receipt(books: Books, key: str, receipt: ReceiptDraft, hashed: bytes, *, absorbed: int = 0) -> Applied:
    total = receipt.total_millicredits
    taken = _take(books, total)
    books.count_usage(receipt.day, receipt.channel, receipt.lines, sign=1)
    applied = post(
        books,
        kind="charge",
        key=key,
        amount=-total,
        payload=hashed,
        grants=[(grant_id, -amount) for grant_id, amount in taken],
        receipt=receipt,
        absorbed=absorbed,
    )
    # A refund may follow in the same batch.
    books.charges[key] = ChargedBefore(entry=books.keys[key].entry, taken=taken, refunded=0)
    return applied


def _take(books: Books, amount: int) -> list[tuple[UUID, int]]:
    """Take from the grants in their order; the wallet has been found to have enough."""
    taken: list[tuple[UUID, int]] = []
    for grant in books.live_grants():
        if not amount:
            break
        part = min(grant.remaining, amount)
        grant.remaining -= part
        amount -= part
        books.changed_grants.add(grant.grant_id)
        taken.append((grant.grant_id, part))
    if amount:
        raise AssertionError("the grants hold less than the balance says")
    return taken


def _cannot_pay(books: Books, key: str, receipt: ReceiptDraft, reason: RefusalReason) -> Refused:
    return Refused(
        key=key,
        reason=reason,
        needed_millicredits=receipt.total_millicredits,
        balance_millicredits=books.wallet.balance,
    )

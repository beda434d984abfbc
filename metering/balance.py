"""What an operation does to a wallet (pure): one outcome for each, decided in order.

Every amount is in millicredits. `decide` changes the books it is given; the ledger writes what has changed.
"""

from dataclasses import replace
from typing import assert_never
from uuid import UUID

from metering import giving_back
from metering.books import Books, ChargedBefore, GrantRow, HoldRow, HoldState
from metering.operations import (
    Applied,
    Capture,
    Charge,
    Ended,
    ExpireExcess,
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
    RefusalReason,
    Refused,
    Release,
)
from metering.posting import fallen_to, payload_hash, post, replayed
from metering.rates import ABSORBED_MILLICREDITS, Item, Line


def decide(books: Books, operation: Operation) -> Outcome:
    """Decide one operation and note what it changes."""
    match operation:
        case Hold() | Release() | ExpireHold():
            return _decide_hold(books, operation)
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


def _decide_hold(books: Books, operation: Hold | Release | ExpireHold) -> Outcome:
    match operation:
        case Hold():
            known = books.holds.get(operation.key)
            return _hold(books, operation) if known is None else _held_before(known, operation)
        case Release():
            return _end_hold(books, operation.hold_key, "released")
        case ExpireHold():
            return _expire_hold(books, operation)
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


def _hold(books: Books, operation: Hold) -> Outcome:
    wallet = books.wallet
    if wallet.paused:
        return _refused(books, operation, "tenant_paused")
    allowed, scope = _allowed_by_budgets(books, operation)
    if allowed is None:
        return _refused(books, operation, "over_budget", scope=scope)
    if operation.min_millicredits > wallet.balance:
        wallet.paused = books.wallet_changed = True
        return _refused(books, operation, "insufficient_credits", paused_now=True)
    may_shrink = operation.may_shrink or allowed > wallet.balance
    amount = _largest(operation, min(allowed, wallet.available))
    if amount is None or (amount < allowed and not may_shrink):
        return MustWait(key=operation.key)
    return _open_hold(books, operation, amount)


def _largest(operation: Hold, limit: int) -> int | None:
    """Return the most that may be held within a limit: the minimum and whole steps; None if even that is too much."""
    if operation.min_millicredits > limit:
        return None
    if limit >= operation.max_millicredits:
        return operation.max_millicredits
    steps = (limit - operation.min_millicredits) // operation.step_millicredits
    return operation.min_millicredits + steps * operation.step_millicredits


def _allowed_by_budgets(books: Books, operation: Hold) -> tuple[int | None, str | None]:
    """Return the most that every daily limit leaves, or None and the scope whose limit is reached."""
    allowed = operation.max_millicredits
    for budget in operation.budgets:
        spent = books.budgets.get((operation.day, budget.scope))
        left = budget.limit_millicredits - (spent.held + spent.charged if spent else 0)
        fits = _largest(operation, left)
        if fits is None:
            return None, budget.scope
        allowed = min(allowed, fits)
    return allowed, None


def _held_before(known: HoldRow, operation: Hold) -> Outcome:
    """Answer a repeated hold; one that has ended does not open again."""
    same = (
        known.rate_card == operation.rate_card
        and operation.min_millicredits <= known.amount <= operation.max_millicredits
        and list(known.budget_scopes) == [budget.scope for budget in operation.budgets]
    )
    if not same:
        return Refused(key=operation.key, reason="key_reused")
    if known.state != "open":
        return Refused(key=operation.key, reason="hold_ended")
    return Held(key=operation.key, amount_millicredits=known.amount, replayed=True)


def _open_hold(books: Books, operation: Hold, amount: int) -> Outcome:
    scopes = [budget.scope for budget in operation.budgets]
    books.holds[operation.key] = HoldRow(
        key=operation.key,
        amount=amount,
        state="open",
        captured=None,
        rate_card=operation.rate_card,
        budget_day=operation.day if scopes else None,
        budget_scopes=scopes,
        opened_at=books.now,
        expires_at=operation.expires_at,
    )
    books.new_holds.add(operation.key)
    books.move_held(amount)
    for scope in scopes:
        books.move_budget(operation.day, scope, held=amount)
    return Held(key=operation.key, amount_millicredits=amount)


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
        _settle(books, hold, captured=receipt.total_millicredits)
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


def _settle(books: Books, hold: HoldRow, *, captured: int) -> None:
    hold.state, hold.captured, hold.ended_at = "captured", captured, books.now
    _free(books, hold, charged=captured)


def _free(books: Books, hold: HoldRow, *, charged: int) -> None:
    books.changed_holds.add(hold.key)
    books.move_held(-hold.amount)
    if hold.budget_day is not None:
        for scope in hold.budget_scopes:
            books.move_budget(hold.budget_day, scope, held=-hold.amount, charged=charged)


def _end_hold(books: Books, key: str, state: HoldState) -> Ended:
    hold = books.holds.get(key)
    if hold is not None and hold.state == "open":
        hold.state, hold.ended_at = state, books.now
        _free(books, hold, charged=0)
    return Ended(key=key)


def _expire_hold(books: Books, operation: ExpireHold) -> Ended:
    hold = books.holds.get(operation.hold_key)
    if hold is None or hold.expires_at > books.now:  # renewed since it was found overdue
        return Ended(key=operation.hold_key)
    return _end_hold(books, operation.hold_key, "expired")


def _cannot_pay(books: Books, key: str, receipt: ReceiptDraft, reason: RefusalReason) -> Refused:
    return Refused(
        key=key,
        reason=reason,
        needed_millicredits=receipt.total_millicredits,
        balance_millicredits=books.wallet.balance,
    )


def _refused(
    books: Books, operation: Hold, reason: RefusalReason, *, scope: str | None = None, paused_now: bool = False
) -> Refused:
    return Refused(
        key=operation.key,
        reason=reason,
        needed_millicredits=operation.min_millicredits,
        balance_millicredits=books.wallet.balance,
        scope=scope,
        paused_now=paused_now,
        low=fallen_to(books.wallet, 0) if paused_now else None,
    )

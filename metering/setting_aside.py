"""Credits that are set aside for work that has not happened yet, and how that ends (pure)."""

from typing import assert_never

from metering.books import Books, HoldRow, HoldState
from metering.operations import (
    Ended,
    ExpireHold,
    FixedHold,
    Held,
    Hold,
    MustWait,
    Outcome,
    RefusalReason,
    Refused,
    Release,
)
from metering.posting import fallen_to


def decide(books: Books, operation: Hold | Release | ExpireHold) -> Outcome:
    match operation:
        case Hold():
            known = books.holds.get(operation.key)
            return _hold(books, operation) if known is None else _held_before(books, known, operation)
        case Release():
            return _end_hold(books, operation.hold_key, "released")
        case ExpireHold():
            return _expire_hold(books, operation)
        case _:
            assert_never(operation)


def settle(books: Books, hold: HoldRow, *, captured: int) -> None:
    """End an open hold by a charge, of which it covers `captured`."""
    hold.state, hold.captured, hold.ended_at = "captured", captured, books.now
    _free(books, hold, charged=captured)


def _hold(books: Books, operation: Hold) -> Outcome:
    wallet, beside = books.wallet, operation.beside_millicredits
    if any(fixed.key in books.holds for fixed in operation.beside):
        return Refused(key=operation.key, reason="key_reused")
    if wallet.paused:
        return _refused(books, operation, "tenant_paused")
    allowed, scope = _allowed_by_budgets(books, operation)
    if allowed is None:
        return _refused(books, operation, "over_budget", scope=scope)
    if operation.min_millicredits + beside > wallet.balance:
        wallet.paused = books.wallet_changed = True
        return _refused(books, operation, "insufficient_credits", paused_now=True)
    may_shrink = operation.may_shrink or allowed + beside > wallet.balance
    amount = _largest(operation, min(allowed, wallet.available - beside))
    if amount is None or (amount < allowed and not may_shrink):
        return MustWait(key=operation.key)
    for fixed in operation.beside:
        _open_hold(books, operation, fixed.key, fixed.millicredits)
    return _open_hold(books, operation, operation.key, amount)


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
        left = budget.limit_millicredits - _counted(books, operation, budget.scope) - operation.beside_millicredits
        fits = _largest(operation, left)
        if fits is None:
            return None, budget.scope
        allowed = min(allowed, fits)
    return allowed, None


def _counted(books: Books, operation: Hold, scope: str) -> int:
    spent = books.budgets.get((operation.day, scope))
    return spent.held + spent.charged if spent else 0


def _held_before(books: Books, known: HoldRow, operation: Hold) -> Outcome:
    """Answer a repeated hold; one that has ended does not open again."""
    beside = [books.holds.get(fixed.key) for fixed in operation.beside]
    same = (
        known.rate_card == operation.rate_card
        and operation.min_millicredits <= known.amount <= operation.max_millicredits
        and list(known.budget_scopes) == [budget.scope for budget in operation.budgets]
        and all(_is_same(row, fixed) for row, fixed in zip(beside, operation.beside, strict=True))
    )
    if not same:
        return Refused(key=operation.key, reason="key_reused")
    if any(row is None or row.state != "open" for row in (known, *beside)):
        return Refused(key=operation.key, reason="hold_ended")
    if operation.grows:
        return _grow(books, known, operation)
    return Held(key=operation.key, amount_millicredits=known.amount, replayed=True)


def _is_same(row: HoldRow | None, fixed: FixedHold) -> bool:
    return row is not None and row.amount == fixed.millicredits


def _grow(books: Books, known: HoldRow, operation: Hold) -> Held:
    """Enlarge an open hold by whole steps as far as wallet and limits allow; nothing is refused or paused for it."""
    room = 0 if books.wallet.paused else books.wallet.available
    for budget in operation.budgets:
        room = min(room, budget.limit_millicredits - _counted(books, operation, budget.scope))
    amount = _largest(operation, known.amount + max(room, 0)) or 0
    more = amount - known.amount
    if more <= 0:
        return Held(key=operation.key, amount_millicredits=known.amount, replayed=True)
    known.amount = amount
    books.changed_holds.add(operation.key)
    books.move_held(more)
    if known.budget_day is not None:
        for scope in known.budget_scopes:
            books.move_budget(known.budget_day, scope, held=more)
    return Held(key=operation.key, amount_millicredits=amount)


def _open_hold(books: Books, operation: Hold, key: str, amount: int) -> Held:
    scopes = [budget.scope for budget in operation.budgets]
    books.holds[key] = HoldRow(
        key=key,
        amount=amount,
        state="open",
        captured=None,
        rate_card=operation.rate_card,
        budget_day=operation.day if scopes else None,
        budget_scopes=scopes,
        opened_at=books.now,
        expires_at=operation.expires_at,
    )
    books.new_holds.add(key)
    books.move_held(amount)
    for scope in scopes:
        books.move_budget(operation.day, scope, held=amount)
    return Held(key=key, amount_millicredits=amount)


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


def _refused(
    books: Books, operation: Hold, reason: RefusalReason, *, scope: str | None = None, paused_now: bool = False
) -> Refused:
    return Refused(
        key=operation.key,
        reason=reason,
        needed_millicredits=operation.min_millicredits + operation.beside_millicredits,
        balance_millicredits=books.wallet.balance,
        scope=scope,
        paused_now=paused_now,
        low=fallen_to(books.wallet, 0) if paused_now else None,
    )

"""Credits that return, and credits whose time is over (pure)."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import assert_never
from uuid import UUID, uuid5

from metering.books import Books, ChargedBefore, GrantRow
from metering.operations import Applied, Ended, ExpireExcess, ExpireGrant, Outcome, Refund, Refused
from metering.posting import payload_hash, post, replayed

REFUND_LIVES_FOR = timedelta(days=30)  # when the grant it came from has expired


def decide(books: Books, operation: Refund | ExpireGrant | ExpireExcess) -> Outcome:
    match operation:
        case Refund():
            return _refund(books, operation)
        case ExpireGrant():
            return _expire_grant(books, operation)
        case ExpireExcess():
            return _expire_excess(books, operation)
        case _:
            assert_never(operation)


def _refund(books: Books, operation: Refund) -> Outcome:
    """Give part or all of a charge back to the grants it was taken from, the last taken first."""
    hashed = payload_hash(operation)
    if operation.key in books.keys:
        return replayed(books, operation.key, hashed)
    charge = books.charges.get(operation.charge_key)
    if charge is None:
        return Refused(key=operation.key, reason="no_such_charge")
    total = operation.total_millicredits
    if total > -charge.entry.amount_millicredits - charge.refunded:
        return Refused(key=operation.key, reason="refund_exceeds_charge", needed_millicredits=total)
    if total == 0:
        return Ended(key=operation.key)
    charge.refunded += total
    books.count_usage(operation.day, operation.channel, operation.lines, sign=-1)
    return post(
        books,
        kind="refund",
        key=operation.key,
        amount=total,
        payload=hashed,
        grants=_return(books, charge, total, key=operation.key),
        reason=operation.reason,
        refunds_sequence=charge.entry.sequence,
    )


def _return(books: Books, charge: ChargedBefore, total: int, *, key: str) -> Sequence[tuple[UUID, int]]:
    given: dict[UUID, int] = {}
    homeless = 0
    for place in reversed(range(len(charge.taken))):
        grant_id, left = charge.taken[place]
        part = min(left, total)
        total -= part
        charge.taken[place] = (grant_id, left - part)
        grant = books.grants[grant_id]
        if grant.is_over(books.now):
            homeless += part
        elif part:
            grant.remaining += part
            books.changed_grants.add(grant_id)
            given[grant_id] = given.get(grant_id, 0) + part
    if total:
        raise AssertionError("a charge was taken from its grants in full")
    if homeless:
        given[_new_home(books, homeless, key=key)] = homeless
    return list(given.items())


def _new_home(books: Books, amount: int, *, key: str) -> UUID:
    """Make a grant for what comes back to one that has expired."""
    row = GrantRow(
        grant_id=uuid5(books.tenant_id, key),
        kind="refund",
        reference=key,
        reason="refund to an expired grant",
        amount=amount,
        remaining=amount,
        granted_at=books.now,
        expires_at=books.now + REFUND_LIVES_FOR,
    )
    books.grants[row.grant_id] = row
    books.new_grants.append(row)
    return row.grant_id


def _expire_grant(books: Books, operation: ExpireGrant) -> Applied | Ended:
    """Take what is left of a grant whose time is over, as far as no hold needs it; the rest when holds end."""
    grant = books.grants.get(operation.grant_id)
    if grant is None or not grant.is_over(books.now):
        return Ended(key=f"expiry:{operation.grant_id}")
    amount = min(grant.remaining, books.wallet.available)
    key = f"expiry:{operation.grant_id}:{books.wallet.sequence + 1}"
    if not amount:
        return Ended(key=key)
    grant.remaining -= amount
    grant.expired_at = books.now
    books.changed_grants.add(grant.grant_id)
    return post(
        books,
        kind="expiry",
        key=key,
        amount=-amount,
        payload=payload_hash(operation),
        grants=[(grant.grant_id, -amount)],
        reason="expired",
    )


def _expire_excess(books: Books, operation: ExpireExcess) -> Outcome:
    """Take from the oldest packages first; what holds need stays for good."""
    hashed = payload_hash(operation)
    if operation.key in books.keys:
        return replayed(books, operation.key, hashed)
    packages = [
        grant
        for grant in books.live_grants()
        if grant.kind == "plan" and grant.reference < operation.before_reference and not grant.is_over(books.now)
    ]
    excess = sum(grant.remaining for grant in packages) - operation.keep_millicredits
    amount = min(max(excess, 0), books.wallet.available)
    if not amount:
        return Ended(key=operation.key)
    return post(
        books,
        kind="expiry",
        key=operation.key,
        amount=-amount,
        payload=hashed,
        grants=[(grant_id, -part) for grant_id, part in _take_oldest(books, packages, amount)],
        reason="beyond what rolls over",
    )


def _take_oldest(books: Books, packages: Sequence[GrantRow], amount: int) -> Iterator[tuple[UUID, int]]:
    for grant in sorted(packages, key=lambda grant: grant.reference):
        part = min(grant.remaining, amount)
        if part:
            grant.remaining -= part
            amount -= part
            books.changed_grants.add(grant.grant_id)
            yield grant.grant_id, part

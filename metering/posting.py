"""Writing an entry into the books (pure): its sequence, balances, hash, and the key that makes it once."""

import hashlib
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from uuid import UUID

import orjson

from metering.books import Books, KnownKey, Posting, WalletRow
from metering.chain import Entry, EntryKind, chain_hash
from metering.low_balance import level_reached
from metering.operations import (
    Applied,
    Capture,
    Charge,
    ExpireExcess,
    ExpireGrant,
    Grant,
    LowBalance,
    Outcome,
    ReceiptDraft,
    Refund,
    Refused,
)

# Made anew by each attempt, or a note beside the amount: no part of what is being paid.
_NOT_PAYLOAD = frozenset({"receipt_id", "grant_id", "provider_usage", "reason", "day", "for_customer"})


def payload_hash(operation: Grant | Capture | Charge | Refund | ExpireGrant | ExpireExcess) -> bytes:
    """Return 32 bytes that are the same for a repeated operation and for no other under its key."""
    return hashlib.sha256(orjson.dumps([type(operation).__name__, _plain(operation)])).digest()


def post(
    books: Books,
    *,
    kind: EntryKind,
    key: str,
    amount: int,
    payload: bytes,
    grants: Sequence[tuple[UUID, int]],
    reason: str = "",
    receipt: ReceiptDraft | None = None,
    refunds_sequence: int | None = None,
    absorbed: int = 0,
) -> Applied:
    """Append an entry and move the balance; a grant or a refund resumes a paused tenant."""
    wallet = books.wallet
    entry = Entry(
        sequence=wallet.sequence + 1,
        kind=kind,
        key=key,
        amount_millicredits=amount,
        balance_before_millicredits=wallet.balance,
        balance_after_millicredits=wallet.balance + amount,
        receipt_id=receipt.receipt_id if receipt else None,
        refunds_sequence=refunds_sequence,
        reason=reason,
        created_at=books.now,
    )
    wallet.chain_hash = chain_hash(wallet.chain_hash, books.tenant_id, entry)
    wallet.sequence, wallet.balance = entry.sequence, entry.balance_after_millicredits
    resumed = wallet.paused and kind in ("grant", "refund") and amount > 0
    if resumed:
        wallet.paused = False
    low = _measured(wallet, entry, receipt)
    books.wallet_changed = True
    books.keys[key] = KnownKey(payload, entry)
    books.postings.append(
        Posting(entry=entry, hash=wallet.chain_hash, payload_hash=payload, grants=list(grants), receipt=receipt)
    )
    return _applied(entry, absorbed=absorbed, resumed=resumed, low=low)


def fallen_to(wallet: WalletRow, percent: int) -> LowBalance:
    """Return what is told of a wallet that has reached a level of its mark."""
    return LowBalance(
        percent=percent,
        balance_millicredits=wallet.balance,
        full_millicredits=wallet.full,
        full_sequence=wallet.full_sequence,
    )


def _measured(wallet: WalletRow, entry: Entry, receipt: ReceiptDraft | None) -> LowBalance | None:
    """Move the mark with a grant; say which level of it a fall has reached.

    Rent that is paid before anything else was used is part of what was bought, so the mark comes down with it.
    """
    is_rent = receipt is not None and receipt.subject == "rental"
    if entry.kind == "grant":
        wallet.full, wallet.full_sequence = entry.balance_after_millicredits, entry.sequence
    elif is_rent and entry.balance_before_millicredits == wallet.full:
        wallet.full = entry.balance_after_millicredits
    else:
        percent = level_reached(
            before=entry.balance_before_millicredits, after=entry.balance_after_millicredits, full=wallet.full
        )
        return None if percent is None else fallen_to(wallet, percent)
    return None


def replayed(books: Books, key: str, payload: bytes) -> Outcome:
    """Answer an operation whose key was used before."""
    known = books.keys[key]
    if known.payload_hash != payload:
        return Refused(key=key, reason="key_reused")
    return _applied(known.entry, replayed=True)


def _applied(
    entry: Entry, *, absorbed: int = 0, resumed: bool = False, replayed: bool = False, low: LowBalance | None = None
) -> Applied:
    return Applied(
        key=entry.key,
        sequence=entry.sequence,
        amount_millicredits=entry.amount_millicredits,
        balance_before_millicredits=entry.balance_before_millicredits,
        balance_after_millicredits=entry.balance_after_millicredits,
        receipt_id=entry.receipt_id,
        absorbed_millicredits=absorbed,
        resumed=resumed,
        replayed=replayed,
        low=low,
    )


def _plain(value: object) -> object:
    """Return a value as JSON that does not depend on how it was made."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _plain(getattr(value, field.name)) for field in fields(value) if field.name not in _NOT_PAYLOAD
        }
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value

"""The hash chain over a wallet's entries (pure): a change of any of them changes all that follow."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import orjson

EntryKind = Literal["grant", "charge", "refund", "expiry"]
GENESIS = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One immutable line of the ledger; `amount_millicredits` is signed."""

    sequence: int
    kind: EntryKind
    key: str
    amount_millicredits: int
    balance_before_millicredits: int
    balance_after_millicredits: int
    receipt_id: UUID | None
    refunds_sequence: int | None
    reason: str
    created_at: datetime


def chain_hash(previous: bytes, tenant_id: UUID, entry: Entry) -> bytes:
    """Return the hash of an entry: of the one before it and of every field in a fixed order and form."""
    fields = [
        tenant_id.hex,
        entry.sequence,
        entry.kind,
        entry.key,
        entry.amount_millicredits,
        entry.balance_before_millicredits,
        entry.balance_after_millicredits,
        entry.receipt_id.hex if entry.receipt_id else None,
        entry.refunds_sequence,
        entry.reason,
        entry.created_at.astimezone(UTC).isoformat(timespec="microseconds"),
    ]
    return hashlib.sha256(previous + orjson.dumps(fields)).digest()

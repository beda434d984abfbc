"""The statements of the ledger: one read of what a batch needs, one write of what it changed. Never commits."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from uuid import UUID

import asyncpg

from metering.balance import grant_key
from metering.books import Books, BudgetRow, ChargedBefore, GrantRow, HoldRow, KnownKey, WalletRow
from metering.chain import Entry
from metering.connection import Connection
from metering.operations import (
    Capture,
    Charge,
    ExpireExcess,
    ExpireGrant,
    ExpireHold,
    Grant,
    Hold,
    Operation,
    Refund,
    Release,
)

_ENTRY_COLUMNS = """e.sequence, e.kind, e.key, e.amount_millicredits, e.balance_before_millicredits,
  e.balance_after_millicredits, e.receipt_id, e.refunds_sequence, e.reason, e.created_at"""
_GRANT_COLUMNS = """g.grant_id, g.kind, g.reference, g.reason, g.amount_millicredits AS amount,
  g.remaining_millicredits AS remaining, g.granted_at, g.expires_at, g.expired_at"""

# The wallet is locked and everything else read in one statement. If the lock had to be waited for, what was read
# beside it is from before: then the version that was read is not the version that was locked, and all is read again.
_LOAD = f"""
SELECT w.balance_millicredits, w.held_millicredits, w.sequence, w.chain_hash, w.state, w.full_millicredits,
  w.full_sequence,
  w.xmin::text = (SELECT seen.xmin::text FROM wallet seen WHERE seen.tenant_id = $1) AS fresh,
  ARRAY(SELECT ROW(key, amount_millicredits, state, captured_millicredits, rate_card, budget_day, budget_scopes,
                   opened_at, expires_at, ended_at)
        FROM hold WHERE tenant_id = $1 AND key = ANY ($2::text[])) AS holds,
  ARRAY(SELECT ROW(k.payload_hash, {_ENTRY_COLUMNS})
        FROM charge_key k JOIN ledger_entry e ON e.tenant_id = k.tenant_id AND e.sequence = k.sequence
        WHERE k.tenant_id = $1 AND k.key = ANY ($3::text[])) AS keys,
  ARRAY(SELECT ROW(b.day, b.scope, b.held_millicredits, b.charged_millicredits)
        FROM unnest($4::date[], $5::text[]) AS wanted (day, scope)
        JOIN budget_day b ON b.tenant_id = $1 AND b.day = wanted.day AND b.scope = wanted.scope) AS budgets,
  ARRAY(SELECT ROW({_GRANT_COLUMNS.replace(" AS amount", "").replace(" AS remaining", "")})
        FROM credit_grant g
        WHERE g.tenant_id = $1 AND ($6 AND g.remaining_millicredits > 0 OR g.grant_id = ANY ($7::uuid[]))) AS grants
FROM wallet w WHERE w.tenant_id = $1 FOR NO KEY UPDATE OF w
"""  # noqa: S608 - constants inside a constant
_HOLD_FIELDS = tuple(field.name for field in fields(HoldRow))
_GRANT_FIELDS = tuple(field.name for field in fields(GrantRow))
_ENTRY_FIELDS = tuple(field.name for field in fields(Entry))


async def lock_wallet(connection: Connection, tenant_id: UUID) -> None:
    """Lock the tenant's wallet, making an empty one if there is none."""
    statement = "SELECT true FROM wallet WHERE tenant_id = $1 FOR NO KEY UPDATE"
    while not await connection.fetchval(statement, tenant_id):
        await _make_wallet(connection, tenant_id)


async def load(connection: Connection, tenant_id: UUID, operations: Sequence[Operation], *, now: datetime) -> Books:
    """Lock the wallet and read the holds, keys, grants, budgets and charges that the operations look at."""
    row = await _load_row(connection, tenant_id, operations)
    books = Books(
        tenant_id=tenant_id,
        now=now,
        wallet=WalletRow(
            balance=row["balance_millicredits"],
            held=row["held_millicredits"],
            sequence=row["sequence"],
            chain_hash=row["chain_hash"],
            paused=row["state"] == "paused",
            full=row["full_millicredits"],
            full_sequence=row["full_sequence"],
        ),
    )
    for values in row["holds"]:
        hold = HoldRow(**dict(zip(_HOLD_FIELDS, values, strict=True)))
        books.holds[hold.key] = hold
    for payload_hash, *values in row["keys"]:
        entry = Entry(**dict(zip(_ENTRY_FIELDS, values, strict=True)))
        books.keys[entry.key] = KnownKey(payload_hash, entry)
    for day, scope, held, charged in row["budgets"]:
        books.budgets[day, scope] = BudgetRow(held, charged)
    for values in row["grants"]:
        grant = GrantRow(**dict(zip(_GRANT_FIELDS, values, strict=True)))
        books.grants[grant.grant_id] = grant
    charges = [operation.charge_key for operation in operations if isinstance(operation, Refund)]
    if charges:
        await _load_charges(connection, books, charges)
    return books


async def _load_row(connection: Connection, tenant_id: UUID, operations: Sequence[Operation]) -> "asyncpg.Record":
    budgets = list({(o.day, b.scope) for o in operations if isinstance(o, Hold) for b in o.budgets})
    while True:
        row = await connection.fetchrow(
            _LOAD,
            tenant_id,
            _hold_keys(operations),
            _money_keys(operations),
            [day for day, _ in budgets],
            [scope for _, scope in budgets],
            any(isinstance(o, Capture | Charge | Refund | ExpireGrant | ExpireExcess) for o in operations),
            [operation.grant_id for operation in operations if isinstance(operation, ExpireGrant)],
        )
        if row is None:
            await _make_wallet(connection, tenant_id)
        elif row["fresh"]:
            return row


async def _make_wallet(connection: Connection, tenant_id: UUID) -> None:
    await connection.execute("INSERT INTO wallet (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING", tenant_id)


def _hold_keys(operations: Sequence[Operation]) -> list[str]:
    holds = [operation for operation in operations if isinstance(operation, Hold)]
    return [
        *(hold.key for hold in holds),
        *(fixed.key for hold in holds for fixed in hold.beside),
        *(o.hold_key for o in operations if isinstance(o, Capture | Release | ExpireHold)),
    ]


def _money_keys(operations: Sequence[Operation]) -> list[str]:
    keys = [o.key for o in operations if isinstance(o, Capture | Charge | Refund | ExpireExcess)]
    return [*keys, *(grant_key(o.reference) for o in operations if isinstance(o, Grant))]


def _note_grants(books: Books, rows: "Iterable[asyncpg.Record]") -> None:
    for row in rows:
        books.grants.setdefault(row["grant_id"], GrantRow(**row))


async def _load_charges(connection: Connection, books: Books, keys: Sequence[str]) -> None:
    rows = await connection.fetch(
        f"""SELECT k.key AS charge_key, {_ENTRY_COLUMNS}
            FROM charge_key k JOIN ledger_entry e ON e.tenant_id = k.tenant_id AND e.sequence = k.sequence
            WHERE k.tenant_id = $1 AND k.key = ANY ($2) AND e.kind = 'charge'""",  # noqa: S608 - constants
        books.tenant_id,
        keys,
    )
    for row in rows:
        books.charges[row["charge_key"]] = ChargedBefore(entry=_entry(row), taken=[], refunded=0)
    by_sequence = {charge.entry.sequence: charge for charge in books.charges.values()}
    moved = await connection.fetch(
        """SELECT coalesce(e.refunds_sequence, e.sequence) AS charge_sequence, e.refunds_sequence, m.grant_id,
                  m.amount_millicredits AS amount, g.expires_at, g.granted_at
           FROM ledger_entry e
           JOIN entry_grant m ON m.tenant_id = e.tenant_id AND m.sequence = e.sequence
           JOIN credit_grant g ON g.tenant_id = m.tenant_id AND g.grant_id = m.grant_id
           WHERE e.tenant_id = $1 AND (e.sequence = ANY ($2) OR e.refunds_sequence = ANY ($2))
           ORDER BY e.sequence, g.expires_at NULLS LAST, g.granted_at, m.grant_id""",
        books.tenant_id,
        list(by_sequence),
    )
    for row in moved:
        _note_movement(by_sequence[row["charge_sequence"]], row)
    wanted = {grant_id for charge in by_sequence.values() for grant_id, _ in charge.taken}
    rows = await connection.fetch(
        f"SELECT {_GRANT_COLUMNS} FROM credit_grant g WHERE g.tenant_id = $1 AND g.grant_id = ANY ($2)",  # noqa: S608
        books.tenant_id,
        list(wanted),
    )
    _note_grants(books, rows)


def _note_movement(charge: ChargedBefore, row: "asyncpg.Record") -> None:
    """Note what a charge took from a grant, or what an earlier refund of it has given back."""
    if row["refunds_sequence"] is None:
        charge.taken.append((row["grant_id"], -row["amount"]))
        return
    charge.refunded += row["amount"]
    left = row["amount"]
    # The last taken is the first given back, whichever grant it went to.
    for place in reversed(range(len(charge.taken))):
        grant_id, taken = charge.taken[place]
        part = min(taken, left)
        charge.taken[place] = (grant_id, taken - part)
        left -= part


def _entry(row: "asyncpg.Record") -> Entry:
    return Entry(**{name: row[name] for name in Entry.__dataclass_fields__})

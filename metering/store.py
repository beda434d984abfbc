"""The statements of the ledger: one read of what a batch needs, one write of what it changed. Never commits."""

from collections.abc import Iterable, Sequence
from uuid import UUID

import asyncpg

from metering.balance import grant_key
from metering.books import Books, BudgetRow, ChargedBefore, GrantRow, HoldRow, KnownKey, WalletRow
from metering.chain import Entry
from metering.connection import Connection
from metering.operations import (
    Capture,
    Charge,
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


async def lock_wallet(connection: Connection, tenant_id: UUID) -> WalletRow:
    """Lock the tenant's wallet, making an empty one if there is none."""
    while True:
        row = await connection.fetchrow(
            """SELECT balance_millicredits, held_millicredits, sequence, chain_hash, state FROM wallet
               WHERE tenant_id = $1 FOR NO KEY UPDATE""",
            tenant_id,
        )
        if row is not None:
            return WalletRow(
                balance=row["balance_millicredits"],
                held=row["held_millicredits"],
                sequence=row["sequence"],
                chain_hash=row["chain_hash"],
                paused=row["state"] == "paused",
            )
        await connection.execute("INSERT INTO wallet (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING", tenant_id)


async def load(connection: Connection, books: Books, operations: Sequence[Operation]) -> None:
    """Read the holds, keys, grants, budgets and charges that the operations look at."""
    await _load_holds(connection, books, _hold_keys(operations))
    await _load_keys(connection, books, _money_keys(operations))
    await _load_budgets(connection, books, operations)
    if any(isinstance(operation, Capture | Charge | Refund | ExpireGrant) for operation in operations):
        await _load_grants(connection, books, operations)
    charges = [operation.charge_key for operation in operations if isinstance(operation, Refund)]
    if charges:
        await _load_charges(connection, books, charges)


def _hold_keys(operations: Sequence[Operation]) -> list[str]:
    keys = [operation.key for operation in operations if isinstance(operation, Hold)]
    return [
        *keys,
        *(o.hold_key for o in operations if isinstance(o, Capture | Release | ExpireHold)),
    ]


def _money_keys(operations: Sequence[Operation]) -> list[str]:
    keys = [operation.key for operation in operations if isinstance(operation, Capture | Charge | Refund)]
    return [*keys, *(grant_key(o.reference) for o in operations if isinstance(o, Grant))]


async def _load_holds(connection: Connection, books: Books, keys: Sequence[str]) -> None:
    if not keys:
        return
    rows = await connection.fetch(
        """SELECT key, amount_millicredits AS amount, state, captured_millicredits AS captured, rate_card, budget_day,
                  budget_scopes, opened_at, expires_at, ended_at
           FROM hold WHERE tenant_id = $1 AND key = ANY ($2)""",
        books.tenant_id,
        keys,
    )
    books.holds = {row["key"]: HoldRow(**row) for row in rows}


async def _load_keys(connection: Connection, books: Books, keys: Sequence[str]) -> None:
    if not keys:
        return
    rows = await connection.fetch(
        f"""SELECT k.payload_hash, {_ENTRY_COLUMNS}
            FROM charge_key k JOIN ledger_entry e ON e.tenant_id = k.tenant_id AND e.sequence = k.sequence
            WHERE k.tenant_id = $1 AND k.key = ANY ($2)""",  # noqa: S608 - constants
        books.tenant_id,
        keys,
    )
    books.keys = {row["key"]: KnownKey(row["payload_hash"], _entry(row)) for row in rows}


async def _load_budgets(connection: Connection, books: Books, operations: Sequence[Operation]) -> None:
    wanted = {(o.day, b.scope) for o in operations if isinstance(o, Hold) for b in o.budgets}
    if not wanted:
        return
    rows = await connection.fetch(
        """SELECT b.day, b.scope, b.held_millicredits, b.charged_millicredits
           FROM budget_day b JOIN unnest($2::date[], $3::text[]) AS wanted (day, scope)
             ON b.day = wanted.day AND b.scope = wanted.scope
           WHERE b.tenant_id = $1""",
        books.tenant_id,
        [day for day, _ in wanted],
        [scope for _, scope in wanted],
    )
    for row in rows:
        books.budgets[row["day"], row["scope"]] = BudgetRow(row["held_millicredits"], row["charged_millicredits"])


_GRANT_COLUMNS = """g.grant_id, g.kind, g.reference, g.reason, g.amount_millicredits AS amount,
  g.remaining_millicredits AS remaining, g.granted_at, g.expires_at, g.expired_at"""


async def _load_grants(connection: Connection, books: Books, operations: Sequence[Operation]) -> None:
    expiring = [operation.grant_id for operation in operations if isinstance(operation, ExpireGrant)]
    rows = await connection.fetch(
        f"""SELECT {_GRANT_COLUMNS} FROM credit_grant g
            WHERE g.tenant_id = $1 AND (g.remaining_millicredits > 0 OR g.grant_id = ANY ($2))""",  # noqa: S608
        books.tenant_id,
        expiring,
    )
    _note_grants(books, rows)


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

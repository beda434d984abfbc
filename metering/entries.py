"""Reading a wallet and its ledger, page by page."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from metering.chain import Entry
from metering.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletView:
    """What a tenant owns, what is set aside, and whether its services run."""

    balance_millicredits: int
    held_millicredits: int
    state: Literal["active", "paused"]
    paused_at: datetime | None

    @property
    def available_millicredits(self) -> int:
        return self.balance_millicredits - self.held_millicredits


_COLUMNS = """sequence, kind, key, amount_millicredits, balance_before_millicredits, balance_after_millicredits,
              receipt_id, refunds_sequence, reason, created_at"""


async def read_wallet(connection: Connection, tenant_id: UUID) -> WalletView:
    """Return the wallet as it is; one that nothing was ever put into is empty."""
    row = await connection.fetchrow(
        "SELECT balance_millicredits, held_millicredits, state, paused_at FROM wallet WHERE tenant_id = $1", tenant_id
    )
    if row is None:
        return WalletView(balance_millicredits=0, held_millicredits=0, state="active", paused_at=None)
    return WalletView(**row)


async def list_entries(
    connection: Connection, tenant_id: UUID, *, limit: int, before: int | None = None
) -> list[Entry]:
    """Return ledger entries, newest first; `before` is the sequence of the last of the page before."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM ledger_entry
            WHERE tenant_id = $1 AND ($2::bigint IS NULL OR sequence < $2)
            ORDER BY sequence DESC LIMIT $3""",  # noqa: S608 - a constant
        tenant_id,
        before,
        limit,
    )
    return [Entry(**row) for row in rows]


async def entries_between(connection: Connection, tenant_id: UUID, *, first: int, last: int) -> list[Entry]:
    """Return the entries from one sequence to another, both included, in their order."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM ledger_entry
            WHERE tenant_id = $1 AND sequence BETWEEN $2 AND $3 ORDER BY sequence""",  # noqa: S608 - a constant
        tenant_id,
        first,
        last,
    )
    return [Entry(**row) for row in rows]

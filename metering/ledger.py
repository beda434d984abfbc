"""The ledger: decides operations under the wallet's lock and writes them. It never commits.

Whoever calls owns the transaction and may bring rows of its own along: both are there, or neither.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from metering import store, store_writes
from metering.balance import decide
from metering.connection import Connection
from metering.operations import Operation, Outcome


async def lock(connection: Connection, tenant_id: UUID) -> None:
    """Lock the tenant's wallet until the transaction ends, making an empty one if there is none."""
    await store.lock_wallet(connection, tenant_id)


async def apply(
    connection: Connection, tenant_id: UUID, operations: Sequence[Operation], *, now: datetime
) -> list[Outcome]:
    """Decide operations in order and write what they change; one outcome for each."""
    books = await store.load(connection, tenant_id, operations, now=now)
    outcomes = [decide(books, operation) for operation in operations]
    await store_writes.write(connection, books)
    return outcomes

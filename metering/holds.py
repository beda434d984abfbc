"""Keeping holds while their work goes on, and finding those of one piece of work by what their keys begin with."""

from datetime import datetime
from uuid import UUID

from metering.connection import Connection

# The range lets the index find them, whatever the collation; the rest makes it exact.
_OPEN_UNDER = "tenant_id = $1 AND key > $2 AND key < $2 || 'zz' AND starts_with(key, $2) AND state = 'open'"


async def renew_hold(connection: Connection, tenant_id: UUID, key: str, *, expires_at: datetime) -> None:
    """Let an open hold live until `expires_at`; one that has ended stays ended."""
    await connection.execute(
        "UPDATE hold SET expires_at = $3 WHERE tenant_id = $1 AND key = $2 AND state = 'open'",
        tenant_id,
        key,
        expires_at,
    )


async def renew_holds(connection: Connection, tenant_id: UUID, prefix: str, *, expires_at: datetime) -> None:
    """Let all open holds live until `expires_at` whose keys begin with `prefix`, which ends in a colon."""
    await connection.execute(
        f"UPDATE hold SET expires_at = $3 WHERE {_OPEN_UNDER}",  # noqa: S608 - a constant
        tenant_id,
        prefix,
        expires_at,
    )


async def open_holds(connection: Connection, tenant_id: UUID, prefix: str) -> list[str]:
    """Return the keys of all open holds that begin with `prefix`, which ends in a colon."""
    rows = await connection.fetch(
        f"SELECT key FROM hold WHERE {_OPEN_UNDER} ORDER BY key",  # noqa: S608 - a constant
        tenant_id,
        prefix,
    )
    return [row["key"] for row in rows]

"""Keeping a hold while its work goes on."""

from datetime import datetime
from uuid import UUID

from metering.connection import Connection


async def renew_hold(connection: Connection, tenant_id: UUID, key: str, *, expires_at: datetime) -> None:
    """Let an open hold live until `expires_at`; one that has ended stays ended."""
    await connection.execute(
        "UPDATE hold SET expires_at = $3 WHERE tenant_id = $1 AND key = $2 AND state = 'open'",
        tenant_id,
        key,
        expires_at,
    )

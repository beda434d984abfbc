"""The statements of received SMS: how many came today, and what was not paid."""

from datetime import date, datetime
from uuid import UUID

from metering.connection import Connection


async def count_today(
    connection: Connection, tenant_id: UUID, *, line_id: UUID, contact_id: UUID, now: datetime, limit: int
) -> tuple[date, int]:
    """Return the tenant's day and how many SMS the contact has sent the line on it, counted no further than `limit`."""
    row = await connection.fetchrow(
        """WITH today AS (
             SELECT ($4::timestamptz AT TIME ZONE timezone)::date AS day,
                    date_trunc('day', $4::timestamptz, timezone) AS since
             FROM tenant WHERE tenant_id = $1)
           SELECT day, (SELECT count(*) FROM (
             SELECT FROM conversation c
             JOIN message m ON m.tenant_id = c.tenant_id AND m.conversation_id = c.conversation_id
             WHERE c.tenant_id = $1 AND c.line_id = $2 AND c.contact_id = $3 AND c.channel = 'sms'
               AND c.last_message_at >= today.since AND m.direction = 'in' AND m.created_at >= today.since
             LIMIT $5) AS seen) AS received
           FROM today""",
        tenant_id,
        line_id,
        contact_id,
        now,
        limit,
    )
    if row is None:
        raise LookupError(f"no tenant {tenant_id}")
    return row["day"], row["received"]


async def mark_uncollected(connection: Connection, tenant_id: UUID, message_id: UUID, *, reason: str) -> None:
    """Note on a stored message why it was not charged; it never will be."""
    await connection.execute(
        """UPDATE message SET receipt_id = NULL, content = content || jsonb_build_object('uncollected', $3::text)
           WHERE tenant_id = $1 AND message_id = $2""",
        tenant_id,
        message_id,
        reason,
    )

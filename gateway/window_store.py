"""The row that says whether we may write to a contact on a line, and whether the contact wants us to.

It is also the lock that puts all events of one contact on one line in a row.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from metering.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The service window of a contact on a line after a message was counted."""

    last_customer_message_at: datetime | None
    closed_by_provider_at: datetime | None
    opted_out_at: datetime | None
    opted_out_before: datetime | None


async def lock_window(connection: Connection, tenant_id: UUID, *, line_id: UUID, contact_id: UUID) -> None:
    """Lock a contact's window on a line without opening it, creating the row if need be."""
    await connection.execute(
        """INSERT INTO service_window AS w (tenant_id, line_id, contact_id) VALUES ($1, $2, $3)
           ON CONFLICT (tenant_id, line_id, contact_id) DO UPDATE SET opted_out_at = w.opted_out_at""",
        tenant_id,
        line_id,
        contact_id,
    )


async def count_message(
    connection: Connection, tenant_id: UUID, *, line_id: UUID, contact_id: UUID, written_at: datetime, stop: bool
) -> Window:
    """Lock the window and let a customer's message open it, or end all writing if it says stop.

    Webhooks come late and out of order, so times decide, not arrival: an old message opens nothing that was
    closed since, and an old STOP does not undo a later message. Providers count in whole seconds.
    """
    row = await connection.fetchrow(
        """INSERT INTO service_window AS w (tenant_id, line_id, contact_id, last_customer_message_at, opted_out_at)
           VALUES ($1, $2, $3, $4, CASE WHEN $5 THEN $4::timestamptz END)
           ON CONFLICT (tenant_id, line_id, contact_id) DO UPDATE SET
             last_customer_message_at = greatest(w.last_customer_message_at, $4),
             closed_by_provider_at = CASE
               WHEN $4 >= date_trunc('second', w.closed_by_provider_at) THEN NULL ELSE w.closed_by_provider_at END,
             opted_out_at = CASE
               WHEN $5 AND w.last_customer_message_at > $4 THEN w.opted_out_at
               WHEN $5 THEN greatest(w.opted_out_at, $4)
               WHEN $4 >= date_trunc('second', w.opted_out_at) THEN NULL
               ELSE w.opted_out_at END
           RETURNING last_customer_message_at, closed_by_provider_at, opted_out_at,
             (SELECT opted_out_at FROM service_window before
              WHERE before.tenant_id = $1 AND before.line_id = $2 AND before.contact_id = $3) AS opted_out_before""",
        tenant_id,
        line_id,
        contact_id,
        written_at,
        stop,
    )
    if row is None:
        raise AssertionError("an upsert returns its row")
    return Window(**row)


async def set_preference(
    connection: Connection, tenant_id: UUID, *, line_id: UUID, contact_id: UUID, wants_messages: bool, at: datetime
) -> None:
    """Note what a contact told the provider; a message of its own since then says more."""
    await lock_window(connection, tenant_id, line_id=line_id, contact_id=contact_id)
    await connection.execute(
        """UPDATE service_window SET opted_out_at = CASE
             WHEN $4 THEN CASE WHEN opted_out_at > $5 THEN opted_out_at END
             WHEN last_customer_message_at > $5 THEN opted_out_at
             ELSE greatest(opted_out_at, $5) END
           WHERE tenant_id = $1 AND line_id = $2 AND contact_id = $3""",
        tenant_id,
        line_id,
        contact_id,
        wants_messages,
        at,
    )

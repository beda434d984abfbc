"""The row that says whether we may write to a contact on a line's channel, and whether the contact wants us to.

It is also the lock that puts all events of one contact on one line and channel in a row.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from gateway.channels.base import OptOutWord
from metering.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The window of a contact on a line's channel after a message was counted."""

    last_customer_message_at: datetime | None
    closed_by_provider_at: datetime | None
    opted_out_at: datetime | None
    opted_out_before: datetime | None


async def lock_window(
    connection: Connection, tenant_id: UUID, *, line_id: UUID, contact_id: UUID, channel: str
) -> None:
    """Lock a contact's window without opening it, creating the row if need be."""
    await connection.execute(
        """INSERT INTO service_window AS w (tenant_id, line_id, contact_id, channel) VALUES ($1, $2, $3, $4)
           ON CONFLICT (tenant_id, line_id, contact_id, channel) DO UPDATE SET opted_out_at = w.opted_out_at""",
        tenant_id,
        line_id,
        contact_id,
        channel,
    )


async def count_message(
    connection: Connection, tenant_id: UUID, *, line_id: UUID, contact_id: UUID, written_at: datetime, stop: bool
) -> Window:
    """Lock the WhatsApp window and let a customer's message open it, or end all writing if it says stop.

    Webhooks come late and out of order, so times decide, not arrival: an old message opens nothing that was
    closed since, and an old STOP does not undo a later message. Providers count in whole seconds.
    """
    row = await connection.fetchrow(
        """INSERT INTO service_window AS w
             (tenant_id, line_id, contact_id, channel, last_customer_message_at, opted_out_at)
           VALUES ($1, $2, $3, 'whatsapp', $4, CASE WHEN $5 THEN $4::timestamptz END)
           ON CONFLICT (tenant_id, line_id, contact_id, channel) DO UPDATE SET
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
              WHERE before.tenant_id = $1 AND before.line_id = $2 AND before.contact_id = $3
                AND before.channel = 'whatsapp') AS opted_out_before""",
        tenant_id,
        line_id,
        contact_id,
        written_at,
        stop,
    )
    return _window(row)


async def count_sms(
    connection: Connection,
    tenant_id: UUID,
    *,
    line_id: UUID,
    contact_id: UUID,
    written_at: datetime,
    word: OptOutWord | None,
) -> Window:
    """Lock the contact's row for SMS and note a message; only the words STOP and START change whether it is answered.

    Twilio obeys them itself and lets nothing through until START, whatever else the contact writes.
    """
    row = await connection.fetchrow(
        """INSERT INTO service_window AS w
             (tenant_id, line_id, contact_id, channel, last_customer_message_at, opted_out_at)
           VALUES ($1, $2, $3, 'sms', $4, CASE WHEN $5 = 'stop' THEN $4::timestamptz END)
           ON CONFLICT (tenant_id, line_id, contact_id, channel) DO UPDATE SET
             last_customer_message_at = greatest(w.last_customer_message_at, $4),
             opted_out_at = CASE $5 WHEN 'stop' THEN coalesce(w.opted_out_at, $4) WHEN 'start' THEN NULL
                                    ELSE w.opted_out_at END
           RETURNING last_customer_message_at, closed_by_provider_at, opted_out_at,
             (SELECT opted_out_at FROM service_window before
              WHERE before.tenant_id = $1 AND before.line_id = $2 AND before.contact_id = $3
                AND before.channel = 'sms') AS opted_out_before""",
        tenant_id,
        line_id,
        contact_id,
        written_at,
        word,
    )
    return _window(row)


async def opt_out(
    connection: Connection,
    tenant_id: UUID,
    *,
    line_id: UUID,
    contact_id: UUID,
    channel: str,
    sent_at: datetime,
    now: datetime,
) -> None:
    """Note that the provider lets nothing through to a contact, as it said of what we sent at `sent_at`.

    Not if the contact has written since: it may have been START, and the next send will tell.
    """
    await connection.execute(
        """INSERT INTO service_window AS w (tenant_id, line_id, contact_id, channel, opted_out_at)
           VALUES ($1, $2, $3, $4, $6)
           ON CONFLICT (tenant_id, line_id, contact_id, channel) DO UPDATE
           SET opted_out_at = coalesce(w.opted_out_at, $6)
           WHERE w.last_customer_message_at IS NULL OR w.last_customer_message_at <= $5""",
        tenant_id,
        line_id,
        contact_id,
        channel,
        sent_at,
        now,
    )


async def set_preference(
    connection: Connection,
    tenant_id: UUID,
    *,
    line_id: UUID,
    contact_id: UUID,
    channel: str,
    wants_messages: bool,
    at: datetime,
) -> None:
    """Note what a contact told the provider; a message of its own since then says more."""
    await lock_window(connection, tenant_id, line_id=line_id, contact_id=contact_id, channel=channel)
    await connection.execute(
        """UPDATE service_window SET opted_out_at = CASE
             WHEN $5 THEN CASE WHEN opted_out_at > $6 THEN opted_out_at END
             WHEN last_customer_message_at > $6 THEN opted_out_at
             ELSE greatest(opted_out_at, $6) END
           WHERE tenant_id = $1 AND line_id = $2 AND contact_id = $3 AND channel = $4""",
        tenant_id,
        line_id,
        contact_id,
        channel,
        wants_messages,
        at,
    )


def _window(row: "asyncpg.Record | None") -> Window:
    if row is None:
        raise AssertionError("an upsert returns its row")
    return Window(**row)

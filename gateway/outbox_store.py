"""The statements of the outbox: what is due, how an attempt begins, what became of it.

Within a conversation messages leave in order: a later one waits until every earlier one is sent or failed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.channels.base import AddressKind
from metering.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class SendLease:
    """The right to send one message, until somebody with a higher epoch has it."""

    tenant_id: UUID
    message_id: UUID
    conversation_id: UUID
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message about to leave, with what sending it needs to know."""

    state: str  # of the outbox row
    message_state: str
    author: str
    turn_id: UUID | None
    text: str
    attempts: int
    unknowns: int
    first_attempt_at: datetime | None
    reply_address_kind: AddressKind
    reply_address: str
    line_id: UUID
    contact_id: UUID
    number: str
    line_state: str
    channel: str
    segments: int | None
    provider: str
    provider_line_id: str | None
    access_token_encrypted: bytes | None
    last_customer_message_at: datetime | None
    closed_by_provider_at: datetime | None
    opted_out_at: datetime | None
    trace_id: str


async def claim_due(connection: Connection, *, now: datetime, lease_until: datetime, limit: int) -> list[SendLease]:
    """Lease messages that may leave now, of any tenant; runs under the queue's role."""
    rows = await connection.fetch(
        """WITH due AS (
             SELECT o.tenant_id, o.message_id FROM outbox o
             WHERE o.state IN ('pending', 'sending', 'unknown') AND o.due_at <= $1
               AND (o.lease_until IS NULL OR o.lease_until <= $1)
               AND NOT EXISTS (
                 SELECT FROM outbox earlier
                 WHERE earlier.tenant_id = o.tenant_id AND earlier.conversation_id = o.conversation_id
                   AND earlier.position < o.position AND earlier.state IN ('pending', 'sending', 'unknown'))
             ORDER BY o.due_at LIMIT $3 FOR NO KEY UPDATE OF o SKIP LOCKED)
           UPDATE outbox o SET lease_until = $2, lease_epoch = o.lease_epoch + 1
           FROM due WHERE o.tenant_id = due.tenant_id AND o.message_id = due.message_id
           RETURNING o.tenant_id, o.message_id, o.conversation_id, o.lease_epoch AS epoch""",
        now,
        lease_until,
        limit,
    )
    return [SendLease(**row) for row in rows]


async def lock_letter(connection: Connection, lease: SendLease) -> Letter | None:
    """Lock a leased message and read it; None if the lease has moved on, it is settled, or an earlier one is not."""
    row = await connection.fetchrow(_LETTER, lease.tenant_id, lease.message_id, lease.epoch)
    return Letter(**row) if row else None


async def start_attempt(connection: Connection, lease: SendLease, *, now: datetime, lease_until: datetime) -> None:
    """Record that the message is about to be handed to the provider: from here on its fate may be unknown."""
    await connection.execute(
        """UPDATE outbox SET state = 'sending', attempts = attempts + 1, lease_until = $4,
             first_attempt_at = coalesce(first_attempt_at, $3)
           WHERE tenant_id = $1 AND message_id = $2""",
        lease.tenant_id,
        lease.message_id,
        now,
        lease_until,
    )


async def acknowledge(connection: Connection, lease: SendLease, provider_id: str) -> None:
    """Note that the provider has the message; a report may have said so before, and more."""
    await connection.execute(
        """WITH sent AS (
             UPDATE outbox SET state = 'sent', lease_until = NULL
             WHERE tenant_id = $1 AND message_id = $2 AND state IN ('pending', 'sending', 'unknown', 'sent')
             RETURNING message_id)
           UPDATE message SET state = CASE WHEN state = 'queued' THEN 'sent' ELSE state END,
                              provider_id = coalesce(provider_id, $3)
           FROM sent WHERE message.tenant_id = $1 AND message.message_id = $2""",
        lease.tenant_id,
        lease.message_id,
        provider_id,
    )


async def known_provider_ids(connection: Connection, lease: SendLease) -> set[str]:
    """Return what the provider calls the conversation's latest messages: none of them is the one that is missing."""
    rows = await connection.fetch(
        """SELECT provider_id FROM message
           WHERE tenant_id = $1 AND conversation_id = $2 AND direction = 'out' AND provider_id IS NOT NULL
           ORDER BY created_at DESC LIMIT 100""",
        lease.tenant_id,
        lease.conversation_id,
    )
    return {row["provider_id"] for row in rows}


async def try_again(connection: Connection, lease: SendLease, *, due_at: datetime) -> None:
    """Nothing was taken: the message waits for its next attempt."""
    await _set_state(connection, lease, "pending", due_at)


async def wait_for_report(connection: Connection, lease: SendLease, *, due_at: datetime) -> None:
    """Nobody knows whether it was taken: wait for the report that carries our id."""
    await _set_state(connection, lease, "unknown", due_at)


async def settle_reported(connection: Connection, lease: SendLease) -> None:
    """Believe a report that the message left."""
    await connection.execute(
        "UPDATE outbox SET state = 'sent', lease_until = NULL WHERE tenant_id = $1 AND message_id = $2",
        lease.tenant_id,
        lease.message_id,
    )


async def release(connection: Connection, tenant_id: UUID, message_ids: Sequence[UUID], *, epoch: int) -> None:
    """Let go of messages that were leased and not tried."""
    await connection.execute(
        """UPDATE outbox SET lease_until = NULL
           WHERE tenant_id = $1 AND message_id = ANY ($2) AND state = 'pending' AND lease_epoch = $3""",
        tenant_id,
        list(message_ids),
        epoch,
    )


async def _set_state(connection: Connection, lease: SendLease, state: str, due_at: datetime) -> None:
    await connection.execute(
        """UPDATE outbox SET state = $4, due_at = $5, lease_until = NULL,
             unknowns = unknowns + CASE WHEN $4 = 'unknown' THEN 1 ELSE 0 END
           WHERE tenant_id = $1 AND message_id = $2 AND lease_epoch = $3
             AND state IN ('pending', 'sending', 'unknown')""",
        lease.tenant_id,
        lease.message_id,
        lease.epoch,
        state,
        due_at,
    )


_LETTER = """
SELECT o.state, m.state AS message_state, m.author, o.turn_id, m.text, o.attempts, o.unknowns, o.first_attempt_at,
       c.reply_address_kind, c.reply_address, o.line_id, m.contact_id, l.number,
       CASE c.channel WHEN 'sms' THEN 'twilio_sms' ELSE coalesce(l.whatsapp_provider, '') END AS provider,
       c.channel, m.segments, l.state AS line_state, l.whatsapp_phone_number_id AS provider_line_id,
       l.whatsapp_access_token_encrypted AS access_token_encrypted,
       w.last_customer_message_at, w.closed_by_provider_at, w.opted_out_at, o.trace_id
FROM outbox o
JOIN message m ON m.tenant_id = o.tenant_id AND m.message_id = o.message_id
JOIN conversation c ON c.tenant_id = o.tenant_id AND c.conversation_id = o.conversation_id
JOIN line l ON l.tenant_id = o.tenant_id AND l.line_id = o.line_id
LEFT JOIN service_window w
  ON w.tenant_id = o.tenant_id AND w.line_id = o.line_id AND w.contact_id = m.contact_id AND w.channel = c.channel
WHERE o.tenant_id = $1 AND o.message_id = $2 AND o.lease_epoch = $3 AND o.state IN ('pending', 'sending', 'unknown')
  AND NOT EXISTS (
    SELECT FROM outbox earlier
    WHERE earlier.tenant_id = $1 AND earlier.conversation_id = o.conversation_id
      AND earlier.position < o.position AND earlier.state IN ('pending', 'sending', 'unknown'))
FOR NO KEY UPDATE OF o
"""
